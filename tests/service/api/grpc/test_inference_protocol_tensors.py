"""The protocol's messages on the wire, held against protobuf's own reading of them."""

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import InferResult, service_pb2

from contract.preprocess import Pixels
from contract.tensors import DType
from service.api.grpc.tensors import encode, encode_streamed, inputs_of, parse, timeout_s_of
from service.errors import ServiceError
from tests.cards import a_card

CARD = a_card()
ANY_TENSOR = st.sampled_from(list(DType)).flatmap(
    lambda dtype: hnp.arrays(dtype.numpy, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))
)


async def at_once(make: Any) -> Pixels:
    """Run what makes a tensor, in the thread that there is."""
    return make()


def request(shape: tuple[int, ...], **fields: Any) -> Any:
    """A request with one input."""
    message = service_pb2.ModelInferRequest(model_name="colours", **fields)
    message.inputs.add(name="images", datatype="UINT8", shape=shape)
    return message


@given(st.dictionaries(st.text("abc", min_size=1), ANY_TENSOR, max_size=4), st.text(max_size=20))
def test_triton_reads_what_is_written(outputs: dict[str, np.ndarray], request_id: str) -> None:
    """Triton's client finds every tensor in an answer: name, type, shape, each number, and the request's id."""
    response = service_pb2.ModelInferResponse.FromString(encode(CARD, outputs, request_id))
    assert (response.model_name, response.model_version, response.id) == (CARD.name, str(CARD.version), request_id)
    assert [output.name for output in response.outputs] == list(outputs)
    for name, values in outputs.items():
        np.testing.assert_array_equal(InferResult(response).as_numpy(name), values, strict=True)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_every_length_is_stated(length: int) -> None:
    """Lengths about those at which their own encoding grows by a byte are read as they were written."""
    values = np.arange(length, dtype=np.uint8)
    streamed = service_pb2.ModelStreamInferResponse.FromString(encode_streamed(CARD, {"a": values}, "42"))
    assert streamed.infer_response.raw_output_contents[0] == values.tobytes()
    assert streamed.infer_response.parameters["triton_final_response"].bool_param


def test_the_byte_order_is_little() -> None:
    """Tensors of any order and layout in memory leave in the protocol's."""
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    for strange in (values, np.asfortranarray(values), values[:, ::-1][:, ::-1]):
        response = service_pb2.ModelInferResponse.FromString(encode(CARD, {"a": strange}, ""))
        assert response.raw_output_contents[0] == values.astype("<f4").tobytes()


@given(st.binary(max_size=64))
def test_bytes_are_a_request_or_refused(data: bytes) -> None:
    """No bytes are more than refused."""
    try:
        message = parse(data)
    except ServiceError as error:
        assert "ModelInferRequest" in error.message  # noqa: PT017  both ends are good ones
    else:
        assert isinstance(message, service_pb2.ModelInferRequest)


async def test_pixels_are_not_copied_again() -> None:
    """The array lies over the bytes that protobuf gives out."""
    (tensor,) = inputs_of(request((1, 2, 3), raw_input_contents=[b"abcdef"]), at_once, small=True)
    pixels = await tensor.read()
    assert (pixels.tobytes(), pixels.shape, pixels.flags.owndata) == (b"abcdef", (1, 2, 3), False)


async def test_huge_shapes_are_no_danger() -> None:
    """A shape beyond all memory is refused by the bytes that it would take."""
    for fields in ({"raw_input_contents": [b"abc"]}, {}):
        message = request((2**62, 2**62, 3), **fields)
        if not fields:
            message.inputs[0].contents.uint_contents.append(1)
        (tensor,) = inputs_of(message, at_once, small=True)
        with pytest.raises(ServiceError, match=str(3 * 2**124)):
            await tensor.read()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ({"int64_param": 1_500_000}, 1.5),
        ({"uint64_param": 2_000_000}, 2),
        ({"int64_param": 0}, None),
        ({"int64_param": -1}, None),
        ({"string_param": "1"}, None),
        ({"bool_param": True}, None),
        ({}, None),
    ],
)
def test_the_timeout_is_in_microseconds(value: dict[str, Any], seconds: float | None) -> None:
    """Triton's time-out is a positive number of microseconds; all else is none, as it is to REST."""
    message = service_pb2.ModelInferRequest()
    message.parameters["timeout"].MergeFrom(service_pb2.InferParameter(**value))
    assert timeout_s_of(message) == seconds
