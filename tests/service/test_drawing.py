"""Drawing: whatever a task answers can be drawn on whatever image it was asked about."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from contract.image import DecodeLimits, decode
from contract.preprocess import Pixels
from contract.task import Task
from contract.tasks.definition import ImageSize, InvalidParameter
from contract.tasks.maps import MapEncoding, encode_map, encode_pixels
from contract.tasks.mask_choice import MaskWish, encode_masks
from contract.tasks.masks import Cutout, MaskFormat
from service.drawing import draw, encode_picture, render
from service.video.track import LISTS
from tests.contract.answers import mask_as

SIZES = [(1, 1), (40, 30), (64, 48), (640, 480), (3000, 100), (1, 20_000), (20_000, 1)]
EMPTY: dict[Task, dict[str, Any]] = {
    Task.CLASSIFY: {"classes": []},
    Task.DETECT: {"objects": []},
    Task.SEGMENT: {"segments": []},
    Task.REGIONS: {"regions": []},
    Task.KEYPOINTS: {"people": []},
    Task.CLASSIFY_VIDEO: {"classes": []},
}
"""Answers that found nothing; an embedding and a map are never nothing."""


def an_image(width: int, height: int) -> Pixels:
    """An image of noise u8 [H, W, 3]."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def a_box(width: int, height: int) -> dict[str, float]:
    """A box from a quarter to three quarters of an image."""
    return {"x1": width / 4, "y1": height / 4, "x2": width * 3 / 4, "y2": height * 3 / 4}


