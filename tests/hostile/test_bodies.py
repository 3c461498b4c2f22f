"""JSON of very many mistakes costs no more than JSON of one."""

import tracemalloc
from collections.abc import Callable

import pytest

from service.api.rest.body import BodyLimits, _from_json
from service.api.rest.tensor_codec import take_apart
from service.errors import ServiceError

LIMITS = BodyLimits(max_bytes=32 << 20, max_images=64, timeout_s=1, stall_s=1)


def images(body: bytes) -> object:
    """What reads the JSON form of a request with images."""
    return _from_json(body, LIMITS)


def tensors(body: bytes) -> object:
    """What reads a request of the Open Inference Protocol."""
    return take_apart(body, None)


NAMES = b",".join(b'"n%d":0' % number for number in range(20_000))
BODIES: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "images without bytes": (images, b'{"images":[' + b",".join([b"{}"] * 50_000) + b"]}"),
    "names that nobody knows": (images, b'{"images":[{"b64":""}],' + NAMES + b"}"),
    "names within an image": (images, b'{"images":[{"b64":"",' + NAMES + b"}]}"),
    "more values than are read": (images, b'{"images":[],"parameters":[' + b"0," * 600_000 + b"0]}"),
    "inputs without names": (tensors, b'{"inputs":[' + b",".join([b"{}"] * 50_000) + b"]}"),
    "outputs without names": (tensors, b'{"inputs":[],"outputs":[' + b",".join([b"{}"] * 50_000) + b"]}"),
    "sizes that are no numbers": (
        tensors,
        b'{"inputs":[{"name":"a","datatype":"UINT8","shape":[' + b",".join([b'""'] * 50_000) + b"]}]}",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_many_mistakes_cost_no_more_than_one(name: str) -> None:
    """A body with tens of thousands of mistakes is refused at the first, in little memory."""
    read, body = BODIES[name]
    tracemalloc.start()
    try:
        with pytest.raises(ServiceError):
            read(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 10_000_000
