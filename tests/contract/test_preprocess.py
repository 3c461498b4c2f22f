"""Preprocessing: the pixels that Pillow would give, and the way back for points, boxes and maps."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from contract.preprocess import Geometry, Interpolation, PadAnchor, PreprocessSpec, Resize, preprocess
from tests.cards import a_spec

PHOTOGRAPHS = {name: getattr(skimage.data, name)() for name in ("chelsea", "coffee", "astronaut")}
PILLOW = {
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
    Interpolation.AREA: Image.Resampling.BOX,
}


def as_pillow(pixels: np.ndarray, spec: PreprocessSpec, reducing_gap: float | None = None) -> np.ndarray:
    """The whole image resized by Pillow, then cut in the centre: the evaluation transform of torchvision and timm."""
    height, width = pixels.shape[:2]
    size = (spec.width, spec.height)
    if spec.shortest_edge is not None:
        short = min(width, height)
        size = int(spec.shortest_edge * width / short), int(spec.shortest_edge * height / short)
    resized = Image.fromarray(pixels).resize(size, PILLOW[spec.interpolation], reducing_gap=reducing_gap)
    left, top = round((size[0] - spec.width) / 2), round((size[1] - spec.height) / 2)
    return np.asarray(resized.crop((left, top, left + spec.width, top + spec.height)))


def share_within(got: np.ndarray, wanted: np.ndarray, levels: int) -> float:
    """The share of values that differ by at most that many grey levels."""
    return float((np.abs(got.astype(int) - wanted) <= levels).mean())


@st.composite
def specs(draw: st.DrawFn) -> PreprocessSpec:
    """Any specification up to 64 x 64 pixels."""
    height, width = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    resize = draw(st.sampled_from(Resize))
    edge = draw(st.integers(max(height, width), 80)) if resize is Resize.SHORTEST_EDGE else None
    return PreprocessSpec(
        height=height,
        width=width,
        resize=resize,
        interpolation=draw(st.sampled_from(Interpolation)),
        shortest_edge=edge,
        pad_anchor=draw(st.sampled_from(PadAnchor)),
    )


sides = st.one_of(st.integers(1, 8), st.integers(9, 700))
sizes = st.one_of(st.tuples(sides, sides), st.sampled_from([(1, 20_000), (20_000, 1), (3, 9_999), (3000, 4000)]))


@settings(max_examples=150, deadline=None)
@given(size=sizes, spec=specs())
def test_every_size_becomes_the_input(size: tuple[int, int], spec: PreprocessSpec) -> None:
    """Any image becomes [height, width, 3], contiguous; a plain colour stays that colour but for padding."""
    pixels, geometry = preprocess(np.full((*size, 3), (7, 114, 200), np.uint8), spec)

    assert (pixels.dtype, pixels.shape) == (np.uint8, (spec.height, spec.width, 3))
    assert pixels.flags.c_contiguous
    assert (geometry.image_height, geometry.image_width) == size
    colours = {tuple(colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    assert (7, 114, 200) in colours
    assert colours <= {(7, 114, 200)} | ({(114, 114, 114)} if spec.resize is Resize.LETTERBOX else set())


@pytest.mark.parametrize("size", [(5, 9), (7, 7), (15, 82), (2, 6), (7, 309), (3, 9_999)])
def test_crops_whose_pixels_coincide_with_the_images(size: tuple[int, int]) -> None:
    """Where centres of output pixels lie exactly on those of the image, the resampler keeps within its memory."""
    for edge, height, width in [(35, 24, 15), (65, 25, 2), (45, 12, 16), (50, 50, 25), (77, 55, 22), (69, 18, 2)]:
        spec = a_spec(height=height, width=width, resize=Resize.SHORTEST_EDGE, shortest_edge=edge)
        assert preprocess(np.full((*size, 3), 9, np.uint8), spec)[0].tolist() == [[[9, 9, 9]] * width] * height


CLOSE = [
    (resize, interpolation, size)
    for resize in (Resize.STRETCH, Resize.SHORTEST_EDGE)
    for interpolation in (Interpolation.BICUBIC, Interpolation.BILINEAR)
    for size in ((224, 224), (320, 192), (640, 640))
]


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
@pytest.mark.parametrize(("resize", "interpolation", "size"), CLOSE)
def test_photographs_equal_pillow(
    photograph: str, resize: Resize, interpolation: Interpolation, size: tuple[int, int]
) -> None:
    """At least 99.9 % of the values are within one grey level of Pillow's (the rest: overshoot at cut-off whites)."""
    edge = round(max(size) * 256 / 224) if resize is Resize.SHORTEST_EDGE else None
    spec = a_spec(height=size[0], width=size[1], resize=resize, interpolation=interpolation, shortest_edge=edge)

    got = preprocess(PHOTOGRAPHS[photograph], spec)[0]

    assert share_within(got, as_pillow(PHOTOGRAPHS[photograph], spec), 1) >= 0.999


