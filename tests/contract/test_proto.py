"""The interface's generated code."""

from pathlib import Path

import pytest

from contract.proto import generate

FOLDER = Path("vitrail/v1")


@pytest.mark.parametrize("name", ["vision_pb2.py", "vision_pb2.pyi"])
def test_generated_code_is_that_of_the_interface(tmp_path: Path, name: str) -> None:
    """`make proto` would write what is there."""
    generate.generate(tmp_path)
    assert (generate.HERE / FOLDER / name).read_text() == (tmp_path / FOLDER / name).read_text()


def test_a_broken_interface_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that protoc refuses is an error, and nothing is written."""
    broken = tmp_path / "vitrail" / "v1" / "vision.proto"
    broken.parent.mkdir(parents=True)
    broken.write_text("syntax = 'proto3'; message {")
    monkeypatch.setattr(generate, "HERE", tmp_path)
    with pytest.raises(RuntimeError, match="protoc refused"):
        generate.generate(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.py"))
