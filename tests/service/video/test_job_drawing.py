from pathlib import Path

import numpy as np
import pytest

from tests.service.running import Running
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import LosingEngine, PausingEngine, filmed, filming, grey, sent, shown
from tests.service.video.job_work import ended

UNEVEN = [0.0, 0.04, 0.05, 0.3, 0.31, 1.0, 1.5, 1.52, 2.0]


async def test_a_job_makes_one(tmp_path: Path, service: Running) -> None:
    """The annotated video of a job has all frames of the source at their times, and differs where the box is."""
    clip = write_clip(tmp_path / "clip.mp4", UNEVEN, paint=grey)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, annotate=True)
        times_s, pictures = shown(jobs.folder(status.job.id).annotated)
    source_times_s, originals = shown(clip)
    assert times_s == pytest.approx(source_times_s, abs=1e-3)
    left, top = (round(lines[0]["objects"][0]["box"][side]) for side in ("x1", "y1"))
    for picture, original in zip(pictures, originals, strict=True):
        difference = np.abs(picture.astype(int) - original).max(axis=2)
        assert difference[top : top + 20, left : left + 3].max() > 40
        assert difference[:, :10].max() < 20


async def test_frames_without_a_result_show_the_last(tmp_path: Path, service: Running) -> None:
    """Frames that sampling leaves out are in the video too, with what was found last."""
    clip = write_clip(tmp_path / "clip.mp4", every(10), paint=grey)
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, annotate=True, sampling={"fps": 5})
        _, pictures = shown(jobs.folder(status.job.id).annotated)
    assert (len(lines), len(pictures)) == (2, 10)
    assert all(np.ptp(picture.astype(int)) > 60 for picture in pictures)


async def test_it_is_made_again_after_a_restart(tmp_path: Path, service: Running) -> None:
    """A job that was interrupted draws its first frames from their lines: the model sees none of them again."""
    clip = write_clip(tmp_path / "clip.mp4", every(30), paint=grey)
    held_engine = service.engines["middle:1"]
    held_engine.engine = pausing = PausingEngine(held_engine.engine, after=12)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, annotate=True, track=True, window=1)
        await pausing.paused.wait()
    pausing.gate.set()
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, job.id)
        times_s, pictures = shown(jobs.folder(job.id).annotated)
    assert (status.job.frames_processed, status.job.problems, pausing.batches) == (30, (), 30 + 1)  # one was given up
    assert times_s == pytest.approx(every(30), abs=1e-3)
    assert all(np.ptp(picture.astype(int)) > 60 for picture in pictures)


async def test_maps_are_not_drawn_from_lines(tmp_path: Path, service: Running) -> None:
    """Where results cannot be drawn from their lines, a job that goes on leaves the video out, and says so."""
    clip = write_clip(tmp_path / "clip.mp4", every(10), paint=grey)
    held_engine = service.engines["distances:1"]
    held_engine.engine = pausing = PausingEngine(held_engine.engine, after=3)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, task="depth", annotate=True, window=1)
        await pausing.paused.wait()
    pausing.gate.set()
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, job.id)
        assert (status.job.frames_processed, jobs.folder(job.id).annotated.exists()) == (10, False)
    assert "annotated video was left out" in status.job.problems[0]


async def test_a_lost_engine_leaves_no_gap(tmp_path: Path, service: Running) -> None:
    """Where the engine was lost in the middle, the video has every frame once, with what was found."""
    clip = write_clip(tmp_path / "clip.mp4", every(30), paint=grey, audio="aac")
    held_engine = service.engines["middle:1"]
    held_engine.engine = LosingEngine(held_engine.engine, at=(9,))
    async with filming(tmp_path / "jobs", service) as jobs:
        status, _ = await filmed(jobs, clip, annotate=True, window=1)
        times_s, pictures = shown(jobs.folder(status.job.id).annotated)
    assert status.job.problems == ()
    assert times_s == pytest.approx(shown(clip)[0], abs=1e-3)
    assert all(np.ptp(picture.astype(int)) > 60 for picture in pictures)


async def test_what_was_drawn_is_kept(tmp_path: Path, service: Running) -> None:
    """A job that is cancelled in the middle leaves a video that plays, up to there."""
    clip = write_clip(tmp_path / "clip.mp4", every(30), paint=grey)
    held_engine = service.engines["middle:1"]
    held_engine.engine = pausing = PausingEngine(held_engine.engine, after=12)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, annotate=True, window=1)
        await pausing.paused.wait()
        await jobs.cancel(job.id)
        times_s, _ = shown(jobs.folder(job.id).annotated)
    pausing.gate.set()
    assert times_s == pytest.approx(every(12), abs=1e-3)