@pytest.mark.parametrize("photograph", PHOTOGRAPHS)
@pytest.mark.parametrize("side", [127, 79])
def test_area_equals_pillows_box(photograph: str, side: int) -> None:
    """Area is Pillow's BOX, at any reduction (odd sides: no pixel lies on a box's edge)."""
    pixels = PHOTOGRAPHS[photograph][:291, :289]
    spec = a_spec(height=side, width=side, interpolation=Interpolation.AREA)

    assert share_within(preprocess(pixels, spec)[0], as_pillow(pixels, spec), 1) >= 0.999


@pytest.mark.parametrize("resize", [Resize.STRETCH, Resize.SHORTEST_EDGE])
@pytest.mark.parametrize("interpolation", [Interpolation.BICUBIC, Interpolation.BILINEAR])
def test_large_images_are_close_to_pillow(resize: Resize, interpolation: Interpolation) -> None:
    """With blocks averaged beforehand, the mean difference stays under half a grey level, at the crop's edges too."""
    edge = 54 if resize is Resize.SHORTEST_EDGE else None
    spec = a_spec(height=48, width=48, resize=resize, interpolation=interpolation, shortest_edge=edge)

    difference = np.abs(
        preprocess(PHOTOGRAPHS["astronaut"], spec)[0].astype(int) - as_pillow(PHOTOGRAPHS["astronaut"], spec)
    )

    assert difference.mean() < 0.5
    assert np.concatenate([difference[[0, -1]].ravel(), difference[:, [0, -1]].ravel()]).mean() < 0.5


@pytest.mark.parametrize("side", [20, 32, 50, 64])
def test_block_averages_are_those_of_pillow(side: int) -> None:
    """Averaging blocks is Pillow's reducing_gap of 3, cut blocks at the image's end included."""
    pixels, spec = PHOTOGRAPHS["astronaut"][:511, :507], a_spec(height=side, width=side, interpolation="bilinear")

    assert share_within(preprocess(pixels, spec)[0], as_pillow(pixels, spec, reducing_gap=3.0), 1) == 1


@pytest.mark.parametrize("factor", [1, 2, 9])
def test_the_filter_reads_beyond_the_crop(factor: int) -> None:
    """At a crop's edge the pixels outside it count, as when the whole image is resized first."""
    stripes = np.zeros((60 * factor, 60 * factor, 3), np.uint8)
    stripes[:, : 14 * factor] = 255  # bright outside the crop, which begins at 14 of 60
    spec = a_spec(resize=Resize.SHORTEST_EDGE, shortest_edge=60, interpolation=Interpolation.BILINEAR)
    smaller = spec.model_copy(update={"height": 16, "width": 16, "shortest_edge": 30})

    got, wanted = preprocess(stripes, smaller)[0], as_pillow(stripes, smaller)

    assert wanted[:, 0].min() > 10
    assert share_within(got[:, :1], wanted[:, :1], 6) == 1


