import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract.task import Task
from service.errors import ErrorKind
from service.video.job import JobState
from tests.doubles import settle, until
from tests.service.running import WHITE, Running, running
from tests.service.tiny_tasks import share_model, write_task
from tests.service.video.clips import every, truncated, write_clip
from tests.service.video.filming import LosingEngine, PausingEngine, filmed, filming, grey, lines_of, sent, still
from tests.service.video.job_work import ended, status_of
from tests.service.video.reading import held
from tests.tiny_models import COLOURS

UNEVEN = [0.0, 0.04, 0.05, 0.3, 0.31, 1.0, 1.5, 1.52, 2.0]


async def test_every_frame_has_a_line(tmp_path: Path, service: Running) -> None:
    """Each frame of a clip of uneven rate has a line, in order, at its true time, with the model's answer."""
    clip = write_clip(tmp_path / "clip.mp4", UNEVEN, paint=grey, b_frames=2)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip)
    assert status.job.state is JobState.DONE, status.job.error_message
    assert (status.job.frames_total, status.job.frames_done, status.job.problems) == (9, 9, ())
    assert [line["frame"] for line in lines] == list(range(9))
    assert [line["timestamp_s"] for line in lines] == pytest.approx(UNEVEN, abs=1e-3)
    scores = [line["objects"][0]["score"] for line in lines]
    assert scores == pytest.approx([(120 + 2 * frame) / 255 for frame in range(9)], abs=0.01)
    assert lines[0]["image"] == {"width": 128, "height": 64}


@pytest.mark.parametrize("window", [1, 3, 32])
async def test_frames_share_batches(tmp_path: Path, service: Running, window: int) -> None:
    """As many frames are under way as the window has, and no more; the lines are the same."""
    clip = write_clip(tmp_path / "clip.mp4", every(12), paint=grey)
    engine = service.engines["middle:1"]
    engine.hold()
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, window=window)
        await until(lambda: service.application.inference.in_flight == min(window, 12))
        engine.let_go()
        assert (await ended(jobs, job.id)).job.frames_processed == 12
        assert [line["frame"] for line in await lines_of(jobs, job.id)] == list(range(12))


async def test_frames_join_the_batches_of_images(tmp_path: Path, service: Running) -> None:
    """Frames that wait are sent together, and an image that comes meanwhile goes with them."""
    clip = write_clip(tmp_path / "clip.mp4", every(12), paint=grey)
    held_engine = service.engines["middle:1"]
    held_engine.engine = pausing = PausingEngine(held_engine.engine, after=0)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, window=8)
        await until(lambda: service.application.inference.in_flight == 8)
        asking = asyncio.create_task(service.ask("/v1/detect", WHITE))
        await until(lambda: service.application.inference.in_flight == 9)
        pausing.gate.set()
        assert (await asking).status_code == 200
        assert (await ended(jobs, job.id)).job.frames_processed == 12
    assert (sum(pausing.sizes), max(pausing.sizes) > 1) == (13, True)


@pytest.fixture
async def shares(tmp_path: Path) -> AsyncIterator[Running]:
    """A service whose classifier makes nonsense of a black image."""
    write_task(tmp_path / "models", "shares", Task.CLASSIFY, share_model(), labels=COLOURS)
    async with running(tmp_path / "models") as service:
        yield service


async def test_a_frame_that_fails_does_not_end_the_job(tmp_path: Path, shares: Running) -> None:
    """Where a model makes nonsense of one frame, its line says so, and the others have their results."""
    clip = write_clip(tmp_path / "clip.mp4", every(5), paint=lambda number: grey(0) * (number != 2))
    async with filming(tmp_path / "jobs", shares) as jobs:
        status, lines = await filmed(jobs, clip, task="classify", annotate=True)
    assert status.job.state is JobState.DONE, status.job.error_message
    assert ["error" in line for line in lines] == [False, False, True, False, False]
    assert lines[2]["error"]["code"] == "internal"


async def test_frames_that_all_fail_end_the_job(tmp_path: Path, shares: Running) -> None:
    """A model that makes nonsense of every frame ends the job with its words."""
    clip = write_clip(tmp_path / "clip.mp4", every(40), paint=lambda _: grey(0) * 0)
    async with filming(tmp_path / "jobs", shares) as jobs:
        status, lines = await filmed(jobs, clip, task="classify")
    assert (status.job.state, status.job.error_kind) == (JobState.FAILED, ErrorKind.INTERNAL)
    assert len(lines) == 24


