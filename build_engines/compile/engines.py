"""The two engines that plans are made for: TensorRT, and TensorRT-RTX, which builds on a machine without a GPU."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from build_engines.artifact import BuildFailure

EngineName = Literal["tensorrt", "tensorrt-rtx"]


@dataclass(frozen=True, slots=True)
class Engine:
    """One of the two, with what differs between them."""

    name: EngineName
    library: Any
    """The Python module; both have the same classes."""
    file: str
    """The plan's name in a version's folder."""
    ahead_of_time: bool
    """Builds without a GPU, for all GPUs of its kind at once."""

    @property
    def version(self) -> str:
        """The library's version."""
        return str(self.library.__version__)


@dataclass(frozen=True, slots=True)
class _Kind:
    modules: tuple[str, ...]
    file: str
    ahead_of_time: bool
    remedy: str


_KINDS: dict[EngineName, _Kind] = {
    "tensorrt": _Kind(
        ("tensorrt",),
        "model.plan",
        ahead_of_time=False,
        remedy="install tensorrt on the machine with the GPU (vitrail[gpu] brings it)",
    ),
    "tensorrt-rtx": _Kind(
        ("tensorrt_rtx", "tensorrt_rtx_bindings"), "model.rtx.plan", ahead_of_time=True, remedy="install vitrail[rtx]"
    ),
}


def open_engine(name: EngineName) -> Engine:
    """Load the engine's library; BuildFailure where it is not installed or does not load."""
    kind, troubles = _KINDS[name], []
    for module in kind.modules:
        try:
            return Engine(name, importlib.import_module(module), kind.file, kind.ahead_of_time)
        except (ImportError, OSError) as error:
            troubles.append(str(error))
    raise BuildFailure(f"the library of {name} does not load ({'; '.join(troubles)})", kind.remedy)


def plan_file(name: EngineName) -> str:
    """The name of the engine's plans in a version's folder."""
    return _KINDS[name].file
