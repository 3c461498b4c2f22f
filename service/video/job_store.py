"""The jobs on disk: SQLite, one row a job, written by one thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import orjson

from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.video.disk import disk_full, to_its_end
from service.video.job import Job, JobState

R = TypeVar("R")

_FIRST = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    input_name TEXT,
    input_bytes INTEGER NOT NULL,
    created_s REAL NOT NULL,
    started_s REAL,
    finished_s REAL,
    frames_total INTEGER,
    frames_done INTEGER NOT NULL,
    frames_processed INTEGER NOT NULL,
    frames_carried INTEGER NOT NULL,
    last_frame INTEGER,
    error_kind TEXT,
    error_message TEXT,
    attempts INTEGER NOT NULL,
    idempotency_key TEXT UNIQUE,
    request_hash TEXT NOT NULL,
    problems TEXT NOT NULL,
    summary TEXT NOT NULL DEFAULT '{}',
    webhook_due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_by_state ON jobs (state, finished_s);
"""
_OWNER = "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''"
MIGRATIONS: tuple[str, ...] = (_FIRST, _OWNER)
"""Step n leads from version n to version n + 1; what has been released is never edited."""

_COLUMNS = tuple(field.name for field in fields(Job))
_INSERT = f"INSERT INTO jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608 - names of fields
_UPDATE = f"UPDATE jobs SET {', '.join(f'{name} = :{name}' for name in _COLUMNS)} WHERE id = :id"  # noqa: S608 - names of fields


class KeyReused(ServiceError):
    """The idempotency key belongs to another request."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.CONFLICT, "this idempotency key was used for another request")


class JobStore:
    """Reads and writes rows; every call is done in order, in one thread, and to its end even if its caller leaves.

    Only one process has the file: a second one is refused after ``wait_s``, for it would begin the same jobs.
    """

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS, *, wait_s: float = 5.0) -> None:
        self._path = path
        self._migrations = migrations
        self._wait_s = wait_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="video-jobs")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open or create the file and bring it to the newest version.

        Raises:
            sqlite3.Error: another process has it, or it is no such file.
            ValueError: a later release wrote it.
        """
        try:
            await self._call(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the file and end the thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, connection.close)
        self._thread.shutdown()  # it has nothing to do any more

    async def add(self, job: Job) -> Job:
        """Add a job, or find the one that has the same idempotency key and the same request.

        Raises:
            KeyReused: the key belongs to another request.
        """
        return await self._call(self._add, job)

    async def update(self, job: Job) -> bool:
        """Write a job anew; False if there is none (any more)."""
        return await self._call(lambda: self._execute(_UPDATE, _row(job)).rowcount > 0)

    async def get(self, job_id: str) -> Job | None:
        """The job of that id."""
        found = await self._call(self._select, "WHERE id = ?", (job_id,))
        return found[0] if found else None

    async def page(
        self, limit: int, *, before: str | None = None, state: JobState | None = None, owner: str | None = None
    ) -> list[Job]:
        """The newest first, up to ``limit``; ``before`` is the id of the last one that the caller has seen.

        ``owner`` is whose they are; None: everybody's.
        """
        if limit < 1:
            raise invalid_parameters(f"limit is {limit}; it must be 1 or more")
        wanted = "(?1 IS NULL OR id < ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR owner = ?3)"
        where = f"WHERE {wanted} ORDER BY id DESC LIMIT ?4"
        return await self._call(self._select, where, (before, state, owner, limit))

    async def unended(self) -> list[Job]:
        """Those that are queued or running, the oldest first."""
        return await self._call(self._select, "WHERE state IN ('queued', 'running') ORDER BY id", ())

    async def ended(self) -> list[Job]:
        """Those that have ended, the one that ended first at the front."""
        where = "WHERE state NOT IN ('queued', 'running') ORDER BY finished_s, id"
        return await self._call(self._select, where, ())

    async def ids(self) -> set[str]:
        """Of all jobs."""
        return await self._call(lambda: {row[0] for row in self._execute("SELECT id FROM jobs", ())})

    async def remove(self, job_id: str) -> None:
        """Forget a job; silent where there is none."""
        await self._call(self._execute, "DELETE FROM jobs WHERE id = ?", (job_id,))

    async def _call(self, call: Callable[..., R], *args: object) -> R:
        try:
            return await to_its_end(asyncio.get_running_loop().run_in_executor(self._thread, call, *args))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise disk_full() from error
            raise

    def _open(self) -> None:
        # Statements commit by themselves; a migration opens its own transaction.
        connection = sqlite3.connect(self._path, timeout=self._wait_s, isolation_level=None, check_same_thread=True)
        self._connection = connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE").connection.rollback()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._migrations):
            raise ValueError(f"{self._path} is of version {version}; this release knows {len(self._migrations)}")
        for number, step in enumerate(self._migrations[version:], start=version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")

    def _execute(self, statement: str, values: Any) -> sqlite3.Cursor:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the store is closed")
        return self._connection.execute(statement, values)

    def _select(self, where: str, values: Sequence[object]) -> list[Job]:
        return [_job(row) for row in self._execute(f"SELECT * FROM jobs {where}", values)]  # noqa: S608 - from above

    def _add(self, job: Job) -> Job:
        try:
            self._execute(_INSERT, _row(job))
        except sqlite3.IntegrityError:
            found = self._select("WHERE idempotency_key = ?", (job.idempotency_key,))
            if not found:
                raise
            if found[0].request_hash != job.request_hash:
                raise KeyReused from None
            return found[0]
        return job


def _row(job: Job) -> dict[str, object]:
    row = {name: getattr(job, name) for name in _COLUMNS}
    return row | {
        "request": orjson.dumps(job.request).decode(),
        "problems": orjson.dumps(job.problems).decode(),
        "summary": orjson.dumps(job.summary).decode(),
        "webhook_due": int(job.webhook_due),
    }


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in _COLUMNS}
    values["state"] = JobState(values["state"])
    values["request"] = orjson.loads(values["request"])
    values["problems"] = tuple(orjson.loads(values["problems"]))
    values["summary"] = orjson.loads(values["summary"])
    values["webhook_due"] = bool(values["webhook_due"])
    values["error_kind"] = ErrorKind(values["error_kind"]) if values["error_kind"] else None
    return Job(**values)
