"""Make torchvision importable beside a torch that its compiled extension does not fit.

The registry offers torchvision for CUDA only. Under a CPU torch its extension does not load, and importing it (timm
does) then fails because two operators are missing that it wants to describe. Declaring them is enough: nothing here
calls them.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def declare_missing() -> torch.library.Library | None:
    """Declare torchvision's operators unless its own extension brings them; whoever imports it calls this first.

    Returns the library, which must be kept: the declarations live as long as it does. None where none were needed.
    """
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or _extension_loads(Path(spec.origin).parent):
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # torch leaves it untyped
    for operator in _OPERATORS:
        library.define(operator)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return library


def _extension_loads(package: Path) -> bool:
    extensions = [path for path in package.glob("_C*") if path.suffix in {".so", ".pyd", ".dylib"}]
    try:
        for path in extensions:
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    except OSError:
        return False
    return bool(extensions)
