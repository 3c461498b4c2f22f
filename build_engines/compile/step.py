"""The step: a certified graph → a plan beside it, certified too where there is a GPU."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from build_engines.artifact import Artifact, BuildFailure, Step, known
from build_engines.compile.builder import CompiledPlan, Options, Precision, compile_plan, open_for
from build_engines.compile.certify import Runner, certify
from build_engines.compile.engines import EngineName, open_engine
from build_engines.compile.gpu import CannotLoad, Gpu, NoGpu, PlanRunner, first_gpu
from build_engines.compile.listening import Progress
from build_engines.optimize.graph.activation_ranges import activation_ranges
from contract.card import Certificate, Plan
from contract.preprocess import Pixels
from contract.task import Task

Reference = Callable[[bytes], Runner]
"""Opens a serialised ONNX model in the engine that plans are held against."""

_FINGERPRINT = "made from "
_COUNTED = "layers are counted in the network, before the engine fuses them"


def step(reference: Reference, progress: Progress | None = None) -> Step:
    """The step, given what opens ONNX models; running them belongs to verification, and steps do not mix."""
    return Step(
        "compile",
        partial(compiled, reference=reference, progress=progress),
        requires=("model", "batch_sizes", "samples"),
        ensures=(),
    )


def compiled(artifact: Artifact, reference: Reference, progress: Progress | None = None) -> Artifact:
    """Add the plan that the order asks for; where it cannot be made, say why and go on: ONNX Runtime serves."""
    order = artifact.order
    if order.engine == "onnxruntime":
        return artifact
    try:
        plan, content = make_plan(
            known(artifact.model),
            order.entry.task,
            order.engine,
            known(artifact.batch_sizes),
            known(artifact.samples),
            Options(precision=order.precision),
            reference,
            progress,
        )
    except BuildFailure as failure:
        problem = f"{failure.reason} (what to do: {failure.remedy})"
        return artifact.having(plan_problem=problem, warnings=(*artifact.warnings, f"no plan: {problem}"))
    return artifact.having(plans=(*artifact.plans, (plan, content)))


def make_plan(
    model: onnx.ModelProto,
    task: Task,
    engine: EngineName,
    batch_sizes: tuple[int, ...],
    samples: Pixels,
    options: Options,
    reference: Reference,
    progress: Progress | None = None,
) -> tuple[Plan, bytes]:
    """Compile a graph, and certify the plan on the GPU if there is one.

    ``samples`` are pictures uint8 [K,H,W,3] (clips and trimaps as the model takes them). Raises BuildFailure where
    the engine refuses the graph, or where a GPU shows that the plan answers otherwise than the graph.
    """
    gpu = first_gpu()
    if isinstance(gpu, NoGpu) and not open_for(engine, options).ahead_of_time:
        raise BuildFailure(
            f"{engine} builds on the GPU that will serve, and there is none: {gpu.reason}",
            "build on that machine, or use --engine tensorrt-rtx, which needs no GPU",
        )
    ranges = activation_ranges(model, samples[:2]) if options.precision == "fp16" else None
    built = compile_plan(model, engine, batch_sizes, options, ranges, progress)
    mark = _FINGERPRINT + fingerprint(model, engine, batch_sizes, options)
    if isinstance(gpu, NoGpu):
        return _uncertified(built, f"no GPU to compare it on ({gpu.reason})", mark), built.content
    try:
        with PlanRunner(built.content, open_engine(engine), gpu) as runner:
            inspected = runner.layer_precisions()
            refuse_lost_precision(options.precision, built.layer_precisions, inspected)
            opened = reference(model.SerializeToString())
            certificate = certify(opened, runner, task, samples, batch_sizes, options.precision)
    except CannotLoad as failure:
        if not open_engine(engine).ahead_of_time:
            raise
        # A plan for all GPUs of its kind may be of use elsewhere.
        return _uncertified(built, failure.reason, mark), built.content
    except RuntimeError as error:
        raise BuildFailure(f"the plan does not run: {error}", "ONNX Runtime serves; report it with its name") from error
    notes = (*built.notes, *built.warnings, mark)
    return _plan(built, gpu, certificate, inspected or built.layer_precisions, notes), built.content


def _uncertified(built: CompiledPlan, why: str, mark: str) -> Plan:
    told = (f"not certified, so it is never offered: {why}", _COUNTED)
    return _plan(built, None, None, built.layer_precisions, (*told, *built.notes, *built.warnings, mark))


def refuse_lost_precision(precision: Precision, asked: dict[str, int], inspected: dict[str, int]) -> None:
    """BuildFailure if the network has layers in a low precision and the finished engine none (roboflow/rf-detr #1453).

    Both are counts by precision; ``inspected`` is empty where the engine's inspector does not tell.
    """
    if precision in asked and inspected and precision not in inspected:
        raise BuildFailure(
            f"no layer of the finished engine computes in {precision}, though {asked[precision]} of the network's do",
            "build it in another precision, or with another version of the engine",
        )


def fingerprint(
    model: onnx.ModelProto | Path, engine: EngineName, batch_sizes: tuple[int, ...], options: Options
) -> str:
    """The hash of what a plan is made from: graph, library, batch sizes, options and the GPU."""
    content = model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
    gpu = first_gpu()
    facts = (
        engine,
        open_engine(engine).version,
        sorted(batch_sizes),
        options.precision,
        options.version_compatible,
        options.hardware_compatible,
        options.compute_capabilities,
        options.tf32,
        options.level,
        None if isinstance(gpu, NoGpu) else (gpu.name, gpu.driver),
    )
    total = hashlib.sha256(content)
    total.update(repr(facts).encode())
    return total.hexdigest()[:32]


def fingerprint_of(plan: Plan) -> str | None:
    """What a plan in a card was made from; None where it does not say."""
    marks = (note.removeprefix(_FINGERPRINT) for note in plan.notes if note.startswith(_FINGERPRINT))
    return next(marks, None)


def noise(shape: tuple[int, ...], count: int = 4) -> Pixels:
    """Inputs for a graph of which no pictures are at hand, uint8 [count, *shape]."""
    return np.random.default_rng(3).integers(0, 256, (count, *shape), np.uint8)


def _plan(
    built: CompiledPlan,
    gpu: Gpu | None,
    certificate: Certificate | None,
    layer_precisions: dict[str, int],
    notes: tuple[str, ...],
) -> Plan:
    return Plan(
        engine=built.engine,
        file=built.file,
        tensorrt_version=built.tensorrt_version,
        gpu=gpu.name if gpu else None,
        driver=gpu.driver if gpu else None,
        compute_capability=gpu.compute_capability if gpu else None,
        precision=built.precision,
        layer_precisions=layer_precisions,
        certified=certificate is not None and certificate.passed,
        certificate=certificate,
        notes=notes,
    )
