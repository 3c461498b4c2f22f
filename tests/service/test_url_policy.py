"""Addresses that callers name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorKind, ServiceError
from service.url_policy import UrlPolicy


def _kind(policy: UrlPolicy, url: str) -> ErrorKind | None:
    try:
        policy.check(url)
    except ServiceError as error:
        return error.kind
    return None


@pytest.mark.parametrize("url", ["http://example.com/", "rtsp://10.0.0.1/a", "https://[::1]/"])
def test_by_default_nothing_is_allowed(url: str) -> None:
    """Without a list no address may be called."""
    assert _kind(UrlPolicy(), url) is ErrorKind.FORBIDDEN


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("https://example.com", "https://example.com/clip.mp4?x=1"),
        ("https://example.com", "HTTPS://Example.COM:443/"),
        ("https://example.com", "https://example.com./clip"),
        ("https://*.example.com", "https://a.b.example.com/"),
        ("rtsp://10.0.0.0/8", "rtsp://user:secret@10.1.2.3/stream?channel=1"),
        ("rtsp://10.0.0.0/8:8554", "rtsp://10.1.2.3:8554/"),
        ("http://[fd00::1]:*", "http://[fd00::1]:9000/"),
        ("rtsps://*", "rtsps://anything.at.all/x"),
    ],
)
def test_what_is_listed_may_be_called(entry: str, url: str) -> None:
    """Names, names below a name, networks and ports are taken as they are written."""
    assert _kind(UrlPolicy([entry]), url) is None


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("https://example.com", "http://example.com/"),
        ("https://example.com", "https://example.com:8443/"),
        ("https://example.com", "https://example.com.evil.net/"),
        ("https://example.com", "https://example.com@evil.net/"),
        ("https://*.example.com", "https://example.com/"),
        ("https://*.example.com", "https://evilexample.com/"),
        ("rtsp://10.0.0.0/8", "rtsp://11.0.0.1/"),
        ("rtsp://10.0.0.0/8", "rtsp://ten.example.com/"),
    ],
)
def test_what_is_only_like_it_may_not(entry: str, url: str) -> None:
    """Another scheme, port, or a host that only looks alike is refused."""
    assert _kind(UrlPolicy([entry]), url) is ErrorKind.FORBIDDEN


@pytest.mark.parametrize(
    "url",
    ["", "clip.mp4", "file:///etc/passwd", "http://", "http:///x", "http://a b/", "http://a\\@b/", "http://a@b@c/",
     "http://exa%6dple.com/", "http://example.com:99999999/", "gopher://example.com/", "http://ünicode.de/", "//a/b",
     "http://a\n.com/"],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_no_address(url: str) -> None:
    """Nothing odd gets as far as the list, even where that allows everything."""
    assert _kind(UrlPolicy([f"{scheme}://*:*" for scheme in ("http", "https", "rtsp", "rtsps")]), url) is (
        ErrorKind.INVALID_PARAMETERS
    )


@pytest.mark.parametrize(
    "entry", ["example.com", "file://x", "https://exa*mple.com", "https://a/b", "https://10.0.0.1/40"]
)
def test_an_entry_that_means_nothing_is_refused(entry: str) -> None:
    """A list that cannot be understood stops the start."""
    with pytest.raises(ValueError, match=r"\S"):
        UrlPolicy([entry])


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    """Whatever a caller writes is allowed or refused, never an accident."""
    assert _kind(UrlPolicy(["https://example.com"]), text) in (None, ErrorKind.FORBIDDEN, ErrorKind.INVALID_PARAMETERS)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.1", "224.0.0.1", "[::1]",
     "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "[2002:a00:1::]", "2130706433", "0x7f000001",
     "127.1", "0177.0.0.1", "127.0.0.1."],
)  # fmt: skip
def test_a_star_means_no_private_address(host: str) -> None:
    """Where all may be called, that is all of the internet; however a private address is written, it is not meant."""
    assert _kind(UrlPolicy(["http://*:*"]), f"http://{host}/") in (ErrorKind.FORBIDDEN, ErrorKind.INVALID_PARAMETERS)


@pytest.mark.parametrize("host", ["8.8.8.8", "[2001:4860:4860::8888]", "example.com", "a1.example.com", "1.example"])
def test_a_star_means_the_rest(host: str) -> None:
    """Public addresses and names are."""
    assert _kind(UrlPolicy(["http://*"]), f"http://{host}/") is None


@pytest.mark.parametrize(
    ("entries", "leads"),
    [
        (["http://*:*"], False),
        (["http://*.localdomain:*", "http://*"], False),
        (["http://*:*", "http://127.0.0.0/8:*", "http://[::1]/128:*"], True),
        (["http://localhost:*"], True),
        (["http://*:*", "http://127.0.0.0/8:81", "http://10.0.0.0/8:*"], False),
    ],
    ids=str,
)
async def test_where_a_name_leads_is_looked_at(entries: list[str], leads: bool) -> None:
    """A name that is not listed itself leads to no private address, unless that address's network is listed."""
    policy = UrlPolicy(entries)
    if leads:
        assert await policy.address("http://localhost:80/") in ("127.0.0.1", "::1")
        return
    with pytest.raises(ServiceError, match="private addresses") as caught:
        await policy.address("http://localhost:80/")
    assert caught.value.kind is ErrorKind.FORBIDDEN


async def test_a_name_that_nobody_knows_leads_nowhere() -> None:
    """That is no matter of what is allowed."""
    with pytest.raises(OSError, match=r"\S"):
        await UrlPolicy(["http://*"]).address("http://nobody.invalid/")
