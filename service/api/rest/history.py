"""``GET /v1/history``: the last seconds to the last hour, for the dashboard."""

from dataclasses import dataclass

import orjson
from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from service.api.rest.answers import JSON
from service.api.rest.guarded import guarded
from service.api.rest.history_schemas import LONGEST_NAME, NAMES, Whole, described, numbers
from service.errors import invalid_parameters
from service.telemetry.history import History

PATH = "/v1/history"


@dataclass(frozen=True, slots=True)
class HistoryRoutes:
    """What the route needs."""

    history: History

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["health"])
        router.add_api_route(
            PATH,
            guarded(self._read),
            methods=["GET"],
            summary="What happened in the last seconds to the last hour",
            name="history",
            **described(self.history.seconds),
        )
        return router

    async def _read(self, request: Request) -> Response:
        query = request.query_params
        window, points = numbers(self.history.seconds)
        _require_known(query, {window.name, points.name, *NAMES})
        answer = self.history.read(_number(query, window), _number(query, points), **_names(query))
        return Response(orjson.dumps(answer), headers={"Cache-Control": "no-store"}, media_type=JSON)


def _require_known(query: QueryParams, known: set[str]) -> None:
    """Refuse names that there are not, and those that stand there twice."""
    given = [name for name, _ in query.multi_items()]
    for name in given:
        if name not in known:
            raise invalid_parameters(f"there is no parameter {name[:64]!r}; there are {', '.join(sorted(known))}")
        if given.count(name) > 1:
            raise invalid_parameters(f"{name} stands there more than once")


def _number(query: QueryParams, number: Whole) -> int:
    text = query.get(number.name)
    if text is None:
        return number.default
    # No more digits than any number needs: long ones take long to read.
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and number.least <= int(text) <= number.most):
        raise invalid_parameters(f"{number.name} must be a whole number from {number.least} to {number.most}")
    return int(text)


def _names(query: QueryParams) -> dict[str, str]:
    names = {name: query.get(name, "") for name in NAMES}
    for name, value in names.items():
        if len(value) > LONGEST_NAME:
            raise invalid_parameters(f"{name} must have {LONGEST_NAME} characters at most")
    return names
