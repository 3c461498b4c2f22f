"""Element types: what each is called elsewhere."""

import numpy as np
import onnx
import pytest
from onnx import helper
from pydantic import ValidationError
from tritonclient.grpc import model_config_pb2

from contract.tensors import DType, TensorSpec


@pytest.mark.parametrize("dtype", DType)
def test_numpy_knows_each_type(dtype: DType) -> None:
    """Each type is NumPy's of that name."""
    assert dtype.numpy.name == dtype.value


@pytest.mark.parametrize("dtype", DType)
def test_onnx_knows_each_type(dtype: DType) -> None:
    """Each type's ONNX name is the lower-case name of the element type that ONNX pairs with the NumPy type."""
    element = onnx.TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(np.dtype(dtype.value)))

    assert dtype.onnx == f"tensor({element.lower()})"


@pytest.mark.parametrize("dtype", DType)
def test_triton_knows_each_type(dtype: DType) -> None:
    """Each type's Triton name is one of Triton's enumeration."""
    assert dtype.triton in dict(model_config_pb2.DataType.items())


@pytest.mark.parametrize("name", ["", "1st", "a-b", 'a"', "a b", "a\n"])
def test_tensor_names_are_identifiers(name: str) -> None:
    """A tensor's name is an identifier, so it needs no quoting anywhere."""
    with pytest.raises(ValidationError):
        TensorSpec(name=name, dtype=DType.UINT8, shape=(1,))
