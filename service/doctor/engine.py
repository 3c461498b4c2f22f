"""What runs the models: ONNX Runtime in this process, or the client of Triton."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.gpu import Gpus, read_gpus
from service.settings import Settings

_VARIANTS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-qnn")
_CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is installed, and what is asked for."""

    engine: str
    fallback: str
    device: str
    installed: dict[str, str]
    """Version by distribution; all of them bring the same Python module."""
    runtime: str | None
    """The version that the module itself tells; None where it cannot be imported."""
    reason: str
    """Why it cannot be imported."""
    providers: tuple[str, ...]
    gpus: Gpus

    @property
    def runs_here(self) -> bool:
        """Whether models may run in this process."""
        return self.engine == "embedded" or self.fallback == "embedded"


def read(settings: Settings) -> EngineFacts:
    """Import what would run the models, and look for GPUs."""
    runtime, providers, reason = _runtime()
    return EngineFacts(
        engine=settings.engine,
        fallback=settings.fallback,
        device=settings.device,
        installed={name: found for name in _VARIANTS if (found := _installed(name)) is not None},
        runtime=runtime,
        reason=reason,
        providers=providers,
        gpus=read_gpus(),
    )


def runtime(facts: EngineFacts) -> Iterator[Finding]:
    """Whether ONNX Runtime can be had."""
    if not facts.runs_here:
        yield ok("models run in Triton")
    elif facts.runtime is None:
        yield problem(
            f"ONNX Runtime cannot be imported: {facts.reason}", "install vitrail[cpu], or vitrail[gpu] for a CUDA GPU"
        )
    else:
        providers = ", ".join(name.removesuffix("ExecutionProvider") for name in facts.providers)
        yield ok(f"ONNX Runtime {facts.runtime} ({providers})")


def variants(facts: EngineFacts) -> Iterator[Finding]:
    """Whether just one distribution brings ONNX Runtime."""
    named = " and ".join(f"{name} {found}" for name, found in facts.installed.items())
    if len(facts.installed) > 1:
        yield problem(
            f"{named} are installed, and overwrite each other's files",
            f"pip uninstall --yes {' '.join(facts.installed)}, then install vitrail[cpu] or vitrail[gpu], not both",
        )
    elif facts.installed or not facts.runs_here:
        yield ok(named or "ONNX Runtime is not needed")
    elif facts.runtime is not None:
        yield warning("ONNX Runtime was installed by hand: no package is known for it", "install vitrail[cpu]")
    else:
        yield problem("no package of ONNX Runtime is installed", "install vitrail[cpu], or vitrail[gpu] for a CUDA GPU")


def device(facts: EngineFacts) -> Iterator[Finding]:
    """Whether models run on the GPU, where there is one."""
    has_provider = _CUDA in facts.providers
    if not facts.runs_here:
        yield ok("models run in Triton")
    elif facts.device == "cpu":
        yield ok("the processor, as --device cpu says")
    elif facts.gpus.found and not has_provider:
        yield warning(
            f"there is a GPU ({facts.gpus.found[0].name}), and this ONNX Runtime cannot use it",
            "pip uninstall onnxruntime and install vitrail[gpu]; or say --device cpu, if that is meant",
        )
    elif has_provider and not facts.gpus.found:
        yield warning(
            f"ONNX Runtime could use a GPU, and there is none: {facts.gpus.reason}",
            "give the container a GPU; or install vitrail[cpu], which is smaller, and say --device cpu",
        )
    else:
        yield ok(facts.gpus.found[0].name if has_provider else f"the processor; there is no GPU ({facts.gpus.reason})")


def _runtime() -> tuple[str | None, tuple[str, ...], str]:
    """Version, providers, and the reason where it cannot be imported."""
    try:
        module = importlib.import_module("onnxruntime")
        return str(module.__version__), tuple(module.get_available_providers()), ""
    except (ImportError, OSError, AttributeError) as error:
        # Two distributions in one place may leave a module without its contents.
        return None, (), " ".join(str(error).split())


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


GROUP = group("Engine", read, {"engine": runtime, "engine packages": variants, "device": device})
