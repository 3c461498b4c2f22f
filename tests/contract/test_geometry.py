"""Geometry: whatever an image's size and the network's, places in the answer are places in the image as sent."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from contract.image import decode
from contract.preprocess import Geometry, Interpolation, PadAnchor, PreprocessSpec, Resize, preprocess
from contract.task import Task
from contract.tasks.depth import DEPTH
from contract.tasks.detect import DETECT
from contract.tasks.keypoints import KEYPOINTS
from contract.tasks.maps import decode_map
from contract.tasks.matte import MATTE
from contract.tasks.regions import REGIONS
from contract.tasks.segment import SEGMENT
from tests.cards import a_card, a_spec
from tests.contract.answers import MODES, answer
from tests.contract.image_files import encoded, exif_orientation

LENGTHS = st.one_of(st.integers(1, 8), st.integers(1, 5000))
SIZES = st.one_of(st.tuples(LENGTHS, LENGTHS), st.sampled_from([(1, 5000), (5000, 1), (4999, 3), (1, 1)]))
SMALL_SIZES = st.one_of(
    st.tuples(st.integers(1, 90), st.integers(1, 90)), st.sampled_from([(1, 2000), (2000, 1), (1, 1), (700, 3)])
)


@st.composite
def specs(draw: st.DrawFn, largest: int = 1024) -> PreprocessSpec:
    """Any specification up to a size."""
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    resize = draw(st.sampled_from(Resize))
    edge = draw(st.integers(max(height, width), 2 * largest)) if resize is Resize.SHORTEST_EDGE else None
    return PreprocessSpec(
        height=height,
        width=width,
        resize=resize,
        interpolation=Interpolation.BILINEAR,
        shortest_edge=edge,
        pad_anchor=draw(st.sampled_from(PadAnchor)),
    )


def within(size: tuple[int, int], shares: Any) -> np.ndarray:
    """Points f32 [N, 2] of an image, given as shares of its size."""
    return (np.float32(shares).reshape(-1, 2) * np.float32(size)).astype(np.float32)


def rounding(geometry: Geometry) -> float:
    """What float32 may cost, in pixels of the image: a hundredth, or a thousandth of a pixel of the input."""
    return max(0.01, 1e-3 / min(geometry.scale_x, geometry.scale_y))


SHARE = st.floats(0, 1, width=32)


# --- points and boxes


@settings(max_examples=300, deadline=None)
@given(size=SIZES, spec=specs(), shares=st.lists(st.tuples(SHARE, SHARE), min_size=1, max_size=8))
def test_a_point_goes_there_and_back(size: tuple[int, int], spec: PreprocessSpec, shares: list[Any]) -> None:
    """Every point of the image, seen by the network or not, comes back."""
    geometry, points = Geometry.of(*size, spec), within(size, shares)

    np.testing.assert_allclose(geometry.to_image(geometry.to_input(points)), points, atol=rounding(geometry))


@settings(max_examples=300, deadline=None)
@given(size=SIZES, spec=specs(), shares=st.lists(SHARE, min_size=4, max_size=4))
def test_a_box_goes_there_and_back(size: tuple[int, int], spec: PreprocessSpec, shares: list[float]) -> None:
    """A box of the image, told as networks tell boxes, comes back."""
    geometry, corners = Geometry.of(*size, spec), np.sort(within(size, shares), axis=0)
    told = (geometry.to_input(corners) / np.float32([spec.width, spec.height])).reshape(1, 4)

    back = geometry.boxes_to_image(told).reshape(2, 2)
    np.testing.assert_allclose(back, corners, atol=rounding(geometry))


@settings(max_examples=300, deadline=None)
@given(size=SIZES, spec=specs())
def test_what_is_seen_is_what_the_input_holds(size: tuple[int, int], spec: PreprocessSpec) -> None:
    """A pixel counts as seen if its centre lies in the input; if none does, the pixel under the input counts."""
    geometry = Geometry.of(*size, spec)
    rows, columns = geometry.seen
    for axis, (length, part, extent) in enumerate(zip(size, (columns, rows), (spec.width, spec.height), strict=True)):
        centres = np.zeros((length, 2), np.float32)
        centres[:, axis] = np.arange(length) + 0.5
        places = geometry.to_input(centres)[:, axis]
        slack = 0.01 + 0.001 * extent / length
        surely, perhaps = (places > slack) & (places < extent - slack), (places > -slack) & (places < extent + slack)

        assert part.start < part.stop
        assert surely[part].sum() == surely.sum()
        assert perhaps[part].all() or part.stop - part.start == 1


# --- maps


@settings(max_examples=150, deadline=None)
@given(data=st.data(), spec=specs(96), stride=st.sampled_from([1, 1, 2, 4]), upright=st.booleans())
def test_a_region_of_a_map_lies_where_it_lies_in_the_image(
    data: st.DataObject, spec: PreprocessSpec, stride: int, upright: bool
) -> None:
    """What a map marks comes back within half of the map's pixel of the marked part; nothing else does."""
    size = data.draw(SMALL_SIZES)
    geometry, axis = Geometry.of(*size, spec), 0 if upright else 1
    cells = (max(1, spec.width // stride), max(1, spec.height // stride))
    first = data.draw(st.integers(0, cells[axis] - 1))
    last = data.draw(st.integers(first, cells[axis] - 1))
    marked = (np.arange(cells[axis]) >= first) & (np.arange(cells[axis]) <= last)
    dense = np.broadcast_to(marked if upright else marked[:, None], cells[::-1]).astype(np.float32)

    mapped = geometry.map_to_image(dense) >= 0.5

    line = mapped[geometry.seen].any(axis=axis)
    start = geometry.seen[1 - axis].start
    centres = np.zeros((len(line), 2), np.float32)
    centres[:, axis] = np.arange(len(line)) + start + 0.5
    places = geometry.to_input(centres)[:, axis] * cells[axis] / (spec.width, spec.height)[axis]
    # The borders run on beyond the map, as far as the image is seen. OpenCV places its samples to 1/32 pixel.
    low, high = first or -np.inf, last + 1 if last < cells[axis] - 1 else np.inf
    distance = np.maximum(low - places, places - high)
    assert not line[distance > 0.04].any()
    assert line[distance < -0.04].all()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), spec=specs(96), upright=st.booleans())
