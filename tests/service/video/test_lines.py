from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.lines import Kept, KeptLines, line_of, without_bytes


def wrote(path: Path, lines: list[dict[str, Any]]) -> Path:
    """A file of these lines."""
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def seen(frame: int, *ids: int, **more: Any) -> dict[str, Any]:
    """The line of a frame of ten a second."""
    return {"frame": frame, "timestamp_s": frame / 10, "objects": [{"track_id": number} for number in ids], **more}


def test_a_line_says_frame_time_and_result() -> None:
    """The result's own fields stand in the line; one that is carried says so."""
    line = line_of(3, 0.12, {"objects": []})
    assert line == {"frame": 3, "timestamp_s": 0.12, "objects": []}
    assert line_of(3, 0.12, {"objects": []}, carried=True) == {**line, "carried": True}


def test_bytes_become_base64() -> None:
    """However deep they are, bytes are written as base64; what is none has no form."""
    fields = without_bytes({"map": {"data": b"\x00\xff", "min": 1.5}})
    assert orjson.loads(orjson.dumps(fields)) == {"map": {"data": "AP8=", "min": 1.5}}
    with pytest.raises(TypeError):
        without_bytes({"map": {"data": object()}})


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    """The highest id of all lines is known, and the last lines are there."""
    lines = [
        seen(0, 7, 2),
        seen(5),
        seen(10, 3),
        seen(12, 4, carried=True),
        {"frame": 13, "timestamp_s": 1.3, "error": {}},
    ]
    kept = Kept.read(wrote(tmp_path / "results", lines), 0.3)
    assert (kept.last_id, kept.last) == (7, lines[-1])
    assert [line["frame"] for line in kept.tail] == [10, 12, 13]


def test_masks_are_kept_of_the_last_line_only(tmp_path: Path) -> None:
    """Lines that are held for the tracks are short; the last is whole, for the frames that carry it."""
    lines = [
        {"frame": n, "timestamp_s": 0.0, "segments": [{"score": 0.5, "mask": {"counts": "abc"}}]} for n in range(3)
    ]
    kept = Kept.read(wrote(tmp_path / "results", lines), 1.0)
    assert [line["segments"] for line in kept.tail] == [[{"score": 0.5}]] * 3
    assert kept.last == lines[-1]


def test_nothing_was_kept(tmp_path: Path) -> None:
    """Without a file there is nothing to go on from."""
    kept = Kept.read(tmp_path / "results", 1.0)
    assert (kept.last, kept.tail, kept.last_id) == (None, (), 0)
    assert KeptLines(tmp_path / "results").at(5) is None


@given(frames=st.sets(st.integers(0, 30)))
def test_each_frame_finds_its_line(tmp_path_factory: pytest.TempPathFactory, frames: set[int]) -> None:
    """Every frame gets its line, or the last before it."""
    path = wrote(tmp_path_factory.mktemp("lines") / "results", [seen(frame) for frame in sorted(frames)])
    kept = KeptLines(path)
    found = [kept.at(frame) for frame in range(31)]
    kept.close()
    expected = [max((known for known in frames if known <= frame), default=None) for frame in range(31)]
    assert [None if line is None else line["frame"] for line in found] == expected
