"""Certified models by the hash of what they were made from, so that a build that was interrupted goes on where it was.

The key covers the entry, the weights' content, the pictures, the tools' versions and the builder's own code: what is
found under it is what a new build would give.
"""

import hashlib
import json
import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from build_engines.artifact import Artifact, Exporter, WeightsOrigin, known
from build_engines.catalog.entry import Normalisation
from contract.card import Certificate, Figures
from contract.preprocess import PreprocessSpec

DEFAULT_BUDGET = 8 * 2**30
"""Bytes; what was used longest ago goes first."""

_TOOLS = ("torch", "timm", "transformers", "onnx", "onnxscript", "onnxslim", "onnxruntime", "numpy")
_PACKAGE = Path(__file__).parent
_MODEL, _ARRAYS, _FACTS = "model.onnx", "arrays.npz", "facts.json"
_GOLDEN = "golden."


class _Facts(BaseModel):
    """What is known of a certified model besides its graph and its arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output_names: tuple[str, ...]
    preprocess: PreprocessSpec
    normalisation: Normalisation
    labels: tuple[str, ...]
    origin: WeightsOrigin
    figures: Figures
    exporter: Exporter | None
    trace_batch_size: int
    batch_sizes: tuple[int, ...]
    certificate: Certificate
    task_settings: dict[str, JsonValue]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


class Cache:
    """A folder of certified models."""

    def __init__(self, root: Path, budget: int = DEFAULT_BUDGET) -> None:
        self._root = root
        self._budget = budget

    def fetch(self, artifact: Artifact) -> Artifact | None:
        """The artifact as certified before, or None; a damaged one counts as absent."""
        folder = self._root / key(artifact)
        try:
            facts = _Facts.model_validate_json((folder / _FACTS).read_bytes())
            with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
                tensors = dict(arrays)
            model = onnx.load(folder / _MODEL)
        except (OSError, ValueError, ValidationError, DecodeError):
            return None
        os.utime(folder)
        golden = {name.removeprefix(_GOLDEN): values for name, values in tensors.items() if name.startswith(_GOLDEN)}
        known_before = {name: getattr(facts, name) for name in _Facts.model_fields}
        return artifact.having(**known_before, model=model, samples=tensors["samples"], golden=golden)

    def store(self, artifact: Artifact) -> None:
        """Keep a certified artifact; a full disk is no failure of the build."""
        facts = _Facts.model_validate({name: getattr(artifact, name) for name in _Facts.model_fields})
        arrays: dict[str, Any] = {"samples": known(artifact.samples)[:2]}
        arrays |= {_GOLDEN + name: values for name, values in known(artifact.golden).items()}
        scratch = None
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=".", dir=self._root))
            (scratch / _MODEL).write_bytes(known(artifact.model).SerializeToString())
            np.savez(scratch / _ARRAYS, **arrays)
            (scratch / _FACTS).write_text(facts.model_dump_json(), encoding="utf-8")
            scratch.rename(self._root / key(artifact))
            self._prune()
        except OSError:
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)

    def _prune(self) -> None:
        """Remove what was used longest ago until the rest fits into the budget."""
        folders = sorted(
            (path for path in self._root.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime
        )
        taken = 0
        for folder in folders:
            taken += sum(path.stat().st_size for path in folder.iterdir())
            if taken > self._budget:
                shutil.rmtree(folder, ignore_errors=True)


def key(artifact: Artifact) -> str:
    """The hash of everything that the certified model depends on."""
    order = artifact.order
    weights = _digest(order.weights) if isinstance(order.weights, Path) else order.weights
    inputs = {
        "entry": order.entry.model_dump(mode="json"),
        "weights": weights,
        "resolution": order.resolution,
        "explain": order.explain,
        "images": None if order.images is None else _digest(order.images),
        "own code": _own_code(order.entry.source.code_path) if order.entry.source.kind == "external" else None,
        "tools": {tool: _installed(tool) for tool in _TOOLS},
        "builder": _own_code(str(_PACKAGE)),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder by name."""
    paths = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for item in paths:
        total.update(item.name.encode())
        if item.is_file():
            with item.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _own_code(folder: str) -> str:
    total = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()


def _installed(tool: str) -> str | None:
    try:
        return version(tool)
    except PackageNotFoundError:
        return None
