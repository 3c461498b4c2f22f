"""Answers drawn on their image; `supervision` does the drawing."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import supervision as sv
from supervision.key_points.skeletons import Skeleton

from contract.preprocess import Pixels
from contract.task import Task
from contract.tasks.maps import decode_map, decode_pixels
from contract.tasks.masks import decode_rle

JPEG_QUALITY = 90

_CHEQUER = 12
"""Side of a square of the ground under a matte, in pixels."""
_SURE = 0.3
"""A key point is drawn from this score on."""
_COCO_JOINTS = 17


def draw(task: Task, pixels: Pixels, result: Any) -> Pixels:
    """Draw a task's result on a copy of its image, RGB uint8 [H, W, 3]; a restored one has its own size."""
    scene = np.ascontiguousarray(pixels[:, :, ::-1])
    return np.ascontiguousarray(_DRAWERS[task](scene, result)[:, :, ::-1])


def encode_picture(pixels: Pixels, media_type: str) -> bytes:
    """RGB uint8 [H, W, 3] as ``image/png`` or ``image/jpeg``."""
    suffix, options = (".png", []) if media_type == "image/png" else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    ok, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise RuntimeError(f"OpenCV could not write {media_type}")
    return data.tobytes()


def _draw_classes(scene: Pixels, result: Any) -> Pixels:
    return _caption(scene, [_titled(item) for item in result["classes"]])


def _draw_embedding(scene: Pixels, result: Any) -> Pixels:
    return _caption(scene, [f"embedding of {result['dimension']} numbers"])


def _draw_objects(scene: Pixels, result: Any) -> Pixels:
    return _annotate(scene, result["objects"])


def _draw_segments(scene: Pixels, result: Any) -> Pixels:
    return _annotate(scene, result["segments"])


def _draw_regions(scene: Pixels, result: Any) -> Pixels:
    thickness = _thickness(scene)
    for index, region in enumerate(result["regions"]):
        polygon = np.round(np.array(region["polygon"])).astype(np.int64)
        colour = sv.ColorPalette.DEFAULT.by_idx(index)
        scene = np.asarray(sv.draw_polygon(scene, polygon, colour, thickness), np.uint8)
    return scene


def _draw_depth(_scene: Pixels, result: Any) -> Pixels:
    """The map in place of the picture, from dark (``min``) to bright."""
    depth = decode_map(result["map"])
    low, high = result["map"]["min"], result["map"]["max"]
    grey = np.clip((depth - low) * (255 / ((high - low) or 1)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), np.uint8)


def _draw_matte(scene: Pixels, result: Any) -> Pixels:
    """The foreground on a chequered ground."""
    alpha = decode_map(result["map"])[:, :, None]
    rows, columns = np.indices(scene.shape[:2]) // _CHEQUER
    ground = np.where((rows + columns) % 2, 255, 204).astype(np.float32)[:, :, None]
    return np.rint(scene * alpha + ground * (1 - alpha)).astype(np.uint8)


def _draw_restored(_scene: Pixels, result: Any) -> Pixels:
    """The restored picture, in its own size."""
    return np.ascontiguousarray(decode_pixels(result["map"])[:, :, ::-1])


def _draw_people(scene: Pixels, result: Any) -> Pixels:
    """Key points that are sure enough, with the limbs between them where they are COCO's joints."""
    if not result["people"]:
        return scene
    points = np.array(
        [[(point["x"], point["y"], point["score"]) for point in person["keypoints"]] for person in result["people"]],
        np.float32,
    )
    found = sv.KeyPoints(xy=points[:, :, :2], visible=points[:, :, 2] >= _SURE)
    thickness = _thickness(scene)
    if points.shape[1] == _COCO_JOINTS:
        limbs = sv.EdgeAnnotator(sv.Color.GREEN, thickness, edges=list(Skeleton.COCO.value))
        scene = np.asarray(limbs.annotate(scene, found), np.uint8)
    return np.asarray(sv.VertexAnnotator(color=sv.Color.RED, radius=2 * thickness).annotate(scene, found), np.uint8)


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
}


def _annotate(scene: Pixels, items: list[Any]) -> Pixels:
    """Boxes, masks where there are any, and labels."""
    if not items:
        return scene
    boxes = np.array([[item["box"][corner] for corner in ("x1", "y1", "x2", "y2")] for item in items], np.float32)
    detections = sv.Detections(xyxy=boxes, mask=_masks(items), class_id=np.array([item["index"] for item in items]))
    thickness, scale = _thickness(scene), _text_scale(scene)
    if detections.mask is not None:
        scene = sv.MaskAnnotator(opacity=0.45).annotate(scene, detections)
    scene = sv.BoxAnnotator(thickness=thickness).annotate(scene, detections)
    labels = sv.LabelAnnotator(
        text_scale=scale,
        text_thickness=max(1, thickness // 2),
        text_padding=max(3, round(8 * scale)),
        smart_position=True,
    )
    return np.asarray(labels.annotate(scene, detections, [_titled(item) for item in items]), np.uint8)


def _masks(items: list[Any]) -> npt.NDArray[np.bool_] | None:
    masks = [decode_rle(item["mask"]) for item in items if item.get("mask", {}).get("format") == "rle"]
    return np.stack(masks) if len(masks) == len(items) else None


def _caption(scene: Pixels, lines: list[str]) -> Pixels:
    """Lines of text in the upper left corner, on a dark ground."""
    scale, thickness = _text_scale(scene), max(1, _thickness(scene) // 2)
    line_height = round(34 * scale) + 8
    for row, line in enumerate(lines):
        (width, _), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        anchor = sv.Point(x=width // 2 + 12, y=line_height * row + line_height // 2 + 6)
        scene = sv.draw_text(
            scene, line, anchor, sv.Color.WHITE, scale, thickness, text_padding=5, background_color=sv.Color.BLACK
        )
    return scene


def _titled(item: Any) -> str:
    return f"{item['label']} {item['score']:.0%}" if "score" in item else str(item["label"])


def _thickness(scene: Pixels) -> int:
    return int(sv.calculate_optimal_line_thickness((scene.shape[1], scene.shape[0])))


def _text_scale(scene: Pixels) -> float:
    return max(0.4, float(sv.calculate_optimal_text_scale((scene.shape[1], scene.shape[0]))))