@settings(max_examples=300, deadline=None)
@given(
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    spec=specs(),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_points_come_back(size: tuple[int, int], spec: PreprocessSpec, where: tuple[float, float]) -> None:
    """A point of the image that the network sees comes back to within half a pixel of the input."""
    geometry = Geometry.of(*size, spec)
    point = np.array(where, np.float32) * (spec.width, spec.height)
    seen = geometry.to_input(geometry.to_image(np.float32(point)))
    low = np.maximum(0, [geometry.offset_x, geometry.offset_y])
    high = np.minimum(
        [spec.width, spec.height],
        [size[0] * geometry.scale_x + geometry.offset_x, size[1] * geometry.scale_y + geometry.offset_y],
    )

    np.testing.assert_allclose(seen, np.clip(point, low, high), atol=0.5)


@settings(max_examples=200, deadline=None)
@given(
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    spec=specs(),
    corners=st.lists(st.floats(-2, 3, width=32), min_size=4, max_size=4),
)
def test_boxes_stay_inside_the_image(size: tuple[int, int], spec: PreprocessSpec, corners: list[float]) -> None:
    """Wherever a network puts a box, the answer's corners lie in the image."""
    box = Geometry.of(*size, spec).boxes_to_image(np.array([corners], np.float32))[0]

    assert box.dtype == np.float32
    assert (box >= 0).all()
    assert (box <= np.tile(size, 2)).all()


MODES = {
    "stretch": a_spec(height=64, width=96),
    "centre crop": a_spec(height=64, width=64, resize=Resize.SHORTEST_EDGE, shortest_edge=72),
    "letterbox": a_spec(height=96, width=96, resize=Resize.LETTERBOX),
    "letterbox, top left": a_spec(height=96, width=96, resize=Resize.LETTERBOX, pad_anchor=PadAnchor.TOP_LEFT),
}


@pytest.mark.parametrize("spec", MODES.values(), ids=MODES.keys())
@pytest.mark.parametrize("size", [(200, 160), (160, 200), (400, 320)])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_map_goes_back_to_its_place(spec: PreprocessSpec, size: tuple[int, int], stride: int) -> None:
    """A blob in the image, seen through the input and a coarser map, comes back where it was."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    centre = (int(size[0] * 0.42), int(size[1] * 0.56))
    cv2.circle(image, centre, min(size) // 5, (255, 255, 255), -1)
    pixels, geometry = preprocess(image, spec.model_copy(update={"pad_value": 0}))
    dense = cv2.resize(pixels[:, :, 0], (spec.width // stride, spec.height // stride), interpolation=cv2.INTER_AREA)

    back = geometry.map_to_image(dense.astype(np.float32)) >= 127.5

    blob = image[:, :, 0] > 0
    assert (back & blob).sum() / (back | blob).sum() > 0.94
    rows, columns = np.nonzero(back)
    np.testing.assert_allclose((columns.mean(), rows.mean()), centre, atol=1)


def test_what_the_network_did_not_see_is_zero() -> None:
    """Outside a centre crop a map says 0; inside it says what it says; in the other modes all is seen."""
    crop = Geometry.of(200, 100, a_spec(height=50, width=50, resize=Resize.SHORTEST_EDGE, shortest_edge=50))
    seen = crop.map_to_image(np.ones((10, 10), np.float32))

    assert seen.shape == (100, 200)
    assert seen[:, 50:150].min() == 1
    assert seen[:, :50].max() == seen[:, 150:].max() == 0
    for name in ("stretch", "letterbox", "letterbox, top left"):
        assert Geometry.of(200, 100, MODES[name]).map_to_image(np.ones((9, 9), np.float32)).min() == 1


@settings(max_examples=100, deadline=None)
@given(size=st.tuples(sides, sides), spec=specs(), shape=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_maps_cover_the_image(size: tuple[int, int], spec: PreprocessSpec, shape: tuple[int, int]) -> None:
    """A map of any size becomes f32 [image_height, image_width] within the range of its values and 0."""
    mapped = Geometry.of(*size, spec).map_to_image(np.full(shape, 3, np.float32))

    assert (mapped.dtype, mapped.shape) == (np.float32, size[::-1])
    assert set(np.unique(mapped)) <= {0, 3}


def test_threads_do_not_disturb_each_other() -> None:
    """Many threads at once get the answers that one gets alone."""
    jobs = [(photograph, spec) for photograph in PHOTOGRAPHS.values() for spec in MODES.values()] * 8
    alone = [preprocess(*job)[0] for job in jobs[: len(jobs) // 8]] * 8
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: preprocess(*job)[0], jobs))

    np.testing.assert_equal(together, alone)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(40, 90), (300, 200), (64, 64)])
def test_a_trimap_keeps_its_three_values(mode: str, size: tuple[int, int]) -> None:
    """The colours become what they become without a trimap; the trimap keeps its values, and lies where they lie."""
    rng = np.random.default_rng(0)
    rgba = np.dstack([rng.integers(0, 256, (*size, 3), np.uint8), rng.choice(np.uint8([0, 128, 255]), size)])
    spec = MODES[mode].model_copy(update={"trimap": True})
    pixels, geometry = preprocess(rgba, spec)

    assert (pixels.shape, pixels.flags.c_contiguous) == (spec.input_shape, True)
    np.testing.assert_array_equal(pixels[:, :, :3], preprocess(rgba[:, :, :3], MODES[mode])[0])
    assert set(np.unique(pixels[:, :, 3])) <= {0, 128, 255}
    # The middle of the image lies in the input in every mode.
    column, row = np.floor(geometry.to_input(np.float32([[size[1] / 2, size[0] / 2]]))).astype(int)[0]
    there = np.floor(geometry.to_image(np.float32([[column + 0.5, row + 0.5]]))).astype(int)[0]
    assert pixels[row, column, 3] == rgba[there[1], there[0], 3]


def test_padding_is_background() -> None:
    """Where a letterboxed image ends, the trimap says background."""
    spec = MODES["letterbox"].model_copy(update={"trimap": True})
    pixels, _ = preprocess(np.full((50, 100, 4), 255, np.uint8), spec)

    known = pixels[:, :, 3].any(axis=1)
    assert set(np.unique(pixels[:, :, 3])) == {0, 255}
    np.testing.assert_array_equal(known, (pixels[:, 0, 0] == 255))


def test_the_wrong_number_of_channels_is_refused() -> None:
    """Pixels without the trimap that is wanted, or with one that is not, are refused."""
    for trimap, channels in [(True, 3), (False, 4)]:
        with pytest.raises(ValueError, match=f"have {channels} channels"):
            preprocess(np.zeros((8, 8, channels), np.uint8), a_spec(trimap=trimap))


def test_the_input_of_a_specification() -> None:
    """An input has a channel more for the trimap, and an axis more for the frames of a clip."""
    assert a_spec().input_shape == (32, 32, 3)
    assert a_spec(trimap=True).input_shape == (32, 32, 4)
    assert a_spec(frames=8).input_shape == (8, 32, 32, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"resize": Resize.SHORTEST_EDGE},
        {"shortest_edge": 40},
        {"resize": Resize.SHORTEST_EDGE, "shortest_edge": 31},
        {"height": 0},
        {"pad_value": 256},
        {"crop": 0.875},
    ],
)
def test_contradictory_specifications_are_refused(changes: dict[str, object]) -> None:
    """A specification that contradicts itself, or has a field that is not known, does not come to be."""
    with pytest.raises(ValidationError):
        a_spec(**changes)
