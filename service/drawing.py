"""Answers drawn on their image; `supervision` does the drawing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import supervision as sv
from supervision.key_points.skeletons import Skeleton

from contract.image import DecodeLimits, decode
from contract.preprocess import Pixels
from contract.task import Task
from contract.tasks.definition import InvalidParameter
from contract.tasks.maps import decode_map, decode_pixels
from contract.tasks.masks import decode_masks, plain_run_lengths

JPEG_QUALITY = 90
_MAX_JPEG_SIDE = 65_500
"""libjpeg writes no longer one."""

_CHEQUER = 12
"""Side of a square of the ground under a matte, in pixels."""
_STRIP = 256
"""Rows that are blended at a time, so that a large picture does not lie in memory many times over."""
_SURE = 0.3
"""A key point is drawn from this score on."""
_COCO_JOINTS = 17
_MAX_LABELS = 100
_MAX_PEOPLE = 1000
"""That are drawn, the best of them: a thousand take a second."""
_CROWD = 300
"""More boxes than these hide what they are around."""
_MOST_COVERED = 0.25
"""Share of a picture that labels may cover; those of the best findings come first."""
_LEAST_READABLE = 4
"""Letters; a label that has room for fewer is left out."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_COLOURS = sv.ColorPalette([sv.ColorPalette.DEFAULT.by_idx(5 * place) for place in range(21)])
"""Supervision's colours, in an order in which neighbours are not alike."""
_BRIGHT = 140
_ON_COLOURS = sv.ColorPalette(
    [
        sv.Color.BLACK if 0.299 * colour.r + 0.587 * colour.g + 0.114 * colour.b > _BRIGHT else sv.Color.WHITE
        for colour in _COLOURS.colors
    ]
)
"""For each colour the one that can be read on it."""


def render(
    task: Task, image: bytes, result: Any, media_type: str, limits: DecodeLimits, *, trimap: bool = False
) -> bytes:
    """A task's result drawn on its encoded image, as ``image/png`` or ``image/jpeg``.

    ``trimap``: the image's alpha channel is one, and not drawn. The image is decoded again, for that is cheaper than to
    have the pixels of every image in flight lie about: so no more are in memory than there are workers.
    InvalidParameter where the picture is too long for a JPEG.
    """
    pixels = decode(image, limits, trimap=trimap)[:, :, :3]
    return encode_picture(draw(task, pixels, result), media_type)


def draw(task: Task, pixels: Pixels, result: Any) -> Pixels:
    """Draw a task's result on a copy of its image, RGB uint8 [H, W, 3]; a restored one has its own size."""
    scene = np.ascontiguousarray(pixels[:, :, ::-1])
    return np.ascontiguousarray(_DRAWERS[task](scene, result)[:, :, ::-1])


def encode_picture(pixels: Pixels, media_type: str) -> bytes:
    """RGB uint8 [H, W, 3] as ``image/png`` or ``image/jpeg``; InvalidParameter where it is too long for a JPEG."""
    suffix, options = (".png", []) if media_type == "image/png" else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if suffix == ".jpg" and max(pixels.shape) > _MAX_JPEG_SIDE:
        raise InvalidParameter(f"a JPEG has at most {_MAX_JPEG_SIDE:,} pixels on a side; ask for image/png")
    ok, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise RuntimeError(f"OpenCV could not write {media_type}")
    return data.tobytes()


@dataclass(frozen=True, slots=True)
class _Pen:
    """How thick lines and how large letters are on a picture."""

    thickness: int
    text_scale: float
    """Of OpenCV's font; 0 where no letters could be read."""

    @classmethod
    def of(cls, scene: Pixels) -> Self:
        """By the shorter side, for the longer one may be any."""
        short = min(scene.shape[:2])
        return cls(max(1, min(8, round(short / 240))), 0.0 if short < 40 else min(3.0, max(0.35, short / 1000)))

    def thin_for(self, boxes: npt.NDArray[np.float32]) -> int:
        """The thickness of lines around or within boxes f32 [N, 4], most of which they may not fill."""
        sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
        return max(1, min(self.thickness, int(np.median(sides) / 12)))

    @property
    def text_thickness(self) -> int:
        """Of the strokes of letters."""
        return max(1, round(1.5 * self.text_scale))

    @property
    def padding(self) -> int:
        """Around a text."""
        return max(2, round(8 * self.text_scale))

    def fit(self, text: str, width: int) -> tuple[str, int, int]:
        """The text, shortened to so many pixels, with the width and the height of its ground; "" if nothing fits."""
        room = width - 2 * self.padding
        shown = text
        while self.text_scale and len(shown) >= min(_LEAST_READABLE, len(text)):
            (length, height), _ = cv2.getTextSize(shown, _FONT, self.text_scale, self.text_thickness)
            if length <= room:
                return shown, length + 2 * self.padding, height + 2 * self.padding
            keep = min(len(shown) - 1, int(len(shown) * room / length)) - 2
            shown = text[: max(0, keep)] + ".." if keep > 0 else ""
        return "", 0, 0


