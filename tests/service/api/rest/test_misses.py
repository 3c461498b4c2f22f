"""Paths that no route has, and methods that a path does not have."""

import pytest

from tests.service.running import Running

VERSION = "/v1/models/colours/versions/1"
ALLOWED = {
    "one": ("GET", "/v1/classify", "POST"),
    "of two routes": ("POST", "/v1/models/colours/traffic", "GET, PUT"),
    "of two routes that both change": ("OPTIONS", "/v1/models/colours/aliases/canary", "DELETE, PUT"),
    "of what is done to a version": ("PATCH", f"{VERSION}:load", "POST"),
    "of the version itself": ("PUT", VERSION, "GET"),
    "of the other protocol": ("POST", "/v2/health/live", "GET"),
    "of a file": ("POST", "/web/app.js", "GET, HEAD"),
}


@pytest.mark.parametrize("case", ALLOWED)
async def test_a_wrong_method_is_told_all_the_right_ones(service: Running, case: str) -> None:
    """405 names every method that the path has, whichever route has it."""
    method, path, allowed = ALLOWED[case]
    response = await service.client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)


async def test_what_is_not_there_is_told_in_the_form_of_its_protocol(service: Running) -> None:
    """Under ``/v2`` an error as that protocol's clients can show it, elsewhere a problem document."""
    for path in ("/v2/repository/index", "/v2/models/colours/config", "/v2/"):
        response = await service.client.get(path)
        assert (response.status_code, list(response.json())) == (404, ["error"])
    for path in ("/v3", "/v20", f"{VERSION}:jump"):
        response = await service.client.get(path)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
