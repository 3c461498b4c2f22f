"""Memory: the container's limit against what models and pictures may take."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.cgroup import Cgroup
from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.repository import readable_cards
from service.doctor.sizes import shown
from service.engines.cpus import available_cpus
from service.settings import Settings

_BYTES_A_PIXEL = 21
"""At the peak of the worst decoder, that of WebP with transparency; a JPEG takes 3."""
_MODELS_SHARE = 0.8
"""Of the limit; the rest is for the process itself and for the pictures under way."""
_PICTURES_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Memory:
    """What there is, and what may be asked for, in bytes."""

    container: int | None
    """The container's limit; None where there is none."""
    machine: int | None
    """The machine's memory; None where the system does not tell."""
    models: int
    """The model files of all versions together; a loaded model takes about as much."""
    models_limit: int | None
    """``--memory-limit``."""
    pictures: int
    """The largest pictures allowed, one for each thread, decoded."""
    killed: int
    """Processes of this container that were ended because its memory was used up."""

    @property
    def limit(self) -> int | None:
        """The container's, else the machine's."""
        return min((value for value in (self.container, self.machine) if value), default=None)


def read(settings: Settings, cgroup: Cgroup | None = None, meminfo: Path = Path("/proc/meminfo")) -> Memory:
    """Ask the control groups, the system and the repository."""
    cgroup = cgroup or Cgroup()
    return Memory(
        container=cgroup.least("memory", "memory.max", "memory.limit_in_bytes"),
        machine=_machine(meminfo),
        models=_model_files(settings.repository),
        models_limit=None if settings.engine == "triton" else settings.memory_limit,
        pictures=(settings.threads or available_cpus(cgroup)) * settings.max_pixels * _BYTES_A_PIXEL,
        killed=max(
            cgroup.counts("memory", name).get("oom_kill", 0) for name in ("memory.events", "memory.oom_control")
        ),
    )


def models(facts: Memory) -> Iterator[Finding]:
    """Models that are loaded, against the limit."""
    limit, wanted = facts.limit, facts.models_limit
    found = f"model files of {shown(facts.models)}, which take several times as much when they run; " + (
        f"the {'container' if limit == facts.container else 'machine'} has {shown(limit)}"
        if limit
        else "no known limit"
    )
    if wanted is not None:
        found = f"--memory-limit is {shown(wanted)}; {found}"
    room = None if limit is None else int(limit * _MODELS_SHARE)
    if room is None or (wanted is None and facts.models <= room):
        yield ok(found)
    elif wanted is None:
        yield warning(
            found, f"set --memory-limit to at most {shown(room)}, so that models take turns, or give more memory"
        )
    elif limit is not None and wanted >= limit:
        yield problem(found, f"set --memory-limit to at most {shown(room)}")
    elif wanted > room:
        yield warning(f"{found}: little is left for pictures", f"set --memory-limit to at most {shown(room)}")
    else:
        yield ok(found)


def pictures(facts: Memory) -> Iterator[Finding]:
    """The largest pictures that are allowed, all at once."""
    found = f"the largest pictures allowed take {shown(facts.pictures)}, decoded, one for each thread"
    if facts.limit is not None and facts.pictures > facts.limit * _PICTURES_SHARE:
        yield warning(
            f"{found}; there are {shown(facts.limit)}", "lower --max-pixels or --threads, or give more memory"
        )
    else:
        yield ok(found)


def kills(facts: Memory) -> Iterator[Finding]:
    """Whether the kernel has ended a process here because memory was used up."""
    if facts.killed:
        yield warning(
            f"{facts.killed} processes of this container were ended because its memory was used up",
            "raise the container's memory limit, or set --memory-limit",
        )
    else:
        yield ok("no process of this container was ended for lack of memory")


def _machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    total = next((line.split()[1] for line in lines if line.startswith("MemTotal:")), None)
    return int(total) * 1024 if total else None


def _model_files(root: Path) -> int:
    """Bytes of the files that an engine loads; those that cannot be seen count nothing here."""
    folders = [root / card.name / str(card.version) for card in readable_cards(root)]
    return sum(path.stat().st_size for folder in folders for path in folder.glob("model.onnx*"))


GROUP = group("Memory", read, {"models' memory": models, "pictures' memory": pictures, "lack of memory": kills})
