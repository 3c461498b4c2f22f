import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError, engine_unavailable, invalid_parameters
from service.video.job import Job, JobState
from service.video.job_events import JobEvents
from service.video.job_store import KeyReused
from service.video.jobs import Jobs
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
from tests.service.video.test_results_file import open_files


async def leave_in_the_middle(jobs: Jobs) -> None:
    """As a caller does whose connection breaks."""
    async with jobs.receive() as upload:
        await upload.write(b"1" * 1000)
        raise ConnectionResetError


async def test_a_job_runs_to_its_end(tmp_path: Path) -> None:
    """A job that is submitted is done, with all its lines and figures."""
    async with started(tmp_path, Counting()) as jobs:
        status = await ended(jobs, await submitted(jobs, 5, {"task": "detect", "fps": 5}))
        job = status.job
        assert (job.state, status.progress, job.frames_done, job.frames_total) == (JobState.DONE, 1.0, 5, 5)
        assert (job.frames_processed, job.frames_carried, job.last_frame, job.attempts) == (3, 2, 4, 1)
        assert (job.request, job.input_name, job.input_bytes) == ({"task": "detect", "fps": 5}, "a.mp4", 1)
        assert job.started_s is not None and job.finished_s is not None  # noqa: PT018 - both were set
        assert job.created_s <= job.started_s <= job.finished_s
        assert await frames_of(jobs, job.id) == [0, 1, 2, 3, 4]
        assert await frames_of(jobs, job.id, 3) == [3, 4]


async def test_results_stream_while_the_job_runs(tmp_path: Path) -> None:
    """Lines reach a reader before the job has ended; progress and speed tell how far it is."""
    work = Counting(gate_at=3)
    async with started(tmp_path, work) as jobs:
        job_id = await submitted(jobs, 4)
        reader = jobs.results(job_id).read(1)
        await work.at_gate.wait()
        first = await anext(reader)
        assert first.startswith(b'{"frame":1,')
        status = await status_of(jobs, job_id)
        assert (status.job.state, status.progress) == (JobState.RUNNING, 0.75)
        assert status.frames_per_s is not None and status.frames_per_s > 0  # noqa: PT018 - for the type
        assert status.eta_s == pytest.approx(1 / status.frames_per_s, rel=0.5)
        work.gate.set()
        assert b"".join([first, *[lines async for lines in reader]]).count(b"\n") == 3


async def test_jobs_wait_for_their_turn(tmp_path: Path) -> None:
    """So many run as the limit says, the others in the order of their coming; too many are refused."""
    work = Counting(gate_at=0)
    async with started(tmp_path, work, limits=limits(running=2, waiting=2)) as jobs:
        ids = [await submitted(jobs, 1) for _ in range(4)]
        await work.at_gate.wait()
        assert (jobs.running, jobs.waiting) == (2, 2)
        with pytest.raises(ServiceError, match="too many videos wait") as refused:
            await submitted(jobs, 1)
        assert refused.value.kind is ErrorKind.OVERLOADED
        work.gate.set()
        done = [await ended(jobs, job_id) for job_id in ids]
    starts = [status.job.started_s or 0 for status in done]
    assert starts == sorted(starts)


async def test_a_waiting_job_is_cancelled_at_once(tmp_path: Path) -> None:
    """A job that waits is cancelled without having run, and its readers come to their end."""
    work = Counting(gate_at=0)
    async with started(tmp_path, work) as jobs:
        await submitted(jobs, 1)
        waiting = await submitted(jobs, 1)
        reading = asyncio.create_task(frames_of(jobs, waiting))
        await asyncio.sleep(0)
        assert await jobs.cancel(waiting)
        assert await state_of(jobs, waiting) is JobState.CANCELLED
        assert await reading == []
        assert len(work.begun_at) == 1


