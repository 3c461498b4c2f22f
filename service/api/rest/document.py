"""What the OpenAPI document says in several places: answers that tell of an error, headers, names."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from service.api.rest.problems import MEDIA_TYPE
from service.registry.routing import ALIAS, NAME

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
"""By status, as FastAPI's routes take them."""

ALIAS_PATTERN = f"^{ALIAS}$"
SELECTOR_PATTERN = f"^{NAME}(@{ALIAS}|:[1-9][0-9]{{0,8}})?$"
"""``name``, ``name@alias`` or ``name:version``."""
DEFAULT_PATTERN = f"^{NAME}(@{ALIAS})?$"

ADMIN = "admin"
"""The tag of the changing routes."""
_KEY = "adminKey"
_KEY_SCHEME: Schema = {
    "type": "http",
    "scheme": "bearer",
    "description": "What the service was started with as --admin-key.",
}
_CALLER_SCHEMES: Schema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of the service, or a token of its identity provider.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key of the service."},
}
BINARY: Schema = {"type": "string", "format": "binary"}
_HEADERS: Schema = {
    "X-Request-Id": {
        "description": "The id under which the service's log speaks of the request: the caller's, or a new one.",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "Server-Timing": {
        "description": "Milliseconds by stage, as in `timings_ms`.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which to try again, where the service can tell.",
        "schema": {"type": "integer", "minimum": 1},
    },
}
REQUEST_ID, SERVER_TIMING, RETRY_AFTER = ({name: {"$ref": f"#/components/headers/{name}"}} for name in _HEADERS)
"""Headers of an answer, by name."""

_TIMES = (429, 503)
"""Statuses whose answers say when to try again."""
_DESCRIPTIONS = {
    400: "The request makes no sense; the answer says why.",
    401: "The key or token is missing, wrong or out of date.",
    403: "Not allowed, e.g. images by URL, or changes from another machine where there is no admin key.",
    404: "There is no such model, version, alias or task.",
    409: "The version takes no traffic now.",
    413: "The body, an image or the number of images is over the limit.",
    415: "The body is of a type that is not taken.",
    422: "The request makes no sense, or an image cannot be read; the answer says why.",
    429: "There is more work than the service can take, or more than the caller may ask for.",
    500: "The service's own mistake; its log tells more under the request's id.",
    503: "What runs the model cannot be reached now.",
    504: "The caller's deadline has passed, or the body arrived too slowly.",
}


class Problem(BaseModel):
    """RFC 9457 problem details; ``code`` is the kind of error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class ProtocolError(BaseModel):
    """An error in the form of the Open Inference Protocol."""

    error: str


class Status(BaseModel):
    """How the service is."""

    status: str


def problems(*statuses: int) -> Responses:
    """Answers that are problem documents."""
    return refusals(MEDIA_TYPE, reference(Problem), REQUEST_ID, *statuses)


def refusals(media_type: str, schema: Schema, headers: Schema, *statuses: int) -> Responses:
    """Answers that tell of an error, each in the same form."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "headers": headers | (RETRY_AFTER if status in _TIMES else {}),
            "content": {media_type: {"schema": schema}},
        }
        for status in statuses
    }


def reference(model: type[BaseModel]) -> Schema:
    """A reference to a model that `complete_document` puts into the document."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def path_parameter(name: str, description: str, **schema: Any) -> Schema:
    """A part of the path, a string unless its schema says otherwise."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"} | schema,
    }


MODEL_NAME = path_parameter("name", "The model's name.")
VERSION_NUMBER = path_parameter("number", "The version's number.", pattern="^[1-9][0-9]{0,8}$")


def complete_document(app: FastAPI, *, keyed: bool, open_paths: frozenset[str] | None = None) -> None:
    """Have the application's document hold what its routes only refer to.

    Args:
        app: the application, with all its routes.
        keyed: changes need the admin's key.
        open_paths: those that need no caller's key; None where none does.
    """
    make = app.openapi

    def openapi() -> Schema:
        document = make()
        components = document["components"]
        for model in (Problem, ProtocolError, Status):
            components["schemas"].setdefault(model.__name__, model.model_json_schema())
        components["headers"] = _HEADERS
        if open_paths is not None:
            components["securitySchemes"] = _CALLER_SCHEMES
            for path, operations in document["paths"].items():
                if path not in open_paths:
                    for operation in operations.values():
                        operation["security"] = [{name: []} for name in _CALLER_SCHEMES]
                        operation["responses"] = _asked(path) | operation["responses"]
        elif keyed:
            components["securitySchemes"] = {_KEY: _KEY_SCHEME}
            for operation in _operations(document):
                if ADMIN in operation["tags"]:
                    operation["security"] = [{_KEY: []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _asked(path: str) -> Schema:
    """The answers that every caller may meet where callers are asked who they are."""
    if path.startswith("/v2"):
        answers = refusals("application/json", reference(ProtocolError), REQUEST_ID, 401, 403, 429)
    else:
        answers = problems(401, 403, 429)
    return {str(status): answer for status, answer in answers.items()}


def _operations(document: Schema) -> Iterator[Schema]:
    for path in document["paths"].values():
        yield from path.values()


def inlined(schema: Any, definitions: Schema) -> Any:
    """The schema with its references replaced, for places that have none for definitions."""
    if isinstance(schema, list):
        return [inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return inlined({**definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    return {key: inlined(value, definitions) for key, value in schema.items() if key != "$defs"}
