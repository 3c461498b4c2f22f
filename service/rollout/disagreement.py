"""How far two versions disagree on one image: pure functions over the typed results of the tasks.

Both versions are peers: neither is the truth. So each task's ``share`` is the same from either side, and only figures
that say so in their name (``missed``, ``extra``, ``abs_rel``) have a direction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum, log10
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from contract.task import Task
from contract.tasks.classify import ClassifyResult
from contract.tasks.depth import DepthResult, Quantity
from contract.tasks.detect import DetectResult
from contract.tasks.embed import EmbedResult
from contract.tasks.keypoints import KeypointsResult, Person
from contract.tasks.maps import decode_map, decode_pixels
from contract.tasks.matte import MatteResult
from contract.tasks.regions import Region, RegionsResult
from contract.tasks.restore import RestoreResult
from contract.tasks.segment import Segment, SegmentResult
from service.rollout.matching import Matches, Numbers, Objects, area_of, box_iou, match

_OKS_FALLOFF = 0.1
"""Twice COCO's standard deviation of a key point, as a share of the object's size: hips' and knees' are a little less,
shoulders' a little more, and faces' marks have none that is known."""
_MAX_PIXELS = 1 << 18
"""Of a map that are compared: its mean does not change by looking at more."""
_MAX_PSNR = 100.0
_ROUNDING = 1e-4
"""By which rounded probabilities may add to more than 1."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far two answers to one image differ."""

    share: float
    """How much of the answer differs, 0…1: 0 the same answer, 1 nothing in common."""
    figures: dict[str, float]
    """The task's own numbers, by names of the field; one that nothing can be said of is left out."""


def disagreement(task: Task, reference: Any, candidate: Any) -> Disagreement:
    """Compare two results of one task for the same image, each as its ``postprocess`` gives it.

    Masks must have been asked for as run lengths, the default; maps and vectors may come in any encoding. ValueError
    for masks in another form. Maps and vectors of different sizes have nothing in common.
    """
    return WAYS[task](reference, candidate)


def _classify(reference: ClassifyResult, candidate: ClassifyResult) -> Disagreement:
    """``share`` is the least total variation distance that both lists allow.

    An answer shows its best classes only. A class that it does not show is no more probable there than the least that
    it does show, nor than what is left of 1; so much is granted, and what is still missing differs for certain. Scores
    that add to more than 1 are those of independent labels, and the distance a share of the larger sum.
    """
    first, second = _scores(reference), _scores(candidate)
    if not first or not second:
        return Disagreement(float(bool(first or second)), {"top1_flip": float(bool(first or second))})
    total = max(1.0, fsum(first.values()), fsum(second.values()))
    distance = max(_excess(first, second), _excess(second, first)) / total
    flip = reference["classes"][0]["index"] != candidate["classes"][0]["index"]
    return Disagreement(min(1.0, distance), {"top1_flip": float(flip), "total_variation": distance})


def _scores(result: ClassifyResult) -> dict[int, float]:
    return {item["index"]: item["score"] for item in result["classes"]}


def _excess(shown: dict[int, float], other: dict[int, float]) -> float:
    """How much more probable the shown classes are than the other answer allows."""
    total = fsum(other.values())
    unseen = min(other.values())
    if total <= 1 + _ROUNDING:
        unseen = min(unseen, max(0.0, 1 - total))
    return fsum(max(0.0, score - other.get(index, unseen)) for index, score in shown.items())


def _detect(reference: DetectResult, candidate: DetectResult) -> Disagreement:
    """Boxes by their IoU; see `_of_objects`."""
    first = Objects.of(reference["objects"], labelled=True)
    second = Objects.of(candidate["objects"], labelled=True)
    return _of_objects(first, second, match(box_iou(first.boxes, second.boxes), first, second), "mean_iou")


def _of_objects(first: Objects, second: Objects, matches: Matches, name: str) -> Disagreement:
    """``share`` is 1 less the panoptic quality, with the classes taken together.

    That is the similarity of all matched pairs of the same label, in relation to the mean number of objects (Kirillov
    et al., "Panoptic Segmentation", CVPR 2019, section 4.1): a missed, extra or relabelled object differs as a whole, a
    shifted one by what its IoU lacks.
    """
    same = first.labels[matches.reference] == second.labels[matches.candidate]
    similar = matches.similarity[same].tolist()
    count = len(first) + len(second)
    figures = {
        "matched": float(len(similar)),
        "missed": float(len(first) - len(same)),
        "extra": float(len(second) - len(same)),
        "label_flips": float(len(same) - len(similar)),
    }
    if similar:
        apart = np.abs(first.scores[matches.reference] - second.scores[matches.candidate])[same].tolist()
        figures |= {name: fsum(similar) / len(similar), "score_difference": fsum(apart) / len(similar)}
    return Disagreement(max(0.0, 1 - 2 * fsum(similar) / count) if count else 0.0, figures)


