"""What a user writes about an ONNX file, and what they are told where it is wrong."""

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from build_engines.catalog.decoding import Decoding, Rename, Yolox
from build_engines.catalog.entry import Entry, Normalisation
from build_engines.catalog.import_card import CardError, ImportCard, read
from build_engines.verify import normalise
from contract.task import Task

CARDS = sorted((Path(__file__).parents[1] / "import_cards").glob("*.yaml"))
LEAST: dict[str, Any] = {
    "name": "mine",
    "task": "detect",
    "licence": "MIT",
    "preprocess": {"height": 64, "width": 96, "resize": "stretch", "interpolation": "bilinear"},
    "normalisation": {"range": [0, 255]},
    "outputs": {"decoder": "yolox"},
}
"""A card with no more than it needs."""


def written(folder: Path, **changes: Any) -> Path:
    """The least card with ``changes`` as a file; None takes a field away."""
    fields = {name: value for name, value in (LEAST | changes).items() if value is not None}
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


def entry(folder: Path, **changes: Any) -> Entry:
    """The entry of such a card."""
    return read(written(folder, **changes))


def refusal(path: Path) -> str:
    """What the user is told."""
    with pytest.raises(CardError) as error:
        read(path)
    return str(error.value)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_the_examples_are_valid(path: Path) -> None:
    """Every example card becomes an entry of its file's name."""
    assert read(path).name == path.stem


def test_the_least_card(tmp_path: Path) -> None:
    """What a card leaves out has its default."""
    made = entry(tmp_path)
    assert made.task is Task.DETECT
    assert made.source.outputs == Yolox(decoder="yolox", strides=(8, 16, 32))
    assert (made.source.layout, made.labels, made.max_batch_size) == ("nchw", None, 8)


def test_without_outputs_the_raw_tensor_is_the_tasks(tmp_path: Path) -> None:
    """A card without outputs takes the graph's only one as it is."""
    assert entry(tmp_path, task="matte", outputs=None).source.outputs == Rename()


@pytest.mark.parametrize(
    ("given", "black", "white"), [([0, 255], 0, 255), ([0, 1], 0, 1), ([-1, 1], -1, 1), ([1, 0], 1, 0)]
)
def test_a_range_is_what_black_and_white_become(given: list[float], black: float, white: float, tmp_path: Path) -> None:
    """Pixels of a range are the network's values for black and for white, and even in between."""
    pixels = np.uint8([0, 51, 255]).reshape(1, 1, 3, 1).repeat(3, axis=3)
    found = normalise(pixels, entry(tmp_path, normalisation={"range": given}).normalisation)
    np.testing.assert_allclose(found[0, 0, 0], [black, black + 0.2 * (white - black), white], atol=1e-4)


def test_mean_and_std_stay_as_they_are(tmp_path: Path) -> None:
    """A mean and a deviation are those of the catalogue's entries."""
    given = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "channels": "bgr"}
    assert entry(tmp_path, normalisation=given).normalisation == Normalisation(**given)


def test_labels_from_a_file(tmp_path: Path) -> None:
    """Labels stand in a file beside the card, one a line; empty lines do not count."""
    (tmp_path / "labels.txt").write_text("cat\n\n dog \nfire hydrant\n", encoding="utf-8")
    assert entry(tmp_path, labels={"file": "labels.txt"}).labels == ("cat", "dog", "fire hydrant")


@pytest.mark.parametrize("field", ["name", "task", "licence", "preprocess", "normalisation"])
def test_a_missing_field_is_named_with_an_example(field: str, tmp_path: Path) -> None:
    """A card without one of the fields that it needs says which, and what could stand there."""
    told = refusal(written(tmp_path, **{field: None}))
    assert f"{field}: is missing; for example: {field}: " in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"preprocess": {"height": 64}}, "preprocess.width: is missing"),
        ({"task": "find cats"}, "task: Input should be 'classify', 'detect'"),
        ({"licence": ""}, "licence: String should have at least 1 character"),
        ({"normalization": {}}, "normalization: is unknown; a card has name, task"),
        ({"outputs": {"decoder": "yolo9000"}}, "outputs: Input tag 'yolo9000'"),
        ({"outputs": {"decoder": "yolox", "stride": 8}}, "outputs.stride: is unknown"),
        ({"normalisation": {"mean": [0, 0, 0]}}, "give either mean and std, or range"),
        ({"normalisation": {"range": [0, 1], "mean": [0, 0, 0], "std": [1, 1, 1]}}, "give either mean and std"),
        ({"normalisation": {"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]}}, "divide both by 255"),
        ({"normalisation": {"mean": [0, 0, 0], "std": [1, 0, 1]}}, "std must not be 0"),
        ({"labels": "COCO"}, "labels: Input should be 'imagenet', 'coco'"),
        ({"max_batch_size": 1}, "max_batch_size: Input should be greater than or equal to 3"),
        ({"task": "embed"}, "decoder yolox gives what detect needs only"),
        ({"layout": "hwc"}, "layout: Input should be 'nchw' or 'nhwc'; for example: layout: nhwc"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """A card that says something impossible is told where and why."""
    assert told in refusal(written(tmp_path, **changes))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Two wrong fields make two lines."""
    assert len(refusal(written(tmp_path, name=None, layout="hwc")).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "should hold fields such as"), (b"- a\n- b\n", "should hold fields"), (b"a: [", "is not YAML"),
     (b"\xff\xfe\x00", "is not a text file"), (b"x" * 2_000_000, "is too long")],
)  # fmt: skip
def test_other_files_are_no_cards(content: bytes, told: str, tmp_path: Path) -> None:
    """What is not a card, or not even text, is refused by name."""
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    assert told in refusal(path)
    assert "card.yaml" in refusal(path)


def test_absent_files_are_named(tmp_path: Path) -> None:
    """A card, or a file of labels, that is not there is named."""
    assert "none.yaml cannot be read: No such file" in refusal(tmp_path / "none.yaml")
    assert "none.txt cannot be read" in refusal(written(tmp_path, labels={"file": "none.txt"}))


GUIDE = Path(__file__).parents[2] / "docs" / "import.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_guides_cards_are_valid(block: str, tmp_path: Path) -> None:
    """Every card in the guide, and every part of one with what a card needs besides, becomes an entry."""
    assert entry(tmp_path, **yaml.safe_load(block)).source.kind == "onnx"


def test_the_guide_names_every_decoder_and_field() -> None:
    """The guide explains all decoders and all fields of a card."""
    text = GUIDE.read_text(encoding="utf-8")
    decoders = [get_args(form.model_fields["decoder"].annotation)[0] for form in get_args(get_args(Decoding)[0])]
    assert len(decoders) == 7
    assert [name for name in (*decoders, *ImportCard.model_fields) if f"`{name}`" not in text] == []
