"""Settings: every knob explains itself, and is turned by a flag or a variable."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import CliApp

from contract.task import Task
from service.settings import Settings

KNOBS: dict[str, tuple[str, Any]] = {
    "repository": ("models", Path("models")),
    "host": ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - nothing listens there
    "port": ("81", 81),
    "grpc_port": ("82", 82),
    "max_grpc_calls": ("8", 8),
    "routing_interval_s": ("0.5", 0.5),
    "repository_interval_s": ("0.25", 0.25),
    "memory_limit": ("1GiB", 2**30),
    "memory_min_idle_s": ("9.5", 9.5),
    "engine": ("triton", "triton"),
    "triton_url": ("dns:///triton:8001", "dns:///triton:8001"),
    "triton_instances": ("4", 4),
    "triton_shared_memory": ("true", True),
    "triton_unload_on_exit": ("true", True),
    "max_copies": ("3", 3),
    "keep_disagreeing_images": ("true", True),
    "videos": ("jobs", Path("jobs")),
    "video_jobs": ("2", 2),
    "video_queue": ("3", 3),
    "video_max_bytes": ("2GiB", 2**31),
    "video_disk_bytes": ("3GiB", 3 * 2**30),
    "video_min_free_bytes": ("5", 5),
    "video_keep_s": ("60", 60.0),
    "video_decoder_threads": ("2", 2),
    "video_hardware": ("cuda", "cuda"),
    "allowed_urls": ("rtsp://10.0.0.0/8", "rtsp://10.0.0.0/8"),
    "max_streams": ("3", 3),
    "max_streams_per_caller": ("2", 2),
    "max_frame_streams": ("5", 5),
    "max_frame_streams_per_caller": ("2", 2),
    "admin_key": ("open sesame", SecretStr("open sesame")),
    "admin_port": ("83", 83),
    "keys_file": ("keys.yaml", Path("keys.yaml")),
    "jwt_keys": ("https://issuer.example/keys", "https://issuer.example/keys"),
    "jwt_issuer": ("https://issuer.example", "https://issuer.example"),
    "jwt_audience": ("vitrail", "vitrail"),
    "jwt_scope_claim": ("realm_access.roles", "realm_access.roles"),
    "rate_limit": ("50/second", "50/second"),
    "max_concurrent_per_caller": ("4", 4),
    "tls_certificate": ("tls.crt", Path("tls.crt")),
    "tls_key": ("tls.key", Path("tls.key")),
    "tls_client_ca": ("ca.crt", Path("ca.crt")),
    "cors_origins": ("https://a.example, http://b:81", ["https://a.example", "http://b:81"]),
    "adaptive_limit": ("false", False),
    "queue_limit_s": ("0.4", 0.4),
    "fallback": ("embedded", "embedded"),
    "device": ("cpu", "cpu"),
    "threads": ("3", 3),
    "max_batch_size": ("4", 4),
    "max_queue": ("5", 5),
    "max_images_in_flight": ("6", 6),
    "max_images_per_request": ("7", 7),
    "max_body_bytes": ("1000", 1000),
    "max_pixels": ("2000", 2000),
    "max_pixels_per_request": ("3000", 3000),
    "body_timeout_s": ("1.5", 1.5),
    "body_stall_s": ("2.5", 2.5),
    "default_timeout_s": ("3.5", 3.5),
    "drain_delay_s": ("4.5", 4.5),
    "drain_timeout_s": ("5.5", 5.5),
    "default_models": ('{"classify": "colours", "embed": "means"}', {Task.CLASSIFY: "colours", Task.EMBED: "means"}),
    "log_level": ("debug", "debug"),
    "log_format": ("json", "json"),
    "access_log_share": ("0.5", 0.5),
    "otlp_endpoint": ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
    "trace_share": ("0.25", 0.25),
    "history_s": ("600", 600),
}
TLS = {"tls_certificate": "tls.crt", "tls_key": "tls.key"}
TOKENS = {"jwt_keys": "keys.json", "jwt_issuer": "me", "jwt_audience": "you"}
COMPANIONS: dict[str, dict[str, Any]] = {
    **{name: {other: TLS[other] for other in TLS if other != name} for name in (*TLS, "tls_client_ca")},
    **{name: {other: TOKENS[other] for other in TOKENS if other != name} for name in TOKENS},
    "fallback": {"engine": "triton"},
}
"""What a setting cannot do without."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the service is set."""
    for name in list(os.environ):
        if name.startswith("VITRAIL_"):
            monkeypatch.delenv(name)


def flag(name: str) -> str:
    """A setting's flag."""
    return "--" + name.replace("_", "-")