def _segment(reference: SegmentResult, candidate: SegmentResult) -> Disagreement:
    """Instance and panoptic segments have scores, and are matched as objects; semantic ones are those of a label."""
    first, second = reference["segments"], candidate["segments"]
    if any("score" not in segment for segment in (*first, *second)):
        return _semantic(first, second)
    ones, others = Objects.of(first, labelled=True), Objects.of(second, labelled=True)
    similarity = _rle_iou([_rle(segment) for segment in first], [_rle(segment) for segment in second])
    return _of_objects(ones, others, match(similarity, ones, others), "mean_iou")


def _semantic(first: list[Segment], second: list[Segment]) -> Disagreement:
    """``share`` is the part of the labelled pixels whose label the other answer does not give (1 less Dice's measure).

    By pixels, so that a speck of a rare label weighs as much as a speck; ``mean_iou`` weighs all labels the same.
    """
    ones, others = ({segment["index"]: segment for segment in segments} for segments in (first, second))
    ious, shared = [], []
    for index in ones.keys() & others.keys():
        iou = float(_rle_iou([_rle(ones[index])], [_rle(others[index])])[0, 0])
        ious.append(iou)
        shared.append(iou / (1 + iou) * (ones[index]["area"] + others[index]["area"]))
    labelled = sum(segment["area"] for segment in (*first, *second))
    figures = {
        "labels_missed": float(len(ones.keys() - others.keys())),
        "labels_extra": float(len(others.keys() - ones.keys())),
    }
    if not labelled:
        return Disagreement(0.0, figures)
    figures["mean_iou"] = fsum(ious) / len(ones.keys() | others.keys())
    return Disagreement(max(0.0, 1 - 2 * fsum(shared) / labelled), figures)


def _rle(segment: Segment) -> dict[str, Any]:
    mask = segment.get("mask")
    if mask is None or mask["format"] != "rle":
        raise ValueError("masks are compared as run lengths: ask both versions for mask_format rle")
    return {"size": mask["size"], "counts": mask["counts"].encode("ascii")}


