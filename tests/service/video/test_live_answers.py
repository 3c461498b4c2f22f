"""The lines of a live stream, its picture and its summary."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from contract.preprocess import Pixels
from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.video.live_answers import LiveAnswers
from service.video.live_asking import LiveAsking
from service.video.live_events import StreamEvents
from service.video.live_latest import LiveFrame
from service.video.live_limits import LiveLimits
from service.video.live_sampling import LiveSampling
from service.video.sampling import Decision
from service.video.source import VideoSource
from tests.service.running import Running, running
from tests.service.tiny_hostile import write_segmenters
from tests.service.tiny_tasks import share_model, write_task
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import grey, still
from tests.service.video.live_filming import asking, lines_from
from tests.tiny_models import COLOURS

BLACK = np.zeros((64, 128, 3), np.uint8)


def answers(of: LiveAsking, **limits: int) -> LiveAnswers:
    """Answers of a stream."""
    return LiveAnswers(of, LiveSampling(of.request.sampled()), LiveLimits(**limits), StreamEvents.silent())


def frame(index: int, pixels: Pixels | None) -> LiveFrame:
    """A frame of a stream; a carried one without pixels."""
    return LiveFrame(index, index / 25, 0.0, 0.0, pixels is None, pixels)


@pytest.fixture
async def shares(tmp_path: Path) -> AsyncIterator[Running]:
    """A service whose classifier makes nonsense of a black image."""
    write_task(tmp_path / "models", "shares", Task.CLASSIFY, share_model(), labels=COLOURS)
    async with running(tmp_path / "models") as service:
        yield service


async def test_nonsense_is_a_line_of_its_own(shares: Running) -> None:
    """A frame of which the model makes nonsense has its error in its line; the next one has its result."""
    made = answers(asking(shares, "classify"))
    reader = made.readers.add()
    for number, pixels in enumerate([grey(0), BLACK, None, grey(1)]):
        await made.answer(frame(number, pixels))
    lines = await lines_from(reader, 3)
    assert [line["frame"] for line in lines] == [0, 1, 3]
    assert ["error" in line for line in lines] == [False, True, False]
    assert lines[1]["error"]["code"] == "internal"
    assert (made.counts.processed, made.counts.carried, made.problem) == (3, 0, None)


async def test_too_much_nonsense_is_the_end(shares: Running) -> None:
    """After so many such frames in a row there is no point in going on."""
    made = answers(asking(shares, "classify"), failures=3)
    for number, pixels in enumerate([BLACK, BLACK, grey(0), BLACK, BLACK]):
        await made.answer(frame(number, pixels))
    with pytest.raises(ServiceError) as failed:
        await made.answer(frame(5, BLACK))
    assert failed.value.kind is ErrorKind.INTERNAL


async def test_what_has_no_scores_cannot_be_tracked(tmp_path: Path) -> None:
    """Only the first result shows that a model's segments are of the semantic kind; no later one will be better."""
    write_segmenters(tmp_path)
    async with running(tmp_path) as service:
        made = answers(asking(service, "segment", model="semantic", track=True))
        with pytest.raises(ServiceError, match="cannot be tracked") as failed:
            await made.answer(frame(0, grey(50)))
    assert failed.value.kind is ErrorKind.INVALID_PARAMETERS


async def test_results_with_bytes_become_lines(service: Running) -> None:
    """Maps stand in the lines as base64, and can be drawn."""
    made = answers(asking(service, "depth"))
    reader = made.readers.add()
    await made.answer(frame(0, grey(0)))
    assert isinstance((await lines_from(reader, 1))[0]["map"]["data"], str)
    assert made.picture is not None
    assert made.picture.jpeg().startswith(b"\xff\xd8")


async def test_totals_are_kept_without_readers(service: Running) -> None:
    """What is tracked and counted is in the summary, whether somebody reads lines or not."""
    zone = {"name": "all", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    made = answers(asking(service, track=True, counts={"zones": [zone]}))
    for number in range(3):
        await made.answer(frame(number, grey(number)))
    assert made.summary() == {"tracks": 1, "counts": {"lines": {}, "zones": {"all": {"entries": {}, "exits": {}}}}}


@pytest.mark.parametrize(("gap_s", "tracks"), [(0.5, 1), (5.0, 2)])
async def test_tracks_over_a_gap(service: Running, gap_s: float, tracks: int) -> None:
    """After a reconnection a track goes on if the gap was short; after a long one the object has a new id."""
    made = answers(asking(service, track={"lost_s": 1.0}))
    for number in range(3):
        await made.answer(frame(number, grey(0)))
    made.disconnected()
    for number in range(3):
        at_s = 0.08 + gap_s + number / 25
        await made.answer(LiveFrame(3 + number, at_s, 0.0, 0.0, carried=False, pixels=grey(0)))
    assert made.summary()["tracks"] == tracks


async def test_what_is_given_back_at_the_end(service: Running) -> None:
    """At the end readers are told so, and no picture is kept."""
    made = answers(asking(service))
    reader = made.readers.add()
    await made.answer(frame(0, grey(0)))
    assert made.picture is not None
    made.finish()
    assert (len([some async for some in reader]), made.picture, len(made.readers)) == (1, None, 0)


async def test_the_first_frame_after_a_gap_carries_nothing(tmp_path: Path, shares: Running) -> None:
    """What was seen before a stream was cut is no result for what it shows when it is back, however alike they are."""
    of = asking(shares, "classify", sampling={"sample": "event", "max_gap_s": 3600})
    sampling = LiveSampling(of.request.sampled())
    made = LiveAnswers(of, sampling, LiveLimits(), StreamEvents.silent())
    with VideoSource(write_clip(tmp_path / "a.mp4", every(3), paint=still)) as source:
        frames = list(source.frames())
    decided = [sampling.decide(frame) for frame in frames[:2]]
    made.disconnected()
    assert [*decided, sampling.decide(frames[2])] == [Decision.PROCESS, Decision.CARRY, Decision.PROCESS]


async def test_a_picture_is_drawn_once(shares: Running) -> None:
    """However many look at the same frame, it is drawn for the first of them, and for the others if that one leaves."""
    made = answers(asking(shares, "classify"))
    await made.answer(frame(0, grey(0)))
    assert made.picture is not None
    with ThreadPoolExecutor(1) as workers:
        first, second = (asyncio.ensure_future(made.picture.drawn(workers)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await second is await made.picture.drawn(workers)
