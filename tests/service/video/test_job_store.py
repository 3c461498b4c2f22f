import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.job import Job, JobState, new_job_id
from service.video.job_store import MIGRATIONS, JobStore, KeyReused

_FIRST_INSERT = (
    "INSERT INTO jobs (id, state, request, input_bytes, created_s, frames_done, frames_processed, frames_carried,"
    " attempts, request_hash, problems, webhook_due) VALUES (?, 'done', '{}', 1, 1.0, 0, 0, 0, 0, '', '[]', 0)"
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[JobStore]:
    """An open store, empty."""
    store = JobStore(tmp_path / "jobs.sqlite", wait_s=0.0)
    await store.open()
    yield store
    await store.close()


def job(job_id: str = "a", **changes: object) -> Job:
    """A job that has just been accepted."""
    return replace(Job(id=job_id, request={}, input_name=None, input_bytes=1, created_s=1.0), **changes)  # type: ignore[arg-type]


FULL = job(
    "full",
    state=JobState.FAILED,
    request={"task": "detect", "fps": 5, "track": True, "webhook": "https://example.org/é"},
    input_name="Straße.mp4",
    started_s=2.5,
    finished_s=3.25,
    frames_total=100,
    frames_done=50,
    frames_processed=20,
    frames_carried=5,
    last_frame=49,
    error_kind=ErrorKind.ENGINE_UNAVAILABLE,
    error_message="gone",
    attempts=2,
    idempotency_key="key",
    request_hash="hash",
    problems=("one", "two"),
    summary={"model": {"name": "yolox", "version": "3"}, "tracks": 4, "classes": [{"label": "Straße", "score": 0.5}]},
    webhook_due=True,
)


async def test_a_job_comes_back_as_it_was(store: JobStore, tmp_path: Path) -> None:
    """Every field of a job survives the end of the process."""
    await store.add(FULL)
    await store.add(job())
    assert [await store.get("full"), await store.get("a"), await store.get("b")] == [FULL, job(), None]
    await store.close()
    again = JobStore(tmp_path / "jobs.sqlite")
    await again.open()
    assert await again.get("full") == FULL
    await again.close()


async def test_a_row_is_written_anew_only_where_there_is_one(store: JobStore) -> None:
    """An update changes the job; one that has been removed does not come back by it."""
    await store.add(job())
    assert await store.update(job(frames_done=7))
    assert await store.get("a") == job(frames_done=7)
    await store.remove("a")
    assert not await store.update(job(frames_done=8))
    assert await store.ids() == set()


async def test_a_key_finds_its_job_and_refuses_another_request(store: JobStore) -> None:
    """The same key with the same request is the same job; with another request it is an error of the caller."""
    first = job("a", idempotency_key="k", request_hash="1")
    assert await store.add(first) == first
    assert await store.add(job("b", idempotency_key="k", request_hash="1")) == first
    with pytest.raises(KeyReused) as refused:
        await store.add(job("c", idempotency_key="k", request_hash="2"))
    assert refused.value.kind is ErrorKind.CONFLICT
    await store.add(job("d"))
    await store.add(job("e"))
    assert await store.ids() == {"a", "d", "e"}


async def test_pages_go_from_the_newest_to_the_oldest(store: JobStore) -> None:
    """A page goes on behind the job seen last, even where that one has been removed since."""
    for name in "abcde":
        await store.add(job(name, state=JobState.DONE if name in "bd" else JobState.QUEUED))
    assert [found.id for found in await store.page(2)] == ["e", "d"]
    await store.remove("d")
    assert [found.id for found in await store.page(2, before="d")] == ["c", "b"]
    assert [found.id for found in await store.page(9, state=JobState.QUEUED)] == ["e", "c", "a"]
    with pytest.raises(ServiceError, match="limit is 0"):
        await store.page(0)


async def test_jobs_that_ended_and_those_that_did_not_are_told_apart(store: JobStore) -> None:
    """What has not ended comes in the order of its coming, what has ended in the order of its end."""
    for name, state, finished_s in (("a", "done", 9.0), ("b", "running", None), ("c", "queued", None)):
        await store.add(job(name, state=JobState(state), finished_s=finished_s))
    await store.add(job("d", state=JobState.CANCELLED, finished_s=3.0))
    await store.add(job("e", state=JobState.FAILED, finished_s=5.0))
    assert [found.id for found in await store.unended()] == ["b", "c"]
    assert [found.id for found in await store.ended()] == ["d", "e", "a"]


async def test_only_one_process_has_the_store(store: JobStore, tmp_path: Path) -> None:
    """A second service on the same folder is refused: it would run the same jobs."""
    second = JobStore(tmp_path / "jobs.sqlite", wait_s=0.0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await second.open()
    await store.close()
    third = JobStore(tmp_path / "jobs.sqlite", wait_s=0.0)
    await third.open()
    await third.close()


async def test_a_later_release_adds_to_the_rows_that_are_there(tmp_path: Path) -> None:
    """A migration runs once, keeps the jobs, and an older release refuses what it does not know."""
    path, later = tmp_path / "jobs.sqlite", (*MIGRATIONS, "ALTER TABLE jobs ADD COLUMN colour TEXT DEFAULT 'x'")
    for migrations in (MIGRATIONS, later, later):
        store = JobStore(path, migrations)
        await store.open()
        if migrations is MIGRATIONS:
            await store.add(FULL)
        assert await store.get("full") == FULL
        await store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT colour FROM jobs").fetchall() == [("x",)]
    connection.close()
    with pytest.raises(ValueError, match=r"version 3; this release knows 2"):
        await JobStore(path).open()


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Half a migration is none: the older release still opens its file."""
    path, broken = tmp_path / "jobs.sqlite", (*MIGRATIONS, "ALTER TABLE jobs ADD COLUMN colour TEXT; SELECT nonsense")
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        await JobStore(path, broken).open()
    with sqlite3.connect(path) as connection:
        assert "colour" not in [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
    connection.close()
    store = JobStore(path)
    await store.open()
    assert await store.ids() == set()
    await store.close()


async def test_jobs_of_a_release_without_owners_are_nobodys(tmp_path: Path) -> None:
    """A file of the first release is opened, its jobs are there, and only callers who see all see them."""
    older = JobStore(tmp_path / "jobs.sqlite", MIGRATIONS[:1])
    await older.open()
    await older._call(older._execute, _FIRST_INSERT, ("old",))
    await older.close()
    store = JobStore(tmp_path / "jobs.sqlite")
    await store.open()
    assert [job.id for job in await store.page(9)] == [job.id for job in await store.page(9, owner="")] == ["old"]
    assert await store.page(9, owner="alice") == []
    await store.close()


def test_ids_sort_by_the_time_of_their_making() -> None:
    """A later job has a later id, and no two are the same."""
    ids = [new_job_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    later = f"{(time.time_ns() // 1_000_000) + 1:012x}"
    assert all(made < later for made in ids)
    assert [made[:12] for made in ids] == sorted(made[:12] for made in ids)
