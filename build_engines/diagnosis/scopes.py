"""To which module of the torch network does a node of the exported graph belong?

`torch.export` writes the path into the node's metadata; the tracer makes the node's name of it, in which a module's
own name may repeat its parent's (``/network/blocks/blocks.0/conv/Conv`` is in ``network.blocks.0.conv``).
"""

import ast
import re
from collections.abc import Iterator

import onnx

from build_engines.diagnosis.graph import needed

_SCOPES = "pkg.torch.onnx.name_scopes"
_TRACE = "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')


class Scopes:
    """The graph's nodes by module, and the values that pass a module's border."""

    def __init__(self, model: onnx.ModelProto, modules: set[str]) -> None:
        self._modules = modules
        self.nodes = {node.name: node for node in model.graph.node}
        self.producers = {name: node for node in model.graph.node for name in node.output if name}
        self._owners: dict[int, str] = {}
        for node in model.graph.node:
            self._owners[id(node)] = self._find_owner(node)
        self.leaving: dict[str, list[str]] = {}
        """By module, the values made in it that are needed outside, in the order in which they are made."""
        self.entering: dict[str, list[str]] = {}
        """By module, the values needed in it that are made outside."""
        self._note_borders(model)

    def owner(self, node: onnx.NodeProto) -> str:
        """Path of the innermost module."""
        return self._owners[id(node)]

    def within(self, module: str) -> Iterator[onnx.NodeProto]:
        """The nodes of a module and of what is inside it."""
        return (node for node in self.nodes.values() if module in enclosing(self.owner(node)))

    def _find_owner(self, node: onnx.NodeProto) -> str:
        metadata = {item.key: item.value for item in node.metadata_props}
        if _SCOPES in metadata:
            paths = [str(path).split("@")[0] for path in ast.literal_eval(metadata[_SCOPES])[:-1]]
            return next((path for path in reversed(paths) if path in self._modules), "")
        if node.name.startswith("/"):
            return self._from_name(node.name)
        makers = (self.producers.get(name) for name in node.input)
        return next(
            (self._owners[id(maker)] for maker in makers if maker is not None and id(maker) in self._owners), ""
        )

    def _from_name(self, name: str) -> str:
        path = ""
        for part in name.split("/")[1:-1]:
            found = self._below(path, part) or self._below(path, re.sub(r"_\d+$", "", part))
            if found is None:
                break
            path = found
        return path

    def _below(self, path: str, part: str) -> str | None:
        """The module called ``part`` inside ``path``: its child, or where that is none, the only one of that name."""
        parent = path.rpartition(".")[0]
        for candidate in (_joined(path, part), _joined(parent, part)):
            if candidate in self._modules and candidate != path and path in enclosing(candidate):
                return candidate
        inside = [name for name in self._modules if path in enclosing(name) and name.endswith("." + part)]
        return inside[0] if len(inside) == 1 else None

    def _note_borders(self, model: onnx.ModelProto) -> None:
        finished = {output.name for output in model.graph.output}
        inputs = {value.name for value in model.graph.input}
        consumers: dict[str, list[set[str]]] = {}
        for node in model.graph.node:
            needing = enclosing(self.owner(node))
            for name in needed(node):
                consumers.setdefault(name, []).append(needing)
        for name, node in self.producers.items():
            made_in, needed_in = enclosing(self.owner(node)), consumers.get(name, [])
            everywhere = set.intersection(*needed_in) if needed_in else set()
            for module in made_in if name in finished else made_in - everywhere:
                if name in finished or needed_in:
                    self.leaving.setdefault(module, []).append(name)
        for name, needed_in in consumers.items():
            maker = self.producers.get(name)
            if maker is None and name not in inputs:
                continue
            outside = set() if maker is None else enclosing(self.owner(maker))
            for module in sorted(set.union(*needed_in) - outside):
                self.entering.setdefault(module, []).append(name)


def source_line(node: onnx.NodeProto) -> str | None:
    """Where in the network's Python code a node comes from, as ``file.py:12 (forward)``; None where it is not known."""
    metadata = {item.key: item.value for item in node.metadata_props}
    frames = [frame for frame in _FRAME.findall(metadata.get(_TRACE, "")) if "/torch/" not in frame[0]]
    if not frames:
        return None
    path, line, function = frames[-1]
    return f"{'/'.join(path.split('/')[-2:])}:{line} ({function})"


def enclosing(path: str) -> set[str]:
    """The modules that contain ``path``, itself and the outermost one included."""
    parts = path.split(".") if path else []
    return {"", *(".".join(parts[: count + 1]) for count in range(len(parts)))}


def _joined(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part
