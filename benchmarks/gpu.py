"""Build, certify and time TensorRT plans on this machine's GPU, and write JSON; `benchmarks/gpu.sh` calls it.

    python -m benchmarks.gpu efficientnet_lite0 --engine tensorrt-rtx --precision fp32 fp16 --output gpu.json

The outcomes are written after every model, so that what was measured before the time was up is there.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_MODULES = {
    "numpy": "vitrail[cpu,build]",
    "pydantic": "vitrail[cpu,build]",
    "onnx": "vitrail[cpu,build]",
    "onnxruntime": "vitrail[cpu,build]",
    "torch": "vitrail[cpu,build]",
    "cuda.bindings": "vitrail[rtx]",
}
"""What is imported, and what to install for it."""
_ENGINES = {
    "tensorrt-rtx": (("tensorrt_rtx", "tensorrt_rtx_bindings"), "vitrail[rtx]"),
    "tensorrt": (("tensorrt",), "vitrail[gpu]"),
}
"""The modules of which one is needed, and what to install for it."""
_MISSING = 2
_LEAST_RUNS, _MOST_RUNS, _SECONDS = 10, 200, 1.0


def missing(engine: str, repository: Path, names: list[str]) -> list[str]:
    """What this machine lacks, each with what to do about it; empty where all is there."""
    found = _missing_packages() or _missing_gpu()
    modules, package = _ENGINES[engine]
    if not any(_found(module) for module in modules):
        found.append(f"the library of {engine}: install {package}")
    found += [
        f"the model {name}: vitrail-build build {name}"
        for name in names
        if not (repository / name.split(":")[0]).is_dir()
    ]
    if not any(repository.glob("*/*/card.json")):
        found.append(f"a model repository at {repository}: vitrail-build build --default")
    return found


def _missing_packages() -> list[str]:
    return [f"the Python package {module}: install {what}" for module, what in _MODULES.items() if not _found(module)]


def _missing_gpu() -> list[str]:
    from build_engines.compile.gpu import NoGpu, first_gpu  # noqa: PLC0415  loads only where the packages are there

    gpu = first_gpu()
    return [f"a GPU: {gpu.reason}"] if isinstance(gpu, NoGpu) else []


def measure(
    repository: Path, names: list[str], engine: str, precisions: list[str], minutes: float, output: Path
) -> dict[str, Any]:
    """Everything that fits into the time; each row is a model in a precision."""
    from build_engines.compile.gpu import first_gpu  # noqa: PLC0415

    end, longest = time.monotonic() + minutes * 60, 0.0
    result: dict[str, Any] = {"gpu": _fields(first_gpu()), "engine": engine, "rows": [], "left_out": []}
    for name, precision in _turns(repository, names, precisions):
        begun = time.monotonic()
        if begun + longest > end:
            result["left_out"].append(f"{name} {precision}: the time was up")
        else:
            result["rows"].append(_one(repository, name, engine, precision, end))
            longest = max(longest, time.monotonic() - begun)
            print(json.dumps(result["rows"][-1]), file=sys.stderr)
        write(output, result)
    return result


def write(path: Path, result: dict[str, Any]) -> None:
    """Put the result in the file's place at once."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    scratch.replace(path)


def latencies(act: Callable[[], object], seconds: float = _SECONDS) -> list[float]:
    """Milliseconds of each call, after a few that do not count; at least ten, for about so many seconds."""
    for _ in range(3):
        act()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < _LEAST_RUNS or (len(taken) < _MOST_RUNS and time.perf_counter() < end):
        begun = time.perf_counter()
        act()
        taken.append((time.perf_counter() - begun) * 1e3)
    return taken


def _turns(repository: Path, names: list[str], precisions: list[str]) -> Iterator[tuple[str, str]]:
    """Every model in the first precision before any in the second: half of the time gives the half that matters."""
    from contract.repository import Repository  # noqa: PLC0415

    chosen = names or Repository(repository).models()
    return ((name, precision) for precision in precisions for name in chosen)


