"""ONNX → TensorRT: a plan beside the ONNX file, certified where there is a GPU, never offered where there is none."""

from build_engines.compile.builder import CompiledPlan, Options, compile_plan
from build_engines.compile.step import step

__all__ = ["CompiledPlan", "Options", "compile_plan", "step"]
