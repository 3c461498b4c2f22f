import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.live_address import checked_address, shown_address

WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=12)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "camera",
        "/etc/passwd",
        "file:///etc/passwd",
        "udp://239.0.0.1:1234",
        "rtsp://",
        "rtsp:///path",
        "http://camera:0/",
        "http://camera:99999/",
        "http://[::1/",
        "http://cam era/",
        "http://camera/\n",
        "http://good\\@camera/",
        "rtsp://camera/" + "a" * 3000,
    ],
)
def test_what_is_no_address_of_a_source(url: str) -> None:
    """Other schemes, no host, and what readers of addresses disagree about are refused."""
    with pytest.raises(ValueError):
        checked_address(url)


@pytest.mark.parametrize("url", ["rtsp://camera:8554/a?b=c", "RTSPS://u:p@[::1]/", "http://10.0.0.1/a", "https://a"])
def test_addresses_of_sources(url: str) -> None:
    """The four schemes are taken as they are, in either case."""
    assert checked_address(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:secret@camera:554/a", "rtsp://camera:554/a"),
        ("rtsp://user@camera/a?channel=1&subtype=0", "rtsp://camera/a?channel=1&subtype=0"),
        ("http://camera/v.cgi?user=admin&pwd=8888&rate=0", "http://camera/v.cgi?user=...&pwd=...&rate=0"),
        ("http://a:b@c@camera/x#t", "http://camera/x"),
        ("rtsp://camera/user=admin_password=w0rd_channel=1.sdp", "rtsp://camera/user=..._password=..._channel=1.sdp"),
        ("rtsp://camera/user=admin&password=&channel=1", "rtsp://camera/user=...&password=...&channel=1"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    """User and password are left out, and what looks like them in the path and the query."""
    assert shown_address(url) == shown


@given(WORDS, WORDS, st.sampled_from(["password", "Token", "api_key", "x-auth"]))
def test_no_secret_is_ever_shown(user: str, secret: str, name: str) -> None:
    """Neither a password before the host nor one in the query is in what others see."""
    shown = shown_address(f"rtsp://{user}x:{secret}y@camera/a?{name}={secret}z")
    assert f"{secret}y" not in shown
    assert f"{secret}z" not in shown
    assert f"{user}x" not in shown