def _one(repository: Path, name: str, engine: str, precision: str, end: float) -> dict[str, Any]:
    """Build and certify one plan in a scratch copy of the version, then time it; a build past the end is stopped."""
    from build_engines.artifact import BuildFailure  # noqa: PLC0415
    from build_engines.compile.builder import Options  # noqa: PLC0415
    from build_engines.compile.repository import compile_repository  # noqa: PLC0415
    from build_engines.verify import EngineRunner  # noqa: PLC0415
    from contract.repository import Repository  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        copy = _copied(repository, name, Path(folder))
        try:
            options = Options(precision)  # type: ignore[arg-type]  # the command line has checked it
            (row,) = compile_repository(
                Repository(copy),
                [name],
                engine,  # type: ignore[arg-type]
                options,
                EngineRunner,
                progress=lambda *_: time.monotonic() < end,
            )
            facts = {"model": row.model, "version": row.version, "precision": precision, "outcome": row.outcome}
            facts |= {"build_and_certify_s": round(row.seconds, 1), "bytes": row.size}
            if row.plan is None:
                return facts | {"reason": row.reason, "remedy": row.remedy}
            facts["plan"] = row.plan.model_dump(mode="json")
            if not row.plan.certified:
                return facts | {"outcome": "failed", "reason": row.plan.notes[0]}
            return facts | {"timings": _timings(copy, row.model, row.version, engine)}
        except (BuildFailure, RuntimeError) as failure:
            return {"model": name, "precision": precision, "outcome": "failed", "reason": str(failure)}


def _timings(repository: Path, model: str, version: int, engine: str) -> list[dict[str, float]]:
    """Of the smallest and the largest batch: on the GPU alone, and with the way there and back."""
    import numpy as np  # noqa: PLC0415

    from build_engines.compile.engines import open_engine  # noqa: PLC0415
    from build_engines.compile.gpu import Gpu, PlanRunner, first_gpu  # noqa: PLC0415
    from contract.repository import Repository  # noqa: PLC0415

    gpu, chosen = first_gpu(), open_engine(engine)  # type: ignore[arg-type]  # the command line has checked it
    if not isinstance(gpu, Gpu):
        return []
    source = Repository(repository)
    card = source.read_card(model, version)
    content = (source.version_path(model, version) / chosen.file).read_bytes()
    rows = []
    with PlanRunner(content, chosen, gpu) as runner:
        for size in sorted({card.batch_sizes[0], card.batch_sizes[-1]}):
            images = np.random.default_rng(0).integers(0, 256, (size, *card.input.shape), np.uint8)
            runner.load(images)
            alone, whole = latencies(runner.execute), latencies(lambda batch=images: runner.run(batch))  # type: ignore[misc]
            rows.append(
                {
                    "batch_size": size,
                    "gpu_p50_ms": round(statistics.median(alone), 4),
                    "whole_p50_ms": round(statistics.median(whole), 4),
                    "images_per_s": round(size / statistics.median(whole) * 1e3, 1),
                }
            )
    return rows


def _copied(repository: Path, name: str, folder: Path) -> Path:
    """The model's folder linked file by file, so that plans of a measurement do not change the repository."""
    model = name.partition(":")[0]
    for path in (repository / model).rglob("*"):
        if path.is_file() and not path.name.endswith(".plan"):
            target = folder / path.relative_to(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())
    return folder


def _fields(gpu: object) -> dict[str, str]:
    return {name: getattr(gpu, name) for name in ("name", "driver", "compute_capability")}


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def main() -> None:
    """Command line; status 2 where something is missing, 1 where a plan failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="NAME or NAME:VERSION; none: all of the repository")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--engine", choices=sorted(_ENGINES), default="tensorrt-rtx")
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16"), nargs="+", default=["fp32", "fp16"])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    given = parser.parse_args()
    if lacking := missing(given.engine, given.repository, given.models):
        for item in lacking:
            print(f"missing: {item}", file=sys.stderr)
        write(given.output, {"engine": given.engine, "missing": lacking})
        raise SystemExit(_MISSING)
    result = measure(given.repository, given.models, given.engine, given.precision, given.minutes, given.output)
    raise SystemExit(any(row["outcome"] == "failed" for row in result["rows"]))


if __name__ == "__main__":
    main()
