"""In which precision the layers of a plan run: counted before it is built, or told by the engine inspector."""

import json
import re
from collections import Counter
from typing import Any

_FLOATS = {
    "FLOAT": "fp32",
    "FP32": "fp32",
    "HALF": "fp16",
    "FP16": "fp16",
    "BF16": "bf16",
    "BFLOAT16": "bf16",
    "FP8": "fp8",
    "INT8": "int8",
    "INT4": "int4",
    "FP4": "fp4",
}
_MOVERS = {"CONSTANT", "SHAPE", "SHUFFLE", "SQUEEZE", "UNSQUEEZE", "IDENTITY", "CAST", "SLICE", "CONCATENATION"}
"""Layers that compute nothing: in which type they move values says nothing of the precision."""


def of_network(network: Any) -> dict[str, int]:
    """How many of a strongly typed network's layers compute in which precision, by their outputs' types."""
    found: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type.name in _MOVERS or not layer.num_outputs:
            continue
        if precision := _FLOATS.get(layer.get_output_type(0).name):
            found[precision] += 1
    return dict(sorted(found.items()))


def of_engine(library: Any, engine: Any) -> dict[str, int]:
    """The same of a deserialised engine, as its inspector tells; needs a GPU."""
    inspector = engine.create_engine_inspector()
    return of_information(inspector.get_engine_information(library.LayerInformationFormat.JSON))


def of_information(text: str) -> dict[str, int]:
    """The same of the inspector's JSON; empty where it holds no types, as without detailed verbosity."""
    try:
        layers = json.loads(text).get("Layers", [])
    except (json.JSONDecodeError, AttributeError):
        return {}
    precisions = (_of_layer(layer) for layer in layers if isinstance(layer, dict))
    return dict(sorted(Counter(precision for precision in precisions if precision).items()))


def _of_layer(layer: dict[str, Any]) -> str | None:
    """The precision of a layer's first output; its key and its words differ between versions."""
    outputs = layer.get("Outputs") or [{}]
    told = " ".join(str(outputs[0].get(key, "")) for key in ("Datatype", "Format/Datatype", "Format"))
    words = re.findall(r"[A-Z]+[0-9]*", told.upper())
    return next((_FLOATS[word] for word in words if word in _FLOATS), None)
