"""How a task's route looks in the OpenAPI document; the routes themselves parse by hand, for speed."""

from types import GenericAlias
from typing import Any

from pydantic import BaseModel, Field, create_model

from contract.tasks.definition import TaskDefinition
from service.api.rest.body import JsonBody
from service.api.rest.problems import MEDIA_TYPE, STATUS


class ModelUsed(BaseModel):
    """The version that answered."""

    name: str
    version: str
    alias: str | None = None


class Problem(BaseModel):
    """RFC 9457 problem details; ``code`` is the kind of error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


def describe(task: TaskDefinition) -> dict[str, Any]:
    """Keyword arguments for FastAPI's ``add_api_route``."""
    results: Any = GenericAlias(list, (task.result,))
    response = create_model(
        f"{task.task.capitalize()}Response",
        model=(ModelUsed, ...),
        results=(results, ...),
        timings_ms=(dict[str, float], Field(description="Milliseconds by stage, and in all.")),
        request_id=(str, ...),
    )
    errors: dict[int | str, dict[str, Any]] = {
        status: {"description": "A problem document.", "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
        for status in sorted({*STATUS.values()} - {499})
    }
    return {
        "summary": task.summary,
        "response_model": None,
        "responses": {200: {"model": response, "description": "One result an image, in their order."}, **errors},
        "openapi_extra": {"parameters": [_MODEL, *_query(task), *_HEADERS], "requestBody": _BODY},
    }


_MODEL = {
    "name": "model",
    "in": "query",
    "description": "name, name@alias or name:version; without it the task's default.",
    "schema": {"type": "string"},
}
_HEADERS = [
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "description": "Milliseconds after which the caller no longer waits.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {"name": "X-Request-Id", "in": "header", "schema": {"type": "string", "maxLength": 128}},
]


def _query(task: TaskDefinition) -> list[dict[str, Any]]:
    schema = task.parameters.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "description": field.pop("description", ""),
            "schema": _inline(field, definitions),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its references replaced: parameters have no place for definitions."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return _inline({**definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    return {key: _inline(value, definitions) for key, value in schema.items()}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_JSON_SCHEMA = JsonBody.model_json_schema()
_BODY = {
    "required": True,
    "content": {
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                "required": ["image"],
            }
        },
        "application/json": {"schema": _inline(_JSON_SCHEMA, _JSON_SCHEMA.get("$defs", {}))},
    },
}
