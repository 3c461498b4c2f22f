"""A foreign ONNX graph gets the same ends as an exported network: pixels in, the task's tensors out."""

from build_engines.graft.join import STEP, graft

__all__ = ["STEP", "graft"]
