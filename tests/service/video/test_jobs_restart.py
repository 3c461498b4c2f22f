import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import ErrorKind
from service.video.job import Job, JobState
from service.video.progress import Progress
from tests.service.video.job_work import (
    Counting,
    ended,
    frames_of,
    limits,
    started,
    status_of,
    submitted,
)

_SERVICE = """
import asyncio, pathlib, sys
from tests.service.video.job_work import Counting, started, submitted

class Telling(Counting):
    async def run(self, job, progress):
        for frame in range(progress.next_frame, 10**9):
            await progress.append([{"frame": frame, "pad": "x" * 5000}])
            if frame == 200:
                print(job.id, flush=True)

async def main():
    async with started(pathlib.Path(sys.argv[1]), Telling()) as jobs:
        if not await jobs.page(1):
            await submitted(jobs, 300)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def killed_in_the_middle(root: Path) -> str:
    """Run a service in a process of its own and kill it while it writes; the id of its job."""
    repository = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", _SERVICE, root], cwd=repository, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        job_id = child.stdout.readline().strip()
        child.kill()
    assert child.returncode == -signal.SIGKILL
    return job_id


async def test_a_job_goes_on_after_its_service_was_killed(tmp_path: Path) -> None:
    """After SIGKILL in the middle of writing, the next service goes on behind the last whole line."""
    job_id = await asyncio.to_thread(killed_in_the_middle, tmp_path)
    with (tmp_path / "jobs" / job_id / "results.ndjson").open("ab") as file:
        file.write(b'{"frame":201,"torn')
    async with started(tmp_path, work := Counting()) as jobs:
        status = await ended(jobs, job_id)
        begun_at = work.begun_at[0]
        assert begun_at > 200
        assert (status.job.state, status.job.attempts) == (JobState.DONE, 2)
        assert await frames_of(jobs, job_id) == list(range(max(300, begun_at)))
        job = status.job
        assert job.frames_processed + job.frames_carried == job.frames_done == max(300, begun_at)


async def test_a_job_that_takes_the_service_with_it_fails_in_the_end(tmp_path: Path) -> None:
    """A job that was begun too often fails clearly, and its partial results stay readable."""
    job_id = await asyncio.to_thread(killed_in_the_middle, tmp_path)
    async with started(tmp_path, work := Counting(), limits=limits(attempts=1)) as jobs:
        job = (await status_of(jobs, job_id)).job
        assert (job.state, job.error_kind) == (JobState.FAILED, ErrorKind.INTERNAL)
        assert job.error_message == "the service ended in the middle of this job too often: 1 times"
        frames = await frames_of(jobs, job_id)
        assert (frames, job.last_frame) == (list(range(len(frames))), len(frames) - 1)
        assert work.begun_at == []


async def test_jobs_outlive_an_orderly_end(tmp_path: Path) -> None:
    """A shutdown leaves the running job queued where it stands, counts no attempt, and keeps those that wait."""
    async with started(tmp_path, work := Counting(gate_at=2)) as jobs:
        ids = [await submitted(jobs, 4) for _ in range(2)]
        await work.at_gate.wait()
    async with started(tmp_path, work := Counting()) as jobs:
        assert await frames_of(jobs, ids[0]) == [0, 1, 2, 3]
        done = [await ended(jobs, job_id) for job_id in ids]
        assert [(status.job.state, status.job.attempts) for status in done] == [(JobState.DONE, 1)] * 2
        assert work.begun_at == [2, 0]


async def test_readers_end_with_the_service(tmp_path: Path) -> None:
    """A reader that waits for lines is let go at the end of the service."""
    async with started(tmp_path, work := Counting(gate_at=2)) as jobs:
        job_id = await submitted(jobs, 4)
        await work.at_gate.wait()
        reading = asyncio.create_task(frames_of(jobs, job_id))
        await asyncio.sleep(0)
    assert await reading == [0, 1]


async def test_work_that_does_not_stop_holds_no_service_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Work that clings to life is left behind after the drain time, and its job goes on at the next start."""

    class Clinging(Counting):
        async def run(self, *args: object) -> None:
            self.at_gate.set()
            while not self.gate.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await self.gate.wait()

    async with started(tmp_path, work := Clinging()) as jobs:
        job_id = await submitted(jobs, 4)
        await work.at_gate.wait()
        await jobs.close(drain_s=0.01)
        assert "did not stop within 0.01 s" in caplog.text
        work.gate.set()
    async with started(tmp_path, Counting()) as jobs:
        assert (await ended(jobs, job_id)).job.state is JobState.DONE


async def test_work_that_returns_when_it_is_cancelled_is_not_done(tmp_path: Path) -> None:
    """Work that takes the end of the service for its own is run again, from where it stood."""

    class Yielding(Counting):
        async def run(self, job: Job, progress: Progress) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await super().run(job, progress)

    async with started(tmp_path, work := Yielding(gate_at=2)) as jobs:
        job_id = await submitted(jobs, 4)
        await work.at_gate.wait()
    async with started(tmp_path, work := Counting()) as jobs:
        assert (await ended(jobs, job_id)).job.state is JobState.DONE
        assert work.begun_at == [2]


async def test_a_job_whose_video_was_lost_fails(tmp_path: Path) -> None:
    """A disk that forgot the file leaves a job that says so, and keeps its lines."""
    async with started(tmp_path, work := Counting(gate_at=2)) as jobs:
        job_id = await submitted(jobs, 4)
        await work.at_gate.wait()
        jobs.folder(job_id).input.unlink()
    async with started(tmp_path, Counting()) as jobs:
        job = (await status_of(jobs, job_id)).job
        assert (job.state, job.error_message) == (JobState.FAILED, "the video was lost")
        assert await frames_of(jobs, job_id) == [0, 1]


async def test_files_of_no_job_are_removed_at_the_start(tmp_path: Path) -> None:
    """What a crash in the middle of an upload has left is gone after the next start; jobs keep their files."""
    async with started(tmp_path, Counting()) as jobs:
        job_id = await submitted(jobs, 4)
        await ended(jobs, job_id)
        (tmp_path / "jobs" / "stranger").mkdir()
        (tmp_path / "jobs" / "stranger" / "input").write_bytes(b"half")
    async with started(tmp_path, Counting()) as jobs:
        assert [path.name for path in (tmp_path / "jobs").iterdir()] == [job_id]
        assert await frames_of(jobs, job_id, 2) == [2, 3]
        assert jobs.disk_bytes > 0
