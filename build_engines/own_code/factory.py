"""The factory: found, called, and its network taken from what it gives."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import ExternalSource
from build_engines.own_code import symbolic_int
from build_engines.own_code.blame import Blame

_BAGS = {"args", "cfg", "config", "conf", "opt", "opts", "options", "hparams"}
"""What official repositories call the one argument that holds all settings."""
_PREPARATIONS = {"switch_to_deploy", "merge_bn", "fuse", "fuse_model", "reparameterize", "convert_to_deploy"}
"""Methods that official repositories call before they deploy a network."""


class Settings(dict[str, Any]):
    """A mapping whose items are attributes too, as argparse and configuration libraries give them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


@dataclass(frozen=True, slots=True)
class Factory:
    """What was named, and the module that it was named in."""

    module: ModuleType
    make: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Made:
    """A network, and what a reader of its card should know of how it was made."""

    network: nn.Module
    notes: tuple[str, ...] = ()


def find(source: ExternalSource) -> Factory:
    """Import the factory, its folder first in the path and the current one; BuildFailure says what is missing."""
    folder = Path(source.code_path)
    if not folder.is_dir():
        raise BuildFailure(f"there is no folder {folder}", "give --code-path the folder that the code is imported from")
    module_name, name = source.entry.split(":")
    top = module_name.split(".")[0]
    if _taken(top, folder):
        raise BuildFailure(
            f"{top} in {folder} bears the name of a package that the builder itself uses",
            "name the folder above as --code-path, so that its modules have longer names",
        )
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv[:] = [str(folder)]
    symbolic_int.install(folder)
    with Blame(source, f"{module_name} cannot be imported"):
        module = importlib.import_module(module_name)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise BuildFailure(f"{module_name} has no {name}; it has {_offered(module, name)}", "correct --entry")
        found = getattr(found, part)
    if not callable(found):
        raise BuildFailure(
            f"{source.entry} is a {type(found).__name__} and cannot be called", "name a function or class"
        )
    return Factory(module, found)


def call(factory: Factory, source: ExternalSource) -> Made:
    """Call the factory with the entry's options; BuildFailure for wrong ones, or if it gives no network."""
    parameters = _parameters(factory.make)
    options = {name: _bag(value) if name in _BAGS else value for name, value in source.options.items()}
    if parameters is not None:
        try:
            parameters.bind(**options)
        except TypeError as error:
            name = source.entry.split(":")[1]
            raise BuildFailure(
                f"{name} does not take these arguments: {error}; it is {name}{parameters}", "correct --kwargs"
            ) from error
    with Blame(source, f"{source.entry} raises"):
        made = factory.make(**options)
    if isinstance(made, nn.Module):
        return Made(made)
    networks = [item for item in made if isinstance(item, nn.Module)] if isinstance(made, tuple | list) else []
    if networks:
        return Made(networks[0], (f"the factory gives {len(made)} things; the first network among them is taken",))
    raise BuildFailure(
        f"{source.entry} gives a {type(made).__name__}, not a torch.nn.Module", "name what makes the network"
    )


def require_own_weights(factory: Factory, source: ExternalSource, network: nn.Module) -> None:
    """BuildFailure unless the factory loads weights: twice called, it then gives the same network twice."""
    torch.manual_seed(torch.initial_seed() + 1)
    again = call(factory, source).network.state_dict()
    tensors = network.state_dict()
    differing = [name for name, tensor in tensors.items() if name not in again or not torch.equal(tensor, again[name])]
    if differing:
        raise BuildFailure(
            f"the factory gives random weights: {len(differing)} of {len(tensors)} tensors differ from call to call "
            f"({', '.join(differing[:3])})",
            "give the trained ones with --weights PATH, or try the way through with --weights random",
        )


def unused_preparations(network: nn.Module) -> Iterator[str]:
    """A sentence for each method that the authors may call before deployment, and that was not called here."""
    for method in sorted(_PREPARATIONS):
        owners = [
            type(module).__name__ for module in network.modules() if callable(getattr(type(module), method, None))
        ]
        if owners:
            yield f"{owners[0]}.{method}() was not called; a factory that calls it may give a faster network"


def _taken(top: str, folder: Path) -> bool:
    """Whether a module of the folder bears the name of another that is imported already."""
    if top not in sys.modules or not ((folder / f"{top}.py").is_file() or (folder / top).is_dir()):
        return False
    origin = getattr(sys.modules[top], "__file__", None)
    return origin is None or not Path(origin).is_relative_to(folder)


def _bag(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Settings({name: _bag(item) for name, item in value.items()})
    return value


def _parameters(make: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(make)
    except (TypeError, ValueError):
        return None  # Some built-in callables have none; what they do not take, they will say.


def _offered(module: ModuleType, wanted: str) -> str:
    """Names of what the module defines and can be called, those near to the wanted one first."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    near = get_close_matches(wanted, own, n=3)
    names = [*near, *(name for name in own if name not in near)]
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "") or "nothing that can be called"
