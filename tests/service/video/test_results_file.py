import asyncio
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ErrorKind, ServiceError
from service.video.results_file import Counts, ResultsFile, offset_of, recovered


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """No file of this process may grow beyond that size: to those who write it is a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def open_files() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def all_of(results: ResultsFile, from_frame: int = 0) -> bytes:
    """Everything that a reader gets."""
    return b"".join([lines async for lines in results.read(from_frame)])


def line(frame: int, size: int = 0) -> bytes:
    """A line as the file has it."""
    return orjson.dumps({"frame": frame, "pad": "x" * size}) + b"\n"


async def written(path: Path, frames: range) -> ResultsFile:
    """An open file with these lines."""
    results = ResultsFile(path)
    await results.open()
    await results.append([{"frame": frame} for frame in frames])
    return results


_STEPS = st.one_of(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([0, 1, 700, 300_000])), min_size=1, max_size=4),
    st.integers(-1, 40),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(_STEPS, max_size=12))
def test_every_reader_gets_exactly_the_lines_from_its_frame_on(steps: list[list[tuple[int, int]] | int]) -> None:
    """Whenever a reader comes, and whatever is written before and after: it gets each line from its frame on, once."""

    async def play(path: Path) -> None:
        results, frame, lines, readers = ResultsFile(path), -1, {}, []
        await results.open()
        for step in steps:
            if isinstance(step, int):
                readers.append((step, asyncio.create_task(all_of(results, step))))
                await asyncio.sleep(0)
                continue
            sizes = dict(zip(frames := [frame := frame + gap for gap, _ in step], [s for _, s in step], strict=True))
            lines |= {frame: line(frame, sizes[frame]) for frame in frames}
            await results.append([{"frame": frame, "pad": "x" * size} for frame, size in sizes.items()])
        await results.close()
        for start, reader in [*readers, (7, asyncio.create_task(all_of(ResultsFile.ended(path), 7)))]:
            assert await reader == b"".join(text for frame, text in lines.items() if frame >= start)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder, "results.ndjson")))


@settings(max_examples=100, deadline=None)
@given(frames=st.integers(0, 6), size=st.sampled_from([0, 40, 300_000]), cut=st.integers(0, 400), zeros=st.booleans())
def test_recovery_cuts_off_the_torn_line_and_nothing_else(frames: int, size: int, cut: int, zeros: bool) -> None:
    """Wherever a crash has torn the file, or left zeros at its end, the whole lines stay."""
    text = b"".join(line(frame, size) for frame in range(frames))
    torn = text[: max(0, len(text) - cut)]
    whole = torn[: torn.rfind(b"\n") + 1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results.ndjson")
        path.write_bytes(torn + (bytes(500) if zeros else b""))
        last = whole.count(b"\n") - 1
        assert recovered(path) == Counts(last + 1, 0, None if last < 0 else last)
        assert path.read_bytes() == whole


def test_recovery_counts_what_was_carried_over(tmp_path: Path) -> None:
    """Lines that carry the result of the frame before are counted apart; a file that is not there counts nothing."""
    path = tmp_path / "results.ndjson"
    assert recovered(path) == Counts(0, 0, None)
    path.write_bytes(b'{"frame":0}\n{"frame":1,"carried":true}\n{"frame":4,"carried":false}\n')
    assert recovered(path) == Counts(2, 1, 4)


async def test_a_reader_wakes_up_for_a_line_and_ends_with_the_file(tmp_path: Path) -> None:
    """Lines reach who waits for them one by one, and the end does too."""
    results = await written(tmp_path / "results", range(0))
    reader = results.read()
    for frame in range(3):
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        await results.append([{"frame": frame}])
        assert await waiting == b'{"frame":%d}\n' % frame
    await results.close()
    assert [lines async for lines in reader] == []


async def test_a_file_that_was_closed_goes_on_where_it_stood(tmp_path: Path) -> None:
    """A second attempt adds to the lines of the first, and readers in between see these."""
    await (await written(tmp_path / "results", range(2))).close()
    again = ResultsFile(tmp_path / "results")
    reader = again.read()
    assert await anext(reader) == b'{"frame":0}\n{"frame":1}\n'
    await again.open()
    await again.append([{"frame": 2}])
    await again.close()
    assert [lines async for lines in reader] == [b'{"frame":2}\n']


async def test_frames_must_rise(tmp_path: Path) -> None:
    """A frame that comes again is refused, with all that came with it: a reader could not find its place."""
    results = await written(tmp_path / "results", range(3))
    with pytest.raises(ValueError, match="frame 2 comes after frame 3"):
        await results.append([{"frame": 3}, {"frame": 2}])
    await results.close()
    assert (await all_of(results)).count(b"\n") == 3


async def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """Where the disk is full in the middle of a line, that line is refused clearly and those before it stay."""
    results = await written(tmp_path / "results", range(3))
    with files_no_larger_than(100), pytest.raises(ServiceError, match="disk for videos is full") as refused:
        await results.append([{"frame": 3, "pad": "x" * 200}])
    assert refused.value.kind is ErrorKind.STORAGE_FULL
    assert (tmp_path / "results").stat().st_size == results.size
    await results.append([{"frame": 3}])
    await results.close()
    assert (await all_of(results)).count(b"\n") == 4


async def test_who_is_cancelled_while_a_line_is_written_has_written_it(tmp_path: Path) -> None:
    """A line is whole or not there, whenever its writer is cancelled, and the file knows which."""
    results = await written(tmp_path / "results", range(1))
    writing = asyncio.create_task(results.append([{"frame": 1, "pad": "x" * 5_000_000}]))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await results.close()
    assert (results.last_frame, results.size) == (1, (tmp_path / "results").stat().st_size)


def test_a_frame_is_found_in_a_million_lines_by_a_few_short_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To resume from a frame does not read the file: of some 17 MB, less than a fiftieth is looked at."""
    path, read = tmp_path / "results", []
    path.write_bytes(b"".join(b'{"frame":%d}\n' % frame for frame in range(1_000_000)))
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *args: read.append(len(data := pread(*args))) or data)
    with path.open("rb") as file:
        offset = offset_of(file.fileno(), path.stat().st_size, 654_321)
        file.seek(offset)
        assert file.readline() == b'{"frame":654321}\n'
    assert 0 < sum(read) < 340_000


async def test_readers_that_leave_keep_nothing_open(tmp_path: Path) -> None:
    """A reader that is given up in the middle has closed the file."""
    results = await written(tmp_path / "results", range(3))
    before = open_files()
    for _ in range(20):
        reader = results.read()
        await anext(reader)
        await reader.aclose()
    assert open_files() == before
    await results.close()
    assert open_files() == before - 1