def test_a_class_of_a_map_lies_where_it_lies_in_the_image(
    data: st.DataObject, spec: PreprocessSpec, upright: bool
) -> None:
    """Of a map of classes, a pixel has the class of the place in the map that its centre lies in."""
    size = data.draw(SMALL_SIZES)
    geometry, axis = Geometry.of(*size, spec), 0 if upright else 1
    cells = data.draw(st.integers(1, 40))
    classes = np.arange(cells, dtype=np.int16)

    found = answer(SEGMENT, {"class_map": classes[None] if upright else classes[:, None]}, geometry)

    assert found["segments"]
    for segment in found["segments"]:
        first, last = (segment["box"][side] for side in (("x1", "x2") if upright else ("y1", "y2")))
        ends = np.zeros((2, 2), np.float32)
        ends[:, axis] = first + 0.5, last - 0.5
        low, high = np.clip(geometry.to_input(ends)[:, axis] * cells / (spec.width, spec.height)[axis], 0, cells)
        assert segment["index"] - 1e-3 <= low <= high <= segment["index"] + 1 + 1e-3


@settings(max_examples=100, deadline=None)
@given(size=SMALL_SIZES, spec=specs(128), seed=st.integers(0, 10_000))
def test_an_instance_is_its_whole_map(size: tuple[int, int], spec: PreprocessSpec, seed: int) -> None:
    """However a mask is worked out, it holds the very pixels at which the map, on the image, reaches a half."""
    geometry = Geometry.of(*size, spec)
    outputs = random_outputs(frozenset({"boxes", "scores", "labels", "masks"}), seed)
    found = answer(SEGMENT, outputs, geometry, score_threshold=0)["segments"]

    wanted = [geometry.map_to_image(outputs["masks"][slot]) >= 0.5 for slot in np.argsort(-outputs["scores"])]
    wanted = [mask for mask in wanted if mask.any()]
    assert len(found) == len(wanted)
    for segment, mask in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(coco.decode(segment["mask"]), mask)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_object_in_a_turned_file_lies_where_it_lies_upright(mode: str, orientation: int) -> None:
    """However a camera held its sensor, the box is in pixels of the picture as people see it."""
    upright = np.zeros((60, 80, 3), np.uint8)
    upright[20:44, 28:36] = 255
    turn = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation)
    methods = [None, None, 0, 3, 1, 5, 4, 6, 2]
    stored = Image.fromarray(upright)
    if turn is not None:
        stored = stored.transpose(Image.Transpose(methods[turn]))
    pixels, geometry = preprocess(
        decode(encoded(stored, "PNG", exif=exif_orientation(orientation))),
        MODES[mode].model_copy(update={"pad_value": 0}),
    )
    rows, columns = np.nonzero(pixels[:, :, 0] > 127)
    box = np.float32([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]) / 100

    outputs = {"boxes": box, "scores": np.float32([1]), "labels": np.int32([0])}
    found = answer(DETECT, outputs, geometry)

    assert found["image"] == {"width": 80, "height": 60}
    np.testing.assert_allclose(list(found["objects"][0]["box"].values()), [28, 20, 36, 44], atol=0.6)


