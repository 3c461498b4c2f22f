"""Bodies of the Open Inference Protocol, taken apart and put together."""

import gzip
import json
import zlib
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.http import InferenceServerClient

from contract.tensors import DType
from service.api.rest.tensor_codec import (
    HEADER,
    Encoded,
    encode,
    inflate,
    take_apart,
)
from service.errors import ErrorKind, ServiceError
from service.pixel_tensors import from_bytes, from_numbers

SHAPE = (2, 2, 2, 3)
VALUES = np.arange(24, dtype=np.uint8).reshape(SHAPE)


def document(*inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request of inputs that are described by what differs from the usual."""
    usual = {"name": "images", "shape": list(SHAPE), "datatype": "UINT8"}
    return {"inputs": [usual | given for given in inputs], **more}


def of_bytes(size: Any) -> dict[str, Any]:
    """An input that comes as so many bytes."""
    return {"parameters": {"binary_data_size": size}}


def body_of(request: dict[str, Any], *tensors: bytes) -> tuple[bytes, str]:
    """A request by the binary extension: its body, and the length of its JSON."""
    head = json.dumps(request).encode()
    return b"".join((head, *tensors)), str(len(head))


def answered(request: dict[str, Any], **outputs: np.ndarray) -> tuple[dict[str, Any], Encoded]:
    """An answer's JSON, and all of it."""
    encoded = encode("model", 1, outputs, take_apart(json.dumps(document({"data": []}) | request).encode(), None))
    return orjson.loads(encoded.body[: encoded.header_length]), encoded


def test_tensors_follow_in_the_documents_order() -> None:
    """Bytes are cut by the sizes stated; what came in the document takes none of them."""
    request = document(of_bytes(2), {"data": [7]}, of_bytes(3))
    received = take_apart(*body_of(request, b"ab", b"cde"))

    assert [part and bytes(part) for part in received.binaries] == [b"ab", None, b"cde"]


@pytest.mark.parametrize("size", [4, -1, 2.0, "3", True, [3]])
def test_sizes_that_the_body_does_not_have(size: Any) -> None:
    """A size that is no size, or is more than there is, is refused."""
    with pytest.raises(ServiceError, match="binary_data_size that the body does not have"):
        take_apart(*body_of(document(of_bytes(size)), b"abc"))


def test_bytes_that_nobody_stated() -> None:
    """Bytes beyond the inputs' are refused."""
    with pytest.raises(ServiceError, match="1 bytes more than its inputs state"):
        take_apart(*body_of(document(of_bytes(2)), b"abc"))


def test_both_forms_at_once() -> None:
    """An input has data or bytes, not both."""
    with pytest.raises(ServiceError, match="either data or binary_data_size"):
        take_apart(*body_of(document(of_bytes(1) | {"data": [1]}), b"a"))


@pytest.mark.parametrize("length", ["", "-1", "1e3", "999999", "9" * 5000, "²", " 5", "0x10"])
def test_lengths_that_are_none(length: str) -> None:
    """A header that is no number, or beyond the body, is refused."""
    with pytest.raises(ServiceError, match=HEADER):
        take_apart(b"{}", length)


@settings(deadline=None)
@given(st.binary(max_size=200), st.none() | st.text(max_size=4) | st.integers(-5, 300).map(str))
def test_no_body_is_more_than_refused(body: bytes, length: str | None) -> None:
    """Whatever comes, the answer is that it makes no sense."""
    with pytest.raises(ServiceError) as raised:
        take_apart(body, length)

    assert raised.value.kind is ErrorKind.INVALID_PARAMETERS


def test_a_document_nested_too_deeply() -> None:
    """Nesting without end is refused, in the document or in a tensor's data."""
    with pytest.raises(ServiceError, match="not JSON"):
        take_apart(b'{"inputs":' + b"[" * 5000, None)
    with pytest.raises(ServiceError, match=r"uneven|whole numbers|flat or nested"):
        from_numbers("images", orjson.loads(b"[" * 500 + b"1" + b"]" * 500), SHAPE)


def test_bytes_become_an_array_without_a_copy() -> None:
    """The array lies over the body's own bytes."""
    data = VALUES.tobytes()
    made = from_bytes("images", memoryview(data), SHAPE)

    np.testing.assert_array_equal(made, VALUES, strict=True)
    assert np.shares_memory(made, np.frombuffer(data, np.uint8))
    with pytest.raises(ServiceError, match=r"has 24 bytes, not 23"):
        from_bytes("images", memoryview(data)[1:], SHAPE)


def test_numbers_become_an_array() -> None:
    """Flat and nested lists make the same array."""
    for data in (VALUES.ravel().tolist(), VALUES.tolist()):
        np.testing.assert_array_equal(from_numbers("images", data, SHAPE), VALUES, strict=True)


def outcome(data: Any) -> Any:
    """The array that data make, or the kind of error."""
    try:
        return from_numbers("images", data, (1, 1, 1, 3))
    except ServiceError as error:
        return error.kind


_words = st.none() | st.booleans() | st.integers(-2, 258) | st.integers() | st.floats() | st.text()


@settings(deadline=None)
@given(st.recursive(_words, st.lists, max_leaves=30) | st.lists(st.integers(-2, 258), min_size=3, max_size=3))
def test_whatever_json_holds_is_taken_or_refused(data: Any) -> None:
    """No data lead to anything but their array, or a refusal that says what is expected."""
    made = outcome(data)

    assert made is ErrorKind.INVALID_PARAMETERS or np.array_equal(made.ravel(), np.ravel(data))


def test_huge_shapes_are_no_danger() -> None:
    """A shape is compared before anything of its size is made."""
    with pytest.raises(ServiceError, match="bytes, not 3"):
        from_bytes("images", memoryview(b"abc"), (2**62, 2**62, 8, 3))


@settings(deadline=None)
@given(st.sampled_from(DType), st.data())
def test_all_types_survive_both_forms(dtype: DType, data: st.DataObject) -> None:
    """Triton's client reads from either form the array that was encoded."""
    elements = arrays.from_dtype(dtype.numpy, allow_nan=False, allow_infinity=False)
    values = data.draw(arrays.arrays(dtype.numpy, arrays.array_shapes(max_dims=3, max_side=3), elements=elements))
    for binary in (True, False):
        _, encoded = answered({"parameters": {"binary_data_output": binary}}, out=values)
        parsed = InferenceServerClient.parse_response_body(encoded.body, header_length=encoded.header_length)
        np.testing.assert_array_equal(parsed.as_numpy("out"), values, strict=True)


def test_the_byte_order_is_little() -> None:
    """Bytes are little-endian whatever the array's are."""
    _, encoded = answered({"parameters": {"binary_data_output": True}}, out=np.array([1], ">i4"))

    assert encoded.body[encoded.header_length :] == b"\x01\0\0\0"


def test_what_is_no_number_is_null_in_json() -> None:
    """NaN and infinities have no words in JSON."""
    answer, _ = answered({}, out=np.float32([1.5, np.nan, np.inf]))

    assert answer["outputs"][0]["data"] == [1.5, None, None]


@pytest.mark.parametrize(
    ("of_all", "of_one", "binary"),
    [(None, None, False), (True, None, True), (True, False, False), (False, True, True), (None, True, True)],
)
def test_what_is_said_of_one_output_goes_first(of_all: bool | None, of_one: bool | None, binary: bool) -> None:
    """``binary_data`` of an output overrides ``binary_data_output`` of the request; neither means JSON."""
    request: dict[str, Any] = {"outputs": [{"name": "out"}]}
    if of_all is not None:
        request["parameters"] = {"binary_data_output": of_all}
    if of_one is not None:
        request["outputs"][0]["parameters"] = {"binary_data": of_one}
    _, encoded = answered(request, out=VALUES)

    assert (encoded.header_length is not None) is binary


def test_the_id_is_given_back() -> None:
    """An id is echoed; without one there is none."""
    assert answered({"id": "42"}, out=VALUES)[0]["id"] == "42"
    assert "id" not in answered({}, out=VALUES)[0]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("Deflate ", zlib.compress)])
