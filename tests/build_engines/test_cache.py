"""What was certified once is not certified again, unless something that it depends on has changed."""

from pathlib import Path

import numpy as np
import pytest

from build_engines import cache
from build_engines.artifact import Artifact
from build_engines.cache import Cache
from build_engines.pipeline import build
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import an_entry, an_order


def test_a_certified_model_is_found_again(built: Artifact, tmp_path: Path) -> None:
    """The second build of an order only writes, and writes the same model with the same certificate."""
    kept, observer = Cache(tmp_path / "cache"), Silent()
    kept.store(built)
    again = build(an_order(tmp_path / "repository"), observer, kept)
    assert observer.steps == ["reserve", "emit"]
    assert again.certificate == built.certificate
    assert (again.path / "model.onnx").read_bytes() == (built.path / "model.onnx").read_bytes()
    np.testing.assert_array_equal(again.golden["probabilities"], built.golden["probabilities"])


@pytest.mark.parametrize("changes", [{"resolution": 96}, {"entry": an_entry(max_batch_size=5)}], ids=["size", "entry"])
def test_another_order_has_another_key(changes: dict[str, object], tmp_path: Path) -> None:
    """An order that differs in size or entry finds nothing of the other."""
    assert cache.key(Artifact(an_order(tmp_path, **changes))) != cache.key(Artifact(an_order(tmp_path)))


def test_weights_count_by_their_content(tmp_path: Path) -> None:
    """A checkpoint of another content has another key; one of another name but the same folder's content has not."""
    first, second = tmp_path / "a.pth", tmp_path / "b.pth"
    first.write_bytes(b"weights")
    second.write_bytes(b"others")
    keys = [cache.key(Artifact(an_order(tmp_path, weights=path))) for path in (first, second, first)]
    assert keys[0] == keys[2] != keys[1]


def test_a_damaged_entry_counts_as_absent(built: Artifact, tmp_path: Path) -> None:
    """A cached model whose files were cut is built anew, not served."""
    kept = Cache(tmp_path)
    kept.store(built)
    for path in (tmp_path / cache.key(built)).iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert kept.fetch(built) is None


def test_the_budget_holds(built: Artifact, tmp_path: Path) -> None:
    """A cache whose budget is used up keeps nothing of what does not fit."""
    Cache(tmp_path, budget=10).store(built)
    assert Cache(tmp_path).fetch(built) is None
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_fails_no_build(built: Artifact, tmp_path: Path) -> None:
    """Where nothing can be written, nothing is kept and nothing raised."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    Cache(blocked / "cache").store(built)
    assert Cache(blocked / "cache").fetch(built) is None
