"""The video jobs' part of the API's own description."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from contract.task import Task
from service.api.rest.video_schemas import VideoAnswer, VideosAnswer
from service.video.sampling import SamplingParameters
from service.video.video_request import VideoRequest
from service.video.windows import ClipParameters
from tests.service.api.rest.films import Films, a_clip, film_models, films_of
from tests.service.running import running


@pytest.fixture
async def films(tmp_path: Path) -> AsyncIterator[Films]:
    """The routes over a detector and a classifier."""
    models = film_models(tmp_path / "models")
    async with running(models, videos=tmp_path / "videos") as service, films_of(tmp_path / "jobs", service) as films:
        yield films


async def described(films: Films, path: str = "", method: str = "post") -> Any:
    """An operation as the document has it."""
    document = (await films.client.get("/openapi.json")).json()
    return document["paths"][f"/v1/videos{path}"][method]


async def test_all_that_can_be_asked_is_described(films: Films) -> None:
    """Whatever a request may say stands in the query's description, the form's and JSON's, in words."""
    operation = await described(films)
    parts = {*SamplingParameters.model_fields, *ClipParameters.model_fields}
    names = {*VideoRequest.model_fields, *parts} - {"sampling", "clips"}
    query = {parameter["name"]: parameter for parameter in operation["parameters"] if parameter["in"] == "query"}
    content = operation["requestBody"]["content"]
    assert set(query) == names
    assert all(parameter["description"] for parameter in query.values())
    assert set(content["multipart/form-data"]["schema"]["patternProperties"]) == {f"^{name}$" for name in names}
    assert set(content["application/json"]["schema"]["properties"]) == {"url", *names}
    assert (query["task"]["required"], query["task"]["schema"]["enum"]) == (True, [*Task])


async def test_a_query_has_no_word_for_nothing(films: Films) -> None:
    """No parameter of the query may be null, and what has parts is JSON within a text."""
    query = {parameter["name"]: parameter["schema"] for parameter in (await described(films))["parameters"]}
    assert "null" not in str([query[name] for name in ("fps", "threshold", "model", "webhook", "track")])
    assert query["counts"]["contentMediaType"] == "application/json"
    assert "lines" in query["counts"]["contentSchema"]["properties"]


async def test_answers_are_as_described(tmp_path: Path, films: Films) -> None:
    """A job's status has what the document says and nothing else, while it runs and behind its end."""
    path = await films.sent(a_clip(tmp_path), "task=detect&track=true&annotate=true")
    for status in ((await films.client.get(path)).json(), await films.ended(path)):
        TypeAdapter(VideoAnswer).validate_python(status)
        assert set(status) == set(VideoAnswer.__annotations__)
    page = (await films.client.get("/v1/videos")).json()
    assert len(TypeAdapter(VideosAnswer).validate_python(page)["videos"]) == 1


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("", "post", {"202", "403", "404", "409", "413", "422", "429", "500", "503", "504", "507"}),
        ("", "get", {"200", "422", "500", "503"}),
        ("/{id}", "get", {"200", "404", "500", "503"}),
        ("/{id}", "delete", {"204", "404", "500", "503"}),
        ("/{id}:cancel", "post", {"200", "404", "500", "503"}),
        ("/{id}/results", "get", {"200", "404", "422", "500", "503"}),
        ("/{id}/annotated.mp4", "get", {"200", "206", "404", "409", "416", "500", "503"}),
    ],
)
async def test_every_answer_is_described(films: Films, path: str, method: str, statuses: set[str]) -> None:
    """Each operation names the statuses that it answers with, those of errors with their form."""
    responses = (await described(films, path, method))["responses"]
    assert set(responses) == statuses
    for status, response in responses.items():
        assert (status[0] == "2") != ("application/problem+json" in response.get("content", {}))
