"""The two ends of a grafted graph, as ONNX: what makes the network's pixels, and what makes the task's tensors."""

import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from build_engines import nms_operator
from build_engines.artifact import INPUT_NAME, BuildFailure
from build_engines.catalog.entry import Normalisation
from build_engines.graft.batch import BATCH
from build_engines.graph_opset import OPSET

_TRACED = 3
"""The batch size that the decoder is exported with; any but 1, which exporters take for a constant."""

PIXELS = "pixels_normalised"
RAW = "raw_"


def front(normalisation: Normalisation, height: int, width: int) -> onnx.GraphProto:
    """Pixels uint8 [B,H,W,3] in RGB → f32 [B,3,H,W], normalised, in the network's channel order."""
    order = [0, 1, 2] if normalisation.channels == "rgb" else [2, 1, 0]
    mean, std = (
        np.asarray(values, np.float32).reshape(1, 3, 1, 1) * 255 for values in (normalisation.mean, normalisation.std)
    )
    return helper.make_graph(
        [
            helper.make_node("Transpose", [INPUT_NAME], ["pixels_planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Gather", ["pixels_planes", "pixels_order"], ["pixels_ordered"], axis=1),
            helper.make_node("Cast", ["pixels_ordered"], ["pixels_floats"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["pixels_floats", "pixels_mean"], ["pixels_centred"]),
            helper.make_node("Mul", ["pixels_centred", "pixels_scale"], [PIXELS]),
        ],
        "pixels",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [BATCH, height, width, 3])],
        [helper.make_tensor_value_info(PIXELS, TensorProto.FLOAT, [BATCH, 3, height, width])],
        [
            numpy_helper.from_array(np.asarray(order, np.int64), "pixels_order"),
            numpy_helper.from_array(mean, "pixels_mean"),
            numpy_helper.from_array(1 / std, "pixels_scale"),
        ],
    )


def back(finish: nn.Module, raw: tuple[onnx.ValueInfoProto, ...], names: tuple[str, ...]) -> onnx.ModelProto:
    """The decoder as a graph from ``raw_0``, ``raw_1`` … to the task's tensors."""
    shapes = [[axis.dim_value for axis in value.type.tensor_type.shape.dim][1:] for value in raw]
    kinds = [helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in raw]
    outputs = tuple(
        torch.from_numpy(np.zeros((_TRACED, *shape), kind)) for shape, kind in zip(shapes, kinds, strict=True)
    )
    batch = torch.export.Dim(BATCH, min=1)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # About the exporter's own innards; the outcome is verified.
            program = torch.onnx.export(
                _Several(finish),
                (outputs,),
                dynamo=True,
                input_names=[f"{RAW}{index}" for index in range(len(raw))],
                output_names=list(names),
                dynamic_shapes=(tuple({0: batch} for _ in raw),),
                opset_version=OPSET,
                custom_translation_table=nms_operator.TRANSLATIONS,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as error:
        raise BuildFailure(f"the decoder cannot be written as ONNX: {error}", "report it with the card") from error
    if program is None:
        raise BuildFailure("the exporter gave no program", "report it with the card")
    return program.model_proto


class _Several(nn.Module):
    """Takes its arguments as one tuple, which the exporter can be told the shapes of."""

    def __init__(self, finish: nn.Module) -> None:
        super().__init__()
        self.finish = finish

    def forward(self, outputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        made = self.finish(*outputs)
        return made if isinstance(made, tuple) else (made,)
