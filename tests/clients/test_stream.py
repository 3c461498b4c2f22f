"""Streams of the client: over gRPC and over a WebSocket the same answers, in the order of the frames."""

from collections.abc import AsyncIterator, Iterator
from itertools import cycle, islice
from threading import Event
from typing import Any

import pytest
from vitrail_client import AsyncClient, Client, FrameAnswer, VitrailError

from tests.clients.addresses import TRANSPORTS, Addresses, Transport
from tests.service.running import BLUE, GREEN, RED

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}


@pytest.fixture(params=TRANSPORTS)
def url(request: pytest.FixtureRequest, served: Addresses) -> str:
    """The service's address for each transport."""
    transport: Transport = request.param
    return served.over(transport)


def labels(answers: list[FrameAnswer]) -> list[str]:
    """What the frames show."""
    return [answer["result"]["classes"][0]["label"] for answer in answers]


def test_order(url: str) -> None:
    """Each frame has its answer, in the order of the frames, with the version and the times."""
    wanted = list(islice(cycle(COLOURS), 30))
    with Client(url) as client:
        answers = list(client.stream([COLOURS[name] for name in wanted], "classify", top_k=1))

    assert labels(answers) == wanted
    assert [answer["frame"] for answer in answers] == list(range(30))
    assert answers[0]["model"] == {"name": "colours", "version": "2", "alias": "stable"}
    assert answers[0]["timings_ms"]["compute"] > 0


async def test_asynchronous_frames(url: str) -> None:
    """Frames may come from an asynchronous iterator or from a plain one."""

    async def frames() -> AsyncIterator[bytes]:
        for image in COLOURS.values():
            yield image

    async with AsyncClient(url) as client:
        live = [answer async for answer in client.stream(frames(), "classify")]
        stored = [answer async for answer in client.stream(list(COLOURS.values()), "classify")]
    assert labels(live) == labels(stored) == list(COLOURS)


def test_an_answer_does_not_wait_for_the_next_frame(url: str) -> None:
    """The answer to a frame is there before the next frame is."""
    seen = Event()

    def frames() -> Iterator[bytes]:
        yield RED
        assert seen.wait(30)
        yield GREEN

    with Client(url) as client:
        stream = client.stream(frames(), "classify")
        first = next(stream)
        seen.set()
        assert labels([first, *stream]) == ["red", "green"]


@pytest.mark.parametrize(
    ("task", "asked"),
    [("segment", {"mask_format": "bits", "score_threshold": 0.1}), ("depth", {"encoding": "npy"}), ("explain", {})],
)
def test_results_are_those_of_calls(url: str, task: Any, asked: dict[str, Any]) -> None:
    """A frame's result is the very one that a call gives, bytes included."""
    with Client(url) as client:
        (answer,) = client.stream([GREEN], task, **asked)
        assert answer["result"] == client.predict(task, [GREEN], **asked)["results"][0]


def test_no_frames(url: str) -> None:
    """A stream without frames has no answers."""
    with Client(url) as client:
        assert list(client.stream([], "classify")) == []


def test_a_broken_frame(url: str) -> None:
    """A frame that fails has an error in its answer, and the stream goes on."""
    with Client(url) as client:
        first, broken, last = client.stream([RED, b"no image", GREEN], "classify")

    assert broken["error"]["code"] == "invalid_image"
    assert "not an image" in broken["error"]["message"]
    assert labels([first, last]) == ["red", "green"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"model": "nobody"}, "model_not_found"),
        ({"top_k": 0}, "invalid_parameters"),
        ({"top_q": 1}, "invalid_parameters"),
    ],
)
async def test_a_stream_that_cannot_begin(url: str, asked: dict[str, Any], code: str) -> None:
    """What no frame could be asked for is refused at once."""
    with Client(url) as client, pytest.raises(VitrailError) as caught:
        list(client.stream([RED], "classify", **asked))
    async with AsyncClient(url) as client_async:
        with pytest.raises(VitrailError) as caught_async:
            [answer async for answer in client_async.stream([RED], "classify", **asked)]
    assert caught.value.code == caught_async.value.code == code


async def test_frames_that_cannot_be_taken(url: str) -> None:
    """What taking a frame raises is raised to the caller, after the answers to the frames before."""
    taken: list[FrameAnswer] = []
    with Client(url) as client, pytest.raises(FileNotFoundError):
        taken.extend(client.stream([RED, "nowhere.png", GREEN], "classify"))
    assert labels(taken) == ["red"]
    async with AsyncClient(url) as client_async:
        with pytest.raises(FileNotFoundError):
            [answer async for answer in client_async.stream(["nowhere.png"], "classify")]


def test_leaving_early(url: str) -> None:
    """A caller may leave a stream that has no end, and go on to use the client."""
    with Client(url) as client:
        stream = client.stream(cycle([RED]), "classify")
        assert labels([next(stream), next(stream)]) == ["red", "red"]
        stream.close()
        assert client.classify(GREEN)["classes"][0]["label"] == "green"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there(scheme: str) -> None:
    """Where nobody answers there is no stream."""
    with Client(f"{scheme}://127.0.0.1:9") as client, pytest.raises(VitrailError) as caught:
        list(client.stream([RED], "classify"))
    assert caught.value.code == "unreachable"
