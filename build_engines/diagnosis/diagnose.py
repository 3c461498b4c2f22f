"""The diagnosis of a failed certificate, from the network's own faults to the graph's."""

import inspect
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import Normalisation
from build_engines.diagnosis.graph import GraphRun, constant_shape, failed_node
from build_engines.diagnosis.recording import APART, Call, Imprint, Recording, difference, imprint, record
from build_engines.diagnosis.scopes import Scopes, source_line
from build_engines.diagnosis.search import Parting, Search
from build_engines.onnx_session import ENGINE_ERRORS
from contract.preprocess import Pixels

TOLERANCE = 1e-3
"""Relative error that an output may have."""

_PARTING = 1e-4
"""Relative error from which a value inside counts as another: rounding stays below, and errors grow on their way."""

_REPEATABILITY = 1e-5


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where what was built first parts from what it was built from."""

    batch_size: int
    output: str | None
    """The output that differs most, by the task's name for it."""
    first_module: str | None
    """Path of the first module that gives something else although it takes the same; empty: the outermost one."""
    first_value: str | None
    """The value of the graph that differs there; None where the fault is in the network itself."""
    relative_error: float | None
    """Of that module's output; infinite for a wrong shape, NaN, or a graph that does not run."""
    explanation: str

    def __str__(self) -> str:
        """One line for a card's notes or a build's log."""
        return self.explanation


def diagnose(
    network: nn.Module,
    compiled: nn.Module,
    model: onnx.ModelProto,
    images: Pixels,
    batch_size: int,
    normalisation: Normalisation | None = None,
) -> Diagnosis:
    """Say why the certificate failed at this batch size.

    Args:
        network: the source, f32 [B,3,H,W] normalised → tensors; a part of ``compiled``.
        compiled: what was exported, uint8 [B,H,W,3] → the task's tensors, in evaluation mode.
        model: the exported graph before it was simplified, with the exporter's names and metadata.
        images: uint8 [K,H,W,3], K ≥ 1; they repeat where the batch is larger.
        batch_size: the one that failed.
        normalisation: what the network expects; without it that of ``compiled`` is not examined.

    Raises:
        BuildFailure: the network itself does not run on such a batch.
    """
    return _Case(network, compiled, model, images[np.arange(batch_size) % len(images)], normalisation).diagnosis()


