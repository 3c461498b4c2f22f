import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.job_folder import JobFolder
from service.video.upload import Upload
from tests.service.video.test_results_file import files_no_larger_than


async def any_room(_size: int, _more: int) -> None:
    """There is always room."""


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    """As a body comes."""
    for number in range(count):
        yield bytes([number % 251]) * size


async def test_a_file_is_written_as_it_came(tmp_path: Path) -> None:
    """All bytes are there, in their order, with their number and their digest."""
    upload = Upload("a", JobFolder(tmp_path / "a"), 1 << 30, any_room)
    await upload.open()
    await upload.read(chunks(50, 65_537))
    await upload.finish()
    data = (tmp_path / "a" / "input").read_bytes()
    assert data == b"".join([chunk async for chunk in chunks(50, 65_537)])
    assert (upload.size, upload.digest) == (len(data), hashlib.sha256(data).hexdigest())


async def test_memory_stays_constant(tmp_path: Path) -> None:
    """No more than one block waits in memory, however much has come."""
    upload, waiting = Upload("a", JobFolder(tmp_path / "a"), 1 << 30, any_room), 0
    await upload.open()
    async for chunk in chunks(400, 65_536):
        await upload.write(chunk)
        waiting = max(waiting, len(upload._waiting))
    assert waiting <= 1 << 20
    assert (tmp_path / "a" / "input").stat().st_size > 24 << 20
    await upload.discard()
    assert not (tmp_path / "a").exists()


async def test_a_file_that_is_too_large_is_refused_before_it_is_written(tmp_path: Path) -> None:
    """The limit holds to the byte, whatever the caller had declared."""
    upload = Upload("a", JobFolder(tmp_path / "a"), 100, any_room)
    await upload.open()
    await upload.write(b"x" * 100)
    with pytest.raises(ServiceError, match="more than 100 bytes") as refused:
        await upload.write(b"x")
    assert refused.value.kind is ErrorKind.TOO_LARGE
    await upload.discard()


async def test_room_is_asked_for_before_every_block(tmp_path: Path) -> None:
    """Where another has taken the room meanwhile, the upload ends and not a byte more is written."""

    async def until_two_blocks(size: int, more: int) -> None:
        if size + more > 2 << 20:
            raise ServiceError(ErrorKind.STORAGE_FULL, "no room")

    upload = Upload("a", JobFolder(tmp_path / "a"), 1 << 30, until_two_blocks)
    await upload.open()
    with pytest.raises(ServiceError, match="no room"):
        await upload.read(chunks(5, 1 << 20))
    assert (tmp_path / "a" / "input").stat().st_size == 2 << 20
    await upload.discard()


async def test_a_full_disk_is_told_clearly(tmp_path: Path) -> None:
    """The system's refusal in the middle of a block is an answer, and nothing is left."""
    upload = Upload("a", JobFolder(tmp_path / "a"), 1 << 30, any_room)
    await upload.open()
    with files_no_larger_than(1 << 16), pytest.raises(ServiceError, match="disk for videos is full"):
        await upload.read(chunks(2, 1 << 20))
    await upload.discard()
    assert not (tmp_path / "a").exists()
