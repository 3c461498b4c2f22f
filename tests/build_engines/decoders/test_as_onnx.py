"""Decoders inside the graph answer as they do in torch."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from build_engines.catalog.decoding import Decoding, Yolo
from build_engines.decoders.table import decoder
from build_engines.graft.ends import RAW, back
from contract.task import Task
from tests.build_engines.decoders.raw_outputs import SIZE, raw, tensors
from tests.build_engines.decoders.test_detectors import Outputs, detr, ssd, yolo_v5, yolo_v8


def joints() -> tuple[Decoding, Outputs, float]:
    """Boxes, one class and two points, of many candidates that overlap."""
    head = np.random.default_rng(4).uniform(0, 1, (2, 11, 60)).astype(np.float32)
    head[:, :4] *= 60
    return Yolo(decoder="yolo", keypoints=2), {"output0": head}, 0


@pytest.mark.parametrize("case", [yolo_v8, yolo_v5, detr, ssd, joints])
def test_onnx_answers_as_torch(case: Callable[[], tuple[Decoding, Outputs, float]]) -> None:
    """For two images, a number that the exporter did not see, every tensor of the graph is torch's."""
    decoding, outputs, _ = case()
    task = Task.KEYPOINTS if case is joints else Task.DETECT
    network = decoder(decoding, raw(**outputs), task, SIZE)
    infos = tuple(
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), (None, *values.shape[1:]))
        for name, values in outputs.items()
    )
    model = back(network, infos, network.output_names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answered = session.run(None, {f"{RAW}{index}": values for index, values in enumerate(outputs.values())})
    for expected, actual in zip(network(*tensors(**outputs)), answered, strict=True):
        assert str(actual.dtype) == str(expected.numpy().dtype)
        np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)
