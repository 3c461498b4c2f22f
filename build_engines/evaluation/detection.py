"""Average precision of boxes and masks, by COCO's own rules.

The figures are faster-coco-eval's: to the last digit those of pycocotools, which published ones are made with, in a
tenth of its time; it is maintained, and needs NumPy only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]

from build_engines.artifact import BuildFailure
from build_engines.evaluation.datasets import CocoInstances
from build_engines.evaluation.names import indices_by_name, listed
from contract.card import ModelCard
from contract.task import Task
from contract.tasks.detect import DetectParameters
from contract.tasks.segment import SegmentParameters

_FIGURES = {"map": 0, "map50": 1, "map75": 2, "map_small": 3, "map_medium": 4, "map_large": 5, "ar100": 8}
"""Which of COCO's twelve figures are kept: AP over IoU 0.50…0.95, at 0.50, at 0.75, by size; and AR at 100 objects."""


class CocoScorer:
    """Collects what the model finds, and compares it with the annotations at the end."""

    def __init__(self, data: CocoInstances, card: ModelCard) -> None:
        """Match the categories with the card's labels; BuildFailure where none matches."""
        if card.task is Task.SEGMENT and "scores" not in _kinds(card):
            raise BuildFailure(
                f"{card.name} segments by class and finds no single objects, which COCO's measure counts",
                "evaluate it on pictures with masks of class numbers",
            )
        names = [str(category["name"]) for category in data.categories]
        found = indices_by_name(names, card.labels)
        unknown = [name for name, indices in zip(names, found, strict=True) if not indices]
        if len(unknown) == len(names):
            raise BuildFailure(
                f"none of the {len(names)} categories is a label of {card.name}: {listed(unknown)}",
                "evaluate a model of these classes, or rename the categories",
            )
        ids = [int(category["id"]) for category in data.categories]
        self._category = {index: number for number, indices in zip(ids, found, strict=True) for index in indices}
        self._data = data
        self._masks = card.task is Task.SEGMENT
        self._found: list[dict[str, Any]] = []
        self._seen: list[int] = []
        self.paths: Sequence[Path] = data.paths
        self.notes = [f"categories without a label in the model, not judged: {listed(unknown)}"] if unknown else []
        wanted = tuple(card.labels[index] for index in sorted(self._category))
        self.parameters: DetectParameters | SegmentParameters = (
            SegmentParameters(score_threshold=0, labels=wanted)
            if self._masks
            else DetectParameters(score_threshold=0, labels=wanted, max_objects=100)
        )

    def add(self, index: int, answer: Any) -> None:
        """Keep the objects, as COCO's results have them."""
        image = int(self._data.images[index]["id"])
        self._seen.append(image)
        for item in answer["segments" if self._masks else "objects"]:
            category = self._category.get(item["index"])
            if category is not None:
                self._found.append(_result(image, category, item))

    def metrics(self) -> dict[str, float]:
        """``box_map`` and its kin, and ``mask_map`` and its kin where model and data set have masks, in 0…1.

        A figure that COCO has no object for (no small ones, say) is left out.
        """
        truth = _loaded(self._truth())
        figures = {f"box_{name}": value for name, value in self._figures(truth, "bbox").items()}
        if self._masks and all(annotation.get("segmentation") for annotation in self._data.annotations):
            figures |= {f"mask_{name}": value for name, value in self._figures(truth, "segm").items()}
        return figures

    def _truth(self) -> dict[str, Any]:
        """The annotations of the pictures that were seen, with what COCO's files may leave out."""
        seen = set(self._seen)
        annotations = [
            {"iscrowd": 0, "area": annotation["bbox"][2] * annotation["bbox"][3], **annotation, "id": number}
            for number, annotation in enumerate(self._data.annotations, 1)
            if annotation["image_id"] in seen
        ]
        images = [image for image in self._data.images if image["id"] in seen]
        return {"images": images, "categories": list(self._data.categories), "annotations": annotations}

    def _figures(self, truth: Any, kind: Literal["bbox", "segm"]) -> dict[str, float]:
        if not self._found:
            return {"map": 0.0, "map50": 0.0}
        # A result's area is that of its mask where it has one, else of its box.
        drop = "bbox" if kind == "segm" else "segmentation"
        results = [{key: value for key, value in item.items() if key != drop} for item in self._found]
        evaluation = COCOeval_faster(truth, truth.loadRes(results), kind)
        evaluation.params.imgIds = sorted(set(self._seen))
        evaluation.params.catIds = sorted(set(self._category.values()))
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        figures = {name: float(evaluation.stats[place]) for name, place in _FIGURES.items()}
        return {name: value for name, value in figures.items() if value >= 0}


def _kinds(card: ModelCard) -> set[str]:
    """The names of the outputs, without the prefix of a panoptic model's."""
    return {output.name.removeprefix("segment_") for output in card.outputs}


def _result(image: int, category: int, item: dict[str, Any]) -> dict[str, Any]:
    box = item["box"]
    corners = [box["x1"], box["y1"], box["x2"] - box["x1"], box["y2"] - box["y1"]]
    result = {"image_id": image, "category_id": category, "score": item["score"], "bbox": corners}
    if "mask" in item:
        result["segmentation"] = {key: item["mask"][key] for key in ("size", "counts")}
    return result


def _loaded(dataset: dict[str, Any]) -> Any:
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco
