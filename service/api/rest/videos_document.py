"""How the routes of video jobs look in the OpenAPI document; the routes themselves parse by hand."""

from typing import Any

from service.api.rest.document import (
    BINARY,
    REQUEST_ID,
    RETRY_AFTER,
    SELECTOR_PATTERN,
    Problem,
    Responses,
    Schema,
    inlined,
    path_parameter,
    reference,
)
from service.api.rest.problems import MEDIA_TYPE
from service.api.rest.video_schemas import VideoAnswer, VideosAnswer
from service.video.job import JobState
from service.video.video_request import VideoRequest

NDJSON = "application/x-ndjson"
MOST, USUAL = 100, 20
"""Jobs in one answer."""
LAST_FRAME = 999_999_999_999_999
"""The largest number that a frame may be asked for by."""

_JSON = "application/json"
_FRAME: Schema = {"type": "integer", "minimum": 0, "maximum": LAST_FRAME, "default": 0}
_REFUSALS = {
    403: "The service may not call the address; its operator can allow that.",
    404: "There is no such video, model or version.",
    409: "The model's version takes no traffic now, or the idempotency key was used for another request.",
    413: "The video has too many bytes, or its frames too many pixels.",
    416: "The file does not have the range that is asked for.",
    422: "The request makes no sense, or the file is no video that can be read; the answer says which.",
    429: "Too many videos wait already.",
    500: "The service's own mistake; its log tells more under the request's id.",
    503: "What runs the model cannot be reached now, or there is no place for videos.",
    504: "The body, or the video's address, was too slow.",
    507: "The disk for videos is full.",
}
_TIMES = (429, 503, 507)
_SWITCH: Schema = {"enum": ["true", "false", "1", "0"]}
_PARTS = ("sampling", "clips")
"""Of what is asked for; their members stand beside the others in a query."""
_ID = path_parameter("id", "The job's id.")


def _refusals(*statuses: int, **said: str) -> Responses:
    return {
        status: {
            "description": said.get(f"s{status}", _REFUSALS[status]),
            "headers": REQUEST_ID | (RETRY_AFTER if status in _TIMES else {}),
            "content": {MEDIA_TYPE: {"schema": reference(Problem)}},
        }
        for status in statuses
    }


def _query(name: str, description: str, schema: Schema, **more: Any) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _json_text(schema: Schema) -> Schema:
    return {"type": "string", "contentMediaType": _JSON, "contentSchema": schema}


def _fields() -> dict[str, Schema]:
    """What a caller may ask of a video, as JSON has it."""
    made = VideoRequest.model_json_schema()
    fields: dict[str, Schema] = inlined(made["properties"], made["$defs"])
    for part in _PARTS:
        fields |= fields.pop(part)["properties"]
    for schema in fields.values():
        schema.pop("title", None)
    fields["model"] = {"type": "string", "pattern": SELECTOR_PATTERN, "description": fields["model"]["description"]}
    return fields


def _as_text(schema: Schema) -> Schema:
    """The same in a query or a form: there is no word for nothing, and what has parts is JSON."""
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    kinds = [_SWITCH if c.get("type") == "boolean" else _json_text(c) if "properties" in c else c for c in choices]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


