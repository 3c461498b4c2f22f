"""`vitrail-build build`: from names, or a user's own code, to certified versions."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError

from build_engines.catalog.entry import HEAD_TASKS, Entry, PyramidHead
from build_engines.catalog.loader import UnknownEntry, defaults, entries, find
from build_engines.commands.build_many import build_many
from build_engines.report import ConsoleReport, JsonReport, Report
from contract.card import Platform
from contract.repository import Repository
from contract.task import Task

if TYPE_CHECKING:
    from build_engines.artifact import Order, Weights
    from build_engines.cache import Cache

_Engine = Literal["onnxruntime", "tensorrt", "tensorrt-rtx"]
_Platform = Literal[Platform.ONNX, Platform.PYTHON]
_Precision = Literal["fp32", "fp16", "bf16"]
_INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended, by the shells' convention."""
_MISUSED = 2
_TASKS = [task for task in Task if task is not Task.EXPLAIN]
"""What a model can do."""
_HEAD_CLASSES = {Task.DETECT: 80, Task.SEGMENT: 150}
"""COCO's, and ADE20K's."""


def command(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Catalogue entries, timm:NAME, or transformers:TYPE.")
    ] = None,
    *,
    default: Annotated[bool, typer.Option("--default", help="Build the default models that are absent.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Build the whole catalogue.")] = False,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    weights: Annotated[str, typer.Option(help="'pretrained', 'random', or the path of a checkpoint.")] = "pretrained",
    resolution: Annotated[int | None, typer.Option(min=1, max=8192, help="Side of the square input.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the next free one.")] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of photographs to verify with.")] = None,
    task: Annotated[Task | None, typer.Option(help="What the model shall do, where its name leaves that open.")] = None,
    head: Annotated[str | None, typer.Option(help=f"Join a head: {', '.join(HEAD_TASKS)}.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="How many classes the head has.")] = None,
    factory: Annotated[str | None, typer.Option("--entry", help="Your own code: package.module:factory.")] = None,
    code_path: Annotated[Path, typer.Option(help="The folder that --entry is imported from.")] = Path(),
    kwargs: Annotated[str, typer.Option(help="The factory's arguments, as JSON.")] = "{}",
    name: Annotated[str | None, typer.Option(help="What the model shall be called.")] = None,
    engine: Annotated[
        _Engine, typer.Option(help="Make a plan beside the ONNX file, but for onnxruntime.")
    ] = "onnxruntime",
    precision: Annotated[_Precision, typer.Option(help="Of the plan.")] = "fp32",
    platform: Annotated[
        _Platform, typer.Option(help="What Triton runs the ONNX file with; python for one without ONNX Runtime.")
    ] = Platform.ONNX,
    explain: Annotated[
        bool, typer.Option("--explain", help="A classifier shows where it sees its most probable classes.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many builds run at once, each in a process.")] = 1,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds that one build may take, with --all or --jobs.")
    ] = 1800,
    results: Annotated[
        Path | None, typer.Option(help="Append outcomes here; those that stand there are not repeated.")
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Keep the outcomes only, not the versions.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Certify anew what was certified before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code a step failed.")] = False,
) -> None:
    """Build models, verify them against their sources, and write them into the repository."""
    report: Report = JsonReport() if as_json else ConsoleReport()
    target = Repository(repository)
    try:
        if (problem := _contradiction(_given(context), len(names or []))) is not None:
            raise UnknownEntry(problem)  # noqa: TRY301  refused as a name that stands for nothing
        if everything or jobs > 1 or discard or results:
            several = [entry.name for entry in entries()] if everything else list(names or [])
            flags = [flag for flag, given in (("--no-cache", no_cache), ("--explain", explain)) if given]
            options = _options(repository, weights, resolution, images, engine, precision, platform)
            _require_explicable([find(entry) for entry in several] if explain else [])
            options += flags
            failed = build_many(several, options, target, jobs, patience, results, report, discard=discard)
            raise typer.Exit(1 if failed else 0)
        if factory:
            joined = None if head is None else _head(head, task, classes)
            wanted = [_own_code(factory, code_path, kwargs, task, name, joined)]
        else:
            wanted = [
                _with(entry, task, head, classes, name)
                for entry in _wanted(names or [], target, report, default=default)
            ]
        _require_explicable(wanted if explain else [])
    except (UnknownEntry, ValidationError, json.JSONDecodeError) as error:
        report.refused(_readable(error))
        raise typer.Exit(_MISUSED) from error
    except KeyboardInterrupt as interruption:
        raise typer.Exit(_INTERRUPTED) from interruption
    if not wanted:
        return
    # torch takes seconds to import; `list` and a complete repository need not wait for it.
    from build_engines.artifact import Order  # noqa: PLC0415
    from build_engines.cache import Cache  # noqa: PLC0415

    cache = None if no_cache else Cache(cache_folder())
    for entry in wanted:
        order = Order(
            entry, target, _weights(weights), resolution, version, images, engine, precision, platform, explain
        )
        _build(order, cache, report, traceback=traceback)


def cache_folder() -> Path:
    """Where certified models are kept for the next build: ``VITRAIL_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("VITRAIL_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "vitrail"


def _given(context: typer.Context) -> set[str]:
    """The options and arguments that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def _contradiction(given: set[str], names: int) -> str | None:
    """Why these do not go together; what is silently left aside would be taken for done."""
    many = given & {"everything", "jobs", "discard", "results"}
    single = given & {"task", "head", "name", "version", "factory", "default"}
    instead = given & {"everything", "factory"}
    problems = (
        (many and single, f"{_options_of(single)}: not with {_options_of(many)}, which build entries as they are"),
        ("classes" in given and "head" not in given, "--classes is how many classes a head has: add --head"),
        (
            given & {"code_path", "kwargs"} and "factory" not in given,
            "--code-path and --kwargs belong to --entry: add it",
        ),
        ("names" in given and instead, f"{_options_of(instead)} says what to build: leave the names out"),
        ("name" in given and (names > 1 or "default" in given), "--name is for one model: build them one by one"),
        ("precision" in given and "engine" not in given, "--precision is that of a plan: add --engine tensorrt-rtx"),
        ("patience" in given and not many, "--patience is for many builds: add --all or --jobs"),
    )
    return next((problem for found, problem in problems if found), None)


def _options_of(given: set[str]) -> str:
    spelt = {"everything": "all", "factory": "entry"}
    return ", ".join(sorted(f"--{spelt.get(name, name)}" for name in given))


def _build(order: "Order", cache: "Cache | None", report: Report, *, traceback: bool) -> None:
    from build_engines.artifact import StepFailed  # noqa: PLC0415
    from build_engines.pipeline import build  # noqa: PLC0415

    report.begins(order.entry.name)
    try:
        report.built(build(order, report, cache))
    except KeyboardInterrupt as interruption:
        report.interrupted(order.entry.name)
        raise typer.Exit(_INTERRUPTED) from interruption
    except StepFailed as failure:
        report.failed(order.entry.name, failure)
        if traceback:
            raise
        raise typer.Exit(1) from failure


def _wanted(names: list[str], repository: Repository, report: Report, *, default: bool) -> list[Entry]:
    """The entries to build; of the defaults, those that the repository lacks."""
    wanted = [find(name) for name in names]
    if default:
        for entry in defaults():
            if repository.versions(entry.name):
                report.present(entry.name)
            else:
                wanted.append(entry)
    elif not wanted:
        raise UnknownEntry(
            "name what to build: entries of the catalogue, timm:NAME, transformers:TYPE, --entry, --default or --all"
        )
    return list({entry.name: entry for entry in wanted}.values())


def _with(entry: Entry, task: Task | None, head: str | None, classes: int | None, name: str | None) -> Entry:
    """The entry with another task, head or name; ValidationError where they do not go together."""
    changes: dict[str, Any] = {}
    if head is not None:
        task = task or _task_of(head)
        joined = _head(head, task, classes)
        changes |= {"head": joined, "labels": None, "published": {}, "name": f"{entry.name}_{head}"}
    if task is not None:
        changes["task"] = task
    if name is not None:
        changes["name"] = name
    return Entry.model_validate(entry.model_dump() | changes) if changes else entry


def _task_of(head: str) -> Task:
    if head not in HEAD_TASKS:
        raise UnknownEntry(f"there is no head {head!r}; there are {', '.join(HEAD_TASKS)}")
    return HEAD_TASKS[head][0]


def _head(name: str, task: Task | None, classes: int | None) -> PyramidHead:
    """The head of this name, with COCO's or ADE20K's number of classes if none is given."""
    return PyramidHead(kind=name, classes=classes or _HEAD_CLASSES[task or _task_of(name)])  # type: ignore[arg-type]  # pydantic checks it


def _own_code(
    factory: str, code_path: Path, kwargs: str, task: Task | None, name: str | None, head: PyramidHead | None
) -> Entry:
    from build_engines.catalog.external import entry_from  # noqa: PLC0415

    options = json.loads(kwargs)
    if not isinstance(options, dict):
        raise UnknownEntry(f"--kwargs must be a JSON object, such as '{{\"depth\": 12}}', not {kwargs}")
    task = task or (_task_of(head.kind) if head else None)
    if task is None:
        raise UnknownEntry("say with --task what the model does: " + ", ".join(_TASKS))
    return entry_from(factory, code_path, options, task, name=name, head=head)


def _options(
    repository: Path,
    weights: str,
    resolution: int | None,
    images: Path | None,
    engine: str,
    precision: str,
    platform: str,
) -> list[str]:
    """The options that every process of several is given."""
    given = {"--repository": repository, "--weights": weights, "--resolution": resolution, "--images": images}
    given |= {"--engine": engine, "--precision": precision, "--platform": platform}
    return [text for option, value in given.items() if value is not None for text in (option, str(value))]


def _require_explicable(wanted: list[Entry]) -> None:
    """UnknownEntry for one that is no classifier, or that comes as a finished graph."""
    for entry in wanted:
        if entry.task is not Task.CLASSIFY or entry.head is not None:
            raise UnknownEntry(f"--explain is for classifiers, and {entry.name} is a model for {entry.task}")
        if entry.source.kind == "onnx":
            raise UnknownEntry(f"--explain needs a network, and {entry.name} is a finished ONNX graph")


def _weights(text: str) -> "Weights":
    if text == "pretrained":
        return "pretrained"
    return "random" if text == "random" else Path(text)


def _readable(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = str(first["msg"]).removeprefix("Value error, ")
        return f"{where}: {problem}" if where else problem
    if isinstance(error, json.JSONDecodeError):
        return f"--kwargs is not JSON: {error}"
    return str(error)
