"""A user's own code, any official repository of a paper as it is cloned; it runs in a process of its own."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from build_engines.artifact import Artifact, BuildFailure, Exporter, Order, Step, WeightsOrigin, known
from build_engines.catalog.entry import ExternalSource, Normalisation, at_resolution
from build_engines.messages import Message
from build_engines.sources import label_sets, package
from build_engines.sources.external_process import OwnCodeProcess
from contract.card import Figures
from contract.preprocess import Floats, Interpolation, PreprocessSpec, Resize
from contract.task import Task

PATIENCE_S = 900.0
"""How long one answer may take: official repositories are slow to import, large networks slow to export."""
_IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_SIDES = {Task.DETECT: 640, Task.SEGMENT: 512, Task.DEPTH: 384, Task.MATTE: 512, Task.RESTORE: 64, Task.REGIONS: 640}
_FRAMES = 8
_SIDE, _EDGE = 224, 256


class OwnCodeNetwork:
    """A network in another process; see `build_engines.artifact.ForeignNetwork`."""

    def __init__(self, process: OwnCodeProcess, framework: str, patience_s: float) -> None:
        self._process = process
        self._patience_s = patience_s
        self.framework = framework

    def export(self, exporter: Exporter, artifact: Artifact) -> onnx.ModelProto:
        """The compiled form, exported over there; BuildFailure with the exporter's words if it cannot."""
        request = {
            "do": "export",
            "exporter": exporter,
            "normalisation": known(artifact.normalisation).model_dump(mode="json"),
            "names": artifact.output_names,
        }
        _, (content,) = self._process.ask(request, (), self._patience_s)
        return onnx.load_model_from_string(content.tobytes())

    def run(self, pixels: Floats) -> list[np.ndarray[Any, Any]]:
        """Normalised pixels f32 [B,3,H,W] → the task's tensors."""
        return self._process.ask({"do": "run"}, [pixels], self._patience_s)[1]

    def close(self) -> None:
        """End the process."""
        self._process.close()


def load(artifact: Artifact, patience_s: float = PATIENCE_S) -> Artifact:
    """Start the code's process, make the network there with its weights, and say how its pixels are prepared."""
    order, source = artifact.order, artifact.order.entry.source
    if not isinstance(source, ExternalSource):
        raise TypeError(f"{order.entry.name} is not a user's own code")
    with ExitStack() as undo:
        process = OwnCodeProcess()
        undo.callback(process.close)
        loaded, _ = process.ask(_loading(order, source), (), patience_s)
        stated: Message = loaded["stated"]
        preprocess = _preprocess(order, stated)
        origin = _origin(order, source)
        request = {
            "do": "prepare",
            "preprocess": preprocess.model_dump(mode="json"),
            "settle": order.weights == "random",
            "explain": order.explain,
            "origin": asdict(origin),
        }
        prepared, _ = process.ask(request, (), patience_s)
        undo.pop_all()
    names = tuple(prepared["names"])
    return artifact.having(
        network=OwnCodeNetwork(process, f"{loaded['framework']}, in a process of its own", patience_s),
        output_names=names,
        preprocess=preprocess,
        normalisation=_normalisation(order, stated),
        labels=_labels(order, stated, prepared["classes"]),
        origin=WeightsOrigin(**prepared.get("origin", asdict(origin))),
        figures=Figures.model_validate(prepared["figures"]),
        notes=(*artifact.notes, *loaded["notes"], *prepared["notes"]),
        warnings=(*artifact.warnings, *loaded["warnings"], *prepared.get("warnings", ())),
        task_settings=prepared.get("task_settings", {}),
    )


STEP = Step(
    "source",
    load,
    requires=(),
    ensures=("network", "output_names", "preprocess", "normalisation", "origin", "figures"),
)


def usual(task: Task) -> PreprocessSpec:
    """How pictures are prepared where nobody says: a classifier's centre crop, a square for the others."""
    if task in {Task.CLASSIFY, Task.EMBED, Task.CLASSIFY_VIDEO}:
        return PreprocessSpec(
            height=_SIDE,
            width=_SIDE,
            resize=Resize.SHORTEST_EDGE,
            shortest_edge=_EDGE,
            interpolation=Interpolation.BICUBIC,
            frames=_FRAMES if task is Task.CLASSIFY_VIDEO else None,
        )
    side = _SIDES.get(task, _EDGE)
    return PreprocessSpec(height=side, width=side, resize=Resize.STRETCH, interpolation=Interpolation.BILINEAR)


def _loading(order: Order, source: ExternalSource) -> Message:
    entry = order.entry.model_dump(mode="json")
    entry["source"]["code_path"] = str(Path(source.code_path).resolve())
    weights = str(order.weights.resolve()) if isinstance(order.weights, Path) else order.weights
    return {"do": "load", "entry": entry, "weights": weights}


def _preprocess(order: Order, stated: Mapping[str, Any]) -> PreprocessSpec:
    spec = order.entry.preprocess
    if spec is None and "preprocess" in stated:
        spec = PreprocessSpec.model_validate(stated["preprocess"])
    spec = spec or usual(order.entry.task)
    return spec if order.resolution is None else at_resolution(spec, order.resolution)


def _normalisation(order: Order, stated: Mapping[str, Any]) -> Normalisation:
    if order.entry.normalisation:
        return order.entry.normalisation
    return Normalisation.model_validate(stated["normalisation"]) if "normalisation" in stated else _IMAGENET


def _labels(order: Order, stated: Mapping[str, Any], classes: int | None) -> tuple[str, ...]:
    labels = order.entry.labels or stated.get("labels") or ()
    if not isinstance(labels, str):
        if labels and classes not in {None, len(labels)}:
            raise BuildFailure(
                f"{len(labels)} labels are stated, and the network has {classes} classes", "correct them"
            )
        return tuple(labels)
    return label_sets.labels_for(labels, classes or len(label_sets.COCO_80))


def _origin(order: Order, source: ExternalSource) -> WeightsOrigin:
    if isinstance(order.weights, Path):
        return WeightsOrigin(order.weights.name, package.digest(order.weights), trained=True)
    if order.weights == "random":
        return WeightsOrigin("random", None, trained=False)
    return WeightsOrigin(f"what {source.entry} loads", None, trained=True)
