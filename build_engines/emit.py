"""A certified model → a version folder: card, labels, golden sample, configuration, and the model itself."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from pydantic import ValidationError

from build_engines.artifact import INPUT_NAME, Artifact, BuildFailure, Order, Step, Tensors, WeightsOrigin, known
from build_engines.catalog.entry import Entry, ExternalSource, TimmSource, TransformersSource
from build_engines.triton_twin import TWIN
from contract.card import ModelCard, Platform, Provenance
from contract.preprocess import Pixels
from contract.repository import CARD, CONFIG, GOLDEN, LABELS, Repository, RepositoryError
from contract.task import Task
from contract.tasks.explain import can_explain
from contract.tasks.table import TASKS
from contract.tensors import DType, TensorSpec
from contract.triton import to_config

Replay = Callable[[Path, ModelCard, Pixels, Tensors], None]
"""Runs the written file on the golden images and raises if it answers otherwise."""

_REMEDY = "choose another --version or --repository; check its permissions and the space on the disk"
_TOOLS = ("torch", "timm", "transformers", "onnx", "onnxscript", "onnxslim", "onnxruntime", "numpy")


def step(replay: Replay) -> Step:
    """The step, given the way to replay the golden sample; it belongs to verification, and steps do not mix."""
    return Step(
        "emit",
        partial(emit, replay=replay),
        requires=("model", "preprocess", "origin", "figures", "samples", "golden", "batch_sizes", "certificate"),
        ensures=("version", "path"),
    )


def emit(artifact: Artifact, replay: Replay) -> Artifact:
    """Write the version, replay its golden sample from the disk, and only then let it appear."""
    order = artifact.order
    repository, name = order.repository, order.entry.name
    try:
        version = order.version or _next_version(repository, name)
        card = _card(artifact, version)
        _require_same_tensors(repository, card)
        # The configuration goes first, for a version that Triton sees must have one.
        with _kept_configuration(repository, name), repository.writing(name, version) as folder:
            images = _write(folder, card, artifact)
            replay(folder / card.platform.filename, card, images, known(artifact.golden))
            repository.write_config(name, to_config(card))
    except (RepositoryError, OSError) as error:
        raise BuildFailure(str(error), _REMEDY) from error
    return artifact.having(version=version, path=repository.version_path(name, version))


def reserve(artifact: Artifact) -> Artifact:
    """Refuse, before any work, a version that is there already or a repository that cannot be written."""
    order = artifact.order
    try:
        if order.version in order.repository.versions(order.entry.name):
            raise BuildFailure(
                f"{order.entry.name}:{order.version} is there already; versions are never overwritten", _REMEDY
            )
        _require_same_outputs(order)
        order.repository.root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=order.repository.root):
            pass
    except (RepositoryError, OSError) as error:
        raise BuildFailure(f"the repository cannot be written: {error}", _REMEDY) from error
    return artifact


def _require_same_outputs(order: Order) -> None:
    """BuildFailure for heat maps where an earlier version has none, or none where one has; see below."""
    name = order.entry.name
    for version in order.repository.versions(name)[-1:] if order.entry.task is Task.CLASSIFY else []:
        card = order.repository.read_card(name, version)
        if card.task is Task.CLASSIFY and can_explain(card) is not order.explain:
            raise BuildFailure(
                f"{name}:{version} was built {'without' if order.explain else 'with'} --explain, and versions of one "
                "model share their outputs",
                f"give this one another name, e.g. --name {name}_{'explained' if order.explain else 'plain'}",
            )


RESERVE = Step("reserve", reserve, requires=(), ensures=())


@contextmanager
def _kept_configuration(repository: Repository, name: str) -> Iterator[None]:
    """The model's configuration as it was before, if the block raises."""
    path = repository.model_path(name) / CONFIG
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    with ExitStack() as undo:
        undo.callback(_put_back, repository, name, before)
        yield
        undo.pop_all()


def _put_back(repository: Repository, name: str, before: str | None) -> None:
    path = repository.model_path(name) / CONFIG
    if before is not None:
        repository.write_config(name, before)
    elif not repository.versions(name):
        path.unlink(missing_ok=True)
        with suppress(OSError):  # Another build may be at work in the folder.
            path.parent.rmdir()


