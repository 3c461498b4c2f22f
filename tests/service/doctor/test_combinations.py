"""Settings that contradict each other."""

from typing import Any

import pytest

from service.doctor.combinations import Chosen, addresses, effects, read, sizes, times
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only


def chosen(*, largest_batch: int = 8, kubernetes: bool = False, **settings: Any) -> Chosen:
    """These settings, over a version that is certified for batches of eight."""
    return Chosen(Settings(**settings), largest_batch, kubernetes)


def test_the_defaults_fit() -> None:
    """The settings as they are without a word contradict each other nowhere."""
    assert [levels(check(chosen())) for check in (sizes, times, effects, addresses)] == [[OK]] * 4


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_images_in_flight": 10}, [PROBLEM]),
        ({"max_queue": 32}, [WARNING]),
        ({"max_queue": 4, "max_images_per_request": 4}, [WARNING]),
        ({"max_batch_size": 64}, [WARNING]),
        ({"video_disk_bytes": 1 << 20}, [WARNING]),
        ({"max_batch_size": 4, "max_queue": 4, "max_images_per_request": 4}, [OK]),
    ],
    ids=["in flight", "queue and request", "queue and batch", "batch", "disk", "small"],
)
def test_sizes(settings: dict[str, Any], told: list[str]) -> None:
    """Limits that exclude each other are told of."""
    assert levels(sizes(chosen(**settings))) == told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"drain_timeout_s": 5}, [WARNING]),
        ({"body_stall_s": 60}, [WARNING]),
        ({"kubernetes": True}, [WARNING]),
        ({"kubernetes": True, "drain_delay_s": 5}, [OK]),
    ],
    ids=["drain", "body", "pod", "pod with delay"],
)
def test_times(settings: dict[str, Any], told: list[str]) -> None:
    """Times that exclude each other are told of, and on Kubernetes a drain without a delay."""
    assert levels(times(chosen(**settings))) == told


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"triton_url": "a:1"}, "--triton-url"),
        ({"engine": "triton", "device": "cpu"}, "--device"),
        ({"trace_share": 0.5}, "--trace-share"),
        ({"keep_disagreeing_images": True, "max_copies": 0}, "--keep-disagreeing-images"),
        ({"max_streams_per_caller": 9}, "--max-streams-per-caller"),
    ],
    ids=["triton", "device", "traces", "copies", "streams"],
)
def test_settings_without_effect(settings: dict[str, Any], words: str) -> None:
    """A setting that somebody set, and that does nothing, is named."""
    (finding,) = effects(chosen(**settings))
    assert (finding.level, words in finding.found) == (WARNING, True)


def test_a_fallback_gives_them_an_effect() -> None:
    """With --fallback embedded the settings of the embedded engine hold beside Triton."""
    assert levels(effects(chosen(engine="triton", fallback="embedded", device="cpu"))) == [OK]


@pytest.mark.parametrize(
    ("allowed", "level"),
    [
        ("https://*:443", WARNING),
        ("http://a.example,https://*/", WARNING),
        ("https://*.example.com", OK),
        ("rtsp://10.0.0.0/8", OK),
    ],
)
def test_addresses_for_callers(allowed: str, level: str) -> None:
    """Leave to call any host is told of; leave for some is not."""
    assert levels(addresses(chosen(allowed_urls=allowed))) == [level]


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ("https://*", "call any public address"),
        ("https://*,rtsp://10.0.0.0/8", "call any public address"),
        ("http://0.0.0.0/0", "call any address by its number, private ones too"),
        ("http://*,https://[::]/0", "call any address by its number, private ones too"),
    ],
)
def test_what_they_reach(allowed: str, words: str) -> None:
    """``*`` leads to public addresses only, and the network of all addresses to every one; each is told as it is."""
    assert f"lets callers have this service {words}" in only(addresses(chosen(allowed_urls=allowed))).found


def test_reading(tiny_repository: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest certified batch is that of the repository, and a pod is known by its environment."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    facts = read(Settings(repository=tiny_repository))
    assert (facts.largest_batch, facts.kubernetes) == (4, True)