def _draw_classes(scene: Pixels, result: Any) -> Pixels:
    return _caption(scene, [_titled(item) for item in result["classes"]])


def _draw_embedding(scene: Pixels, result: Any) -> Pixels:
    return _caption(scene, [f"embedding of {result['dimension']} numbers"])


def _draw_objects(scene: Pixels, result: Any) -> Pixels:
    return _annotate(scene, result["objects"], result)


def _draw_segments(scene: Pixels, result: Any) -> Pixels:
    return _annotate(scene, result["segments"], result)


def _draw_regions(scene: Pixels, result: Any) -> Pixels:
    if not result["regions"]:
        return scene
    corners = [np.array(region["polygon"], np.float32) for region in result["regions"]]
    boxes = np.array([[*points.min(axis=0), *points.max(axis=0)] for points in corners], np.float32)
    thickness = _Pen.of(scene).thin_for(boxes)
    for index, points in enumerate(corners):
        polygon = np.round(points).astype(np.int64)
        scene = np.asarray(sv.draw_polygon(scene, polygon, _COLOURS.by_idx(index), thickness), np.uint8)
    return scene


def _draw_depth(_scene: Pixels, result: Any) -> Pixels:
    """The map in place of the picture, from dark (``min``) to bright."""
    depth = decode_map(result["map"])
    low, high = result["map"]["min"], result["map"]["max"]
    grey = np.clip((depth - low) * (255 / ((high - low) or 1)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), np.uint8)


def _draw_matte(scene: Pixels, result: Any) -> Pixels:
    """The foreground on a chequered ground."""
    alpha = decode_map(result["map"])
    columns = np.arange(scene.shape[1]) // _CHEQUER
    for rows in _strips(scene):
        squares = np.arange(rows.start, rows.stop)[:, None] // _CHEQUER + columns
        ground = np.where(squares % 2, np.float32(255), np.float32(204))[:, :, None]
        share = alpha[rows, :, None]
        scene[rows] = np.rint(scene[rows] * share + ground * (1 - share))
    return scene


def _draw_restored(_scene: Pixels, result: Any) -> Pixels:
    """The restored picture, in its own size."""
    return np.ascontiguousarray(decode_pixels(result["map"])[:, :, ::-1])


