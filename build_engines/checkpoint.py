"""A checkpoint file → tensors by the network's own names, or a report of what does not fit."""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path, PosixPath
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from build_engines.artifact import BuildFailure

StateDict = dict[str, Tensor]

# Where training scripts keep the weights, the averaged ones first: they are what was evaluated.
_NESTS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema", "teacher"),
    *("state_dict", "model_state_dict", "model_state", "model", "network", "net", "params", "weights", "module"),
)
_PREFIXES = ("module.", "_orig_mod.")
_COUNTERS = (".total_ops", ".total_params")
"""What thop, a counter of operations, leaves behind in a network that was saved afterwards."""
# What else lies in training scripts' files and is plain data: settings, and NumPy's numbers.
_PLAIN: list[Any] = [
    argparse.Namespace,
    PosixPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    # The function that makes a NumPy number, under its name in pickles of NumPy 2 and of 1.
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")),
]
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

    Nothing in the file is executed. Tensors may lie under one of the usual keys (``state_dict``, ``model``, ``ema``
    …), beside a training script's settings, and bear the prefixes of data-parallel or compiled training.
    """
    if not path.is_file():
        raise BuildFailure(f"there is no file {path}", "give --weights the path of a checkpoint")
    if path.suffix == ".onnx":
        raise BuildFailure(f"{path.name} is a graph and no checkpoint", "build it by `vitrail-build import`")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except _UNREADABLE as error:
        if "Unsupported global" in str(error):
            raise BuildFailure(
                f"{path.name} holds more than tensors, and loading that would execute code from the file",
                "save the network's state_dict() alone, or as .safetensors",
            ) from error
        raise BuildFailure(
            f"{path.name} is not a readable checkpoint: {_reason(error)}",
            "save the network's state_dict() by torch.save",
        ) from error
    return _strip(_unnest(content, path.name))


def _reason(error: Exception) -> str:
    """What is wrong with a file, in a line; torch's own advice, to execute what is in it, is left out."""
    if isinstance(error, pickle.UnpicklingError) or not str(error):
        return "it is no file of tensors"
    return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def load(network: nn.Module, tensors: StateDict, file: str, mapping: Literal["by_name", "by_order"]) -> None:
    """Put the tensors into the network, all of them and nothing else; BuildFailure with a report if they do not fit.

    By name, a prefix that only one side has (``model.`` …) is forgiven, and so are whole numbers that only one side
    has: they count batches or follow from the architecture (indices of relative positions).
    """
    wanted = network.state_dict()
    tensors = _in_order(tensors, wanted, file) if mapping == "by_order" else _by_name(tensors, network, wanted)
    report = _misfits(tensors, wanted)
    if report:
        raise BuildFailure(
            f"{file} does not fit the network: " + "; ".join(report),
            "choose the catalogue entry, 'timm:NAME' or --kwargs that the checkpoint was trained with",
        )
    network.load_state_dict(tensors)


def part(tensors: StateDict, prefix: str) -> StateDict:
    """One module's tensors: those whose names begin so, without the prefix; empty if there are none."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _unpickled(path: Path) -> object:
    """A file of torch's, read by the unpickler that makes tensors and plain data only."""
    with torch.serialization.safe_globals(_PLAIN):
        return torch.load(path, "cpu", weights_only=True)


def _unnest(content: object, file: str) -> StateDict:
    while isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        inner = next((content[key] for key in _NESTS if isinstance(content.get(key), Mapping) and content[key]), None)
        if inner is None and tensors:
            return tensors
        content = inner
    raise BuildFailure(f"{file} holds no state_dict", f"save one plainly, or under one of {', '.join(_NESTS)}")


def _strip(tensors: StateDict) -> StateDict:
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _by_name(tensors: StateDict, network: nn.Module, wanted: Mapping[str, Tensor]) -> StateDict:
    """The tensors under the network's names, but for what is no weight."""
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(_COUNTERS)}
    if not tensors.keys() & wanted.keys():
        tensors = _with_prefix(tensors, wanted)
    weights = {name: tensor for name, tensor in tensors.items() if name in wanted or tensor.is_floating_point()}
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    own = {name: tensor for name, tensor in wanted.items() if name not in parameters and not tensor.is_floating_point()}
    return own | weights


def _with_prefix(tensors: StateDict, wanted: Mapping[str, Tensor]) -> StateDict:
    """The tensors without the first part of their names, or with the network's, if they are the network's then."""
    heads = {name.partition(".")[0] for name in tensors}
    if len(heads) == 1:
        shorter = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
        if shorter.keys() & wanted.keys():
            return shorter
    heads = {name.partition(".")[0] for name in wanted}
    longer = {f"{head}.{name}": tensor for head in heads for name, tensor in tensors.items()}
    return longer if len(heads) == 1 and longer.keys() & wanted.keys() else tensors


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
