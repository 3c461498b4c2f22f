"""What the container may use: the limits of the control groups, v1 and v2, that this process is in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_LIMIT = 1 << 60
"""Version 1 says "no limit" by a number near 2⁶³."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Where the kernel shows the groups, and which this process is in."""

    root: Path = Path("/sys/fs/cgroup")
    own: Path = Path("/proc/self/cgroup")

    def least(self, controller: str, *names: str) -> int | None:
        """The strictest number in the files of these names, in this group and those around it; None: no limit."""
        found = [number for text in self.texts(controller, *names) if (number := _number(text)) is not None]
        return min((number for number in found if number < _NO_LIMIT), default=None)

    def quota(self) -> float | None:
        """Processors by the strictest quota; None where there is none."""
        quotas = [quota for folder in self._folders("cpu") if (quota := _quota(folder)) is not None]
        return min(quotas, default=None)

    def counts(self, controller: str, name: str) -> dict[str, int]:
        """The counters in the first file of that name, e.g. of ``cpu.stat``; empty where there is none."""
        for text in self.texts(controller, name):
            pairs = (line.split() for line in text.splitlines())
            return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
        return {}

    def texts(self, controller: str, *names: str) -> Iterator[str]:
        """The contents of the files of these names, the process's own group first."""
        for folder in self._folders(controller):
            for name in names:
                if (text := _text(folder / name)) is not None:
                    yield text

    def _folders(self, controller: str) -> Iterator[Path]:
        """From the process's own group up to the root; within a container the root is the container's own group."""
        for line in (_text(self.own) or "").splitlines():
            hierarchy, controllers, path = line.split(":", 2)
            if hierarchy == "0":
                mount = self.root
            elif controller in controllers.split(","):
                mount = self.root / controller
            else:
                continue
            nested = Path(path.lstrip("/"))
            yield from (mount / folder for folder in (nested, *nested.parents))
        yield from (self.root, self.root / controller)


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _quota(folder: Path) -> float | None:
    if (limit := _text(folder / "cpu.max")) is not None:
        quota, _, period = limit.partition(" ")
    else:
        quota = _text(folder / "cpu.cfs_quota_us") or ""
        period = _text(folder / "cpu.cfs_period_us") or ""
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None