def _rle_iou(first: list[Any], second: list[Any]) -> Numbers:
    """IoU f64 [N, M] of COCO's run lengths; 0 for masks of different sizes, which COCO gives -1."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    return np.asarray(coco.iou(first, second, [0] * len(second)), np.float64).clip(0)


def _regions(reference: RegionsResult, candidate: RegionsResult) -> Disagreement:
    """Polygons by the IoU of the pixels within, as COCO rasterises them; see `_of_objects`."""
    ones, others = reference["regions"], candidate["regions"]
    first, second = Objects.of(ones, labelled=False), Objects.of(others, labelled=False)
    size = reference["image"]["height"], reference["image"]["width"]
    inside, also_inside = _rasterised(ones, *size), _rasterised(others, *size)
    similarity = _rle_iou(inside, also_inside)
    if ones and others:
        # Regions so small that they hold no pixel's centre are compared by their boxes.
        empty = (coco.area(inside) == 0)[:, None] & (coco.area(also_inside) == 0)[None]
        if empty.any():
            similarity[empty] = box_iou(first.boxes, second.boxes)[empty]
    return _of_objects(first, second, match(similarity, first, second), "mean_iou")


def _rasterised(regions: list[Region], height: int, width: int) -> list[Any]:
    polygons = [[number for point in region["polygon"] for number in point] for region in regions]
    # Its type hints know no fractions of pixels; its code does.
    return list(coco.frPyObjects(polygons, height, width)) if polygons else []  # type: ignore[arg-type]


def _keypoints(reference: KeypointsResult, candidate: KeypointsResult) -> Disagreement:
    """People by their object key-point similarity (COCO's OKS); see `_of_objects`."""
    ones, others = reference["people"], candidate["people"]
    first, second = Objects.of(ones, labelled=False), Objects.of(others, labelled=False)
    matches = match(_oks(first, second, _points(ones), _points(others)), first, second)
    return _of_objects(first, second, matches, "mean_oks")


def _points(people: list[Person]) -> Numbers:
    """Key points f64 [N, K, 3]: x, y, score."""
    points = [[(point["x"], point["y"], point["score"]) for point in person["keypoints"]] for person in people]
    return np.array(points, np.float64) if points else np.zeros((0, 0, 3))


def _oks(first: Objects, second: Objects, ones: Numbers, others: Numbers) -> Numbers:
    """OKS f64 [N, M], as COCO defines it, made the same from either side.

    The size of a person is the mean of both boxes' areas; in place of "labelled", a key point weighs as much as the
    surer of the two says. All key points have one falloff, for each set of them would need its own.
    """
    similarity = np.zeros((len(first), len(second)))
    if not len(first) or not len(second) or ones.shape[1:] != others.shape[1:]:
        return similarity
    low = np.maximum(first.boxes[:, None, :2], second.boxes[None, :, :2])
    high = np.minimum(first.boxes[:, None, 2:], second.boxes[None, :, 2:])
    # People whose boxes do not touch are not worth the exponentials.
    rows, columns = np.nonzero((low <= high).all(axis=2))
    area = np.maximum((area_of(first.boxes)[rows] + area_of(second.boxes)[columns]) / 2, 1.0)
    left, right = ones[rows], others[columns]
    squared = ((left[..., :2] - right[..., :2]) ** 2).sum(axis=2)
    near = np.exp(-squared / (2 * area[:, None] * _OKS_FALLOFF**2))
    weights = np.maximum(left[..., 2], right[..., 2]).clip(1e-6)
    similarity[rows, columns] = (near * weights).sum(axis=1) / weights.sum(axis=1)
    return similarity


def _embed(reference: EmbedResult, candidate: EmbedResult) -> Disagreement:
    """``share`` is 1 less the cosine; vectors at a right angle or more have nothing in common."""
    first, second = _vector(reference), _vector(candidate)
    if first.shape != second.shape:
        return Disagreement(1.0, {})
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if not all(lengths):
        # A zero vector has no direction; it is like another one only.
        cosine = float(lengths[0] == lengths[1])
    else:
        # Through the difference, so that equal vectors are at 1 and not nearly there.
        apart = first / lengths[0] - second / lengths[1]
        cosine = max(-1.0, 1 - float(apart @ apart) / 2)
    return Disagreement(min(1.0, 1 - cosine), {"cosine": cosine})


def _vector(result: EmbedResult) -> Numbers:
    embedding = result["embedding"]
    if isinstance(embedding, bytes):
        return np.frombuffer(embedding, "<f4").astype(np.float64)
    return np.array(embedding, np.float64)


def _depth(reference: DepthResult, candidate: DepthResult) -> Disagreement:
    """Metres as they are; anything else has its own scale and shift, and is compared up to both.

    ``share`` of metres: the mean over the pixels of 1 less the smaller of both depths divided by the larger.
    """
    first, second = _sampled(decode_map(reference["map"])), _sampled(decode_map(candidate["map"]))
    if first.shape != second.shape:
        return Disagreement(1.0, {})
    if not reference.get("quantity") == candidate.get("quantity") == Quantity.METRES:
        share = min(1.0, float(np.abs(_aligned(first) - _aligned(second)).mean()) / 2)
        return Disagreement(share, {"aligned_difference": 2 * share})
    first, second = first.clip(0), second.clip(0)
    low, high = np.minimum(first, second), np.maximum(first, second)
    ratio = np.divide(low, high, out=np.ones_like(low), where=high > 0)
    figures = {"delta_1": float((ratio > 1 / 1.25).mean())}
    if (known := first > 0).any():
        figures["abs_rel"] = float((np.abs(first - second)[known] / first[known]).mean())
    return Disagreement(float((1 - ratio).mean()), figures)


def _aligned(depth: Numbers) -> Numbers:
    """Less its median, divided by the mean distance from it; a flat map is all 0.

    Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2020, section 5. The mean of the absolute values
    is then 1, and two such maps differ by 2 on average at most.
    """
    centred = depth - np.median(depth)
    scale = float(np.abs(centred).mean())
    # What float32 cannot tell from a flat map is one.
    return centred / scale if scale > 1e-6 * float(np.abs(depth).max()) else np.zeros_like(depth)


def _matte(reference: MatteResult, candidate: MatteResult) -> Disagreement:
    """``share`` is 1 less the soft IoU of both foregrounds, so that a small one counts; ``mad`` is over all pixels."""
    first, second = _sampled(decode_map(reference["map"])), _sampled(decode_map(candidate["map"]))
    if first.shape != second.shape:
        return Disagreement(1.0, {})
    apart, either = float(np.abs(first - second).sum()), float(np.maximum(first, second).sum())
    share = min(1.0, apart / either) if either > 0 else 0.0
    return Disagreement(share, {"mad": apart / first.size})


def _restore(reference: RestoreResult, candidate: RestoreResult) -> Disagreement:
    """``share`` is the root of the mean squared error, of 255: 0.1 at a PSNR of 20 dB, 0.01 at 40 dB."""
    first, second = decode_pixels(reference["map"]), decode_pixels(candidate["map"])
    if first.shape != second.shape:
        return Disagreement(1.0, {})
    share = float(np.sqrt(np.mean((_sampled(first) - _sampled(second)) ** 2))) / 255
    # Equal pictures have an infinite ratio, which JSON cannot say.
    return Disagreement(share, {"psnr": min(_MAX_PSNR, -20 * log10(share)) if share else _MAX_PSNR})


def _sampled(dense: npt.NDArray[Any]) -> Numbers:
    """A map [H, W, …] as f64, of whose rows and columns some are left out so that at most `_MAX_PIXELS` remain."""
    step = int(np.ceil(np.sqrt(dense.shape[0] * dense.shape[1] / _MAX_PIXELS)))
    return dense[::step, ::step].astype(np.float64)


WAYS: dict[Task, Callable[[Any, Any], Disagreement]] = {
    Task.CLASSIFY: _classify,
    Task.DETECT: _detect,
    Task.SEGMENT: _segment,
    Task.EMBED: _embed,
    Task.REGIONS: _regions,
    Task.DEPTH: _depth,
    Task.MATTE: _matte,
    Task.KEYPOINTS: _keypoints,
    Task.RESTORE: _restore,
    Task.CLASSIFY_VIDEO: _classify,
}
"""By task, how two of its results are compared."""