def a_mask(width: int, height: int) -> npt.NDArray[np.bool_]:
    """The upper left quarter of an image, at least one pixel."""
    mask = np.zeros((height, width), np.bool_)
    mask[: max(1, height // 2), : max(1, width // 2)] = True
    return mask


def an_object(index: int, width: int, height: int) -> dict[str, Any]:
    """A labelled box; the third label is in letters that the font does not have."""
    return {
        "label": ("cat", "a dog " * 20, "窓 é")[index],
        "index": index,
        "score": 0.5,
        "box": a_box(width, height),
    }


def a_segment(index: int, width: int, height: int, form: MaskFormat = MaskFormat.RLE) -> dict[str, Any]:
    """An object with its mask; the first has no score, as classes of a semantic model have none."""
    segment = {**an_object(index, width, height), "area": 1}
    if form is not MaskFormat.NONE:
        segment["mask"] = mask_as(form, a_mask(width, height))
    if index == 0:
        del segment["score"]
    return segment


def a_region(width: int, height: int) -> dict[str, Any]:
    """A quadrangle that reaches over the image's edge, as grown outlines of text do."""
    polygon = [[-2.5, height / 4], [width / 2, -1.0], [width + 3.0, height / 2], [width / 2, height * 0.75]]
    return {"score": 0.9, "polygon": polygon, "box": a_box(width, height)}


def a_person(width: int, height: int) -> dict[str, Any]:
    """A person of COCO's seventeen joints on a diagonal, every second of them unsure."""
    joints = [
        {"name": str(index), "x": width * index / 17, "y": height * index / 17, "score": index % 2}
        for index in range(17)
    ]
    return {"score": 0.9, "box": a_box(width, height), "keypoints": joints}


def a_ramp(width: int, height: int) -> npt.NDArray[np.float32]:
    """A map that rises from 0 at the left to 1 at the right."""
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


def several(task: Task, width: int, height: int) -> dict[str, Any]:
    """An answer that found three things."""
    return {
        Task.CLASSIFY: {"classes": [an_object(index, width, height) for index in range(3)]},
        Task.DETECT: {"objects": [an_object(index, width, height) for index in range(3)]},
        Task.SEGMENT: {"segments": [a_segment(index, width, height) for index in range(3)]},
        Task.EMBED: {"embedding": [0.1, 0.2], "dimension": 2},
        Task.REGIONS: {"regions": [a_region(width, height) for _ in range(3)]},
        Task.DEPTH: {"map": encode_map(a_ramp(width, height), 0, 1, MapEncoding.PNG, bits=16)},
        Task.MATTE: {"map": encode_map(a_ramp(width, height), 0, 1, MapEncoding.NPY, bits=8)},
        Task.KEYPOINTS: {"people": [a_person(width, height) for _ in range(3)]},
        Task.RESTORE: {"map": encode_pixels(255 - an_image(width, height), MapEncoding.PNG)},
        Task.CLASSIFY_VIDEO: {"classes": [an_object(index, width, height) for index in range(3)]},
        Task.EXPLAIN: {
            "class": {"label": "cat", "index": 3, "score": 0.5},
            "map": encode_map(a_ramp(width, height), 0, 1, MapEncoding.PNG, bits=8),
        },
    }[task]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("task", Task)
def test_several_things_are_drawn_on_a_copy(task: Task, width: int, height: int) -> None:
    """The picture has the image's shape and type, differs from it, and the image stays as it was."""
    image = an_image(width, height)
    before = image.copy()
    drawn = draw(task, image, several(task, width, height))
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert np.array_equal(image, before)
    assert min(width, height) < 40 or not np.array_equal(drawn, image)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("task", EMPTY)
def test_nothing_found_is_nothing_drawn(task: Task, width: int, height: int) -> None:
    """An answer that found nothing leaves the image as it is, colours in their order, in memory of its own."""
    image = an_image(width, height)
    drawn = draw(task, image, EMPTY[task])
    assert np.array_equal(drawn, image)
    assert not np.shares_memory(drawn, image)


def test_a_read_only_image_is_drawn() -> None:
    """Pixels that nobody may write to are no hindrance."""
    image = an_image(64, 64)
    image.flags.writeable = False
    for task in Task:
        assert draw(task, image, several(task, 64, 64)).shape == image.shape


def test_a_mask_tints_its_pixels_and_no_others() -> None:
    """Within the mask grey becomes a colour; far from mask, box and label nothing changes."""
    image = np.full((400, 400, 3), 128, np.uint8)
    mask = np.zeros((400, 400), np.bool_)
    mask[150:250, 150:250] = True
    box = {"x1": 150.0, "y1": 150.0, "x2": 250.0, "y2": 250.0}
    segment = {"label": "a", "index": 0, "score": 0.9, "area": 10_000, "box": box}
    segment["mask"] = mask_as(MaskFormat.RLE, mask)
    drawn = draw(Task.SEGMENT, image, {"segments": [segment]})
    within, far = drawn[180:220, 180:220], drawn[300:, :]
    assert len(np.unique(within.reshape(-1, 3), axis=0)) == 1
    assert np.ptp(within[0, 0].astype(int)) > 20
    assert (far == 128).all()


@pytest.mark.parametrize("form", [MaskFormat.RLE, MaskFormat.PNG, MaskFormat.BITS, MaskFormat.POLYGON])
@pytest.mark.parametrize("crop", [False, True])
def test_every_form_of_mask_is_drawn_alike(form: MaskFormat, crop: bool) -> None:
    """A mask looks the same in whatever form it comes, cut to its box or not."""
    image = np.full((100, 100, 3), 90, np.uint8)
    mask = np.zeros((100, 100), np.bool_)
    mask[30:60, 20:80] = True
    box = {"x1": 20.0, "y1": 30.0, "x2": 80.0, "y2": 60.0}
    segment = {"label": "", "index": 0, "score": 1.0, "area": 1800, "box": box}
    drawn = [
        draw(Task.SEGMENT, image, {"segments": [{**segment, "mask": packed}]})
        for packed in (mask_as(MaskFormat.RLE, mask), mask_as(form, mask, crop=crop))
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0][45:55, 60:75], image[45:55, 60:75])


def test_a_palettes_masks_are_drawn() -> None:
    """Masks of a palette are found in its picture."""
    masks = np.zeros((2, 60, 80), np.bool_)
    masks[0, 10:30, 10:30] = masks[1, 40:55, 50:75] = True
    size: ImageSize = {"width": 80, "height": 60}
    cutouts = [cutout for mask in masks if (cutout := Cutout.of(mask, 0, 0, size))]
    encoded = encode_masks(cutouts, size, MaskWish(MaskFormat.PALETTE))
    segments = [{**an_object(0, 80, 60), "mask": mask} for mask in encoded.masks]
    bare = [{**an_object(0, 80, 60), "mask": mask_as(MaskFormat.RLE, mask)} for mask in masks]
    drawn = draw(Task.SEGMENT, an_image(80, 60), {"segments": segments, "palette": encoded.palette})
    assert np.array_equal(drawn, draw(Task.SEGMENT, an_image(80, 60), {"segments": bare}))


def test_segments_without_masks_keep_their_boxes() -> None:
    """Where there are no masks, the box and the label are drawn."""
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw(Task.SEGMENT, image, {"segments": [a_segment(1, 200, 200, MaskFormat.NONE)]})
    assert drawn[150, 50:151].any(axis=1).all()
    assert not drawn[90:140, 60:140].any()


def test_a_box_is_drawn_where_it_is() -> None:
    """The frame runs along the box's edges, and its inside stays free."""
    image = np.zeros((200, 200, 3), np.uint8)
    drawn = draw(Task.DETECT, image, {"objects": [an_object(0, 200, 200)]}).any(axis=2)
    assert drawn[50:151, 150].all()
    assert drawn[150, 50:151].all()
    assert not drawn[60:140, 60:140].any()
    assert not drawn[160:, :].any()


def test_a_region_is_drawn_where_it_is() -> None:
    """The outline runs along the polygon's edges, and its inside stays free."""
    image = np.zeros((200, 200, 3), np.uint8)
    polygon = [[20.0, 20.0], [180.0, 20.0], [180.0, 100.0], [20.0, 100.0]]
    drawn = draw(Task.REGIONS, image, {"regions": [{"score": 1.0, "polygon": polygon, "box": {}}]}).any(axis=2)
    assert drawn[20, 20:181].all()
    assert drawn[20:101, 180].all()
    assert not drawn[30:90, 30:170].any()
    assert not drawn[110:, :].any()


def test_a_matte_keeps_the_foreground() -> None:
    """Where alpha is 1 the picture stays; where it is 0 there is only the chequered ground, whatever the picture."""
    drawn = [
        draw(Task.MATTE, image, several(Task.MATTE, 64, 64)) for image in (an_image(64, 64), 255 - an_image(64, 64))
    ]
    assert np.array_equal(drawn[0][:, -1], an_image(64, 64)[:, -1])
    assert np.array_equal(drawn[0][:, 0], drawn[1][:, 0])
    assert set(np.unique(drawn[0][:, 0])) == {204, 255}


def test_depth_is_brighter_where_its_value_is_larger() -> None:
    """The map takes the picture's place; its brightness follows its values."""
    drawn = draw(Task.DEPTH, an_image(64, 48), several(Task.DEPTH, 64, 48)).astype(int).sum(axis=2)
    assert (np.diff(drawn[0, ::8]) > 0).all()


def test_only_sure_joints_are_drawn() -> None:
    """A joint of a high score is marked where it lies; one of a low score is not."""
    person = a_person(340, 340)
    # So few joints are not COCO's, and no limb is drawn between them.
    person["keypoints"] = person["keypoints"][:8]
    drawn = draw(Task.KEYPOINTS, np.zeros((340, 340, 3), np.uint8), {"people": [person]}).any(axis=2)
    assert drawn[20 * 5, 20 * 5]
    assert not drawn[20 * 6, 20 * 6]


def test_a_restored_picture_is_shown_itself() -> None:
    """The picture is the restored one, in its size and colours."""
    restored = an_image(80, 60)
    result = {"map": encode_pixels(restored, MapEncoding.PNG)}
    assert np.array_equal(draw(Task.RESTORE, an_image(40, 30), result), restored)


@pytest.mark.parametrize(("media_type", "form", "tolerance"), [("image/png", "PNG", 0), ("image/jpeg", "JPEG", 3)])
def test_a_picture_is_encoded_in_its_colours(media_type: str, form: str, tolerance: int) -> None:
    """The file is of the type that was asked for, and red stays red."""
    red = np.full((16, 24, 3), (250, 10, 20), np.uint8)
    with Image.open(io.BytesIO(encode_picture(red, media_type))) as picture:
        assert picture.format == form
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - red).max() <= tolerance