async def test_a_job_that_is_about_to_begin_is_cancelled_before_it_does(tmp_path: Path) -> None:
    """Between its turn and its first step a job is cancelled like any other, and its work never begins."""
    cancelling: list[asyncio.Task[bool]] = []

    def heard(state: JobState) -> None:
        if state is JobState.QUEUED:
            cancelling.append(asyncio.create_task(jobs.cancel(next(iter(jobs._live)))))

    events = replace(JobEvents.silent(), entered=heard)
    async with started(tmp_path, work := Counting(), events=events) as jobs:
        job_id = await submitted(jobs, 5)
        assert await asyncio.gather(*cancelling) == [True]
        assert await state_of(jobs, job_id) is JobState.CANCELLED
        assert work.begun_at == []


async def test_a_running_job_is_cancelled_and_keeps_what_was_done(tmp_path: Path) -> None:
    """Who cancels gets the job back when its work has stopped; its lines stay readable."""
    work = Counting(gate_at=2)
    async with started(tmp_path, work) as jobs:
        job_id = await submitted(jobs, 9)
        await work.at_gate.wait()
        assert await asyncio.gather(jobs.cancel(job_id), jobs.cancel(job_id)) == [True, True]
        assert jobs.running == 0
        job = (await status_of(jobs, job_id)).job
        assert (job.state, job.last_frame) == (JobState.CANCELLED, 1)
        assert await frames_of(jobs, job_id) == [0, 1]
        assert await jobs.cancel(job_id)
        assert not await jobs.cancel("unknown")


async def test_a_job_that_is_deleted_leaves_nothing(tmp_path: Path) -> None:
    """Deleting ends the work and takes row and files away; a second time there is nothing to delete."""
    work = Counting(gate_at=2)
    async with started(tmp_path, work) as jobs:
        job_id = await submitted(jobs, 9)
        await work.at_gate.wait()
        assert jobs.folder(job_id).path.exists()
        assert await jobs.delete(job_id)
        assert await jobs.get(job_id) is None
        assert not jobs.folder(job_id).path.exists()
        assert jobs.disk_bytes == 0
        assert not await jobs.delete(job_id)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (invalid_parameters("no such model"), ErrorKind.INVALID_PARAMETERS, "no such model"),
        (ZeroDivisionError("a secret"), ErrorKind.INTERNAL, "an internal error ended the job"),
        (asyncio.CancelledError(), ErrorKind.INTERNAL, "an internal error ended the job"),
    ],
)
async def test_a_job_fails_with_a_message_for_its_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, kind: ErrorKind, message: str
) -> None:
    """A known error is told as it is; an unforeseen one is logged and its words stay here. The next job runs."""
    async with started(tmp_path, Counting(losses={2: [error]})) as jobs:
        job = (await ended(jobs, await submitted(jobs, 5))).job
        assert (job.state, job.error_kind, job.error_message) == (JobState.FAILED, kind, message)
        assert await frames_of(jobs, job.id) == [0, 1]
        assert (kind is ErrorKind.INTERNAL) == any(record.levelno == logging.ERROR for record in caplog.records)
        assert (await ended(jobs, await submitted(jobs, 5))).job.state is JobState.DONE


async def test_a_job_goes_on_when_its_engine_is_back(tmp_path: Path) -> None:
    """An engine that is lost in the middle costs no line and doubles none."""
    work = Counting(losses={1: [engine_unavailable("lost")] * 2, 3: [engine_unavailable("lost")] * 2})
    async with started(tmp_path, work, limits=limits(engine_tries=3)) as jobs:
        job = (await ended(jobs, await submitted(jobs, 5))).job
        assert (job.state, work.begun_at) == (JobState.DONE, [0, 1, 1, 3, 3])
        assert await frames_of(jobs, job.id) == [0, 1, 2, 3, 4]


async def test_a_job_whose_engine_stays_away_fails_with_what_was_done(tmp_path: Path) -> None:
    """After so many tries without a new line the job fails clearly and keeps its lines."""
    work = Counting(losses={2: [engine_unavailable("the engine is gone")] * 9})
    async with started(tmp_path, work, limits=limits(engine_tries=3)) as jobs:
        job = (await ended(jobs, await submitted(jobs, 5))).job
        assert (job.state, job.error_message, work.begun_at) == (JobState.FAILED, "the engine is gone", [0, 2, 2])
        assert (job.error_kind, await frames_of(jobs, job.id)) == (ErrorKind.ENGINE_UNAVAILABLE, [0, 1])


