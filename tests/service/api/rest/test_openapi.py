"""The API's own description."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from contract.task import Task
from contract.tasks.table import TASKS
from tests.service.running import WHITE, Running, running
from tests.tiny_models import write_version


def references(node: Any) -> Iterator[str]:
    """Every ``$ref`` below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


async def test_the_page_and_the_document_are_served(service: Running) -> None:
    """``/docs`` is a page that loads nothing from elsewhere; ``/openapi.json`` is an OpenAPI 3.1 document."""
    page = await service.client.get("/docs")
    document = (await service.client.get("/openapi.json")).json()
    assert page.status_code == 200
    assert "https://" not in page.text
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


async def test_every_reference_leads_somewhere(service: Running) -> None:
    """No schema refers to one that is not there."""
    document = (await service.client.get("/openapi.json")).json()
    found = list(references(document))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        node = document
        for part in reference[2:].split("/"):
            node = node[part.replace("~1", "/").replace("~0", "~")]


async def test_every_operation_has_the_fields_that_openapi_demands(service: Running) -> None:
    """Operations have unique names and described responses; parameters have a place, a name and a schema."""
    document = (await service.client.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["responses"]
        assert all(response["description"] for response in operation["responses"].values())
        for parameter in operation.get("parameters", []):
            assert parameter["in"] in {"query", "header", "path"}
            assert parameter["name"]
            assert parameter["schema"]


async def test_every_refusal_has_the_form_of_its_protocol(service: Running) -> None:
    """What tells of an error refers to the problem document, under ``/v2`` to that protocol's error."""
    document = (await service.client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        form = (
            ("application/json", "ProtocolError") if path.startswith("/v2") else ("application/problem+json", "Problem")
        )
        for operation in operations.values():
            answers = operation["responses"].items()
            refusals = [answer for status, answer in answers if status[0] != "2" and status != "503"]
            for refusal in refusals:
                assert refusal["content"] == {form[0]: {"schema": {"$ref": f"#/components/schemas/{form[1]}"}}}


async def test_the_key_is_asked_for_where_there_is_one(tmp_path: Path, service: Running) -> None:
    """Changing routes need the admin's key, and no others do; without a key, none."""
    write_version(tmp_path, "colours")
    async with running(tmp_path, admin_key="sesame") as keyed:
        document = (await keyed.client.get("/openapi.json")).json()
    for path in document["paths"].values():
        for operation in path.values():
            assert ("security" in operation) == (operation["tags"] == ["admin"])
    assert document["components"]["securitySchemes"]["adminKey"]["scheme"] == "bearer"
    assert "securitySchemes" not in (await service.client.get("/openapi.json")).json()["components"]


@pytest.mark.parametrize("task", [task for task in Task if not TASKS[task].clips])
async def test_a_tasks_parameters_are_described(service: Running, task: Task) -> None:
    """Every parameter of a task, the model and the two headers stand in its operation, with its errors."""
    document = (await service.client.get("/openapi.json")).json()
    operation = document["paths"][f"/v1/{task}"]["post"]
    described = {parameter["name"] for parameter in operation["parameters"]}
    assert described == {
        *TASKS[task].parameters.model_json_schema()["properties"],
        "model",
        "X-Request-Timeout-Ms",
        "X-Request-Id",
    }
    assert {"200", "413", "415", "422", "429", "504"} <= set(operation["responses"])
    assert set(operation["requestBody"]["content"]) >= {"image/*", "multipart/form-data", "application/json"}


@pytest.mark.parametrize("task", [task for task in Task if not TASKS[task].clips])
async def test_the_example_can_be_sent_as_it_is(service: Running, task: Task) -> None:
    """The JSON body that the document shows is answered with a result."""
    document = (await service.client.get("/openapi.json")).json()
    body = document["paths"][f"/v1/{task}"]["post"]["requestBody"]["content"]["application/json"]["example"]
    response = await service.client.post(f"/v1/{task}", json=body)
    assert (response.status_code, len(response.json()["results"])) == (200, 1)


async def test_a_text_has_no_word_for_nothing(service: Running) -> None:
    """No parameter of a query may be null, and several labels stand in one text, with commas between them."""
    document = (await service.client.get("/openapi.json")).json()
    parameters = {p["name"]: p for p in document["paths"]["/v1/segment"]["post"]["parameters"]}
    assert "null" not in str([parameter["schema"] for parameter in parameters.values()])
    assert (parameters["labels"]["schema"]["type"], parameters["labels"]["explode"]) == ("array", False)
    response = await service.ask("/v1/segment?labels=red,green", WHITE)
    assert response.status_code == 200