_FIELDS = _fields()
_HOW = {name: {"anyOf": [_SWITCH, _json_text(_FIELDS[name]["anyOf"][0])]} for name in ("track", "reidentify")}
"""Switched on, or told how."""
_TEXTS: dict[str, Schema] = {
    name: {key: value for key, value in _as_text(schema).items() if key not in ("description", "title")}
    for name, schema in _FIELDS.items()
} | {**_HOW, "parameters": _json_text(_FIELDS["parameters"])}
_SAID = {name: schema.get("description", "") for name, schema in _FIELDS.items()} | {
    "task": "What is looked for in the video's frames.",
    "parameters": "The task's own parameters; each may also stand by its own name beside the others.",
}
_POST_PARAMETERS = [
    *(_query(name, _SAID[name], schema, required=name == "task") for name, schema in _TEXTS.items()),
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Of one's own choice. Sent again with the same key, the same request with the same video is "
        "answered with the job of the first time.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    {
        "name": "Content-Disposition",
        "in": "header",
        "description": 'Of a file that is sent as it is: its name, as in `attachment; filename="street.mp4"`.',
        "schema": {"type": "string"},
    },
]
_FORM: Schema = {
    "type": "object",
    "description": "The parameters that are not in the query, and behind them the video.",
    "properties": {"video": BINARY},
    "patternProperties": {f"^{name}$": schema for name, schema in _TEXTS.items()},
    "required": ["video"],
}
_BY_ADDRESS: Schema = {
    "type": "object",
    "description": "The address of a video, and beside it the parameters that are not in the query.",
    "properties": {
        "url": {"type": "string", "format": "uri"},
        **_FIELDS,
        "track": {"anyOf": [{"type": "boolean"}, *_FIELDS["track"]["anyOf"]]},
    },
    "required": ["url"],
}


def _operation(responses: Responses, parameters: list[Schema], **extra: Any) -> dict[str, Any]:
    """Keyword arguments for FastAPI's ``add_api_route``."""
    return {
        "response_model": None,
        "responses": responses,
        "openapi_extra": {"parameters": parameters, **extra},
    }


def _answer(model: Any, said: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "description": said, **more}


POST = _operation(
    {
        202: _answer(
            VideoAnswer,
            "The job is queued.",
            headers={
                "Location": {"description": "The job's path.", "required": True, "schema": {"type": "string"}},
                **REQUEST_ID,
            },
        ),
        **_refusals(403, 404, 409, 413, 422, 429, 500, 503, 504, 507),
    },
    _POST_PARAMETERS,
    requestBody={
        "required": True,
        "content": {
            "video/*": {"schema": BINARY},
            "application/octet-stream": {"schema": BINARY},
            "multipart/form-data": {"schema": _FORM},
            _JSON: {"schema": _BY_ADDRESS, "example": {"url": "https://videos.example/street.mp4", "fps": 5}},
        },
    },
) | {"status_code": 202}
LIST = _operation(
    {200: _answer(VideosAnswer, "Jobs, the newest first."), **_refusals(422, 500, 503)},
    [
        _query("limit", "So many at most.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}),
        _query("before", "The `next` of the answer before.", {"type": "string"}),
        _query("state", "Only those in this state.", {"enum": [*JobState]}),
    ],
)
STATUS = _operation({200: _answer(VideoAnswer, "The job."), **_refusals(404, 500, 503)}, [_ID])
CANCEL = _operation(
    {200: _answer(VideoAnswer, "The job has ended; what was done is kept."), **_refusals(404, 500, 503)}, [_ID]
)
DELETE = _operation(
    {204: {"description": "The job is ended, and all of it removed."}, **_refusals(404, 500, 503)}, [_ID]
) | {"status_code": 204}
RESULTS = _operation(
    {
        200: {
            "description": "One line of JSON a frame; while the job runs, lines come as frames are done.",
            "content": {
                NDJSON: {
                    "schema": {"type": "string"},
                    "example": '{"frame":0,"timestamp_s":0.0,"objects":[]}\n',
                }
            },
        },
        **_refusals(404, 422, 500, 503),
    },
    [_ID, _query("from_frame", "The first frame that is wanted.", _FRAME)],
)
ANNOTATED = _operation(
    {
        200: {"description": "The whole video.", "content": {"video/mp4": {"schema": BINARY}}},
        206: {"description": "The range of it that `Range` asks for.", "content": {"video/mp4": {"schema": BINARY}}},
        **_refusals(
            404,
            409,
            416,
            500,
            503,
            s404="There is no such video, no annotated one was asked for, or nothing was drawn.",
            s409="The job has not ended.",
        ),
    },
    [_ID],
)
