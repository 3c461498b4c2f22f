"""How the routes of live streams look in the OpenAPI document; the routes themselves parse by hand."""

from typing import Any, Final

from contract.tasks.table import TASKS
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
from service.api.rest.stream_schemas import StreamAnswer, StreamsAnswer
from service.video.live_request import FIELDS, LiveRequest

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
JPEG: Final = "image/jpeg"

_ID = path_parameter("id", "The stream's id.")
_REFUSALS = {
    403: "The service may not call that address; its operator can allow it. Or another site's page has sent this.",
    404: "There is no such stream, model or version; or no picture yet.",
    409: "The model's version takes no traffic now.",
    413: "The body is too large.",
    415: "The body is of another type than JSON.",
    422: "The request makes no sense; the answer says why.",
    429: "There are too many streams, or too many readers of this one.",
    500: "The service's own mistake; its log tells more under the request's id.",
    504: "The body arrived too slowly, or the model was not brought back into memory in time.",
}


def _refusals(*statuses: int) -> Responses:
    return {
        status: {
            "description": _REFUSALS[status],
            "headers": REQUEST_ID | (RETRY_AFTER if status == 429 else {}),
            "content": {MEDIA_TYPE: {"schema": reference(Problem)}},
        }
        for status in statuses
    }


def _operation(responses: Responses, parameters: list[Schema], **extra: Any) -> dict[str, Any]:
    """Keyword arguments for FastAPI's ``add_api_route``."""
    return {
        "response_model": None,
        "responses": responses,
        "openapi_extra": {"parameters": parameters, **extra},
    }


def _content(media_type: str, schema: Schema, said: str) -> Schema:
    return {"description": said, "content": {media_type: {"schema": schema}}}


def _body() -> Schema:
    """What a caller may ask of a source."""
    made = LiveRequest.model_json_schema()
    fields: dict[str, Schema] = {name: inlined(made["properties"][name], made["$defs"]) for name in FIELDS}
    fields["task"] = {"enum": [task.task for task in TASKS.values() if not task.clips]}
    fields["model"] = {
        "anyOf": [{"type": "string", "pattern": SELECTOR_PATTERN}, {"type": "null"}],
        "description": fields["model"]["description"],
    }
    fields["track"]["anyOf"].insert(0, {"type": "boolean"})
    return {"type": "object", "properties": fields, "required": ["url", "task"], "additionalProperties": False}


POST = _operation(
    {
        201: {
            "model": StreamAnswer,
            "description": "The stream is begun; whether its source can be reached, its status will tell.",
            "headers": {
                "Location": {"description": "The stream's path.", "required": True, "schema": {"type": "string"}}
            },
        },
        **_refusals(403, 404, 409, 413, 415, 422, 429, 500, 504),
    },
    [],
    requestBody={
        "required": True,
        "content": {
            JSON: {
                "schema": _body(),
                "example": {"url": "rtsp://camera.example/street", "task": "detect", "fps": 5, "track": True},
            }
        },
    },
) | {"status_code": 201}
LIST = _operation({200: {"model": StreamsAnswer, "description": "Streams, the newest first."}, **_refusals(500)}, [])
STATUS = _operation({200: {"model": StreamAnswer, "description": "The stream."}, **_refusals(404, 500)}, [_ID])
DELETE = _operation({204: {"description": "The stream is ended and freed."}, **_refusals(403, 404, 500)}, [_ID]) | {
    "status_code": 204
}
RESULTS = _operation(
    {
        200: _content(
            NDJSON,
            {"type": "string"},
            "One line of JSON for each frame that is processed from now on, as it comes. A reader who is slow loses "
            "the oldest lines: `missed` says how many, in the line behind the gap.",
        ),
        **_refusals(404, 429, 500),
    },
    [_ID],
)
PICTURE = _operation(
    {
        200: _content(JPEG, BINARY, "The last processed frame, with what was found drawn in."),
        **_refusals(404, 422, 500),
    },
    [_ID],
)