def _draw_heat(scene: Pixels, result: Any) -> Pixels:
    """The picture in grey, under colours from blue to red that cover the more the hotter a pixel is."""
    heat = decode_map(result["map"])
    for rows in _strips(scene):
        part = heat[rows].clip(0, 1)
        colours = cv2.applyColorMap(np.rint(part * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
        grey = cv2.cvtColor(scene[rows], cv2.COLOR_BGR2GRAY)[:, :, None]
        share = np.float32(0.6) * np.sqrt(part)[:, :, None]
        scene[rows] = np.rint(grey * (1 - share) + colours * share)
    return _caption(scene, [_titled(result["class"])])


def _draw_people(scene: Pixels, result: Any) -> Pixels:
    """Key points that are sure enough, with the limbs between them where they are COCO's joints."""
    if not result["people"]:
        return scene
    people = result["people"][:_MAX_PEOPLE]
    points = np.array(
        [[(point["x"], point["y"], point["score"]) for point in person["keypoints"]] for person in people], np.float32
    )
    found = sv.KeyPoints(xy=points[:, :, :2], visible=points[:, :, 2] >= _SURE)
    thickness = _Pen.of(scene).thin_for(_boxes(people))
    if points.shape[1] == _COCO_JOINTS:
        limbs = sv.EdgeAnnotator(sv.Color.GREEN, thickness, edges=list(Skeleton.COCO.value))
        scene = np.asarray(limbs.annotate(scene, found), np.uint8)
    joints = sv.VertexAnnotator(color=sv.Color.RED, radius=max(1, round(1.5 * thickness)))
    scene = np.asarray(joints.annotate(scene, found), np.uint8)
    return _annotate(scene, people, result) if any("track_id" in person for person in people) else scene


_DRAWERS: dict[Task, Callable[[Pixels, Any], Pixels]] = {
    Task.CLASSIFY: _draw_classes,
    Task.DETECT: _draw_objects,
    Task.SEGMENT: _draw_segments,
    Task.EMBED: _draw_embedding,
    Task.REGIONS: _draw_regions,
    Task.DEPTH: _draw_depth,
    Task.MATTE: _draw_matte,
    Task.KEYPOINTS: _draw_people,
    Task.RESTORE: _draw_restored,
    Task.CLASSIFY_VIDEO: _draw_classes,
    Task.EXPLAIN: _draw_heat,
}


def _strips(scene: Pixels) -> Iterator[slice]:
    height = scene.shape[0]
    return (slice(start, min(start + _STRIP, height)) for start in range(0, height, _STRIP))


def _annotate(scene: Pixels, items: list[Any], result: Any) -> Pixels:
    """Masks where there are any, boxes around what has a score, and labels."""
    if not items:
        return scene
    pen = _Pen.of(scene)
    boxes = _boxes(items)
    thickness = pen.thin_for(boxes)
    # A line along the picture's edge is drawn within it.
    height, width = scene.shape[:2]
    margin = thickness // 2
    high = np.maximum(np.array([width, height]) - 1 - margin, margin)
    edges = boxes.reshape(-1, 2, 2).clip(margin, high).reshape(-1, 4)
    found: Any = sv.Detections(xyxy=edges, mask=_masks(scene, items, result), class_id=_colour_indices(items))
    if found.mask is not None:
        scene = np.asarray(sv.MaskAnnotator(_COLOURS, opacity=0.45).annotate(scene, found), np.uint8)
    # A class of a semantic model lies anywhere; a box around all of it says nothing.
    boxed = found[np.array(["score" in item or "mask" not in item for item in items])]
    scene = _frame(scene, boxed, thickness)
    return _label(scene, found, items, pen)


def _frame(scene: Pixels, found: Any, thickness: int) -> Pixels:
    """Boxes, the best on top; of a crowd thin ones, through which the picture can be seen."""
    crowd = len(found) > _CROWD
    boxes = sv.BoxAnnotator(_COLOURS, thickness=1 if crowd else thickness)
    framed = np.asarray(boxes.annotate(scene.copy() if crowd else scene, found[::-1]), np.uint8)
    return np.asarray(cv2.addWeighted(framed, 0.5, scene, 0.5, 0), np.uint8) if crowd else framed


def _boxes(items: list[Any]) -> npt.NDArray[np.float32]:
    return np.array([[item["box"][corner] for corner in ("x1", "y1", "x2", "y2")] for item in items], np.float32)


def _colour_indices(items: list[Any]) -> npt.NDArray[np.intp]:
    """The place of each item's colour: by its track, or its class, but for masks of one class, to tell them apart."""
    if any("track_id" in item for item in items):
        places = [item.get("track_id", item.get("index", 0)) for item in items]
        return np.array(places, np.intp) % len(_COLOURS.colors)
    if "mask" in items[0] and "score" in items[0]:
        return np.arange(len(items))
    return np.array([item["index"] for item in items], np.intp) % len(_COLOURS.colors)


def _masks(scene: Pixels, items: list[Any], result: Any) -> sv.CompactMask | None:
    """The masks as supervision keeps many of them: each in its box."""
    if not any("mask" in item for item in items):
        return None
    height, width = scene.shape[:2]
    size: Any = {"width": width, "height": height}
    cutouts = decode_masks([item["mask"] for item in items], size, result.get("palette"))
    return sv.CompactMask(
        [plain_run_lengths(cutout) for cutout in cutouts],
        np.array([cutout.inside.shape for cutout in cutouts], np.int32),
        np.array([(cutout.left, cutout.top) for cutout in cutouts], np.int32),
        (height, width),
    )


def _label(scene: Pixels, found: Any, items: list[Any], pen: _Pen) -> Pixels:
    """Labels of the best findings, as many as leave the picture to be seen."""
    height, width = scene.shape[:2]
    texts: list[str] = []
    places: list[int] = []
    covered = 0
    for place, item in enumerate(items[:_MAX_LABELS]):
        text, text_width, text_height = pen.fit(_titled(item), width)
        covered += text_width * text_height
        if texts and covered > _MOST_COVERED * width * height:
            break
        if text:
            texts.append(text)
            places.append(place)
    if not texts:
        return scene
    semantic = found.mask is not None and "score" not in items[0]
    labels = sv.LabelAnnotator(
        _COLOURS,
        text_color=_ON_COLOURS,
        text_scale=pen.text_scale,
        text_thickness=pen.text_thickness,
        text_padding=pen.padding,
        text_position=sv.Position.CENTER_OF_MASS if semantic else sv.Position.TOP_LEFT,
        smart_position=True,
    )
    return np.asarray(labels.annotate(scene, found[np.array(places)], texts), np.uint8)


def _caption(scene: Pixels, lines: list[str]) -> Pixels:
    """Lines of text in the upper left corner, on a dark ground; as many as there is room for."""
    pen, (height, width) = _Pen.of(scene), scene.shape[:2]
    top = 0
    for line in lines:
        text, text_width, text_height = pen.fit(line, width)
        if not text or top + text_height > height:
            break
        anchor = sv.Point(x=text_width // 2, y=top + text_height // 2)
        scene = sv.draw_text(
            scene,
            text,
            anchor,
            sv.Color.WHITE,
            pen.text_scale,
            pen.text_thickness,
            text_padding=pen.padding,
            background_color=sv.Color.BLACK,
        )
        top += text_height
    return scene


def _titled(item: Any) -> str:
    """Label, number of the track, score: what there is."""
    parts = [str(item["label"])] if "label" in item else []
    parts += [f"#{item['track_id']}"] if "track_id" in item else []
    parts += [f"{item['score']:.0%}"] if "score" in item else []
    return " ".join(parts)
