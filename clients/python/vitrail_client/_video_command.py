"""``vitrail video``: a video sent in, its results line by line, and the annotated video."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from vitrail_client._client import DEFAULT_URL, Client
from vitrail_client._command_options import (
    ApiKey,
    Model,
    Parameters,
    Timeout,
    Url,
    as_json,
    complain,
    opened_client,
    parameters_in,
    plainly,
)
from vitrail_client._errors import VitrailError
from vitrail_client._tasks import VideoTask
from vitrail_client._video_file import address_in
from vitrail_client._video_progress import sending, working
from vitrail_client._video_requests import Sample
from vitrail_client.schemas import VideoAnswer

_NO_PARAMETERS = ("video", "fps", "sample", "track", "reidentify", "counts", "annotate", "webhook", "idempotency_key")


def video(
    file: Annotated[
        str, typer.Argument(help="A video file, or an address that the service may fetch it from.", metavar="FILE")
    ],
    task: Annotated[VideoTask, typer.Option(help="What to do with its frames.")] = "detect",
    model: Model = None,
    parameter: Parameters = None,
    fps: Annotated[float | None, typer.Option(min=0.001, help="At most so many frames a second are processed.")] = None,
    sample: Annotated[Sample | None, typer.Option(help="Which frames are processed; without it all.")] = None,
    counts: Annotated[
        Path | None, typer.Option(help="A JSON file with the lines and zones to count at; with --track.")
    ] = None,
    annotate: Annotated[Path | None, typer.Option(help="Save the video with what was found drawn in, as MP4.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the lines here, not to standard output.")
    ] = None,
    *,
    track: Annotated[bool, typer.Option("--track", help="Follow objects: each gets a track_id.")] = False,
    reidentify: Annotated[
        bool, typer.Option("--reidentify", help="Recognise who comes back, by how they look; with --track.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
) -> None:
    """Ask what a video shows: a line of JSON a frame. The exit status is 1 if it is not answered to its end."""
    asked: dict[str, Any] = {"task": task, "model": model, "fps": fps, "sample": sample, "track": track or None}
    asked |= {"reidentify": reidentify or None, "counts": _counts(counts), "annotate": annotate is not None}
    asked |= parameters_in(parameter, _NO_PARAMETERS)
    _check(annotate)
    done = False
    with opened_client(url, api_key, timeout) as client:
        try:
            with _written_to(output) as lines:
                done = _answered(client, file, asked, lines, annotate)
        except BrokenPipeError:
            raise
        except OSError as error:
            complain(error)
        except VitrailError as error:
            complain(f"{file}: {plainly(error, url)}")
    raise typer.Exit(not done)


def _answered(client: Client, file: str, asked: Mapping[str, Any], lines: TextIO, annotate: Path | None) -> bool:
    """Print the lines and save the annotated video; whether the job was done to its end."""
    console = Console(stderr=True)
    job = _submitted(client, file, asked, console)
    # On one terminal, lines and a bar would be in each other's way; and lines show how far it is.
    shown = console.is_terminal and not lines.isatty()
    with _told_of(client, file, job), working(client, job, console, shown=shown):
        for line in client.videos.results(job["id"]):
            print(as_json(line), file=lines, flush=True)
        job = client.videos.wait(job["id"])
    for problem in job["problems"]:
        complain(f"{file}: {problem}")
    if (failure := job["error"]) is not None:
        complain(f"{file}: {failure['detail']} [{failure['code']}]")
    elif job["state"] != "done":
        complain(f"{file}: the job was {job['state']}")
    if annotate is not None:
        client.videos.annotated(job["id"], annotate)
    return job["state"] == "done"


def _submitted(client: Client, file: str, asked: Mapping[str, Any], console: Console) -> VideoAnswer:
    if address_in(file) is not None:
        return client.videos.submit(file, **asked)
    with sending(Path(file), console) as opened:
        return client.videos.submit(opened, **asked)


@contextmanager
def _told_of(client: Client, file: str, job: VideoAnswer) -> Iterator[None]:
    """Nobody will read the results of a job whose command was ended; one that is out of reach goes on."""
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError):
        with suppress(VitrailError):
            client.videos.cancel(job["id"])
        raise
    except VitrailError:
        complain(f"{file}: its job is {job['id']}, and may go on")
        raise


def _check(annotate: Path | None) -> None:
    """What is found out after the work is found out too late."""
    if annotate is not None and annotate.suffix.lower() != ".mp4":
        raise typer.BadParameter(f"{annotate} does not end in .mp4", param_hint="--annotate")
    if annotate is not None and not annotate.parent.is_dir():
        raise typer.BadParameter(f"{annotate.parent} is no folder", param_hint="--annotate")


def _written_to(output: Path | None) -> Any:
    return nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8")


def _counts(path: Path | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}", param_hint="--counts") from None
    if not isinstance(counts, dict):
        raise typer.BadParameter(f"{path} is no JSON object", param_hint="--counts")
    return counts
