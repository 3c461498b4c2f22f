"""A real Triton, with the flags of the chart: what its probes are told when a model is broken."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.helm.chart import container, render
from tests.triton_server import TritonServer, require_triton, triton_server

READINESS = "--strict-readiness=false"


def ready(server: TritonServer) -> int:
    """The status that the readiness probe gets, once a model has failed to load."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server._http}", timeout=30) as client:
        assert client.post("/v2/repository/models/broken/load").status_code == 400
        assert client.get("/v2/health/live").status_code == 200
        return client.get("/v2/health/ready").status_code


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A repository whose only model cannot be loaded."""
    require_triton()
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "config.pbtxt").write_text('backend: "none"\nmax_batch_size: 1\n')
    return tmp_path


def flags() -> Iterator[str]:
    """The chart's flags that are about health."""
    yield from (flag for flag in container(render({"engine": "triton"}).triton)["args"] if "readiness" in flag)


def test_a_broken_model_takes_no_triton_out_of_service(broken: Path) -> None:
    """With the chart's flags Triton stays ready, and its other models stay reachable."""
    assert list(flags()) == [READINESS]
    with triton_server(broken, *flags()) as server:
        assert ready(server) == 200


def test_by_default_one_would(broken: Path) -> None:
    """Why the flag is there: without it one broken model makes the whole server not ready."""
    with triton_server(broken) as server:
        assert ready(server) == 400
