"""One ONNX graph → one plan: rewrite what the engine lacks, parse, set profiles and options, build."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import onnx

from build_engines.artifact import INPUT_NAME, BuildFailure
from build_engines.compile import precision as precisions
from build_engines.compile.engines import Engine, EngineName, open_engine
from build_engines.compile.listening import Log, Progress, Stages, interruptible, logger, monitor
from build_engines.compile.refusals import builder_refusal, parser_refusal
from build_engines.optimize.graph.mixed_precision import Ranges, mixed
from build_engines.optimize.graph.tensorrt_nms import without_nms
from build_engines.optimize.graph.tensorrt_types import in_engine_types

Precision = Literal["fp32", "fp16", "bf16"]

_NO_RANGE = "activations were not measured, so that a value beyond fp16's range could go unnoticed"


@dataclass(frozen=True, slots=True)
class Options:
    """How a plan is built."""

    precision: Precision = "fp32"
    timing_cache: Path | None = None
    """A file that later builds on the same GPU start from; TensorRT-RTX measures nothing and needs none."""
    version_compatible: bool = False
    """TensorRT: the plan also runs in later minor versions. TensorRT-RTX's plans are bound to their version."""
    hardware_compatible: bool = False
    """TensorRT: the plan also runs on other GPUs from Ampere on. TensorRT-RTX's plans always do."""
    compute_capabilities: tuple[str, ...] = ()
    """TensorRT-RTX: only for these, e.g. ``8.9``; none: for all from 8.0 on."""
    tf32: bool = False
    """Let products of fp32 numbers be rounded to 10 bits of mantissa; quicker, and no longer fp32."""
    level: int | None = None
    """The builder's effort, 0…5; None: its own choice."""


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """A plan that no GPU has run yet."""

    content: bytes = field(repr=False)
    engine: EngineName
    file: str
    tensorrt_version: str
    precision: str
    layer_precisions: dict[str, int]
    """How many layers of the network compute in which precision, before the engine fuses them."""
    notes: tuple[str, ...]
    """What differs from the ONNX file."""
    warnings: tuple[str, ...]
    """What the engine's builder remarked."""


def compile_plan(
    model: onnx.ModelProto,
    engine: EngineName,
    batch_sizes: Sequence[int],
    options: Options = Options(),
    ranges: Ranges | None = None,
    progress: Progress | None = None,
) -> CompiledPlan:
    """Build a plan with one optimisation profile over the offered batch sizes.

    ``model`` takes ``images`` uint8 [B,H,W,3] (or a clip's or trimap's) and gives the task's tensors; it is not
    changed. ``ranges`` are largest absolute activations by tensor, which keep those beyond fp16's range in fp32.

    Raises:
        BuildFailure: the library does not load, or refuses the graph (the reason names operator, node and module);
            or ``progress`` answered False.
    """
    chosen = open_for(engine, options)
    graph, notes = rewritten(model, chosen.name, options.precision, ranges)
    log, stages = Log(), Stages(progress or _unheard)
    writer = logger(chosen.library, log)
    # Builder, network and parser share the logger, and die in the reverse order.
    builder = chosen.library.Builder(writer)
    strongly_typed = 1 << int(chosen.library.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)
    parser = chosen.library.OnnxParser(network, writer)
    if not parser.parse(graph.SerializeToString()):
        raise parser_refusal(engine, parser, graph)
    counted = precisions.of_network(network)
    configuration, cache = _configuration(chosen, builder, network, batch_sizes, options, stages)
    content = _content(builder, network, configuration, stages)
    if content is None:
        raise builder_refusal(engine, log.errors, graph)
    _keep(cache, options.timing_cache)
    return CompiledPlan(
        content=content,
        engine=engine,
        file=chosen.file,
        tensorrt_version=chosen.version,
        precision="fp32" if options.precision == "fp32" else f"mixed-{options.precision}",
        layer_precisions=counted,
        notes=notes,
        warnings=tuple(log.warnings),
    )


def _content(builder: Any, network: Any, configuration: Any, stages: Stages) -> bytes | None:
    """The plan; None where the engine refuses the network, BuildFailure where the listener stopped it."""
    content = interruptible(partial(builder.build_serialized_network, network, configuration), stages)
    if content is not None:
        return bytes(content)
    if stages.stopped:
        raise BuildFailure("the build was stopped before its end", "start it again, and give it more time")
    return None


