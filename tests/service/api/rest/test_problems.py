"""Problem documents: every kind of error has its status, its title and the documented form."""

import orjson
import pytest

from service.api.rest import problems
from service.api.rest.problems import STATUS, http_problem, problem
from service.errors import ErrorKind, ServiceError, engine_unavailable, overloaded

DOCUMENTED = {
    "invalid_image": 422,
    "invalid_video": 422,
    "invalid_parameters": 422,
    "unsupported_media_type": 415,
    "too_large": 413,
    "unauthenticated": 401,
    "forbidden": 403,
    "model_not_found": 404,
    "version_not_ready": 409,
    "not_found": 404,
    "conflict": 409,
    "rate_limited": 429,
    "overloaded": 429,
    "storage_full": 507,
    "deadline_exceeded": 504,
    "engine_unavailable": 503,
    "internal": 500,
}
"""The table of the API's description; ``cancelled`` is not in it, for nobody is left to read that."""


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_status_and_a_title(kind: ErrorKind) -> None:
    """No kind of error lacks its rows."""
    assert kind in STATUS
    assert problems._TITLES[kind]


def test_statuses_are_those_of_the_description() -> None:
    """The table of statuses is the documented one."""
    assert {kind.value: status for kind, status in STATUS.items() if kind is not ErrorKind.CANCELLED} == DOCUMENTED


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_problem_document_holds_what_rfc_9457_names(kind: ErrorKind) -> None:
    """Type, title, status and detail stand in every document, with code and request_id."""
    response = problem(ServiceError(kind, "the reason"), "an-id")
    document = orjson.loads(response.body)
    assert set(document) == {"type", "title", "status", "detail", "code", "request_id"}
    assert (document["status"], document["code"]) == (response.status_code, kind)
    assert (document["detail"], document["request_id"]) == ("the reason", "an-id")
    assert response.media_type == "application/problem+json"
    assert response.headers["x-request-id"] == "an-id"


@pytest.mark.parametrize("error", [overloaded("full"), engine_unavailable("gone")])
def test_who_may_come_back_is_told_when(error: ServiceError) -> None:
    """Errors that pass carry Retry-After, in whole seconds of at least one."""
    assert int(problem(error, "id").headers["retry-after"]) >= 1


def test_what_http_itself_refuses_has_the_same_form() -> None:
    """An unknown path gets a document as well."""
    document = orjson.loads(http_problem(404, "an-id").body)
    assert set(document) == {"type", "title", "status", "detail", "code", "request_id"}
    assert document["status"] == 404