def serve(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start the service as its console script does; it is expected to leave at once."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env={**os.environ, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_knob_is_forgotten_here() -> None:
    """The table above, which the tests below go through, holds every setting, each at a value that is not its own."""
    assert set(KNOBS) == set(Settings.model_fields)
    defaults = Settings()
    assert all(getattr(defaults, name) != value for name, (_, value) in KNOBS.items())


@pytest.mark.parametrize("name", KNOBS)
def test_each_knob_explains_itself(name: str) -> None:
    """Every setting has a sentence about what it does."""
    assert Settings.model_fields[name].description


@pytest.mark.parametrize("name", KNOBS)
def test_each_knob_has_a_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """``VITRAIL_…`` sets it, and nothing else."""
    text, value = KNOBS[name]
    before = Settings.model_construct(**COMPANIONS.get(name, {}))
    for other, needed in COMPANIONS.get(name, {}).items():
        monkeypatch.setenv(f"VITRAIL_{other.upper()}", needed)
    monkeypatch.setenv(f"VITRAIL_{name.upper()}", text)
    changed = {other for other in KNOBS if getattr(Settings(), other) != getattr(before, other)}
    assert changed - set(COMPANIONS.get(name, {})) == {name}
    assert getattr(Settings(), name) == value


@pytest.mark.parametrize("name", KNOBS)
def test_each_knob_has_a_flag_that_goes_before_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """``--…`` sets it, also where the variable says otherwise."""
    text, value = KNOBS[name]
    default = getattr(Settings(), name)
    if default not in (None, {}, []):
        monkeypatch.setenv(f"VITRAIL_{name.upper()}", str(default))
    for other, needed in COMPANIONS.get(name, {}).items():
        monkeypatch.setenv(f"VITRAIL_{other.upper()}", needed)
    given = {True: [flag(name)], False: [f"--no-{flag(name)[2:]}"]}.get(value) if isinstance(value, bool) else None
    given = given or [flag(name), text]
    assert getattr(CliApp.run(Settings, given), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "abc"),
        ("port", "-1"),
        ("port", "65536"),
        ("device", "tpu"),
        ("threads", "0"),
        ("max_queue", "0"),
        ("body_timeout_s", "0"),
        ("drain_delay_s", "-0.1"),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("access_log_share", "2"),
        ("otlp_endpoint", "collector:4318"),
        ("trace_share", "nan"),
        ("default_models", '{"paint": "a"}'),
        ("rate_limit", "50/s"),
        ("max_concurrent_per_caller", "0"),
        ("cors_origins", "https://a.example/path"),
        ("fallback", "luck"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """A wrong type, a number out of bounds or an unknown word is an error at the start, and names the setting."""
    monkeypatch.setenv(f"VITRAIL_{name.upper()}", text)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_a_wrong_flag_ends_with_a_plain_message() -> None:
    """A wrong value leaves with status 2 and one line that names the flag; there is no trace of the code."""
    done = serve("--port", "abc")
    assert done.returncode == 2
    assert done.stderr.startswith("vitrail-serve: --port or VITRAIL_PORT: ")
    assert done.stderr.count("\n") == 1


def test_every_wrong_variable_is_named_at_once() -> None:
    """Two mistakes are told together, so that nobody needs to start twice to find both."""
    done = serve(VITRAIL_THREADS="0", VITRAIL_LOG_LEVEL="loud")
    assert done.returncode == 2
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["--threads", "--log-level"]


def test_json_that_is_none_ends_with_a_plain_message() -> None:
    """A variable that should hold JSON and does not is named, too."""
    done = serve(VITRAIL_DEFAULT_MODELS="{x")
    assert done.returncode == 2
    assert "default_models" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_flag_is_refused() -> None:
    """A flag that nobody knows is an error, not a silence."""
    done = serve("--prot", "1")
    assert done.returncode == 2
    assert "--prot" in done.stderr


def test_help_lists_every_knob() -> None:
    """``--help`` shows each flag, its variable and what it does."""
    done = serve("--help")
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    for name, field in Settings.model_fields.items():
        assert re.search(rf" {flag(name)}[ ,]", words)
        assert f"[env: VITRAIL_{name.upper()}]" in words
        assert " ".join(str(field.description).split()) in words


def test_help_names_the_commands() -> None:
    """``--help`` tells that the doctor and the keys are there: no flag leads to them."""
    words = " ".join(serve("--help").stdout.split())
    assert "vitrail-serve doctor" in words
    assert "vitrail-serve keys" in words


@pytest.mark.parametrize(
    ("port", "grpc_port", "used"), [(8000, None, 8001), (8000, 9000, 9000), (0, None, 0), (80, 0, 0)]
)
def test_where_grpc_is_listened_for(port: int, grpc_port: int | None, used: int) -> None:
    """Unless set, the port for gRPC is the one after REST's; where that is any free one, so is it."""
    assert Settings(port=port, grpc_port=grpc_port).grpc_port_used == used


def test_two_services_on_one_port() -> None:
    """REST and gRPC on the same port make no sense."""
    with pytest.raises(ValueError, match="are both 8000"):
        Settings(port=8000, grpc_port=8000)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tls_certificate": "a"}, "--tls-key"),
        ({"tls_client_ca": "a"}, "--tls-client-ca"),
        ({"jwt_keys": "a", "jwt_issuer": "b"}, "--jwt-audience"),
        ({"fallback": "embedded"}, "--engine triton"),
        ({"admin_port": 8001}, "--admin-port"),
    ],
    ids=str,
)
def test_settings_that_need_each_other_are_asked_for(settings: dict[str, Any], named: str) -> None:
    """What makes no sense alone is refused, and what is missing, or in its way, is named."""
    with pytest.raises(ValidationError, match=named):
        Settings(**settings)