def open_for(name: EngineName, options: Options) -> Engine:
    """The engine, able to do what the options ask; BuildFailure where it does not load, or cannot."""
    engine = open_engine(name)
    if engine.ahead_of_time and options.version_compatible:
        raise BuildFailure(
            f"plans of {name} are bound to its version: there is no --version-compatible", "use --engine tensorrt"
        )
    return engine


def rewritten(
    model: onnx.ModelProto, engine: EngineName, precision: Precision, ranges: Ranges | None = None
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The graph as the engine is given it, and what differs in it from ``model``."""
    graph, notes = in_engine_types(model)
    if engine == "tensorrt-rtx":
        graph, more = without_nms(graph)
        notes += more
    if precision == "fp32":
        return graph, notes
    try:
        lowered = mixed(graph, precision, ranges)
    except onnx.shape_inference.InferenceError as error:
        reason = f"the types in the graph cannot be told, so that it has no {precision}: {error}"
        raise BuildFailure(reason, "compile it in fp32") from error
    unmeasured = (_NO_RANGE,) if precision == "fp16" and ranges is None else ()
    return lowered.model, (*notes, *lowered.notes, *unmeasured)


def _configuration(
    engine: Engine,
    builder: Any,
    network: Any,
    batch_sizes: Sequence[int],
    options: Options,
    stages: Stages,
) -> tuple[Any, Any]:
    """The builder's configuration, and the timing cache within it (None where there is none)."""
    library, configuration = engine.library, builder.create_builder_config()
    configuration.add_optimization_profile(_profile(builder, network, batch_sizes))
    configuration.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    if not options.tf32:
        configuration.clear_flag(library.BuilderFlag.TF32)
    if options.level is not None:
        configuration.builder_optimization_level = options.level
    configuration.progress_monitor = monitor(library, stages)
    if engine.ahead_of_time:
        _aim(library, configuration, options.compute_capabilities)
        return configuration, None
    if options.version_compatible:
        configuration.set_flag(library.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        configuration.hardware_compatibility_level = library.HardwareCompatibilityLevel.AMPERE_PLUS
    return configuration, _timing_cache(configuration, options.timing_cache)


def _unheard(phase: str, done: int, steps: int) -> bool:  # noqa: ARG001  a listener's arguments
    return True


def _profile(builder: Any, network: Any, batch_sizes: Sequence[int]) -> Any:
    """One profile for all inputs: smallest and largest offered batch, tuned for the largest."""
    profile = builder.create_optimization_profile()
    smallest, largest = min(batch_sizes), max(batch_sizes)
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)
        if -1 in shape[1:]:
            raise BuildFailure(
                f"the input {tensor.name} varies in other axes than the batch: {shape}", "export it with a fixed size"
            )
        if shape and shape[0] == -1:
            sizes = [(size, *shape[1:]) for size in (smallest, largest, largest)]
            profile.set_shape(tensor.name, *sizes)
        elif tensor.name == INPUT_NAME and set(batch_sizes) != set(shape[:1]):
            raise BuildFailure(f"the graph's batch is fixed at {shape[0]}", "export it with a dynamic batch")
    return profile


def _aim(library: Any, configuration: Any, capabilities: Sequence[str]) -> None:
    if capabilities:
        configuration.num_compute_capabilities = len(capabilities)
    for index, text in enumerate(capabilities):
        name = f"SM{text.replace('.', '')}"
        if not hasattr(library.ComputeCapability, name):
            raise BuildFailure(f"the engine knows no compute capability {text}", "leave it out: plans run from 8.0 on")
        configuration.set_compute_capability(getattr(library.ComputeCapability, name), index)


def _timing_cache(configuration: Any, path: Path | None) -> Any:
    if path is None:
        return None
    content = path.read_bytes() if path.is_file() else b""
    cache = configuration.create_timing_cache(content)
    # One of another GPU or version is refused; then the build begins with an empty one.
    if not configuration.set_timing_cache(cache, ignore_mismatch=False):
        cache = configuration.create_timing_cache(b"")
        configuration.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _keep(cache: Any, path: Path | None) -> None:
    if cache is None or path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_bytes(bytes(cache.serialize()))
    scratch.replace(path)