async def test_a_fixed_rate_processes_some_frames(tmp_path: Path, service: Running) -> None:
    """With fps only the first frame of each slot has a line; the progress counts all frames."""
    clip = write_clip(tmp_path / "clip.mp4", every(25), paint=grey)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, sampling={"fps": 5})
    assert [line["frame"] for line in lines] == [0, 5, 10, 15, 20]
    assert (status.job.frames_processed, status.job.frames_done, status.job.frames_total) == (5, 25, 25)


async def test_events_carry_results(tmp_path: Path, service: Running) -> None:
    """What has not changed is not asked again: the frame has the result of the one before, and says so."""
    clip = write_clip(tmp_path / "clip.mp4", every(30), paint=still)
    async with filming(tmp_path / "jobs", service) as jobs:
        held_engine = service.engines["middle:1"]
        held_engine.engine = counting = PausingEngine(held_engine.engine, after=1000)
        status, lines = await filmed(jobs, clip, sampling={"sample": "event"}, track=True)
    carried = [line["frame"] for line in lines if line.get("carried")]
    assert carried == [frame for frame in range(30) if frame not in (0, 25)]
    assert (status.job.frames_processed, status.job.frames_carried) == (2, 28)
    assert {line["objects"][0]["track_id"] for line in lines} == {1}
    assert counting.batches == 2


async def test_tracks_and_counts_are_in_the_lines(tmp_path: Path, service: Running) -> None:
    """Objects have an id, and what was asked to be counted stands beside them."""
    clip = write_clip(tmp_path / "clip.mp4", every(5), paint=grey)
    zone = {"name": "all", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    async with filming(tmp_path / "jobs", service) as jobs:
        _, lines = await filmed(jobs, clip, track=True, counts={"zones": [zone]})
    assert [line["objects"][0]["track_id"] for line in lines] == [1] * 5
    assert lines[-1]["counts"] == {"crossings": [], "passages": [], "inside": {"all": 1}}


async def test_results_with_bytes_become_lines(tmp_path: Path, service: Running) -> None:
    """Maps stand in the lines as base64."""
    clip = write_clip(tmp_path / "clip.mp4", every(3), paint=grey)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, task="depth")
    assert status.job.state is JobState.DONE, status.job.error_message
    assert [type(line["map"]["data"]) for line in lines] == [str] * 3


async def interrupted(root: Path, service: Running, clip: Path, after: int, **wanted: Any) -> str:
    """The id of a job that the end of its service interrupts after so many batches of one frame."""
    held_engine = service.engines["middle:1"]
    pausing = PausingEngine(held_engine.engine, after)
    held_engine.engine = pausing
    async with filming(root, service) as jobs:
        job = await sent(jobs, clip, window=1, **wanted)
        await pausing.paused.wait()
    pausing.gate.set()
    held_engine.engine = pausing.engine
    return job.id


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, list(range(60))),
        ({"track": True, "annotate": True}, list(range(60))),
        ({"sampling": {"fps": 5}}, list(range(0, 60, 5))),
        ({"sampling": {"sample": "key"}}, list(range(0, 60, 12))),
    ],
)
async def test_a_job_goes_on_at_its_next_frame(
    tmp_path: Path, service: Running, wanted: dict[str, Any], expected: list[int]
) -> None:
    """After a restart exactly the missing lines are written, at the same times, and tracks keep their ids."""
    clip = write_clip(tmp_path / "clip.mp4", every(60), paint=still)
    job_id = await interrupted(tmp_path / "jobs", service, clip, 4, **wanted)
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, job_id)
        lines = await lines_of(jobs, job_id)
    assert status.job.state is JobState.DONE, status.job.error_message
    assert [line["frame"] for line in lines] == expected
    assert [line["timestamp_s"] for line in lines] == pytest.approx([frame / 25 for frame in expected], abs=1e-3)
    assert len({line["objects"][0].get("track_id") for line in lines}) == 1