async def test_a_key_gives_the_same_job_again(tmp_path: Path) -> None:
    """The same file with the same request and key is one job; another file or request is refused. Nothing is left."""
    async with started(tmp_path, Counting()) as jobs:
        first = await submitted(jobs, 5, {"task": "detect", "fps": 5}, key="k")
        assert await submitted(jobs, 5, {"fps": 5, "task": "detect"}, key="k") == first
        for frames, request in ((6, {"task": "detect", "fps": 5}), (5, {"task": "detect"})):
            with pytest.raises(KeyReused):
                await submitted(jobs, frames, request, key="k")
        assert [path.name for path in jobs.folder(first).path.parent.iterdir()] == [first]
        assert [status.job.id for status in await jobs.page(9)] == [first]


async def test_an_upload_that_is_not_submitted_leaves_nothing(tmp_path: Path) -> None:
    """A caller who leaves in the middle of the upload leaves no file, no job and no place taken."""
    async with started(tmp_path, Counting(), limits=limits(waiting=1)) as jobs:
        for _ in range(3):
            with pytest.raises(ConnectionResetError):
                await leave_in_the_middle(jobs)
        assert list(jobs.folder("any").path.parent.iterdir()) == []
        assert (jobs.disk_bytes, await jobs.page(9)) == (0, [])
        await submitted(jobs, 1)


async def test_the_same_key_at_the_same_time_is_one_job(tmp_path: Path) -> None:
    """Two uploads that race for a key end as one job with one folder."""
    async with started(tmp_path, Counting()) as jobs:
        ids = await asyncio.gather(*(submitted(jobs, 5, key="k") for _ in range(5)))
        assert len(set(ids)) == 1
        assert [path.name for path in jobs.folder(ids[0]).path.parent.iterdir()] == ids[:1]


async def test_who_leaves_while_a_job_is_accepted_leaves_a_whole_job_or_none(tmp_path: Path) -> None:
    """Wherever a caller is cancelled, row, file and queue agree."""
    async with started(tmp_path, Counting(), limits=limits(waiting=64)) as jobs:
        for steps in range(40):
            submitting = asyncio.create_task(submitted(jobs, 2))
            for _ in range(steps):
                await asyncio.sleep(0.0001)
            submitting.cancel()
            await asyncio.wait([submitting])
        ids = {status.job.id for status in await jobs.page(99)}
        assert {(await ended(jobs, job_id)).job.state for job_id in ids} == {JobState.DONE}
        assert {path.name for path in jobs.folder("any").path.parent.iterdir()} == ids


@pytest.mark.parametrize("job_id", ["", "..", "../a", "a/b", "\ud800", "é", "a\0"])
async def test_no_id_leads_out_of_the_folder(tmp_path: Path, job_id: str) -> None:
    """What is no id is no job, and never part of a path."""
    async with started(tmp_path, Counting()) as jobs:
        assert await jobs.get(job_id) is None
        assert not await jobs.delete(job_id)
        with pytest.raises(ValueError, match="is no job's id"):
            jobs.results(job_id)


async def test_any_file_name_is_taken(tmp_path: Path) -> None:
    """A name in a broken encoding, or without end, does no harm."""
    async with started(tmp_path, Counting()) as jobs, jobs.receive() as upload:
        await upload.write(b"1")
        job = await jobs.submit(upload, {}, input_name="\udcff" + "x" * 10_000)
        assert (await ended(jobs, job.id)).job.input_name == "?" + "x" * 254


async def test_pages_show_jobs_as_they_stand(tmp_path: Path) -> None:
    """A page knows of a running job what its row does not know yet."""
    work = Counting(gate_at=1)
    async with started(tmp_path, work) as jobs:
        ids = [await submitted(jobs, 2) for _ in range(3)]
        await work.at_gate.wait()
        page = await jobs.page(9)
        assert {status.job.id: status.progress for status in page} == {ids[0]: 0.5, ids[1]: 0.0, ids[2]: 0.0}
        assert [s.job.id for s in await jobs.page(9, before=page[0].job.id)] == [s.job.id for s in page[1:]]


