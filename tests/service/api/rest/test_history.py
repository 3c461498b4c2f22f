"""``GET /v1/history`` as the dashboard asks it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from service.api.rest.document import complete_document
from service.api.rest.history import PATH, HistoryRoutes
from service.telemetry import Ended, Stages
from service.telemetry.history import History
from service.telemetry.history.answer import HistoryAnswer


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the route, over a history of one request."""
    now = [1000.0]
    history = History(clock=lambda: now[0])
    history.add(Ended("classify", "colours", "1", "", "rest", "200", "", 1, 0.1, Stages(compute=0.1), "r", "", 1, 1))
    now[0] += 1
    app = FastAPI()
    app.include_router(HistoryRoutes(history).router())
    complete_document(app, keyed=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        yield client


async def test_the_history_is_told(client: httpx.AsyncClient) -> None:
    """The answer is of the documented form, and not kept by anybody on its way."""
    response = await client.get(PATH, params={"window_s": 30, "points": 10, "task": "classify", "model": ""})
    answer = TypeAdapter(HistoryAnswer).validate_json(response.content, strict=True)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert (answer["window_s"], answer["step_s"], len(answer["times"])) == (30, 3, 10)
    assert answer["window"]["requests"] == 1


async def test_without_parameters_it_is_the_last_five_minutes(client: httpx.AsyncClient) -> None:
    """Five minutes in sixty points."""
    answer = (await client.get(PATH)).json()
    assert (answer["window_s"], answer["step_s"], len(answer["requests"]["rate"])) == (300, 5, 60)


@pytest.mark.parametrize("name", ["task", "model", "version"])
async def test_a_name_that_nobody_knows_has_no_requests(client: httpx.AsyncClient, name: str) -> None:
    """It is no error: the series are empty."""
    response = await client.get(PATH, params={name: "<script>"})
    answer = response.json()
    assert (response.status_code, answer["window"]["requests"], answer["versions"]) == (200, 0, [])
    assert "<script>" not in response.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("window_s=9", "window_s must be a whole number from 10 to 3600"),
        ("window_s=3601", "from 10 to 3600"),
        ("window_s=60.5", "whole number"),
        ("window_s=", "whole number"),
        ("window_s=-60", "whole number"),
        ("window_s=٦٠", "whole number"),
        ("window_s=" + "9" * 5000, "whole number"),
        ("points=9", "points must be a whole number from 10 to 360"),
        ("points=361", "from 10 to 360"),
        ("points=NaN", "whole number"),
        ("window=60", "there are model, points, task, version, window_s"),
        ("points=60&points=20", "more than once"),
        ("model=" + "m" * 257, "256 characters"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(client: httpx.AsyncClient, query: str, said: str) -> None:
    """The answer is the usual problem document, and says what is allowed."""
    response = await client.get(f"{PATH}?{query}")
    problem = response.json()
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["code"], problem["status"]) == ("invalid_parameters", 422)
    assert said in problem["detail"]
    assert len(problem["detail"]) < 200


async def test_the_document_has_the_limits_and_the_answer(client: httpx.AsyncClient) -> None:
    """The parameters stand in the OpenAPI document with their limits, and the answer with its parts."""
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"][PATH]["get"]
    limits = {p["name"]: (p["schema"].get("minimum"), p["schema"].get("maximum")) for p in operation["parameters"]}
    assert limits["window_s"] == (10, 3600)
    assert limits["points"] == (10, 360)
    assert set(document["components"]["schemas"]["HistoryAnswer"]["required"]) == set(HistoryAnswer.__annotations__)
