"""Video jobs: accepted, queued, run, cancelled, kept for a while; all of it survives a restart."""

import asyncio
import hashlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from service.allocator import give_back_freed_memory
from service.errors import ErrorKind, ServiceError, overloaded
from service.telemetry.tracing import CURRENT
from service.video.disk import on_disk, to_its_end
from service.video.disk_budget import DiskBudget
from service.video.job import Job, JobState, is_job_id, new_job_id
from service.video.job_disk import JobDisk
from service.video.job_events import JobEvents
from service.video.job_folder import JobFolder
from service.video.job_limits import JobLimits
from service.video.job_store import JobStore
from service.video.progress import JobStatus, Progress, share_done
from service.video.results_file import ResultsFile, recovered
from service.video.telling import Tell, Telling
from service.video.upload import Upload, too_large
from service.video.work import Work, failed, outcome, run_with_retries

_log = logging.getLogger("vitrail.video")
_MAX_NAME = 255


@dataclass(slots=True, eq=False)
class _Live:
    """A job that has not ended."""

    progress: Progress
    attempts: int
    """Before the one that may be under way."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    work: asyncio.Task[None] | None = None


class Jobs:
    """All jobs of a service, in one folder that belongs to this process alone."""

    def __init__(
        self,
        root: Path,
        work: Work,
        limits: JobLimits,
        *,
        events: JobEvents | None = None,
        webhook: Tell | None = None,
    ) -> None:
        """``start`` is still to be called. Without ``webhook``, jobs that ask for one are refused."""
        self._root = root
        self._work = work
        self._limits = limits
        self._events = events or JobEvents.silent()
        self._telling = Telling(webhook, self._told)
        self._store = JobStore(root / "jobs.sqlite")
        budget = DiskBudget(root, limits.disk_bytes, limits.min_free_bytes)
        self._disk = JobDisk(root, self._store, budget, limits.max_age_s, self._removed)
        self._live: dict[str, _Live] = {}
        self._waiting: dict[str, _Live] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._uploads: set[Upload] = set()
        self._unsaved: dict[str, Job] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._closing = False
        self.unavailable: str | None = None
        """Why there are no jobs here, for callers; None where there are."""

    def require(self) -> None:
        """Raise ServiceError (engine_unavailable) where there are no jobs here."""
        if self.unavailable is not None:
            raise ServiceError(ErrorKind.ENGINE_UNAVAILABLE, self.unavailable)

    @property
    def waiting(self) -> int:
        """Jobs that wait for their turn."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs that run."""
        return len(self._running)

    @property
    def disk_bytes(self) -> int:
        """What the files of all jobs take, as last measured."""
        return self._disk.used

    async def start(self) -> None:
        """Take up what an earlier process left: see ``recover``; then run jobs.

        Raises:
            sqlite3.Error: another process works in this folder.
            ValueError: a later release has worked in it.
            OSError: the folder cannot be made or read.
        """
        await on_disk(self._root.mkdir, parents=True, exist_ok=True)
        await self._store.open()
        await self.recover()
        self._sweeper = asyncio.create_task(self._sweep_for_ever())
        self._start_next()

    async def recover(self) -> None:
        """Remove files of no job; queue again what was under way, or let it fail where it was begun too often."""
        await self._disk.remove_strangers(await self._store.ids())
        for job in await self._store.ended():
            await self._disk.measure(job.id)
            self._telling.begin(job)
        for job in await self._store.unended():
            await self._recover(job)

    async def close(self, drain_s: float = 10.0) -> None:
        """Stop the work, within ``drain_s`` seconds; what was under way goes on at the next start.

        To be called before what the work needs is closed, and after a ``start`` that has failed too.
        """
        self._closing = True
        self.unavailable = self.unavailable or "the service is ending; ask again when it is back"
        if self._sweeper is not None:
            self._sweeper.cancel()
        for live in self._live.values():
            if live.work is not None:
                live.work.cancel()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=drain_s)
            for task in late:
                _log.error("%s did not stop within %g s; it goes on from its last result", task.get_name(), drain_s)
                task.cancel()
        beside = [self._sweeper] if self._sweeper is not None else []
        await asyncio.gather(*beside, *self._running, return_exceptions=True)
        await self._telling.close()
        for live in list(self._live.values()):
            await live.progress.results.close()
        await self._store.close()

    @asynccontextmanager
    async def receive(self, declared_bytes: int | None = None) -> AsyncIterator[Upload]:
        """Take in a video: write to the upload, then ``submit`` it; what is not submitted leaves nothing.

        Args:
            declared_bytes: Its size as the caller says.

        Raises:
            ServiceError: overloaded where too many wait; storage_full; too_large.
        """
        if self._closing or len(self._waiting) + len(self._uploads) >= self._limits.waiting:
            raise overloaded("too many videos wait already")
        if declared_bytes is not None and declared_bytes > self._limits.upload_bytes:
            raise too_large(self._limits.upload_bytes)
        upload = self._upload(new_job_id())
        self._uploads.add(upload)
        try:
            await self._disk.make_room(declared_bytes or 0)
            await upload.open()
            yield upload
        finally:
            self._uploads.discard(upload)
            if not upload.taken:
                self._disk.forget(upload.id)
                await upload.discard()

    def check(self, request: Mapping[str, Any]) -> None:
        """Raise ServiceError (invalid_parameters, or the policy's) where ``submit`` would: before a video is sent."""
        if (url := request.get("webhook")) is not None:
            self._telling.check(url)

    async def submit(
        self,
        upload: Upload,
        request: Mapping[str, Any],
        *,
        input_name: str | None = None,
        idempotency_key: str | None = None,
        owner: str = "",
    ) -> Job:
        """Queue a job over what has come; with a key that was used for the same request, the job of then.

        Args:
            upload: From ``receive``; all has been written.
            request: What JSON can say; ``webhook`` is the address to tell of the end.
            input_name: As the caller gave it.
            idempotency_key: Unique among all callers: put the caller's name before it where there are several.
            owner: Whose it is; empty where nobody was asked who they are.

        Raises:
            ServiceError: conflict (as KeyReused) where the key belongs to another request; storage_full; and what
                ``check`` raises.
        """
        self.check(request)
        await upload.finish()
        text = orjson.dumps(dict(request), option=orjson.OPT_SORT_KEYS)
        job = Job(
            id=upload.id,
            request=dict(request),
            input_name=None if input_name is None else _shown(input_name),
            input_bytes=upload.size,
            created_s=time.time(),
            owner=owner,
            idempotency_key=idempotency_key,
            request_hash=hashlib.sha256(text + upload.digest.encode()).hexdigest(),
            webhook_due="webhook" in request,
        )
        return await to_its_end(asyncio.ensure_future(self._take(upload, job)))

    async def get(self, job_id: str) -> JobStatus | None:
        """How a job stands; None if there is none of that id."""
        live = self._live.get(job_id)
        if live is not None:
            return live.progress.status()
        job = await self._store.get(job_id) if is_job_id(job_id) else None
        return None if job is None else self._status(job)

    async def page(
        self, limit: int, *, before: str | None = None, state: JobState | None = None, owner: str | None = None
    ) -> list[JobStatus]:
        """Jobs, the newest first, up to ``limit``; ``before`` is the id of the last one that the caller has seen.

        ``owner`` is whose they are; None: everybody's.

        Raises:
            ServiceError: invalid_parameters for a limit below 1.
        """
        return [self._status(job) for job in await self._store.page(limit, before=before, state=state, owner=owner)]

    def folder(self, job_id: str) -> JobFolder:
        """Where the files of a job stand; for an id that ``get`` knows."""
        return self._disk.folder(job_id)

    def results(self, job_id: str) -> ResultsFile:
        """The results of a job, for an id that ``get`` knows: they stream while it has not ended."""
        live = self._live.get(job_id)
        return live.progress.results if live is not None else ResultsFile.ended(self._disk.folder(job_id).results)

    async def cancel(self, job_id: str) -> bool:
        """End a job, wherever it stands; what was done is kept. False if there is none of that id.

        Returns once the work has stopped.
        """
        live = self._live.get(job_id)
        if live is None:
            return await self.get(job_id) is not None
        live.cancelled = True
        if live.work is not None:
            live.work.cancel()
        if self._waiting.pop(job_id, None) is not None:
            cancelled = replace(live.progress.job, state=JobState.CANCELLED)
            await to_its_end(asyncio.ensure_future(self._end(live, cancelled)))
        await live.ended.wait()
        return True

    async def delete(self, job_id: str) -> bool:
        """Cancel a job and remove all that is known of it. False if there is none of that id."""
        if not await self.cancel(job_id):
            return False
        await to_its_end(asyncio.ensure_future(self._disk.remove(job_id)))
        return True

    async def sweep(self) -> None:
        """Remove jobs that are too old or take too much; write rows again that could not be written."""
        for job_id in list(self._live):
            await self._disk.measure(job_id)
        await self._disk.sweep()
        for job in list(self._unsaved.values()):
            await self._store.update(job)
            if self._unsaved.get(job.id) is job:
                del self._unsaved[job.id]

    def _status(self, job: Job) -> JobStatus:
        """From a row, unless more is known here."""
        live = self._live.get(job.id)
        if live is not None:
            return live.progress.status()
        job = self._unsaved.get(job.id, job)
        return JobStatus(job, share_done(job))

    def _upload(self, job_id: str) -> Upload:
        async def room(size: int, more: int) -> None:
            self._disk.note(job_id, size)
            await self._disk.make_room(more)

        return Upload(job_id, self._disk.folder(job_id), self._limits.upload_bytes, room)

    async def _take(self, upload: Upload, job: Job) -> Job:
        kept = await self._store.add(job)
        if kept.id != job.id:
            return kept
        upload.taken = True
        self._uploads.discard(upload)
        self._disk.note(job.id, upload.size)
        self._queue(job)
        self._start_next()
        return job

    def _progress(self, job: Job) -> Progress:
        return Progress(job, self._disk.folder(job.id), self._save, self._events.frames)

    def _queue(self, job: Job) -> None:
        self._live[job.id] = self._waiting[job.id] = _Live(self._progress(job), job.attempts)
        self._events.entered(JobState.QUEUED)

    def _start_next(self) -> None:
        while self._waiting and not self._closing and len(self._running) < self._limits.running:
            job_id = next(iter(self._waiting))
            running = asyncio.create_task(self._run(self._waiting.pop(job_id)), name=f"video job {job_id}")
            self._running.add(running)
            running.add_done_callback(self._stopped)

    def _stopped(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._start_next()

    async def _run(self, live: _Live) -> None:
        """The work is a task of its own: it may be cancelled, what is written after it may not."""
        # It stems from the upload that set it going, or from the job before it.
        CURRENT.set(None)
        live.work = asyncio.create_task(self._attempt(live.progress))
        if live.cancelled or self._closing:
            live.work.cancel()
        await asyncio.wait([live.work])
        # Heaps are left in pieces by the frames of one job after another, of this size and that.
        await asyncio.to_thread(give_back_freed_memory)
        await self._end(live, _outcome(live, closing=self._closing))

    async def _attempt(self, progress: Progress) -> None:
        job = progress.job
        job = replace(job, state=JobState.RUNNING, started_s=job.started_s or time.time(), attempts=job.attempts + 1)
        progress.started(job)
        self._events.entered(JobState.RUNNING)
        await self._store.update(job)
        await progress.results.open()
        await run_with_retries(self._work, progress, self._limits, self._events.retried)

    async def _end(self, live: _Live, job: Job) -> None:
        """Results first, then the row: whoever reads that a job is done finds all its lines."""
        if job.state.ended:
            job = replace(job, finished_s=time.time())
        try:
            await live.progress.results.keep()
            await self._disk.measure(job.id)
        except (OSError, ServiceError) as error:
            _log.error("video job %s: its results may not be on disk: %s", job.id, error)
        await self._write(job)
        self._live.pop(job.id, None)
        # Only now: who has read all lines finds that the job has ended.
        await live.progress.results.close()
        live.ended.set()
        self._events.entered(job.state)
        self._telling.begin(job)

    async def _write(self, job: Job) -> None:
        """Write a row; if that fails, remember it until it succeeds: a full disk ends no service."""
        try:
            await self._store.update(job)
        except (sqlite3.Error, ServiceError) as error:
            _log.error("video job %s: its state is not on disk yet: %s", job.id, error)
            self._unsaved[job.id] = job

    async def _save(self, progress: Progress) -> None:
        await self._disk.measure(progress.job.id)
        await self._disk.make_room(0)
        await self._store.update(progress.job)

    def _removed(self, job_id: str, size: int) -> None:
        self._unsaved.pop(job_id, None)
        self._events.removed(size)

    async def _recover(self, job: Job) -> None:
        counts = await on_disk(recovered, self._disk.folder(job.id).results)
        await self._disk.measure(job.id)
        job = replace(
            job,
            state=JobState.QUEUED,
            frames_processed=counts.processed,
            frames_carried=counts.carried,
            last_frame=counts.last_frame,
            frames_done=0 if counts.last_frame is None else counts.last_frame + 1,
        )
        if job.attempts >= self._limits.attempts:
            await self._give_up(job, f"the service ended in the middle of this job too often: {job.attempts} times")
            return
        if not await on_disk(self._disk.folder(job.id).input.exists):
            await self._give_up(job, "the video was lost")
            return
        await self._store.update(job)
        self._queue(job)

    async def _give_up(self, job: Job, message: str) -> None:
        await self._end(_Live(self._progress(job), job.attempts), failed(job, ErrorKind.INTERNAL, message))

    async def _told(self, job: Job, taken: bool) -> None:  # noqa: FBT001 - as the webhook has it
        self._events.webhook(taken)
        await self._write(replace(job, webhook_due=False))

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            try:
                await self.sweep()
            except (sqlite3.Error, OSError, ServiceError):
                _log.exception("video jobs could not be swept; they will be again")


def _shown(name: str) -> str:
    """A name that any store and any page takes, whatever bytes it came in."""
    return name[:_MAX_NAME].encode(errors="replace").decode()


def _outcome(live: _Live, *, closing: bool) -> Job:
    """The job, whose work has stopped: as its caller wanted, or the end of the service, or the work itself."""
    job, work = live.progress.job, live.work
    if live.cancelled or work is None:
        return replace(job, state=JobState.CANCELLED)
    if closing and work.cancelling():  # however it took it: it may have returned in the middle
        return replace(job, state=JobState.QUEUED, attempts=live.attempts)
    return outcome(job, work)
