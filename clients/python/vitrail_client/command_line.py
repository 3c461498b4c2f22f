"""The command line: ``vitrail predict``, ``vitrail video`` and ``vitrail models``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from vitrail_client._call import Answer, Form
from vitrail_client._client import DEFAULT_URL
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
from vitrail_client._tables import models_table, result_table
from vitrail_client._tasks import Task
from vitrail_client._video_command import video

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Ask a Vitrail service what images and videos show.")

_FORMS: dict[str, Form] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}

InJson = Annotated[bool, typer.Option("--json", help="One line of JSON an image instead of tables.")]


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    task: Annotated[Task, typer.Option(help="What to do with them.")] = "classify",
    model: Model = None,
    parameter: Parameters = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the drawn picture here; for several images, into this folder.")
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    in_json: InJson = False,
) -> None:
    """Ask what images show. The exit status is 1 if an image has no answer."""
    asked = {"model": model, **parameters_in(parameter)}
    pictures = _pictures(images, save)
    failed = False
    with opened_client(url, api_key, timeout) as client:
        for image, picture in zip(images, pictures, strict=True):
            try:
                _print_answer(image, client.predict(task, [image], **asked), in_json=in_json)
                if picture is not None:
                    picture.write_bytes(client.draw(task, image, form=_FORMS[picture.suffix.lower()], **asked))
            except OSError as error:
                complain(error)
                failed = True
            except VitrailError as error:
                complain(f"{image}: {plainly(error, url)}")
                failed = True
                if error.code == "unreachable":
                    break
    raise typer.Exit(failed)


app.command()(video)


@app.command()
def models(*, url: Url = DEFAULT_URL, api_key: ApiKey = None, timeout: Timeout = 30.0, in_json: InJson = False) -> None:
    """List what the service serves."""
    with opened_client(url, api_key, timeout) as client:
        try:
            found = client.models()
        except VitrailError as error:
            complain(plainly(error, url))
            raise typer.Exit(1) from None
    if in_json:
        for model in found:
            typer.echo(json.dumps(model))
    else:
        Console().print(models_table(found))


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


def _print_answer(image: Path, answer: Answer[Any], *, in_json: bool) -> None:
    if in_json:
        line = {"file": str(image), "model": answer["model"], "result": answer["results"][0]}
        typer.echo(as_json(line | {"timings_ms": answer["timings_ms"]}))
    else:
        Console().print(result_table(str(image), answer))
