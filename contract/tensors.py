"""Tensor names, types and shapes, and what each element type is called in NumPy, ONNX and Triton."""

from enum import StrEnum

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class DType(StrEnum):
    """An element type, by its NumPy name."""

    BOOL = "bool"
    UINT8 = "uint8"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT16 = "float16"
    FLOAT32 = "float32"

    @property
    def numpy(self) -> np.dtype:
        """The NumPy type object."""
        return np.dtype(self.value)

    @property
    def onnx(self) -> str:
        """The type as ONNX Runtime spells it, e.g. ``tensor(uint8)``."""
        return f"tensor({_ONNX.get(self, self.value)})"

    @property
    def triton(self) -> str:
        """The type in Triton's ``config.pbtxt``, e.g. ``TYPE_UINT8``."""
        return f"TYPE_{_TRITON.get(self, self.value.upper())}"


_ONNX = {DType.FLOAT32: "float", DType.FLOAT16: "float16"}
_TRITON = {DType.FLOAT32: "FP32", DType.FLOAT16: "FP16"}


class TensorSpec(BaseModel):
    """One input or output of a compiled model.

    ``shape`` is the shape of a single item, without the batch axis that every tensor has first; -1 stands for a size
    that varies between calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    dtype: DType
    shape: tuple[int, ...]