async def test_problems_are_kept_once_and_in_bounds(tmp_path: Path) -> None:
    """A file with a million faults has a short list of them."""

    class Complaining(Counting):
        async def run(self, job: Job, progress: Progress) -> None:
            for number in range(1000):
                progress.problem("torn")
                progress.problem(f"frame {number}")
            await progress.moved(7)

    async with started(tmp_path, Complaining()) as jobs:
        status = await ended(jobs, await submitted(jobs, 1))
        assert (len(status.job.problems), status.job.problems[:2]) == (100, ("torn", "frame 0"))
        assert status.job.frames_done == 7


async def test_events_tell_what_happens(tmp_path: Path) -> None:
    """Each state that a job enters is told, and each result with its source."""
    told: list[object] = []
    heard: Callable[..., None] = lambda *args: told.append(args)  # noqa: E731 - four times the same listener
    async with started(tmp_path, Counting(), events=JobEvents(heard, heard, heard, heard, heard)) as jobs:
        await ended(jobs, job_id := await submitted(jobs, 2))
        size = jobs.disk_bytes
        await jobs.delete(job_id)
    assert told == [("queued",), ("running",), (1, 0, 0), (0, 1, 0), ("done",), (size,)]


async def test_frames_without_a_result_are_told_as_skipped(tmp_path: Path) -> None:
    """What a sampling passes over counts once: between two results, and behind the last."""

    class Sampling(Counting):
        async def run(self, job: Job, progress: Progress) -> None:
            await progress.append([{"frame": 0, "timestamp_s": 0.0}, {"frame": 5, "timestamp_s": 0.5}])
            await progress.moved(6)
            await progress.moved(9)

    frames: list[tuple[int, int, int]] = []
    events = replace(JobEvents.silent(), frames=lambda *counts: frames.append(counts))
    async with started(tmp_path, Sampling(), events=events) as jobs:
        await ended(jobs, await submitted(jobs, 1))
    assert [sum(counts) for counts in zip(*frames, strict=True)] == [2, 0, 7]


async def test_frames_of_windows_are_not_told_as_skipped(tmp_path: Path) -> None:
    """Where a line is of several frames, those without a line of their own were seen all the same."""

    class Windows(Counting):
        async def run(self, job: Job, progress: Progress) -> None:
            progress.skips = False
            await progress.append([{"frame": 0, "timestamp_s": 0.0}, {"frame": 8, "timestamp_s": 0.5}])
            await progress.moved(24)

    frames: list[tuple[int, int, int]] = []
    events = replace(JobEvents.silent(), frames=lambda *counts: frames.append(counts))
    async with started(tmp_path, Windows(), events=events) as jobs:
        await ended(jobs, await submitted(jobs, 1))
    assert [sum(counts) for counts in zip(*frames, strict=True)] == [2, 0, 0]


async def test_a_thousand_jobs_leave_nothing(tmp_path: Path) -> None:
    """A thousand jobs submitted and deleted, waiting or running, leave no task, no open file and no file."""
    async with started(tmp_path, work := Counting(gate_at=1)) as jobs:
        before = (len(asyncio.all_tasks()), open_files())
        for _ in range(250):
            ids = [await submitted(jobs, 2) for _ in range(4)]
            await work.at_gate.wait()
            work.at_gate.clear()
            assert await asyncio.gather(*(jobs.delete(job_id) for job_id in ids)) == [True] * 4
        assert (len(asyncio.all_tasks()), open_files()) == before
        assert (jobs.running, jobs.waiting, jobs.disk_bytes, await jobs.page(9)) == (0, 0, 0, [])
        assert list(jobs.folder("any").path.parent.iterdir()) == []
    assert len(work.begun_at) >= 250


async def test_who_has_read_all_lines_finds_that_the_job_has_ended(tmp_path: Path) -> None:
    """The lines come to their end only once the state says so."""
    async with started(tmp_path, Counting()) as jobs:
        for _ in range(5):
            job_id = await submitted(jobs, 3)
            assert await frames_of(jobs, job_id) == [0, 1, 2]
            assert await state_of(jobs, job_id) is JobState.DONE