# --- every task's answers


def places_of(value: Any) -> list[tuple[float, float]]:
    """Every place in an answer: corners of boxes, points of polygons, key points."""
    if isinstance(value, dict):
        found = [(value[x], value[x.replace("x", "y")]) for x in ("x", "x1", "x2") if x in value]
        return found + [place for part in value.values() for place in places_of(part)]
    if not isinstance(value, list):
        return []
    if len(value) == 2 and all(isinstance(part, float) for part in value):
        return [(value[0], value[1])]
    return [place for part in value for place in places_of(part)]


def random_outputs(names: frozenset[str], seed: int) -> dict[str, np.ndarray]:
    """What a network in a bad mood puts out: boxes beyond every edge, maps of noise."""
    rng = np.random.default_rng(seed)
    slots = 6
    # Enlarged noise has regions; noise alone is specks.
    blobs = cv2.resize(rng.random((6, 6), np.float32), (24, 24), interpolation=cv2.INTER_LINEAR)
    drawn = {
        "boxes": rng.uniform(-1, 2, (slots, 4)),
        "scores": rng.random(slots),
        "labels": rng.integers(0, 3, slots),
        "masks": rng.random((slots, 8, 8)),
        "class_map": rng.integers(0, 3, (8, 8)),
        "segment_map": rng.integers(-1, slots, (8, 8)),
        "segment_labels": rng.integers(0, 3, slots),
        "segment_scores": rng.random(slots),
        "keypoints": rng.uniform(-1, 2, (slots, 4, 3)),
        "probability": blobs,
        "depth": rng.normal(0, 50, (8, 8)),
        "alpha": rng.uniform(-0.5, 1.5, (8, 8)),
    }
    integers = {"labels", "class_map", "segment_map", "segment_labels"}
    return {name: drawn[name].astype(np.int32 if name in integers else np.float32) for name in sorted(names)}


PLACED = [
    (definition, names)
    for definition in (DETECT, SEGMENT, REGIONS, KEYPOINTS)
    for names in sorted(definition.output_sets, key=sorted)
]


