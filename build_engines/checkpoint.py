"""A checkpoint file → tensors by the network's own names, or a report of what does not fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from build_engines.artifact import BuildFailure

StateDict = dict[str, Tensor]

# Where training scripts keep the weights, the averaged ones first: they are what was evaluated.
_NESTS = ("state_dict_ema", "model_ema", "ema", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
_SHOWN = 5
# An unpickler takes the bytes of any file for instructions, so a file of another kind fails in many ways.
_UNREADABLE = (
    pickle.UnpicklingError,
    SafetensorError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read(path: Path) -> StateDict:
    """Read a ``.safetensors``, ``.pth`` or ``.pt`` file; BuildFailure for one that holds no plain tensors.

    Nothing in the file is executed. Tensors may lie under one of the usual keys (``state_dict``, ``model``, ``ema``),
    and bear the prefixes of data-parallel or compiled training.
    """
    if not path.is_file():
        raise BuildFailure(f"there is no file {path}", "give --weights the path of a checkpoint")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except _UNREADABLE as error:
        if "Unsupported global" in str(error):
            raise BuildFailure(
                f"{path.name} holds more than tensors, and loading that would execute code from the file",
                "save the network's state_dict() alone, or as .safetensors",
            ) from error
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise BuildFailure(f"{path.name} is not a readable checkpoint: {reason}", "check the file") from error
    return _strip(_unnest(content, path.name))


def load(network: nn.Module, tensors: StateDict, file: str, mapping: Literal["by_name", "by_order"]) -> None:
    """Put the tensors into the network, all of them and nothing else; BuildFailure with a report if they do not fit."""
    wanted = network.state_dict()
    if mapping == "by_order":
        tensors = _in_order(tensors, wanted, file)
    report = _misfits(tensors, wanted)
    if report:
        raise BuildFailure(
            f"{file} does not fit the network: " + "; ".join(report),
            "choose the catalogue entry or 'timm:NAME' that the checkpoint was trained with",
        )
    network.load_state_dict(tensors)


def part(tensors: StateDict, prefix: str) -> StateDict:
    """One module's tensors: those whose names begin so, without the prefix; empty if there are none."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _unnest(content: object, file: str) -> StateDict:
    while isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        inner = next((content[key] for key in _NESTS if isinstance(content.get(key), Mapping)), None)
        if inner is None and tensors:
            return tensors
        content = inner
    raise BuildFailure(f"{file} holds no state_dict", f"save one plainly, or under one of {', '.join(_NESTS)}")


def _strip(tensors: StateDict) -> StateDict:
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _in_order(tensors: StateDict, wanted: Mapping[str, Any], file: str) -> StateDict:
    """The tensors under the network's names, first to first; a wrong shape shows in the report that follows."""
    if len(tensors) != len(wanted):
        raise BuildFailure(
            f"{file} has {len(tensors)} tensors and the network {len(wanted)}, so order cannot map them",
            "install the version of the package that the constraints file names",
        )
    return dict(zip(wanted, tensors.values(), strict=True))


def _misfits(tensors: StateDict, wanted: Mapping[str, Tensor]) -> list[str]:
    mismatched = [
        f"{name} is {tuple(tensor.shape)} and should be {tuple(wanted[name].shape)}"
        for name, tensor in tensors.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    parts = {
        "missing": [name for name in wanted if name not in tensors],
        "unexpected": [name for name in tensors if name not in wanted],
        "of another size": mismatched,
    }
    return [f"{len(names)} {what} ({_some(names)})" for what, names in parts.items() if names]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