class _Case:
    def __init__(
        self,
        network: nn.Module,
        compiled: nn.Module,
        model: onnx.ModelProto,
        images: Pixels,
        normalisation: Normalisation | None,
    ) -> None:
        self._modules = dict(compiled.named_modules())
        self._inner = next((name for name, module in self._modules.items() if module is network), None)
        self._compiled = compiled
        self._model = model
        self._names = [output.name for output in model.graph.output]
        self._images = images
        self._normalisation = normalisation

    def diagnosis(self) -> Diagnosis:
        batch = self._record(self._images)
        return (
            self._restless(batch)
            or self._without_numbers(batch)
            or self._normalised_otherwise(batch)
            or self._mixed()
            or self._graph(batch)
        )

    def _record(self, images: Pixels, alone: Recording | None = None) -> Recording:
        try:
            return record(self._compiled, images, alone)
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise BuildFailure(
                f"the network does not run on a batch of {len(images)}: {str(error).splitlines()[0]}",
                "its code must be changed to take any batch size",
            ) from error

    def _restless(self, batch: Recording) -> Diagnosis | None:
        """The same batch twice."""
        again = self._record(self._images)
        pairs = batch.paired(again)
        if _gap(pairs[-1][0].outputs, pairs[-1][1].outputs) <= _REPEATABILITY:
            return None
        first, error = _first_apart(pairs, _REPEATABILITY)
        what = "answers the same images differently twice: dropout, a random mask or sampling is left on"
        return self._in_network(first, batch.last, again.last, error, what)

    def _without_numbers(self, batch: Recording) -> Diagnosis | None:
        """Infinities or NaN in the answer."""
        if _finite(batch.last.outputs):
            return None
        first = next(call for call in batch.calls if _finite(call.inputs) and not _finite(call.outputs))
        return self._in_network(first, batch.last, None, APART, "gives infinities or NaN, though it takes numbers")

    def _mixed(self) -> Diagnosis | None:
        """The batch against its images, each alone."""
        singles = [self._record(self._images[slot : slot + 1]) for slot in range(len(self._images))]
        batch = self._record(self._images, singles[0])
        pairs = _together(singles).paired(batch)
        if _gap(pairs[-1][0].outputs, pairs[-1][1].outputs) <= TOLERANCE:
            return None
        first, error = _first_apart(pairs, TOLERANCE)
        what = "answers an image in the batch otherwise than the same image alone: it mixes the images of a batch"
        return self._in_network(first, *pairs[-1], error, what)

    def _normalised_otherwise(self, batch: Recording) -> Diagnosis | None:
        """What the network takes inside the compiled module, against the normalisation that it expects."""
        if self._normalisation is None or self._inner is None:
            return None
        call = next(call for call in batch.calls if call.module == self._inner)
        pixels = np.ascontiguousarray(_normalised(self._images, self._normalisation))
        error = difference(imprint(pixels), call.inputs[0][0])
        if error <= TOLERANCE:
            return self._oversensitive(batch, torch.from_numpy(pixels), error)
        explanation = (
            f"at batch size {len(self._images)} the compiled module gives the network other pixels than its "
            f"normalisation says (relative error {error:.2g})"
        )
        return Diagnosis(len(self._images), self._names[0], "", None, error, explanation)

    def _oversensitive(self, batch: Recording, pixels: Tensor, rounding: float) -> Diagnosis | None:
        """The network on pixels that differ from those of the compiled module in their last digits only."""
        with self._modules[self._inner or ""].register_forward_pre_hook(lambda _, __: (pixels,)):
            again = self._record(self._images)
        error = _gap(batch.last.outputs, again.last.outputs)
        if error <= TOLERANCE:
            return None
        what = (
            f"is so sensitive that pixels changed by {rounding:.1g} change its answer by {error:.2g}, so no engine can "
            "be certified: its weights are out of scale"
        )
        first = next(call for call in batch.calls if call.module == self._inner)
        return self._in_network(first, batch.last, again.last, error, what)

    def _graph(self, batch: Recording) -> Diagnosis:
        """The graph against the network, both with the whole batch."""
        run = GraphRun(self._model, self._images)
        expected = [brief[0] for brief in batch.last.outputs]
        output, error, failure = self._worst(run, expected, optimised=False)
        if failure is None and error <= TOLERANCE:
            return self._innocent(run, expected)
        scopes = Scopes(self._model, set(self._modules))
        search = Search(run, scopes, batch, _PARTING)
        parting = search.first() or Parting("", None, error)
        stopped = None if failure is None else scopes.nodes.get(failed_node(failure) or "")
        value = parting.value if stopped is None else stopped.output[0]
        explanation = self._parted(parting, output, error)
        explanation += self._engine_says(failure, stopped, scopes) if failure else self._at(parting, scopes)
        if stopped is None or constant_shape(self._model, stopped) is None:
            explanation += self._frozen(parting.module, scopes)
        if search.repeated:
            explanation += f"; passed over, being called several times: {_some(sorted(search.repeated))}"
        return Diagnosis(len(self._images), output, parting.module, value, parting.error, explanation)

    def _worst(
        self, run: GraphRun, expected: list[Imprint], *, optimised: bool
    ) -> tuple[str | None, float, Exception | None]:
        """The output that differs most, how much, and the runtime's error if the graph does not run."""
        try:
            answers = run.values(tuple(self._names), optimised=optimised)
        except ENGINE_ERRORS as error:
            return None, APART, error
        gaps = {
            name: difference(brief, imprint(answers[name])) for name, brief in zip(self._names, expected, strict=True)
        }
        output = max(gaps, key=gaps.__getitem__)
        return output, gaps[output], None

    def _innocent(self, run: GraphRun, expected: list[Imprint]) -> Diagnosis:
        """Network and exported graph agree, so what comes after the export is at fault."""
        count = len(self._images)
        output, error, failure = self._worst(run, expected, optimised=True)
        if failure is None and error <= TOLERANCE:
            explanation = (
                f"at batch size {count} the exported graph agrees with the network; what parts comes after the export"
            )
            return Diagnosis(count, None, None, None, None, explanation)
        explanation = (
            f"at batch size {count} the exported graph agrees with the network as it stands, and no longer once "
            f"ONNX Runtime has optimised it (relative error {error:.2g})"
        )
        return Diagnosis(count, output, None, None, error, explanation)

    def _parted(self, parting: Parting, output: str | None, error: float) -> str:
        differs = "the graph does not run" if output is None else f"{output} differs (relative error {error:.2g})"
        text = f"at batch size {len(self._images)} {differs}; the graph first parts in {self._named(parting.module)}"
        return text + (", of which it has no node" if parting.missing else "")

    def _at(self, parting: Parting, scopes: Scopes) -> str:
        node = None if parting.value is None else scopes.producers.get(parting.value)
        if node is None:
            return ""
        error = "of another shape, or without numbers" if parting.error == APART else f"off by {parting.error:.2g}"
        return f", at {parting.value} ({node.op_type}), which is {error}" + _from_line(node)

    def _frozen(self, module: str, scopes: Scopes) -> str:
        """A shape in the module's own code whose batch is a constant."""
        for node in scopes.within(module):
            shape = constant_shape(self._model, node) if scopes.owner(node) == module else None
            if shape and shape[0] > 1:
                return f"; its {node.op_type} {node.name} makes the constant shape {shape}" + _from_line(node)
        return ""

    def _engine_says(self, failure: Exception, node: onnx.NodeProto | None, scopes: Scopes) -> str:
        if node is None:
            return f"; ONNX Runtime says: {' '.join(str(failure).split())[:200]}"
        shape = constant_shape(self._model, node)
        frozen = f" to the constant shape {shape}" if shape else ""
        where = self._named(scopes.owner(node))
        return f"; ONNX Runtime stops at {node.op_type} {node.name}{frozen} in {where}" + _from_line(node)

    def _in_network(self, first: Call, expected: Call, actual: Call | None, error: float, what: str) -> Diagnosis:
        """The fault is in the network, whatever the graph does."""
        gaps = {}
        for index, name in enumerate(self._names):
            pair = [() if call is None else (call.outputs[index],) for call in (expected, actual)]
            gaps[name] = APART if actual is None else _gap(pair[0], pair[1])
        output = max(gaps, key=gaps.__getitem__)
        explanation = (
            f"at batch size {len(self._images)} {output} cannot be certified, because the source itself errs: "
            f"{self._named(first.module)} {what}"
        )
        return Diagnosis(len(self._images), output, first.module, None, error, explanation)

    def _named(self, path: str) -> str:
        """A module's path, its class, and where that is written."""
        kind = type(self._modules[path])
        if kind.__module__.startswith("torch."):
            return f"{path} ({kind.__name__})"
        try:
            file = "/".join((inspect.getsourcefile(kind) or "").split("/")[-2:])
            where = f" in {file}:{inspect.getsourcelines(kind)[1]}"
        except (OSError, TypeError):
            where = ""
        return f"{path or 'the outermost module'} ({kind.__name__}{where})"