@pytest.mark.parametrize(("definition", "names"), PLACED, ids=[f"{task.task}-{len(names)}" for task, names in PLACED])
@settings(max_examples=60, deadline=None)
@given(size=SMALL_SIZES, spec=specs(128), seed=st.integers(0, 10_000))
def test_every_place_is_in_the_image(
    definition: Any, names: frozenset[str], size: tuple[int, int], spec: PreprocessSpec, seed: int
) -> None:
    """Boxes, polygons and key points lie in the image, wherever a network puts them."""
    parameters: dict[str, Any] = {} if "class_map" in names else {"score_threshold": 0}
    if definition.task is Task.SEGMENT:
        parameters["mask_format"] = "polygon"
    setting = {"min_side": 1} if definition.task is Task.REGIONS else {}

    found = answer(definition, random_outputs(names, seed), Geometry.of(*size, spec), setting=setting, **parameters)

    places = np.array(places_of(found), np.float64).reshape(-1, 2)
    assert (places >= 0).all()
    assert (places <= size).all()


@pytest.mark.parametrize("names", SEGMENT.output_sets, ids=["semantic", "instance", "panoptic"])
@settings(max_examples=60, deadline=None)
@given(size=SMALL_SIZES, spec=specs(128), seed=st.integers(0, 10_000))
def test_a_segments_mask_box_and_area_agree(
    names: frozenset[str], size: tuple[int, int], spec: PreprocessSpec, seed: int
) -> None:
    """Read by pycocotools, a mask has the image's size, and the segment's own area and box, whatever the sizes."""
    parameters = {} if "class_map" in names else {"score_threshold": 0}
    found = answer(SEGMENT, random_outputs(names, seed), Geometry.of(*size, spec), **parameters)

    for segment in found["segments"]:
        run_lengths = {"size": segment["mask"]["size"], "counts": segment["mask"]["counts"].encode()}
        box = segment["box"]
        assert run_lengths["size"] == [size[1], size[0]]
        assert segment["area"] == coco.area(run_lengths) > 0
        corners = [box["x1"], box["y1"], box["x2"] - box["x1"], box["y2"] - box["y1"]]
        np.testing.assert_array_equal(coco.toBbox(run_lengths), corners)


@pytest.mark.parametrize("definition", [DEPTH, MATTE], ids=["depth", "matte"])
@settings(max_examples=60, deadline=None)
@given(size=SMALL_SIZES, spec=specs(128), seed=st.integers(0, 10_000))
def test_a_map_is_as_large_as_the_image(
    definition: Any, size: tuple[int, int], spec: PreprocessSpec, seed: int
) -> None:
    """A map has a value for each pixel of the image, from ``min`` to ``max``."""
    (names,) = definition.output_sets
    outputs = random_outputs(names, seed)
    setting = {"quantity": "depth"} if definition.task is Task.DEPTH else {}
    found = answer(definition, outputs, Geometry.of(*size, spec), a_card(task=definition.task), setting)

    values = decode_map(found["map"])
    assert values.shape == (size[1], size[0])
    assert found["map"]["min"] <= values.min() <= values.max() <= found["map"]["max"]


@settings(max_examples=100, deadline=None)
@given(size=SMALL_SIZES, corner=st.tuples(SHARE, SHARE), mode=st.sampled_from(sorted(MODES)))
def test_a_key_point_comes_back(size: tuple[int, int], corner: tuple[float, float], mode: str) -> None:
    """A place in the image, put where preprocessing puts it, is answered to a hundredth of a pixel."""
    geometry, point = Geometry.of(*size, MODES[mode]), within(size, corner)
    told = geometry.to_input(point) / np.float32([MODES[mode].width, MODES[mode].height])
    outputs = {"keypoints": np.float32([[[*told[0], 1]]]), "scores": np.float32([1])}

    found = answer(KEYPOINTS, outputs, geometry)["people"][0]["keypoints"][0]

    np.testing.assert_allclose([found["x"], found["y"]], point[0], atol=0.02)


def test_the_longest_side_that_a_picture_may_have() -> None:
    """A map goes back to a picture of a single row, however long."""
    geometry = Geometry.of(32_000, 1, a_spec())
    mapped = geometry.map_to_image(np.ones((8, 8), np.float32))

    assert mapped.shape == (1, 32_000)
    assert mapped.min() == 1
