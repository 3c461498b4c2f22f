"""The probes, the metrics, and what HTTP itself refuses."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.doubles import until
from tests.service.running import BLUE, GREEN, RED, Running, running
from tests.tiny_models import write_version


async def samples(service: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples of ``/metrics``, by name and labels, as a client of OpenMetrics reads them."""
    response = await service.client.get("/metrics")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Where a sample is found."""
    return name, frozenset(labels.items())


async def test_alive_is_always_said(tiny_repository: Path) -> None:
    """A process that is up is alive, ready or not."""
    async with running(tiny_repository, wait=False) as service:
        assert (await service.client.get("/healthz")).status_code == 200
        service.application.draining = True
        assert (await service.client.get("/healthz")).status_code == 200


async def test_readiness_comes_with_the_models_and_goes_with_the_drain(tiny_repository: Path) -> None:
    """Before loading 503, after it 200, from the drain on 503; requests are still answered then."""
    async with running(tiny_repository, wait=False) as service:
        before = await service.client.get("/readyz")
        await until(lambda: service.application.registry.settled)
        ready = await service.client.get("/readyz")
        service.application.draining = True
        draining = await service.client.get("/readyz")
        answered = await service.ask("/v1/classify", RED)
    assert [before.status_code, ready.status_code, draining.status_code] == [503, 200, 503]
    assert [r.json()["status"] for r in (before, ready, draining)] == ["loading", "ready", "draining"]
    assert answered.status_code == 200


async def test_a_service_without_a_ready_version_is_not_ready(tmp_path: Path) -> None:
    """An empty repository, or one in which every version failed, never becomes ready."""
    async with running(tmp_path) as service:
        assert (await service.client.get("/readyz")).status_code == 503
    write_version(tmp_path, "colours")
    (tmp_path / "colours/1/golden.npz").unlink()
    async with running(tmp_path) as service:
        assert (await service.client.get("/readyz")).status_code == 503


async def test_requests_are_counted_by_stage_and_batch(service: Running) -> None:
    """Each answered request is one observation of every stage; its images are counted, and its batches' sizes."""
    version = {"model": "colours", "version": "2"}
    # What proves and warms a version goes past the batcher's gauges no less than requests do.
    before = (await samples(service))[key("vitrail_batch_size_sum", **version)]
    await service.ask("/v1/classify", RED)
    await service.client.post("/v1/classify", files=[("image", image) for image in (RED, GREEN, BLUE)])
    found = await samples(service)
    full = {"task": "classify", **version}
    for stage in ("fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode"):
        assert found[key("vitrail_stage_seconds_count", **full, stage=stage)] == 2
    assert found[key("vitrail_images_total", **full)] == 4
    assert found[key("vitrail_requests_total", **full, alias="stable", code="200", transport="rest")] == 2
    assert found[key("vitrail_batch_size_sum", **version)] == before + 4
    assert found[key("vitrail_queue_depth", **version)] == 0
    assert found[key("vitrail_images_in_flight")] == 0
    assert found[key("vitrail_version_ready", **version)] == 1
    assert found[key("vitrail_loads_total", outcome="ready")] == 12


class SlowCollector(Collector):
    """Tells its metrics, none, once somebody lets it."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self.in_time = False

    def collect(self) -> Iterator[Metric]:
        """Wait, but not for ever."""
        self.asked.set()
        self.in_time = self.let_go.wait(5)
        return iter(())


async def test_nobody_waits_for_a_scrape(service: Running) -> None:
    """While the metrics are gathered, which takes long where there are many versions, requests are answered."""
    slow = SlowCollector()
    slow.let_go.set()
    service.application.telemetry.registry.register(slow)
    slow.let_go.clear()
    scrape = asyncio.create_task(service.client.get("/metrics"))
    await until(slow.asked.is_set)
    assert (await service.ask("/v1/classify", RED)).status_code == 200
    slow.let_go.set()
    assert (await scrape).status_code == 200
    assert slow.in_time


async def test_the_metrics_are_packed_for_who_takes_that(service: Running) -> None:
    """Prometheus takes gzip; who does not say so gets plain text."""
    small, plain = [
        await service.client.get("/metrics", headers={"Accept-Encoding": coding}) for coding in ("gzip", "identity")
    ]
    assert (small.headers.get("content-encoding"), plain.headers.get("content-encoding")) == ("gzip", None)
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 4
    assert small.text.endswith("# EOF\n")


async def test_refusals_are_counted_by_kind(service: Running) -> None:
    """A refused request is counted by its kind and its status."""
    await service.ask("/v1/classify", b"no image")
    found = await samples(service)
    assert found[key("vitrail_rejections_total", task="classify", reason="invalid_image", transport="rest")] == 1
    refused = {"task": "classify", "model": "", "version": "", "alias": "", "code": "422", "transport": "rest"}
    assert found[key("vitrail_requests_total", **refused)] == 1


async def test_names_that_callers_make_up_become_no_labels(service: Running) -> None:
    """Unknown models, labels and parameters leave no trace in the metrics: they could be without number."""
    for path in ("?model=made-up", "?model=made-up:3", "?made-up=1", "/made-up", "?model=colours@made-up"):
        await service.ask(f"/v1/classify{path}", RED)
    assert "made-up" not in (await service.client.get("/metrics")).text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/classify", 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/healthz", 405),
        ("GET", "/v1/classify-video", 404),
        ("POST", "/nothing", 404),
        ("GET", "/v1/models/a/b/c/d", 404),
        ("GET", "/web/../../../etc/passwd", 404),
        ("GET", "/web/%2e%2e/app.py", 404),
        ("GET", "/web/nothing.js", 404),
    ],
)
async def test_unknown_routes_and_methods(service: Running, method: str, path: str, status: int) -> None:
    """What no route knows is a problem document too; 405 says which methods there are."""
    response = await service.client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert ("allow" in response.headers) == (status == 405)


async def test_a_head_request_has_its_status(service: Running) -> None:
    """HEAD of a route that only answers POST is refused."""
    assert (await service.client.head("/v1/classify")).status_code == 405


async def test_an_error_that_nobody_foresaw_tells_nothing(tiny_repository: Path) -> None:
    """The caller of a request that broke the service learns its id, and nothing of what broke."""
    async with running(tiny_repository) as service:
        service.client._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
        service.application.inference._registry = None  # type: ignore[assignment]
        response = await service.ask("/v1/classify", RED, X_Request_Id="mine")
    problem = response.json()
    assert (response.status_code, problem["code"], problem["request_id"]) == (500, "internal", "mine")
    assert "AttributeError" not in response.text


async def test_a_fault_that_nobody_foresaw_is_counted(service: Running) -> None:
    """It is a rejection of its task as any other, for availability is reckoned from them."""
    service.application.registry.resolve = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        # Behind the answer the error goes on to the server, which logs it.
        await service.ask("/v1/classify", RED)
    found = await samples(service)
    assert found[key("vitrail_rejections_total", task="classify", reason="internal", transport="rest")] == 1