def test_nothing_is_written_where_it_cannot_be_read() -> None:
    """A picture too small for letters has the box and nothing else; a larger one has the label too."""
    for side, written in ((30, False), (300, True)):
        image = np.zeros((side, side, 3), np.uint8)
        drawn = draw(Task.DETECT, image, {"objects": [an_object(0, side, side)]}).any(axis=2)
        edge = side // 4
        drawn[edge : side - edge + 1, edge : side - edge + 1] = False
        assert drawn.any() == written
        assert np.array_equal(draw(Task.CLASSIFY, image, several(Task.CLASSIFY, side, side)), image) != written


def test_a_long_label_is_shortened() -> None:
    """A label longer than the picture is wide is cut, and stays within."""
    image = np.zeros((300, 300, 3), np.uint8)
    item = {**an_object(1, 300, 300), "box": {"x1": 0.0, "y1": 100.0, "x2": 20.0, "y2": 250.0}}
    drawn = draw(Task.DETECT, image, {"objects": [item]}).any(axis=2)
    (row,) = np.flatnonzero(drawn.sum(axis=1) == drawn.sum(axis=1).max())[:1]
    assert 150 < drawn[row].sum() < 300


@pytest.mark.parametrize("task", [Task.DETECT, Task.SEGMENT, Task.KEYPOINTS])
def test_a_track_is_told_by_its_number_and_colour(task: Task) -> None:
    """What is followed has its number in its label, and the colour of its track, whatever its class."""
    image = np.zeros((300, 300, 3), np.uint8)
    found = several(task, 300, 300)
    (name,) = [name for name in LISTS if name in found]
    one, other = (
        {**found, name: [{**found[name][0], "track_id": number, "index": index}]} for number, index in ((1, 5), (2, 5))
    )
    same = {**found, name: [{**found[name][0], "track_id": 1, "index": 6}]}
    drawn = [draw(task, image, result) for result in (one, other, same)]
    assert not np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], draw(task, image, {**found, name: found[name][:1]}))


