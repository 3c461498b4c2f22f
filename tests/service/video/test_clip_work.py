import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from contract.preprocess import Interpolation, Pixels, preprocess
from contract.task import Task
from service.errors import ErrorKind
from service.video.job import JobState
from service.video.progress import JobStatus
from service.video.source import VideoSource
from tests.doubles import settle, until
from tests.service.running import Running, running
from tests.service.tiny_tasks import A_CLIP, clip_model, write_task
from tests.service.video.clips import HEIGHT, WIDTH, every, truncated, write_clip
from tests.service.video.filming import LosingEngine, PausingEngine, filmed, filming, lines_of, sent, shown
from tests.service.video.job_work import ended, status_of
from tests.tiny_models import COLOURS, write_version

SECOND = {"clips": {"window_s": 1.0, "overlap": 0.5}}


def turning(number: int) -> Pixels:
    """A picture uint8 [HEIGHT, WIDTH, 3] that is red at first, then green, then blue, a second each, never quite."""
    picture = np.full((HEIGHT, WIDTH, 3), 40 + number % 7, np.uint8)
    picture[:, :, number // 25 % 3] = 200
    return picture


def clip_of(path: Path, count: int, rate: float = 25) -> Path:
    """A clip of so many frames."""
    return write_clip(path / f"clip{count}.mp4", every(count, rate), paint=turning)


def asked(**wanted: Any) -> dict[str, Any]:
    """What is wanted of a clip."""
    return {"task": "classify-video", **SECOND, **wanted}


def answers(clip: Path, windows: list[tuple[int, ...]]) -> np.ndarray[Any, Any]:
    """The tiny model's probabilities f64 [N, 3], reckoned by NumPy, of windows of these frames."""
    with VideoSource(clip) as source:
        frames = {frame.index: preprocess(frame.pixels(), A_CLIP)[0] for frame in source.frames()}
    means = np.array([[frames[index].mean(axis=(0, 1)) for index in window] for window in windows]).mean(axis=1)
    logits = np.exp(8 / 255 * means)
    return np.asarray(logits / logits.sum(axis=1, keepdims=True))


def scores(classes: list[dict[str, Any]]) -> list[float]:
    """The scores of red, green and blue."""
    return [item["score"] for item in sorted(classes, key=lambda item: item["index"])]


async def test_every_window_has_a_line(tmp_path: Path, service: Running) -> None:
    """Each window has a line with its time and the answer of its clip, the last one ending with the video."""
    clip = clip_of(tmp_path, 56)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, **asked())
    assert status.job.state is JobState.DONE, status.job.error_message
    windows = [(line["frame"], line["timestamp_s"], line["end_s"]) for line in lines]
    assert windows == [(0, 0.0, 1.0), (13, 0.52, 1.52), (25, 1.0, 2.0), (31, 1.24, 2.24)]
    frames = [(0, 7, 13, 19), (13, 20, 26, 32), (25, 32, 38, 44), (31, 38, 44, 50)]
    expected = answers(clip, frames)
    assert np.allclose([scores(line["classes"]) for line in lines], expected, atol=1e-5)
    assert lines[0]["image"] == {"width": WIDTH, "height": HEIGHT}
    assert (status.job.frames_done, status.job.frames_total, status.job.problems) == (56, 56, ())


async def test_the_whole_is_the_mean_of_its_windows(tmp_path: Path, service: Running) -> None:
    """The answer for the video is the mean of all windows' probabilities, whatever their lines show of them."""
    clip = clip_of(tmp_path, 75)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, **asked(parameters={"top_k": 2, "score_threshold": 0.3}))
        whole, _ = await filmed(jobs, clip, **asked())
        all_lines = await lines_of(jobs, whole.job.id)
    expected = np.mean([scores(line["classes"]) for line in all_lines], axis=0)
    assert np.allclose(scores(whole.job.summary["classes"]), expected, atol=1e-6)
    best = np.argsort(-expected)
    assert [item["index"] for item in whole.job.summary["classes"]] == best.tolist()
    wanted = [item for item in whole.job.summary["classes"][:2] if item["score"] >= 0.3]
    assert status.job.summary["classes"] == wanted
    shorter = [[item for item in line["classes"][:2] if item["score"] >= 0.3] for line in all_lines]
    assert [line["classes"] for line in lines] == shorter
    assert whole.job.summary["model"] == {"name": "clips", "version": "1"}


@pytest.mark.parametrize("count", [1, 3, 20])
async def test_a_short_video_is_one_clip(tmp_path: Path, service: Running, count: int) -> None:
    """A video that is shorter than a window is one clip, whose answer is that of the video."""
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip_of(tmp_path, count), task="classify-video")
    assert status.job.state is JobState.DONE, status.job.error_message
    assert [(line["frame"], line["end_s"]) for line in lines] == [(0, pytest.approx(count / 25))]
    assert status.job.summary["classes"] == lines[0]["classes"]


