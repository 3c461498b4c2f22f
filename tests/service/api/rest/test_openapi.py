"""The API's own description."""

from collections.abc import Iterator
from typing import Any

import pytest

from contract.task import Task
from contract.tasks.table import TASKS
from tests.service.running import Running


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


@pytest.mark.parametrize("task", [task for task in Task if not TASKS[task].clips])
async def test_a_tasks_parameters_are_described(service: Running, task: Task) -> None:
    """Every parameter of a task, the model and the two headers stand in its operation, with its errors."""
    document = (await service.client.get("/openapi.json")).json()
    operation = document["paths"][f"/v1/{task}"]["post"]
    described = {parameter["name"] for parameter in operation["parameters"]}
    assert described == {*TASKS[task].parameters.model_fields, "model", "X-Request-Timeout-Ms", "X-Request-Id"}
    assert {"200", "413", "415", "422", "429", "504"} <= set(operation["responses"])
    assert set(operation["requestBody"]["content"]) >= {"image/*", "multipart/form-data", "application/json"}
