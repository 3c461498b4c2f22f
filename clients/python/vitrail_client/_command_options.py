"""What all commands of the command line share: options, the client, and how they complain."""

import json
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from vitrail_client._client import Client
from vitrail_client._errors import VitrailError

_NO_PARAMETERS = frozenset({"task", "images", "image", "model", "form", "timeout_s"})
"""What the client's methods call something else."""

Url = Annotated[
    str, typer.Option(envvar="VITRAIL_URL", help="The service's address: http(s):// for REST, grpc(s):// for gRPC.")
]
ApiKey = Annotated[str | None, typer.Option(envvar="VITRAIL_API_KEY", help="Sent as a bearer token.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds to wait for an answer.")]
Model = Annotated[str | None, typer.Option(help="name, name@alias or name:version.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", help="A parameter of the task: name=value; may be repeated."),
]


@contextmanager
def opened_client(url: str, api_key: str | None, timeout: float) -> Iterator[Client]:
    """A client; wrong arguments end the command with status 2."""
    try:
        client = Client(url, api_key=api_key, timeout_s=timeout)
    except (ValueError, ModuleNotFoundError) as error:
        complain(error)
        raise typer.Exit(2) from None
    with client:
        yield client


def parameters_in(texts: Iterable[str] | None, taken: Iterable[str] = ()) -> dict[str, Any]:
    """Each ``name=value``, the value being a number, true or false where it looks like one.

    ``taken``: names that mean something else here.
    """
    return dict(_parameter(text, _NO_PARAMETERS.union(taken)) for text in texts or ())


def _parameter(text: str, taken: frozenset[str]) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="-p")
    if name in taken:
        raise typer.BadParameter(f"{name} is no parameter of a task; see --help", param_hint="-p")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return name, value
    return name, parsed if isinstance(parsed, bool | int | float | list) else value


def as_json(value: object) -> str:
    """One line of JSON; bytes are base64."""
    return json.dumps(value, default=_base64, ensure_ascii=False)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def plainly(error: VitrailError, url: str) -> str:
    """What went wrong, for a person."""
    if error.code != "unreachable":
        return f"{error} [{error.code}]"
    return f"no service answers at {url}; start one with `vitrail-serve`, or name its address by --url or VITRAIL_URL"


def complain(message: object) -> None:
    """Tell of what went wrong."""
    print(f"vitrail: {message}", file=sys.stderr)  # noqa: T201 - this is a command line
