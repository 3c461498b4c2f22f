"""A real service that asks who calls: over TLS, with keys that change, and with a port for its operator."""

import re
import resource
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from tests.end_to_end.gateway import Gateway, gateway
from tests.service.keyed import Keys, bearer, entry, write_keys
from tests.service.running import RED
from tests.service.security.certificates import Authority


@dataclass(frozen=True)
class Guarded:
    """A service with keys, a certificate and a port for its operator."""

    gateway: Gateway
    keys: Keys
    authority: Authority
    admin_url: str


@pytest.fixture(scope="module")
def guarded(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One of them, for all tests here."""
    folder = tmp_path_factory.mktemp("guarded")
    authority, keys = Authority(folder), write_keys(folder)
    server = authority.issue("server")
    settings = {"keys_file": keys.file, "tls_certificate": server.certificate, "tls_key": server.key, "admin_port": 0}
    with pytest.MonkeyPatch.context() as patch:
        # What httpx trusts.
        patch.setenv("SSL_CERT_FILE", str(authority.file))
        with gateway(tiny_repository, folder / "log", **settings) as running:
            found = re.search(r"listening for admin calls on (\S+)", running.log.read_text())
            assert found is not None
            yield Guarded(running, keys, authority, found[1])


def classified(guarded: Guarded, key: str) -> httpx.Response:
    """The answer to an image."""
    headers = {"Content-Type": "image/png", **bearer(key)}
    return httpx.post(f"{guarded.gateway.url}/v1/classify?model=colours", content=RED, headers=headers, timeout=30)


def test_it_answers_over_tls_only(guarded: Guarded) -> None:
    """REST and WebSocket answer by TLS to who brings a key; a caller without TLS gets nothing."""
    assert guarded.gateway.url.startswith("https://")
    assert classified(guarded, guarded.keys.alice).status_code == 200
    address = guarded.gateway.url.replace("https", "wss") + "/v1/stream?task=classify&model=colours"
    context = ssl.create_default_context(cafile=str(guarded.authority.file))
    with connect(address, ssl=context, additional_headers=bearer(guarded.keys.alice)) as socket:
        socket.send(RED)
        assert '"frame":0' in str(socket.recv())
    with pytest.raises(httpx.HTTPError):
        httpx.get(guarded.gateway.url.replace("https", "http") + "/healthz", timeout=5)


@pytest.mark.parametrize("path", ["/healthz", "/", "/v1/models", "/nowhere"])
def test_every_answer_carries_the_headers_that_protect_its_reader(guarded: Guarded, path: str) -> None:
    """Whatever the path and the status; each header stands there once."""
    headers = httpx.get(guarded.gateway.url + path, timeout=30).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert headers.get_list("x-frame-options") == ["DENY"]
    assert headers.get_list("strict-transport-security") == ["max-age=31536000"]
    assert ("content-security-policy" in headers) is (path == "/")


def test_the_operators_port_is_another(guarded: Guarded) -> None:
    """Metrics, and what changes things, are there and not on the public port."""
    key = bearer(guarded.keys.operator)
    assert httpx.get(f"{guarded.gateway.url}/metrics", headers=key, timeout=30).status_code == 404
    assert httpx.get(f"{guarded.admin_url}/metrics", timeout=30).status_code == 200
    path = "/v1/models/colours/aliases/canary"
    for url, status in ((guarded.gateway.url, 404), (guarded.admin_url, 200)):
        assert httpx.put(url + path, json={"version": 1}, headers=key, timeout=30).status_code == status
    assert httpx.delete(guarded.admin_url + path, headers=key, timeout=30).status_code == 200
    assert '"which":"/v1/models/colours/aliases/canary"' in guarded.gateway.log.read_text()


def test_a_key_is_changed_while_it_runs(guarded: Guarded) -> None:
    """A key that is added to the file is taken a moment later, and one that is taken out is refused."""
    entries = yaml.safe_load(guarded.keys.file.read_text())
    guarded.keys.file.write_text(yaml.safe_dump([*entries, entry("dora", "vk_new")]))
    until(lambda: classified(guarded, "vk_new").status_code == 200)
    guarded.keys.file.write_text(yaml.safe_dump(entries))
    until(lambda: classified(guarded, "vk_new").status_code == 401)
    assert classified(guarded, guarded.keys.alice).status_code == 200


def test_no_key_stands_in_the_log(guarded: Guarded) -> None:
    """Whatever was sent before, right or wrong."""
    for key in ("vk_wrong-key", guarded.keys.alice):
        classified(guarded, key)
    log = guarded.gateway.log.read_text()
    assert not any(key in log for key in ("vk_wrong-key", guarded.keys.alice, guarded.keys.operator))


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--keys-file", "gone.yaml"], "gone.yaml"),
        (["keys", "new", "--id", "a b"], "id"),
    ],
    ids=["keys", "command"],
)
def test_nothing_starts_more_open_than_it_was_meant_to_be(flags: list[str], named: str) -> None:
    """Files that cannot be used end the start with status 2 and one line that names them."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *flags], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert named in done.stderr


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """A service that starts now may open 200 files and connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    yield 200
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_who_never_shakes_hands_takes_not_all_descriptors(
    tiny_repository: Path, tmp_path: Path, few_descriptors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that say nothing to a port with TLS are counted, and those beyond three quarters closed at once."""
    authority = Authority(tmp_path)
    server, (_, hard) = authority.issue("server"), resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    settings = {"tls_certificate": server.certificate, "tls_key": server.key}
    with gateway(tiny_repository, tmp_path / "log", **settings) as running, ExitStack() as silent:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        address = ("127.0.0.1", running.port)
        opened = [silent.enter_context(socket.create_connection(address)) for _ in range(few_descriptors)]
        until(lambda: len(select.select(opened, [], [], 0)[0]) >= few_descriptors // 4)
        assert len(select.select(opened, [], [], 0)[0]) < few_descriptors // 2