def test_bodies_are_inflated_within_bounds(encoding: str, compress: Any) -> None:
    """A compressed body is read up to the limit; a bomb is refused before it is large."""
    assert inflate(compress(b"x" * 1000), encoding, 1000) == b"x" * 1000
    with pytest.raises(ServiceError) as raised:
        inflate(compress(b"x" * 50_000_000), encoding, 1000)

    assert raised.value.kind is ErrorKind.TOO_LARGE


# A gzip body tells when it was written: without a fixed time (and names of their own) the tests would be other tests
# a second later, and two processes that share them out could not agree on what they are.
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"plain", id="plain"),
        pytest.param(b"", id="empty"),
        pytest.param(gzip.compress(b"x" * 99, mtime=0)[:-4], id="cut short"),
        pytest.param(gzip.compress(b"x", mtime=0) + b"more", id="with more behind"),
        pytest.param(gzip.compress(b"x", mtime=0) * 2, id="two streams"),
    ],
)
def test_bodies_that_are_not_one_whole_stream(body: bytes) -> None:
    """What is not compressed, is cut short or goes on is refused."""
    with pytest.raises(ServiceError, match="the body is not"):
        inflate(body, "gzip", 1000)


def test_plain_bodies_pass() -> None:
    """No encoding, or that of no change, leaves the body as it is; any other is refused."""
    body = b"as it is"
    assert inflate(body, "", 3) is inflate(body, "identity", 3) is body
    with pytest.raises(ServiceError) as raised:
        inflate(body, "br", 1000)

    assert raised.value.kind is ErrorKind.UNSUPPORTED_MEDIA_TYPE
