import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.disk_budget import DiskBudget
from service.video.job import Job, JobState
from service.video.progress import Progress
from tests.service.video.job_work import (
    Counting,
    ended,
    frames_of,
    limits,
    started,
    state_of,
    status_of,
    submitted,
)
from tests.service.video.test_results_file import files_no_larger_than

_MIB = 1 << 20


class Wide(Counting):
    """Writes ten lines, the later of a MiB each."""

    async def run(self, job: Job, progress: Progress) -> None:
        await progress.append([{"frame": 0}])
        for frame in range(1, 10):
            await progress.append([{"frame": frame, "pad": "x" * _MIB}])


async def chunks(count: int) -> AsyncIterator[bytes]:
    """So many MiB."""
    for _ in range(count):
        yield bytes(_MIB)


def test_the_budget_says_how_much_is_missing(tmp_path: Path) -> None:
    """What all jobs take is counted against the limit, and the free space against its floor."""
    budget = DiskBudget(tmp_path, 100, 0)
    budget.note("a", 60)
    budget.note("b", 30)
    budget.note("a", 40)
    assert (budget.used, budget.of("a"), budget.missing(30), budget.missing(31)) == (70, 40, 0, 1)
    budget.forget("a")
    budget.forget("a")
    assert (budget.used, budget.of("a")) == (30, 0)
    assert DiskBudget(tmp_path, None, 1 << 60).missing(0) > 1 << 59


async def test_a_full_disk_fails_the_job_and_not_the_service(tmp_path: Path) -> None:
    """The job says that the disk is full and keeps its lines; the next one runs."""
    async with started(tmp_path, Wide()) as jobs:
        with files_no_larger_than(3 * _MIB):
            job = (await ended(jobs, await submitted(jobs, 1))).job
        assert (job.state, job.error_kind) == (JobState.FAILED, ErrorKind.STORAGE_FULL)
        assert job.error_message == "the disk for videos is full"
        assert await frames_of(jobs, job.id) == [0, 1, 2]
        assert (await ended(jobs, await submitted(jobs, 1))).job.state is JobState.DONE


async def test_a_state_that_could_not_be_written_is_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the disk does not even take the row, the state is told all the same, and written as soon as it can be."""
    async with started(tmp_path, work := Counting(gate_at=1)) as jobs:
        job_id = await submitted(jobs, 5)
        await work.at_gate.wait()
        with files_no_larger_than(1), caplog.at_level(logging.ERROR):
            work.gate.set()
            assert (await ended(jobs, job_id)).job.state is JobState.FAILED
            assert [status.job.state for status in await jobs.page(9)] == [JobState.FAILED]
        assert "its state is not on disk yet" in caplog.text
        await jobs.sweep()
    async with started(tmp_path, Counting()) as jobs:
        assert await state_of(jobs, job_id) is JobState.FAILED


async def test_old_jobs_leave_by_themselves(tmp_path: Path) -> None:
    """A job that is kept for no time is gone at the next sweep, with its files; one that runs never is."""
    async with started(tmp_path, work := Counting(gate_at=1), limits=limits(max_age_s=0.0, sweep_s=0.001)) as jobs:
        done = await submitted(jobs, 1)
        runs = await submitted(jobs, 2)
        await work.at_gate.wait()
        while jobs.folder(done).path.exists():
            await jobs.sweep()
        assert [path.name for path in (tmp_path / "jobs").iterdir()] == [runs]
        assert await state_of(jobs, runs) is JobState.RUNNING


async def test_the_oldest_that_ended_make_room_for_an_upload(tmp_path: Path) -> None:
    """A video that needs the room of an old job gets it; the newer one stays."""
    async with started(tmp_path, Wide(), limits=limits(disk_bytes=25 * _MIB, upload_bytes=99 * _MIB)) as jobs:
        first, second = [(await ended(jobs, await submitted(jobs, 1))).job.id for _ in range(2)]
        async with jobs.receive() as upload:
            await upload.read(chunks(10))
            assert await jobs.get(first) is None
            assert await state_of(jobs, second) is JobState.DONE


async def test_an_upload_without_room_is_refused_and_nobody_leaves_in_vain(tmp_path: Path) -> None:
    """Declared or not: a video that would not fit even then is refused, and the jobs that are there stay."""
    async with started(tmp_path, Wide(), limits=limits(disk_bytes=15 * _MIB, upload_bytes=99 * _MIB)) as jobs:
        job_id = (await ended(jobs, await submitted(jobs, 1))).job.id
        with pytest.raises(ServiceError, match="disk for videos is full"):
            async with jobs.receive(50 * _MIB):
                pass
        with pytest.raises(ServiceError, match="more than 103809024 bytes"):
            async with jobs.receive(100 * _MIB):
                pass
        assert (await status_of(jobs, job_id)).job.state is JobState.DONE
        assert [path.name for path in (tmp_path / "jobs").iterdir()] == [job_id]


async def test_a_floor_of_free_space_is_kept(tmp_path: Path) -> None:
    """Where less is free than the floor, no video is taken in."""
    async with started(tmp_path, Counting(), limits=limits(min_free_bytes=1 << 60)) as jobs:
        with pytest.raises(ServiceError, match="disk for videos is full") as refused:
            await submitted(jobs, 1)
        assert refused.value.kind is ErrorKind.STORAGE_FULL
        assert list((tmp_path / "jobs").glob("*")) == []


async def test_a_job_that_outgrows_the_budget_ends(tmp_path: Path) -> None:
    """A running job whose own files take more than all may have fails at its next save."""

    class Growing(Counting):
        async def run(self, job: Job, progress: Progress) -> None:
            await Wide.run(self, job, progress)
            progress._saved_s -= 60.0
            await progress.moved(10)

    async with started(tmp_path, Growing(), limits=limits(disk_bytes=5 * _MIB)) as jobs:
        job = (await ended(jobs, await submitted(jobs, 1))).job
        assert (job.state, job.error_message) == (JobState.FAILED, "the disk for videos is full")
        assert job.last_frame == 9
