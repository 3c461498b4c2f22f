"""Who may change what is served."""

import pytest

from service.errors import ErrorKind, ServiceError
from service.security import AdminAccess


def refusal(access: AdminAccess, headers: dict[str, str], peer: str | None) -> ErrorKind | None:
    """The kind of error with which a caller is refused; None for one who may."""
    try:
        access.require(headers, peer)
    except ServiceError as error:
        return error.kind
    return None


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("Bearer sesame", None),
        ("bearer  sesame ", None),
        ("Bearer Sesame", ErrorKind.UNAUTHENTICATED),
        ("Bearer ", ErrorKind.UNAUTHENTICATED),
        ("Basic sesame", ErrorKind.UNAUTHENTICATED),
        ("", ErrorKind.UNAUTHENTICATED),
    ],
)
def test_a_key_is_asked_for(given: str, kind: ErrorKind | None) -> None:
    """With a key only who brings it may, from wherever."""
    for peer in ("127.0.0.1", "203.0.113.7", None):
        assert refusal(AdminAccess("sesame"), {"authorization": given}, peer) is kind


@pytest.mark.parametrize(
    ("headers", "peer", "may"),
    [
        ({}, "127.0.0.1", True),
        ({}, "::1", True),
        ({}, "203.0.113.7", False),
        ({}, None, False),
        ({}, "no address", False),
        ({"x-forwarded-for": "127.0.0.1"}, "127.0.0.1", False),
        ({"x-forwarded-proto": "https"}, "127.0.0.1", False),
        ({"host": "localhost:8000"}, "127.0.0.1", True),
        ({"host": "[::1]:8000"}, "::1", True),
        ({"host": "stranger.example:8000", "origin": "http://stranger.example:8000"}, "127.0.0.1", False),
    ],
)
def test_without_a_key_only_this_machine_may(headers: dict[str, str], peer: str | None, may: bool) -> None:
    """Without a key callers at the machine itself may, not those from elsewhere, through a proxy or by another name."""
    assert refusal(AdminAccess(None), headers, peer) is (None if may else ErrorKind.FORBIDDEN)


def test_pages_of_other_sites_may_not() -> None:
    """What a page of another site sends through somebody's browser is refused, with the key or without."""
    for key in ("sesame", None):
        headers = {"host": "localhost:8000", "authorization": "Bearer sesame"}
        assert refusal(AdminAccess(key), {**headers, "origin": "http://localhost:8000"}, "127.0.0.1") is None
        for origin in ("http://there:8000", "null", "http://["):
            assert refusal(AdminAccess(key), {**headers, "origin": origin}, "127.0.0.1") is ErrorKind.FORBIDDEN
