"""How tightly the process is confined, and what the kernel does with its memory."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.doctor.finding import Finding, group, ok, warning
from service.settings import Settings

_IN_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True, slots=True)
class Confinement:
    """Who the process is."""

    user: int
    container: bool
    capabilities: int
    """The effective ones, as bits."""
    no_new_privileges: bool
    huge_pages: str
    """``always``, ``madvise`` or ``never``; empty where the kernel does not tell."""


def read(
    settings: Settings,
    status: Path = Path("/proc/self/status"),
    huge_pages: Path = Path("/sys/kernel/mm/transparent_hugepage/enabled"),
) -> Confinement:
    """Ask the system."""
    del settings
    lines = dict(line.split(":", 1) for line in _text(status).splitlines() if ":" in line)
    chosen = re.search(r"\[(\w+)\]", _text(huge_pages))
    return Confinement(
        user=os.geteuid(),
        container=any(path.exists() for path in _IN_CONTAINER) or "KUBERNETES_SERVICE_HOST" in os.environ,
        capabilities=int(lines.get("CapEff", "0").strip(), 16),
        no_new_privileges=lines.get("NoNewPrivs", "").strip() == "1",
        huge_pages=chosen[1] if chosen else "",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def user(facts: Confinement) -> Iterator[Finding]:
    """Whether it runs as root."""
    if facts.user == 0:
        where = "in this container" if facts.container else "on this machine"
        yield warning(
            f"it runs as root {where}, and needs no right of root's",
            "run it as another user: --user 10001:10001, or runAsNonRoot: true in Kubernetes",
        )
    else:
        yield ok(f"user {facts.user}")


def privileges(facts: Confinement) -> Iterator[Finding]:
    """Whether a container's process holds privileges, or may gain some."""
    if not facts.container:
        yield ok("not in a container")
    elif facts.capabilities:
        yield warning(
            f"the process holds capabilities ({facts.capabilities:#x}), and needs none",
            "--cap-drop ALL, or capabilities: {drop: [ALL]} in Kubernetes",
        )
    elif not facts.no_new_privileges:
        yield warning(
            "the process may gain privileges", "--security-opt no-new-privileges, or allowPrivilegeEscalation: false"
        )
    else:
        yield ok("it holds no capability, and can gain none")


def huge_pages(facts: Confinement) -> Iterator[Finding]:
    """Whether the kernel gives memory in large pieces to who did not ask."""
    if facts.huge_pages == "always":
        yield ok("always: resident memory may look larger than what is used; madvise avoids it")
    else:
        yield ok(facts.huge_pages or "the kernel does not tell")


GROUP = group("Process", read, {"user": user, "privileges": privileges, "transparent huge pages": huge_pages})