async def test_clips_share_batches(tmp_path: Path, service: Running) -> None:
    """Several clips are under way at a time, and the engine gets them together."""
    held = service.engines["clips:1"]
    held.engine = pausing = PausingEngine(held.engine, after=0)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip_of(tmp_path, 100), **asked(window=5))
        await until(lambda: service.application.inference.in_flight == 5)
        pausing.gate.set()
        assert (await ended(jobs, job.id)).job.frames_processed == 7
    assert max(pausing.sizes) > 1


async def interrupted(root: Path, service: Running, clip: Path, after: int, **wanted: Any) -> str:
    """The id of a job that the end of its service interrupts after so many windows."""
    held = service.engines["clips:1"]
    held.engine = pausing = PausingEngine(held.engine, after)
    async with filming(root, service) as jobs:
        job = await sent(jobs, clip, window=1, **wanted)
        await pausing.paused.wait()
    pausing.gate.set()
    held.engine = pausing.engine
    return job.id


@pytest.mark.parametrize(("count", "after"), [(85, 0), (85, 1), (85, 3), (85, 5), (56, 3), (20, 0)])
async def test_a_job_goes_on_at_its_next_window(tmp_path: Path, service: Running, count: int, after: int) -> None:
    """After a restart exactly the missing windows are answered, and lines and mean are as if nothing had been."""
    clip = clip_of(tmp_path, count)
    wanted = asked(annotate=True)
    async with filming(tmp_path / "other", service) as jobs:
        undisturbed, expected = await filmed(jobs, clip, **wanted)
    job_id = await interrupted(tmp_path / "jobs", service, clip, after, **wanted)
    held = service.engines["clips:1"]
    held.engine = counting = PausingEngine(held.engine, 1000)
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, job_id)
        lines = await lines_of(jobs, job_id)
    assert (lines, status.job.summary) == (expected, undisturbed.job.summary)
    assert sum(counting.sizes) == len(expected) - after


async def test_a_line_that_was_lost_is_not_counted_twice(tmp_path: Path, service: Running) -> None:
    """A window whose line was not written any more before a crash is answered again, and counts once in the mean."""
    clip = clip_of(tmp_path, 85)
    async with filming(tmp_path / "other", service) as jobs:
        undisturbed, expected = await filmed(jobs, clip, **asked())
    job_id = await interrupted(tmp_path / "jobs", service, clip, 4, **asked())
    async with filming(tmp_path / "jobs", service, running=0) as jobs:
        results = jobs.folder(job_id).results
    text = await asyncio.to_thread(results.read_bytes)
    await asyncio.to_thread(results.write_bytes, b"".join(text.splitlines(keepends=True)[:2]))
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, job_id)
        assert await lines_of(jobs, job_id) == expected
    assert status.job.summary == undisturbed.job.summary


async def test_a_row_that_lags_behind_is_mended(tmp_path: Path, service: Running) -> None:
    """Where the service ended before the row of a finished job was written, its summary is made anew of the rest."""
    async with filming(tmp_path / "jobs", service) as jobs:
        done, lines = await filmed(jobs, clip_of(tmp_path, 56), **asked())
    with sqlite3.connect(tmp_path / "jobs" / "jobs.sqlite") as connection:
        connection.execute("UPDATE jobs SET state = 'running', finished_s = NULL, summary = '{}'")
    connection.close()
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, done.job.id)
        assert await lines_of(jobs, done.job.id) == lines
    assert (status.job.state, status.job.summary) == (JobState.DONE, done.job.summary)


async def test_a_lost_engine_is_tried_again(tmp_path: Path, service: Running) -> None:
    """Where the engine is lost in the middle, the job goes on from its next window once it is back."""
    held = service.engines["clips:1"]
    held.engine = losing = LosingEngine(held.engine, at=(3, 5))
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip_of(tmp_path, 100), **asked(window=2))
    assert (losing.losses, status.job.state) == (2, JobState.DONE)
    assert [line["frame"] for line in lines] == [0, 13, 25, 38, 50, 63, 75]


async def test_a_truncated_clip_gives_what_can_be_read(tmp_path: Path, service: Running) -> None:
    """Of a file that is cut short the readable part is in windows, and the caller is told of the rest."""
    clip = write_clip(tmp_path / "clip.mp4", every(100), paint=turning, options={"movflags": "faststart"})
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, truncated(clip, 0.8), **asked())
    assert status.job.state is JobState.DONE, status.job.error_message
    assert lines[-1]["end_s"] == pytest.approx(status.job.frames_done / 25)
    assert any("announces 100 frames" in problem for problem in status.job.problems)


async def test_the_answers_are_drawn(tmp_path: Path, service: Running) -> None:
    """The annotated video has every frame of the source at its time, with the words of a window it is in."""
    clip = clip_of(tmp_path, 40)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, _ = await filmed(jobs, clip, **asked(annotate=True))
        times, pictures = shown(jobs.folder(status.job.id).annotated)
        plain = shown(clip)[1]
    assert times == pytest.approx(every(40), abs=1e-3)
    changes = [np.abs(a.astype(int) - b).max() for a, b in zip(pictures, plain, strict=True)]
    assert min(changes) > 60


