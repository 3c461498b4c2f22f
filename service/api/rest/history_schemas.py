"""How ``/v1/history`` looks in the OpenAPI document, and what its query may say; the route itself parses by hand."""

from dataclasses import dataclass
from typing import Any, Final

from service.api.rest.document import REQUEST_ID, Problem, Schema, reference
from service.api.rest.problems import MEDIA_TYPE
from service.telemetry.history import FEWEST_POINTS, MOST_POINTS, SHORTEST_WINDOW_S
from service.telemetry.history.answer import HistoryAnswer

WINDOW_S: Final = 300
POINTS: Final = 60
LONGEST_NAME: Final = 256
NAMES: Final = {
    "task": "Only requests for this task; all without it. A name that nobody knows has no requests.",
    "model": "Only requests that this model answered.",
    "version": "Only requests that versions of this number answered.",
}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of the query."""

    name: str
    default: int
    least: int
    most: int
    description: str

    def schema(self) -> Schema:
        """As the document has it."""
        limits = {"type": "integer", "minimum": self.least, "maximum": self.most, "default": self.default}
        return {"name": self.name, "in": "query", "description": self.description, "schema": limits}


def numbers(history_s: int) -> tuple[Whole, Whole]:
    """The window and the points, of a history that goes back so far."""
    window = "Seconds to look back; rounded up to whole points."
    points = "At most so many points, each of whole seconds, in windows of over ten minutes of tens of seconds."
    return (
        Whole("window_s", min(WINDOW_S, history_s), SHORTEST_WINDOW_S, history_s, window),
        Whole("points", POINTS, FEWEST_POINTS, MOST_POINTS, points),
    )


def described(history_s: int) -> dict[str, Any]:
    """Keyword arguments for FastAPI's ``add_api_route``."""
    names = [
        {"name": name, "in": "query", "description": said, "schema": {"type": "string", "maxLength": LONGEST_NAME}}
        for name, said in NAMES.items()
    ]
    return {
        "response_model": None,
        "responses": {
            200: {
                "model": HistoryAnswer,
                "description": "Points up to the last whole second, and figures of all of them together.",
            },
            422: {
                "description": "The query makes no sense; the answer says what it may say.",
                "headers": REQUEST_ID,
                "content": {MEDIA_TYPE: {"schema": reference(Problem)}},
            },
        },
        "openapi_extra": {"parameters": [*(number.schema() for number in numbers(history_s)), *names]},
    }