def _next_version(repository: Repository, name: str) -> int:
    return max(repository.versions(name), default=0) + 1


def _write(folder: Path, card: ModelCard, artifact: Artifact) -> Pixels:
    golden = known(artifact.golden)
    images = known(artifact.samples)[: len(next(iter(golden.values())))]
    (folder / card.platform.filename).write_bytes(known(artifact.model).SerializeToString())
    if card.platform is Platform.PYTHON:
        shutil.copyfile(TWIN, folder / TWIN.name)
    for plan, content in artifact.plans:
        (folder / plan.file).write_bytes(content)
    (folder / LABELS).write_text("".join(f"{label}\n" for label in card.labels), encoding="utf-8")
    arrays: dict[str, Any] = {INPUT_NAME: images} | {f"output.{name}": values for name, values in golden.items()}
    np.savez_compressed(folder / GOLDEN, **arrays)
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return images


def _card(artifact: Artifact, version: int) -> ModelCard:
    entry, spec, origin = artifact.order.entry, known(artifact.preprocess), known(artifact.origin)
    outputs = known(artifact.golden)
    try:
        settings = {**entry.task_settings, **artifact.task_settings}
        TASKS[entry.task].settings.model_validate(settings)
        return ModelCard(
            name=entry.name,
            version=version,
            task=entry.task,
            description=entry.description,
            platform=artifact.order.platform,
            input=TensorSpec(name=INPUT_NAME, dtype=DType.UINT8, shape=spec.input_shape),
            outputs=tuple(
                TensorSpec(name=name, dtype=DType(str(values.dtype)), shape=values.shape[1:])
                for name, values in outputs.items()
            ),
            preprocess=spec,
            labels=artifact.labels or (),
            task_settings=settings,
            batch_sizes=known(artifact.batch_sizes),
            provenance=Provenance(
                source=_source(entry, origin),
                weights=origin.name,
                weights_sha256=origin.sha256,
                trained=origin.trained,
                supervision=entry.supervision,
                licence=entry.licence,
                reference=entry.reference,
                notes=entry.notes + artifact.notes,
                built_at=datetime.now(UTC),
                tools=_tools(),
            ),
            figures=known(artifact.figures),
            certificate=known(artifact.certificate),
            plans=tuple(plan for plan, _ in artifact.plans),
        )
    except ValidationError as error:
        raise BuildFailure(f"the card would not be valid: {error}", "mend the catalogue entry") from error


def _source(entry: Entry, origin: WeightsOrigin) -> str:
    match entry.source:
        case TimmSource(model=model):
            name = f"timm:{model}"
        case TransformersSource(type=kind, model_class=model_class):
            name = f"transformers:{kind}" + (f" ({model_class})" if model_class else "")
        case ExternalSource(entry=factory):
            name = f"own code: {factory}"
        case _:
            name = f"onnx:{origin.name}"
    return name if entry.head is None else f"{name} with head {entry.head.kind}"


def _tools() -> dict[str, str]:
    """The versions of those libraries that are installed."""
    found = {}
    for tool in _TOOLS:
        with suppress(PackageNotFoundError):
            found[tool] = installed(tool)
    return found


def _require_same_tensors(repository: Repository, card: ModelCard) -> None:
    """All versions of a model share their tensors and platform, because Triton has one configuration for them."""
    for version in repository.versions(card.name):
        other = repository.read_card(card.name, version)
        if other.platform is not card.platform:
            raise BuildFailure(
                f"{card.name}:{version} is {other.platform}, and versions of one model share their platform",
                f"give --platform {other.platform}, or this one another --name",
            )
        if (other.input, other.outputs) != (card.input, card.outputs):
            raise BuildFailure(
                f"{card.name}:{version} has other tensors ({_tensors(other)}; now {_tensors(card)}), and versions of "
                "one model share them",
                "give this one another --name, build into another --repository, or remove the old versions",
            )


def _tensors(card: ModelCard) -> str:
    return ", ".join(f"{spec.name} {list(spec.shape)} {spec.dtype}" for spec in (card.input, *card.outputs))