def _first_apart(pairs: list[tuple[Call, Call]], tolerance: float) -> tuple[Call, float]:
    """The first call, the innermost of those nested, that takes the same and gives something else, and how else."""
    for expected, actual in pairs:
        error = _gap(expected.outputs, actual.outputs)
        if error > tolerance and _gap(expected.inputs, actual.inputs) <= tolerance:
            return actual, error
    expected, actual = pairs[-1]
    return actual, _gap(expected.outputs, actual.outputs)


def _gap(expected: tuple[tuple[Imprint, ...], ...], actual: tuple[tuple[Imprint, ...], ...]) -> float:
    """Largest difference of the tensors that can be compared."""
    gaps = [
        difference(first, second)
        for these, those in zip(expected, actual, strict=False)
        if len(these) == len(those)  # Otherwise its shape does not tell what belongs to which image.
        for first, second in zip(these, those, strict=True)
    ]
    return max(gaps, default=0.0)


def _together(singles: list[Recording]) -> Recording:
    """The calls that all the images had, each of which was alone, as one recording by slots."""
    numbered = [single.numbered() for single in singles]
    common = [key for key in numbered[0] if all(key in other for other in numbered)]
    calls = [[other[key] for other in numbered] for key in common]
    return Recording(
        tuple(
            Call(group[0].module, _slots([call.inputs for call in group]), _slots([call.outputs for call in group]))
            for group in calls
        )
    )


def _slots(tensors: list[tuple[tuple[Imprint, ...], ...]]) -> tuple[tuple[Imprint, ...], ...]:
    """By tensor and image, what comes by image and tensor."""
    return tuple(tuple(brief[0] for brief in briefs) for briefs in zip(*tensors, strict=True))


def _finite(tensors: tuple[tuple[Imprint, ...], ...]) -> bool:
    return all(brief.finite for briefs in tensors for brief in briefs)


def _normalised(images: Pixels, normalisation: Normalisation) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """``(pixel / 255 - mean) / std``, channels before rows; a fourth channel stays in 0…1."""
    scaled = images.astype(np.float32) / 255
    colours, rest = scaled[..., :3], scaled[..., 3:]
    ordered = colours if normalisation.channels == "rgb" else colours[..., ::-1]
    result = (ordered - np.asarray(normalisation.mean, np.float32)) / np.asarray(normalisation.std, np.float32)
    return np.moveaxis(np.concatenate([result, rest], axis=-1), -1, -3)


def _from_line(node: onnx.NodeProto) -> str:
    line = source_line(node)
    return f", from {line}" if line else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
