"""Why an engine refuses a graph, in the graph's own words: operator, node, module, and what to do about it."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import onnx

from build_engines.artifact import BuildFailure

_SCOPES = "pkg.torch.onnx.name_scopes"
_MANY = 3
_REPORT = "report it with the model's name; the version is served by ONNX Runtime meanwhile"

_ADVICE: tuple[tuple[str, str, str], ...] = (
    ("TopK", "maximum value allowed", "keep at most 3840 candidates (a head's `objects`, a decoder's candidates)"),
    ("NonMaxSuppression", "", "use `build_engines.nms_operator.kept_by_nms`, whose form the builder can rewrite"),
    ("RoiAlign", "", "use `build_engines.heads.roi_align`, which samples with operators that every engine has"),
    ("ScatterND", "reduction", "sum with a matrix product over a one-hot matrix instead of scattering"),
    ("ScatterElements", "reduction", "sum with a matrix product over a one-hot matrix instead of scattering"),
    ("NonZero", "", "choose with Where or TopK, which have a fixed size, instead of by a mask"),
    ("Unique", "", "compare with all possible values; the count of unique ones has no fixed size"),
    ("Compress", "", "choose with Where or TopK, which have a fixed size, instead of by a mask"),
    ("MaxPool", "dilations", "write the dilated pooling as the maximum over shifted slices"),
    ("MaxPool", "outputs", "unpool by interpolation; the engine's pooling gives no indices"),
    ("Col2Im", "", "write fold() as a ConvTranspose with an identity kernel"),
    ("Resize", "ntialias", "resize with antialias=False, or by a convolution with the filter"),
    ("BitwiseAnd", "", "use logical operators on booleans"),
    ("BitwiseOr", "", "use logical operators on booleans"),
    ("BitwiseXor", "", "use logical operators on booleans"),
    ("DFT", "", "write the transform as a product with the matrix of its sines and cosines"),
    ("STFT", "", "write the transform as a product with the matrix of its sines and cosines"),
    ("Det", "", "write the determinant of a small matrix in full"),
    ("Cast", "INT16", "give the output as int32"),
    ("Cast", "UINT8", "work on int32 or float32 and cast at the output only"),
    ("", "UINT8", "cast the pixels before anything else is done with them"),
    ("", "plugin", "write the operator in standard ones, or export it so (`optimize/model`)"),
    ("", "data-dependent", "give the tensor a fixed size (TopK, Where, padding)"),
)
"""Operator (any, where empty), a part of the message (any, where empty), and the rewrite that mends it."""


def parser_refusal(engine: str, parser: Any, model: onnx.ModelProto) -> BuildFailure:
    """The failure for a graph that the engine's parser could not read."""
    found: dict[tuple[str, str], list[str]] = {}
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = _at(model.graph, error.node())
        operator = error.node_operator() or (node.op_type if node is not None else "")
        where = f"{error.node_name() or 'a node without a name'}{_module_of(node)}"
        found.setdefault((operator, _plain(error.desc())), []).append(where)
    if not found:
        return BuildFailure(f"{engine} cannot read the graph, and does not say why", _REPORT)
    return _failure(engine, found)


def builder_refusal(engine: str, errors: list[str], model: onnx.ModelProto) -> BuildFailure:
    """The failure for a graph that was read but could not be built; the builder's errors name the node, if anything."""
    if not errors:
        return BuildFailure(f"{engine} made no plan, and does not say why", _REPORT)
    found: dict[tuple[str, str], list[str]] = {}
    for line in errors:
        node = _named_in(model.graph, line)
        operator, where = ("", "") if node is None else (node.op_type, f"{node.name}{_module_of(node)}")
        found.setdefault((operator, _plain(line)), []).append(where)
    return _failure(engine, found)


def advice(operator: str, text: str) -> str | None:
    """The known rewrite for an operator that is refused with this message; None where none is known."""
    fitting = (hint for known, part, hint in _ADVICE if known in ("", operator) and part.lower() in text.lower())
    return next(fitting, None)


def _failure(engine: str, found: dict[tuple[str, str], list[str]]) -> BuildFailure:
    reasons, remedies = [], []
    for (operator, text), places in list(found.items())[:_MANY]:
        named = [place for place in places if place]
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        place = f" at {named[0]}{more}" if named else ""
        reasons.append(f"{operator or 'the graph'}{place}: {text}")
        remedies.append(advice(operator, text))
    known = list(dict.fromkeys(hint for hint in remedies if hint))
    rest = f"; and {len(found) - _MANY} others" if len(found) > _MANY else ""
    return BuildFailure(f"{engine} refuses {'; '.join(reasons)}{rest}", "; ".join(known) or _REPORT)


def _at(graph: onnx.GraphProto, index: int) -> onnx.NodeProto | None:
    return graph.node[index] if 0 <= index < len(graph.node) else None


def _named_in(graph: onnx.GraphProto, text: str) -> onnx.NodeProto | None:
    """The node with the longest name that the text contains as a word."""
    words = set(_words(text))
    named = [node for node in graph.node if node.name and node.name in words]
    return max(named, key=lambda node: len(node.name), default=None)


def _words(text: str) -> Iterator[str]:
    """Names in a message; the engine hangs numbers on the names of the layers that one node becomes."""
    for word in re.findall(r"[\w./:\[\]-]+", text):
        for bare in (word, word.strip(".:[]")):
            yield bare
            yield re.sub(r"_\d+$", "", bare)


def _module_of(node: onnx.NodeProto | None) -> str:
    """`` (module blocks.0.attn)``, from what the exporter wrote beside the node; nothing where it wrote nothing."""
    if node is None:
        return ""
    written = next((item.value for item in node.metadata_props if item.key == _SCOPES), None)
    if written is not None:
        paths = [str(path).split("@")[0] for path in ast.literal_eval(written)[:-1]]
        path = next((path for path in reversed(paths) if path), "")
    else:
        path = ".".join(part for part in node.name.split("/")[1:-1]) if node.name.startswith("/") else ""
    return f" (module {path.removeprefix('network.')})" if path else ""


def _plain(text: str) -> str:
    """A message of the engine without its source files, codes and repetitions."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"In \w+ at /\S+:\d+\)?( In \w+ at /\S+:\d+\)?)*", "", text)
    text = re.sub(r"(IBuilder::\w+: |\[\w+\.cpp::?\w*::?\d+\] )", "", text)
    text = re.sub(r"Assertion (failed: )?", "", text)
    return text.strip(" .(")[:240]