async def test_a_cancelled_job_leaves_nothing(tmp_path: Path, service: Running) -> None:
    """Cancelled in the middle, a job keeps its lines, and leaves no thread, no descriptor and no image in flight."""
    clip = write_clip(tmp_path / "clip.mp4", every(60), paint=grey)
    async with filming(tmp_path / "jobs", service) as jobs:
        await filmed(jobs, clip, annotate=True)
        files, threads = held("fd"), {name for name in held_threads() if name.startswith("video")}
        engine = service.engines["middle:1"]
        engine.hold()
        job = await sent(jobs, clip, annotate=True)
        await until(lambda: engine.arrived)
        assert any(name.startswith("video") for name in held_threads())
        await jobs.cancel(job.id)
        engine.let_go()
        await until(lambda: service.application.inference.in_flight == 0)
        assert (await status_of(jobs, job.id)).job.state is JobState.CANCELLED
        assert (held("fd") - files, {name for name in held_threads() if name.startswith("video")}) == (set(), threads)


def held_threads() -> list[str]:
    """The names of the threads of this process."""
    return [thread.name for thread in threading.enumerate()]


async def test_a_truncated_clip_gives_what_can_be_read(tmp_path: Path, service: Running) -> None:
    """Of a file that is cut short the readable part has lines, and the caller is told of the rest."""
    clip = write_clip(tmp_path / "clip.mp4", every(60), paint=grey, options={"movflags": "faststart"})
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, truncated(clip, 0.9))
    assert status.job.state is JobState.DONE, status.job.error_message
    assert 0 < len(lines) < 60
    assert any("announces 60 frames" in problem for problem in status.job.problems)


async def test_what_is_no_video_fails_clearly(tmp_path: Path, service: Running) -> None:
    """A text that is called a video ends its job with a message for its caller."""
    text = tmp_path / "clip.mp4"
    text.write_text("this is not a video, whatever its name says\n" * 20)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, text)
    assert (status.job.state, status.job.error_kind, lines) == (JobState.FAILED, ErrorKind.INVALID_VIDEO, [])
    assert "not a video" in (status.job.error_message or "")


async def test_a_lost_engine_is_tried_again(tmp_path: Path, service: Running) -> None:
    """Where the engine is lost in the middle, the job goes on from its next frame once it is back."""
    clip = write_clip(tmp_path / "clip.mp4", every(40), paint=grey)
    held_engine = service.engines["middle:1"]
    held_engine.engine = losing = LosingEngine(held_engine.engine, at=(5, 12))
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, track=True, window=2)
    assert (losing.losses, status.job.attempts) == (2, 1)
    assert status.job.state is JobState.DONE, status.job.error_message
    assert [line["frame"] for line in lines] == list(range(40))


async def test_an_engine_that_stays_lost_ends_the_job(tmp_path: Path, service: Running) -> None:
    """After some tries in a row the job fails with the reason, and keeps the lines that it has."""
    clip = write_clip(tmp_path / "clip.mp4", every(40), paint=grey)
    held_engine = service.engines["middle:1"]
    held_engine.engine = LosingEngine(held_engine.engine, at=range(10, 1000))
    async with filming(tmp_path / "jobs", service, engine_tries=2) as jobs:
        status, lines = await filmed(jobs, clip, window=1)
    assert (status.job.state, status.job.error_kind) == (JobState.FAILED, ErrorKind.ENGINE_UNAVAILABLE)
    assert [line["frame"] for line in lines] == list(range(9))


async def test_an_overload_is_waited_for(tmp_path: Path, tiny_repository: Path) -> None:
    """A service that takes no more images does not fail a job: its frames wait for a place."""
    clip = write_clip(tmp_path / "clip.mp4", every(10), paint=grey)
    async with running(tiny_repository, max_images_in_flight=2) as service:
        inference = service.application.inference
        async with filming(tmp_path / "jobs", service) as jobs:
            with inference.permit(2):
                job = await sent(jobs, clip)
                await until(lambda: jobs.running)
                await settle()
                assert (await status_of(jobs, job.id)).job.state is JobState.RUNNING
            assert (await ended(jobs, job.id)).job.frames_processed == 10


async def test_an_unknown_model_fails_at_once(tmp_path: Path, service: Running) -> None:
    """A job for a model that is not there fails with the words that any caller gets."""
    clip = write_clip(tmp_path / "clip.mp4", every(3), paint=grey)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, _ = await filmed(jobs, clip, model="nobody")
    assert (status.job.state, status.job.error_kind) == (JobState.FAILED, ErrorKind.MODEL_NOT_FOUND)
