"""``int(…)`` in a user's code that does not freeze a batch size.

``int(windows.shape[0] / (height * width / size / size))`` is how the official code of Swin, CSWin and their descendants
gets the batch back from a batch of windows. To `torch.export` the batch is a symbol, and Python's ``int`` makes the
number of the trace of it, which is then wrong for all other batches. Modules of the code's folder are compiled with
another ``int`` in their calls: it keeps a symbol one, and is Python's own for all else. The name itself stays, for code
also writes ``isinstance(x, int)``.
"""

import ast
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch

_NAME = "__vitrail_int__"


def symbolic_int(value: Any, /) -> Any:
    """``int(value)``, but a symbol of `torch.export` stays a symbol, rounded towards zero."""
    if isinstance(value, torch.SymInt | torch.SymFloat):
        return torch.sym_int(value)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return int(value)


def install(folder: Path) -> None:
    """Compile the modules that are imported from this folder from now on with `symbolic_int`; others are as ever."""

    def finder(path: str) -> FileFinder:
        if not Path(path).is_relative_to(folder):
            raise ImportError(path)
        return FileFinder(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (_Loader, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    sys.path_hooks.insert(0, finder)
    for path in [path for path in sys.path_importer_cache if Path(path).is_relative_to(folder)]:
        del sys.path_importer_cache[path]


class _Loader(SourceFileLoader):
    """Python's own, from the source alone: the folder's caches have the code as it was written, and shall keep it."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        tree: ast.Module = ast.fix_missing_locations(_Calls().visit(ast.parse(self.get_data(path), path)))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[_NAME] = symbolic_int
        super().exec_module(module)


class _Calls(ast.NodeTransformer):
    """``int(x)`` → ``__vitrail_int__(x)``; with a base, or no argument, it is a matter of text."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "int" and len(node.args) == 1 and not node.keywords:
            node.func = ast.copy_location(ast.Name(_NAME, ast.Load()), node.func)
        return node
