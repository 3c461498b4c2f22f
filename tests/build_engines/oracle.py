"""A model that knows the answers: an ONNX graph that tells pictures apart by a pixel, and answers from a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.card import ModelCard
from contract.image import decode
from contract.preprocess import PreprocessSpec, preprocess
from contract.task import Task
from contract.tensors import DType, TensorSpec
from tests.tiny_models import write_version


def write_oracle(
    root: Path,
    task: Task,
    spec: PreprocessSpec,
    paths: Sequence[Path],
    answers: dict[str, np.ndarray[Any, Any]],
    **changes: Any,
) -> ModelCard:
    """Write a version ``oracle`` that answers picture k with ``answers[name][k]``, told by its first red pixel."""
    outputs = tuple(
        TensorSpec(name=name, dtype=DType(str(table.dtype)), shape=table.shape[1:]) for name, table in answers.items()
    )
    model = _model(spec, _places(paths, spec), answers)
    return write_version(root, "oracle", 1, task, model, preprocess=spec, outputs=outputs, **changes)


def _places(paths: Sequence[Path], spec: PreprocessSpec) -> np.ndarray[Any, Any]:
    """The picture's number i64 [256] for each value of its first pixel's red."""
    values = [int(preprocess(decode(path.read_bytes()), spec)[0][0, 0, 0]) for path in paths]
    assert len({*values}) == len(values), "the pictures begin with the same pixel"
    table = np.zeros(256, np.int64)
    table[values] = range(len(values))
    return table


def _model(
    spec: PreprocessSpec, places: np.ndarray[Any, Any], answers: dict[str, np.ndarray[Any, Any]]
) -> onnx.ModelProto:
    constants = {"zero": np.int64(0), "places": places} | {f"{name}_of": table for name, table in answers.items()}
    nodes = [
        helper.make_node("Gather", ["images", "zero"], ["red"], axis=3),
        helper.make_node("Gather", ["red", "zero"], ["column"], axis=2),
        helper.make_node("Gather", ["column", "zero"], ["pixel"], axis=1),
        helper.make_node("Cast", ["pixel"], ["value"], to=TensorProto.INT64),
        helper.make_node("Gather", ["places", "value"], ["place"]),
        *(helper.make_node("Gather", [f"{name}_of", "place"], [name]) for name in answers),
    ]
    outputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(table.dtype), ["batch", *table.shape[1:]])
        for name, table in answers.items()
    ]
    image = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *spec.input_shape])
    initialisers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "oracle", [image], outputs, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
