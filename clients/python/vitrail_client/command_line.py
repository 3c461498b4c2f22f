"""The command line: ``vitrail predict`` and ``vitrail models``."""

import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from vitrail_client._call import Answer, Form
from vitrail_client._client import DEFAULT_URL, Client
from vitrail_client._errors import VitrailError
from vitrail_client._tables import models_table, result_table
from vitrail_client._tasks import Task

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Ask a Vitrail service what images show.")

_FORMS: dict[str, Form] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
_NO_PARAMETERS = ("task", "images", "image", "model", "form", "timeout_s")
"""What the client's methods call something else."""

Url = Annotated[
    str, typer.Option(envvar="VITRAIL_URL", help="The service's address: http(s):// for REST, grpc(s):// for gRPC.")
]
ApiKey = Annotated[str | None, typer.Option(envvar="VITRAIL_API_KEY", help="Sent as a bearer token.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds to wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON an image instead of tables.")]


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    task: Annotated[Task, typer.Option(help="What to do with them.")] = "classify",
    model: Annotated[str | None, typer.Option(help="name, name@alias or name:version.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="A parameter of the task: name=value; may be repeated."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the drawn picture here; for several images, into this folder.")
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Ask what images show. The exit status is 1 if an image has no answer."""
    asked = {"model": model, **dict(_parameter(given) for given in parameter or ())}
    pictures = _pictures(images, save)
    failed = False
    with _client(url, api_key, timeout) as client:
        for image, picture in zip(images, pictures, strict=True):
            try:
                _print_answer(image, client.predict(task, [image], **asked), as_json=as_json)
                if picture is not None:
                    picture.write_bytes(client.draw(task, image, form=_FORMS[picture.suffix.lower()], **asked))
            except OSError as error:
                _complain(error)
                failed = True
            except VitrailError as error:
                _complain(f"{image}: {_plainly(error, url)}")
                failed = True
                if error.code == "unreachable":
                    break
    raise typer.Exit(failed)


@app.command()
def models(*, url: Url = DEFAULT_URL, api_key: ApiKey = None, timeout: Timeout = 30.0, as_json: AsJson = False) -> None:
    """List what the service serves."""
    with _client(url, api_key, timeout) as client:
        try:
            found = client.models()
        except VitrailError as error:
            _complain(_plainly(error, url))
            raise typer.Exit(1) from None
    if as_json:
        for model in found:
            typer.echo(json.dumps(model))
    else:
        Console().print(models_table(found))


@contextmanager
def _client(url: str, api_key: str | None, timeout: float) -> Iterator[Client]:
    try:
        client = Client(url, api_key=api_key, timeout_s=timeout)
    except (ValueError, ModuleNotFoundError) as error:
        _complain(error)
        raise typer.Exit(2) from None
    with client:
        yield client


def _parameter(text: str) -> tuple[str, Any]:
    """``name=value``, the value being a number, true or false where it looks like one."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="-p")
    if name in _NO_PARAMETERS:
        raise typer.BadParameter(f"{name} is no parameter of a task; see --help", param_hint="-p")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return name, value
    return name, parsed if isinstance(parsed, bool | int | float | list) else value


def _pictures(images: list[Path], save: Path | None) -> list[Path | None]:
    """Where to write the picture of each image."""
    if save is None:
        return [None] * len(images)
    if save.is_dir() or len(images) > 1:
        if not save.is_dir():
            raise typer.BadParameter(f"{save} is no folder, and there are several images", param_hint="--save")
        return [save / f"{image.stem}.png" for image in images]
    if save.suffix.lower() not in _FORMS:
        raise typer.BadParameter(f"{save} ends neither in .png nor in .jpg", param_hint="--save")
    return [save]


def _print_answer(image: Path, answer: Answer[Any], *, as_json: bool) -> None:
    if as_json:
        line = {"file": str(image), "model": answer["model"], "result": answer["results"][0]}
        typer.echo(json.dumps(line | {"timings_ms": answer["timings_ms"]}, default=_base64, ensure_ascii=False))
    else:
        Console().print(result_table(str(image), answer))


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _plainly(error: VitrailError, url: str) -> str:
    if error.code != "unreachable":
        return f"{error} [{error.code}]"
    return f"no service answers at {url}; start one with `vitrail-serve`, or name its address by --url or VITRAIL_URL"


def _complain(message: object) -> None:
    print(f"vitrail: {message}", file=sys.stderr)  # noqa: T201 - this is a command line
