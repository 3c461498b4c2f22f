"""How a task's route looks in the OpenAPI document; the routes themselves parse by hand, for speed."""

from types import GenericAlias
from typing import Any

from pydantic import BaseModel, Field, create_model

from contract.task import Task
from contract.tasks.definition import TaskDefinition
from service.api.rest.answers import MASKS, PICTURES
from service.api.rest.document import BINARY, REQUEST_ID, SERVER_TIMING, problems
from service.api.rest.task_request import request_of


class ModelUsed(BaseModel):
    """The version that answered."""

    name: str
    version: str
    alias: str | None = None
    degraded: str | None = Field(None, description="What answered in its stead while Triton was away: embedded.")


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
    return {
        "summary": task.summary,
        "response_model": None,
        "responses": {
            200: {
                "model": response,
                "description": "One result an image, in their order.",
                "headers": REQUEST_ID | SERVER_TIMING,
                "content": _other_forms(task),
            },
            **problems(403, 404, 409, 413, 415, 422, 429, 500, 503, 504),
        },
        "openapi_extra": request_of(task),
    }


def _other_forms(task: TaskDefinition) -> dict[str, Any]:
    """What ``Accept`` may ask for instead of JSON."""
    picture = BINARY | {"description": "The image with what was found drawn on it; of one image only."}
    bits = BINARY | {"description": "The answer with its masks as bits, in one Zstandard frame; see docs/masks.md."}
    forms = {media_type: {"schema": picture} for media_type in PICTURES}
    return forms | {MASKS: {"schema": bits}} if task.task is Task.SEGMENT else forms
