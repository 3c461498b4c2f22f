"""What a task's route takes, as the OpenAPI document has it: parameters, headers and the forms of the body."""

from typing import Any

from contract.tasks.definition import TaskDefinition
from service.api.rest.answers import JSON
from service.api.rest.body import JsonBody
from service.api.rest.document import BINARY, SELECTOR_PATTERN, Schema, inlined

_A_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4G6MAAANDAUqsJ04ZAAAAAElFTkSuQmCC"
"""A PNG of one pixel, as an example that can be sent as it is."""
_MODEL: Schema = {"type": "string", "pattern": SELECTOR_PATTERN}
_HEADERS: list[Schema] = [
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "description": "Milliseconds after which the caller no longer waits.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {
        "name": "X-Request-Id",
        "in": "header",
        "description": "The id under which the answer and the service's log speak of the request: up to 128 printable "
        "characters, else the service makes one.",
        "schema": {"type": "string"},
    },
]


def request_of(task: TaskDefinition) -> Schema:
    """The parameters and the body of a task's operation."""
    fields = _fields(task)
    model = {
        "name": "model",
        "in": "query",
        "description": "name, name@alias or name:version; without it the task's default.",
        "schema": _MODEL,
    }
    return {
        "parameters": [model, *(_in_query(name, field) for name, field in fields.items()), *_HEADERS],
        "requestBody": {"required": True, "content": _forms(fields)},
    }


def _fields(task: TaskDefinition) -> dict[str, Schema]:
    schema = task.parameters.model_json_schema()
    fields: dict[str, Schema] = inlined(schema.get("properties", {}), schema.get("$defs", {}))
    return fields


def _in_query(name: str, field: Schema) -> Schema:
    field = _without_null(field)
    parameter = {"name": name, "in": "query", "description": field.pop("description", ""), "schema": field}
    # Several values stand behind one name, with commas between them.
    return parameter | {"style": "form", "explode": False} if field.get("type") == "array" else parameter


def _without_null(field: Schema) -> Schema:
    """The schema of a text: what is not wanted is left out there, for want of a word for nothing."""
    kept = {key: value for key, value in field.items() if key != "anyOf" and not (key == "default" and value is None)}
    choices = [choice for choice in field.get("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        return {**choices[0], **kept}
    return {**kept, "anyOf": choices} if choices else kept


def _forms(fields: dict[str, Schema]) -> dict[str, Any]:
    parameters = {"model": _MODEL, **fields}
    return {
        "image/*": {"schema": BINARY},
        "application/octet-stream": {"schema": BINARY},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "Images, and beside them the parameters that are not in the query.",
                "properties": {"image": {"type": "array", "items": BINARY, "minItems": 1}},
                # Not among the properties, where the documentation page would fill in values that it makes up.
                "patternProperties": {
                    f"^{name}$": _as_text(_without_null(field)) for name, field in parameters.items()
                },
                "required": ["image"],
                "additionalProperties": False,
            },
        },
        JSON: {"schema": _json(parameters), "example": {"images": [{"b64": _A_PIXEL}]}},
    }


def _as_text(field: Schema) -> Schema:
    """A form has no lists and no switches: several values are one text with commas, and yes has many names."""
    said = {key: field[key] for key in ("title", "description") if key in field}
    if field.get("type") == "array":
        return said | {"type": "string"}
    return said | {"enum": _SWITCHES} if field.get("type") == "boolean" else field


_SWITCHES = [True, False, 1, 0, "true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"]


def _json(parameters: dict[str, Schema]) -> Schema:
    made = JsonBody.model_json_schema()
    schema: Schema = inlined(made, made["$defs"])
    schema["properties"]["parameters"] = {
        "type": "object",
        "properties": parameters | {"model": {"anyOf": [_MODEL, {"type": "null"}], "default": None}},
        "additionalProperties": False,
        "default": {},
    }
    schema["properties"]["images"]["items"] = {"anyOf": [_reference("b64", "url"), _reference("url", "b64")]}
    return schema


_REFERENCES: dict[str, Schema] = {
    "b64": {"type": "string", "contentEncoding": "base64", "description": "The encoded image, or a data URL."},
    "url": {"type": "string", "format": "uri", "description": "The image's address."},
}


def _reference(given: str, other: str) -> Schema:
    """An image within JSON, given in one way and not in the other."""
    return {
        "type": "object",
        "title": given,
        "properties": {given: _REFERENCES[given], other: {"type": "null"}},
        "required": [given],
        "additionalProperties": False,
    }