@pytest.fixture
async def nonsense(tmp_path: Path) -> AsyncIterator[Running]:
    """A service whose model of clips makes nonsense of black ones."""
    model = clip_model()
    softmax = model.graph.node.pop()
    model.graph.initializer.append(numpy_helper.from_array(np.int64([1]), "classes"))
    model.graph.node.append(helper.make_node("ReduceSum", [softmax.input[0], "classes"], ["all"], keepdims=1))
    model.graph.node.append(helper.make_node("Div", [softmax.input[0], "all"], ["probabilities"]))
    write_task(tmp_path / "models", "clips", Task.CLASSIFY_VIDEO, model, preprocess=A_CLIP)
    async with running(tmp_path / "models") as service:
        yield service


async def test_a_window_that_fails_does_not_end_the_job(tmp_path: Path, nonsense: Running) -> None:
    """Where a model makes nonsense of a window, its line says so, and it is not in the mean."""
    clip = write_clip(tmp_path / "clip.mp4", every(100), paint=lambda number: turning(number) * (not 24 < number < 51))
    async with filming(tmp_path / "jobs", nonsense) as jobs:
        status, lines = await filmed(jobs, clip, **asked(annotate=True))
    assert status.job.state is JobState.DONE, status.job.error_message
    assert [line["frame"] for line in lines if "error" in line] == [25]
    expected = np.mean([scores(line["classes"]) for line in lines if "classes" in line], axis=0)
    assert np.allclose(scores(status.job.summary["classes"]), expected, atol=1e-6)


async def test_windows_that_all_fail_end_the_job(tmp_path: Path, nonsense: Running) -> None:
    """A model that makes nonsense of every window ends the job with its words."""
    clip = write_clip(tmp_path / "clip.mp4", every(100), paint=lambda number: turning(number) * 0)
    wanted = asked(clips={"window_s": 0.4, "overlap": 0.75})
    async with filming(tmp_path / "jobs", nonsense) as jobs:
        status, lines = await filmed(jobs, clip, **wanted)
    assert (status.job.state, status.job.error_kind, len(lines)) == (JobState.FAILED, ErrorKind.INTERNAL, 24)
    assert "classes" not in status.job.summary


async def replaced(root: Path, **changes: Any) -> tuple[JobStatus, list[dict[str, Any]]]:
    """A job whose version 2, which differs by ``changes``, is taken away after three windows."""
    for version, differs in ((1, {}), (2, changes)):
        card = {"preprocess": A_CLIP, **differs}
        write_version(root / "models", "clips", version, Task.CLASSIFY_VIDEO, clip_model(), **card)
    async with running(root / "models") as service, filming(root / "jobs", service) as jobs:
        held = service.engines["clips:2"]
        held.engine = pausing = PausingEngine(held.engine, after=3)
        job = await sent(jobs, clip_of(root, 100), **asked(window=1))
        await pausing.paused.wait()
        leaving = asyncio.create_task(service.application.lifecycle.unload("clips", 2))
        await settle()
        pausing.gate.set()
        status = await ended(jobs, job.id)
        await leaving
        return status, await lines_of(jobs, job.id)


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({}, False),
        ({"preprocess": A_CLIP.model_copy(update={"interpolation": Interpolation.BICUBIC})}, False),
        ({"labels": ("rot", "gelb", "blau")}, True),
    ],
)
async def test_another_version_answers_the_rest(tmp_path: Path, changes: dict[str, Any], left_out: bool) -> None:
    """Where the version is taken away another goes on behind the last line, also if it takes or knows other things."""
    status, lines = await replaced(tmp_path, **changes)
    assert status.job.state is JobState.DONE, status.job.error_message
    assert [line["frame"] for line in lines] == [0, 13, 25, 38, 50, 63, 75]
    assert status.job.summary["model"]["version"] == "1"
    assert {item["label"] for item in status.job.summary["classes"]} == set(COLOURS)
    assert any("leaves out" in problem for problem in status.job.problems) is left_out


async def test_a_cancelled_job_keeps_its_windows(tmp_path: Path, service: Running) -> None:
    """Cancelled in the middle, a job has the lines and the mean of the windows that were answered."""
    held = service.engines["clips:1"]
    held.engine = pausing = PausingEngine(held.engine, after=2)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip_of(tmp_path, 100), **asked(window=1))
        await pausing.paused.wait()
        await jobs.cancel(job.id)
        status, lines = await status_of(jobs, job.id), await lines_of(jobs, job.id)
        pausing.gate.set()
        await until(lambda: service.application.inference.in_flight == 0)
    assert (status.job.state, len(lines)) == (JobState.CANCELLED, 2)
    expected = np.mean([scores(line["classes"]) for line in lines], axis=0)
    assert np.allclose(scores(status.job.summary["classes"]), expected, atol=1e-6)
