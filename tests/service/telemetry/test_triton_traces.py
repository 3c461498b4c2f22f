"""A trace goes on in a real Triton."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.card import Platform
from tests.doubles import until
from tests.otlp_receiver import OtlpReceiver, receiving
from tests.service.running import RED, running
from tests.service.telemetry.traced_requests import SAMPLED, TRACE_ID, UNSAMPLED
from tests.tiny_models import write_version
from tests.triton_server import TritonServer, require_triton, triton_server


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A classifier that Triton can run."""
    write_version(tmp_path / "repository", "colours", platform=Platform.PYTHON)
    return tmp_path / "repository"


@pytest.fixture
def tritons() -> Iterator[OtlpReceiver]:
    """What Triton's traces are sent to."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def triton(repository: Path, tritons: OtlpReceiver) -> Iterator[TritonServer]:
    """A Triton that traces the requests which name a trace, as docs/traces.md has it."""
    require_triton()
    settings = ("mode=opentelemetry", "rate=0", "level=TIMESTAMPS", "count=-1")
    to_receiver = (f"opentelemetry,url={tritons.url}/v1/traces", "opentelemetry,bsp_schedule_delay=20")
    arguments = [f"--trace-config={setting}" for setting in (*settings, *to_receiver)]
    with triton_server(repository, *arguments) as server:
        yield server


async def test_triton_continues_the_traces_of_sampled_requests_only(
    repository: Path, triton: TritonServer, tritons: OtlpReceiver, receiver: OtlpReceiver
) -> None:
    """Triton's spans lie below the request's own; requests that are not sampled leave none there."""
    async with running(repository, triton_url=triton.url, otlp_endpoint=receiver.url, trace_share=0.0) as service:
        for headers in ({}, UNSAMPLED, SAMPLED):
            assert (await service.ask("/v1/classify?model=colours:1", RED, **headers)).status_code == 200
        await until(lambda: any(span.name == "InferRequest" for span in tritons.spans))
    assert {span.trace_id.hex() for span in tritons.spans} == {TRACE_ID}
    assert tritons.span("InferRequest").parent_span_id == receiver.span("POST /v1/classify").span_id
