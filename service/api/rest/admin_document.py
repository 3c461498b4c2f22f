"""How the changing routes look in the OpenAPI document; the routes themselves parse by hand."""

from typing import Any

from contract.task import Task
from service.api.rest.document import (
    ALIAS_PATTERN,
    DEFAULT_PATTERN,
    MODEL_NAME,
    VERSION_NUMBER,
    Schema,
    inlined,
    path_parameter,
    problems,
)
from service.api.rest.model_schemas import DefaultAnswer, TrafficAnswer, VersionAnswer
from service.registry.routing import STABLE
from service.registry.traffic import RESERVED, ModelTraffic, RollbackRules

_LARGEST = 999_999_999
_NUMBER: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": _LARGEST},
        {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
    ]
}
_ALIAS = path_parameter("alias", "The alias.", pattern=ALIAS_PATTERN, **{"not": {"enum": sorted(RESERVED)}})
_TASK = path_parameter("task", "The task.", enum=[*Task])


def _traffic_schema() -> Schema:
    """Shares by alias, and beside them the words that are no aliases."""
    schema = ModelTraffic.model_json_schema()
    definitions = schema["$defs"]
    known = {name: inlined(schema["properties"][name], definitions) for name in sorted(RESERVED)}
    known["shadow"] = {"anyOf": [*_NUMBER["anyOf"], {"type": "null"}], "default": None, "title": "Shadow"}
    return {
        "type": "object",
        "properties": known | {STABLE: {"type": "number", "minimum": 0, "maximum": 1e6}},
        "propertyNames": {"pattern": ALIAS_PATTERN},
        "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e6},
        "description": "Shares by alias, in any unit; none at all send everything to `stable`.",
    }


def _operation(answer: Any, said: str, parameters: list[Schema], body: Schema | None = None) -> dict[str, Any]:
    """Keyword arguments for FastAPI's ``add_api_route``."""
    # Only with a body can there be too much of it, or too slowly.
    refused = (401, 403, 404, 409, 422, 500) if body is None else (401, 403, 404, 409, 413, 422, 500, 504)
    extra: dict[str, Any] = {"parameters": parameters}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": body}}
    return {
        "responses": {200: {"model": answer, "description": said}, **problems(*refused)},
        "openapi_extra": extra,
    }


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_VERSION_PARAMETERS = [MODEL_NAME, VERSION_NUMBER]
_ALIAS_PARAMETERS = [MODEL_NAME, _ALIAS]
LOAD = _operation(VersionAnswer, "The version is ready.", _VERSION_PARAMETERS)
UNLOAD = _operation(VersionAnswer, "The version is unloaded.", _VERSION_PARAMETERS)
PUT_ALIAS = _operation(
    TrafficAnswer,
    "The model's traffic as it is now.",
    _ALIAS_PARAMETERS,
    {"schema": _object(version=_NUMBER), "example": {"version": 2}},
)
DELETE_ALIAS = _operation(TrafficAnswer, "The model's traffic as it is now.", _ALIAS_PARAMETERS)
PUT_TRAFFIC = _operation(
    TrafficAnswer,
    "The model's traffic as it is now.",
    [MODEL_NAME],
    {
        "schema": _traffic_schema(),
        "example": {
            "stable": 90,
            "canary": 10,
            "shadow": 3,
            "sticky": "header:X-User",
            "rollback": RollbackRules().model_dump(mode="json"),
        },
    },
)
PUT_DEFAULT = _operation(
    DefaultAnswer,
    "What answers the task now.",
    [_TASK],
    {
        "schema": _object(model={"type": "string", "pattern": DEFAULT_PATTERN}),
        "example": {"model": "name@stable"},
    },
)