def test_labels_leave_the_picture_to_be_seen() -> None:
    """Ten thousand objects all have a box or its part of one, and labels cover no more than about a quarter."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 380, (10_000, 2))
    objects = [
        {"label": "thing", "index": 0, "score": 0.9, "box": {"x1": x, "y1": y, "x2": x + 20, "y2": y + 20}}
        for x, y in corners
    ]
    items = [*objects[:50], *({**one, "box": {"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0}} for one in objects)]
    few, many = (draw(Task.DETECT, np.zeros((400, 400, 3), np.uint8), {"objects": found}) for found in (items, objects))
    assert many.any(axis=2).mean() > 0.5
    assert few.any(axis=2).mean() < 0.45


def test_a_box_along_the_edge_is_seen_whole() -> None:
    """Of a box as large as the picture all four sides are within it."""
    box = {"x1": 0.0, "y1": 0.0, "x2": 1000.0, "y2": 700.0}
    item = {**an_object(0, 1000, 700), "label": "", "box": box}
    drawn = draw(Task.DETECT, np.zeros((700, 1000, 3), np.uint8), {"objects": [item]}).any(axis=2)
    assert drawn[-1, 100:-4].all()
    assert drawn[100:-4, -1].all()
    assert drawn[100:-4, 0].all()


def test_heat_is_seen_where_it_is() -> None:
    """Where the map is high the picture turns red, where it is low it does not; the class is written above."""
    drawn = draw(Task.EXPLAIN, np.full((400, 400, 3), 128, np.uint8), several(Task.EXPLAIN, 400, 400)).astype(int)
    redness = drawn[:, :, 0] - drawn[:, :, 2]
    assert redness[300, 390] > 60
    assert redness[300, 10] < 20
    assert len(np.unique(drawn[:40].reshape(-1, 3), axis=0)) > len(np.unique(drawn[300:340].reshape(-1, 3), axis=0))


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg"])
@pytest.mark.parametrize("task", Task)
def test_a_result_is_rendered_on_its_file(task: Task, media_type: str) -> None:
    """From an encoded image and its result comes an encoded picture; an alpha channel is left out."""
    rgba = np.dstack([an_image(64, 48), np.full((48, 64), 128, np.uint8)])
    file = io.BytesIO()
    Image.fromarray(rgba).save(file, "PNG")
    for trimap in (False, True):
        picture = render(task, file.getvalue(), several(task, 64, 48), media_type, DecodeLimits(), trimap=trimap)
        assert decode(picture).shape == (48, 64, 3)


def test_what_is_too_long_for_a_jpeg_is_the_callers_to_know() -> None:
    """A picture longer than a JPEG can be is refused with a hint; as a PNG it is written."""
    long = np.zeros((1, 70_000, 3), np.uint8)
    with pytest.raises(InvalidParameter, match="image/png"):
        encode_picture(long, "image/jpeg")
    assert encode_picture(long, "image/png")
