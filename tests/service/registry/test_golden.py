"""Golden replay: a version takes traffic only if it computes here what the builder recorded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.registry.golden import Golden, GoldenMismatch
from tests.doubles import EchoEngine, tagged_image


def recorded(**outputs: Any) -> Golden:
    """A record of five images whose tags are 1…5."""
    return Golden(np.stack([tagged_image(tag) for tag in range(1, 6)]), outputs)


async def test_the_same_answers_pass() -> None:
    """Replay sends every image, in offered batches, and is content with the same answers."""
    engine = EchoEngine(batch_sizes=(1, 2, 4))
    await recorded(tag=np.arange(1, 6)).replay(engine)
    assert engine.batches == [[1, 2, 3, 4], [5]]


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({"tag": np.array([1, 2, 3, 4, 6])}, "only 80.0% of tag"),
        ({"tag": np.array([1.0, 2.0, 3.0, 4.0, 6.0])}, "differs from the record"),
        ({"tag": np.array([1.0, 2.0, 3.0, 4.0, np.nan])}, "differs from the record"),
        ({"tag": np.arange(1, 5)}, "has shape"),
        ({"tag": np.arange(1, 6), "more": np.arange(5)}, "more is not both"),
        ({"more": np.arange(5)}, "more, tag is not both"),
    ],
    ids=["integers", "floats", "nan", "shape", "extra", "other"],
)
async def test_other_answers_fail(outputs: dict[str, Any], reason: str) -> None:
    """A value, a shape or a name that is another than recorded is a mismatch that says so."""
    with pytest.raises(GoldenMismatch, match=reason):
        await recorded(**outputs).replay(EchoEngine())


async def test_rounding_passes() -> None:
    """Floats may differ as another processor's rounding would make them."""
    await recorded(tag=np.arange(1, 6) * 1.001).replay(EchoEngine())


async def test_a_few_integers_may_differ() -> None:
    """One of two hundred labels may be another, as a rounded boundary would make it."""
    tags = np.arange(200)
    record = Golden(np.stack([tagged_image(tag) for tag in tags]), {"tag": np.where(tags == 7, 8, tags)})
    await record.replay(EchoEngine())


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Images and outputs come back by name."""
    np.savez(tmp_path / "golden.npz", images=np.zeros((2, 8, 8, 3), np.uint8), **{"output.a": np.ones(2)})
    golden = Golden.read(tmp_path / "golden.npz")
    assert golden.images.shape == (2, 8, 8, 3)
    assert golden.outputs["a"].tolist() == [1, 1]


def broken_records() -> dict[str, Any]:
    """Ways to write a record that cannot be used."""

    def cut(path: Path) -> None:
        np.savez(path, images=np.zeros((2, 8, 8, 3), np.uint8), **{"output.a": np.ones(2)})
        path.write_bytes(path.read_bytes()[:-60])

    def flipped(path: Path) -> None:
        np.savez_compressed(path, images=np.zeros((2, 8, 8, 3), np.uint8), **{"output.a": np.arange(999)})
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)

    def pickled(path: Path) -> None:
        np.savez(path, images=np.array([object()]), **{"output.a": np.ones(1)})

    def single(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, np.zeros(3))

    return {
        "empty": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("hello"),
        "cut": cut,
        "flipped": flipped,
        "pickled": pickled,
        "not an archive": single,
        "no images": lambda path: np.savez(path, **{"output.a": np.ones(1)}),
        "zero images": lambda path: np.savez(path, images=np.zeros((0, 8, 8, 3)), **{"output.a": np.ones(0)}),
        "no outputs": lambda path: np.savez(path, images=np.zeros((1, 8, 8, 3))),
        "absent": lambda path: path.unlink(missing_ok=True),
        "a folder": lambda path: path.mkdir(),
    }


@pytest.mark.parametrize("kind", broken_records())
def test_a_record_that_cannot_be_used(tmp_path: Path, kind: str) -> None:
    """A record that is absent, broken or empty is a mismatch; its folder is not told."""
    broken_records()[kind](tmp_path / "golden.npz")
    with pytest.raises(GoldenMismatch, match=r"golden\.npz") as error:
        Golden.read(tmp_path / "golden.npz")
    assert str(tmp_path) not in str(error.value)
