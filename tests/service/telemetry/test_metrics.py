"""Telemetry: what happened is counted once, and can be read by whoever reads OpenMetrics."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from service.app import Application
from service.engines.onnx import CPU
from service.settings import Settings
from service.telemetry import STAGES, Stages, Telemetry, Transport
from tests.doubles import until
from tests.service.running import GREEN, RED, Running, running
from tests.tiny_models import write_version

SECONDS = st.floats(0, 1000)


@dataclass
class Figures:
    """The samples of an exposition, as an OpenMetrics parser reads them."""

    telemetry: Telemetry

    def __call__(self, name: str, **labels: str) -> float:
        """The one sample of that name and those labels."""
        text, _ = self.telemetry.exposition()
        families = text_string_to_metric_families(text.decode())
        samples = (sample for family in families for sample in family.samples)
        (value,) = [sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)]
        return float(value)


@given(seconds=st.lists(SECONDS, min_size=len(STAGES), max_size=len(STAGES)))
def test_milliseconds_are_those_of_every_stage_and_their_sum(seconds: list[float]) -> None:
    """Each stage shows its own time, and the total is theirs together."""
    times = Stages(*seconds).as_milliseconds()
    assert list(times) == [*STAGES, "total"]
    for stage, spent in zip(STAGES, seconds, strict=True):
        assert times[stage] == pytest.approx(spent * 1e3, abs=0.001)
    assert times["total"] == pytest.approx(sum(seconds) * 1e3, abs=0.001)


def test_a_request_is_counted_in_each_of_its_stages() -> None:
    """A finished request adds one to every stage's histogram with that stage's seconds, and its images once."""
    figure = Figures(Telemetry())
    version = figure.telemetry.of_version("classify", "colours", 3)
    for images in (4, 1):
        account = figure.telemetry.account(Transport.REST, "classify", "id", {})
        account.stages = Stages(fetch=1, decode=2, preprocess=3, queue=4, compute=5, postprocess=6, encode=7)
        account.answered(version, "stable", "200", images)
    labels = {"task": "classify", "model": "colours", "version": "3"}
    assert figure("vitrail_images_total", **labels) == 5
    for seconds, stage in enumerate(STAGES, start=1):
        assert figure("vitrail_stage_seconds_count", **labels, stage=stage) == 2
        assert figure("vitrail_stage_seconds_sum", **labels, stage=stage) == 2 * seconds


def test_the_exposition_is_open_metrics() -> None:
    """The text says what it is, ends as the format demands, and every family explains itself."""
    text, content_type = Telemetry().exposition()
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    families = list(text_string_to_metric_families(text.decode()))
    assert families
    assert all(family.name.startswith(("vitrail_", "process_", "python_")) for family in families)
    assert all(family.documentation for family in families)


def test_two_applications_count_apart() -> None:
    """Each application's figures are its own."""
    one, other = Figures(Telemetry()), Figures(Telemetry())
    one.telemetry.in_flight.set(7)
    assert one("vitrail_images_in_flight") == 7
    assert other("vitrail_images_in_flight") == 0


async def test_what_proves_and_warms_a_version_is_in_no_figure(service: Running) -> None:
    """A version that nobody has asked has run no batch, had no image wait, and taken no engine's time."""
    figure = Figures(service.application.telemetry)
    for name in ("vitrail_batch_size_count", "vitrail_queue_wait_seconds_count", "vitrail_engine_seconds_total"):
        assert figure(name, model="colours", version="1") == 0


async def test_a_service_counts_what_it_answered(service: Running) -> None:
    """Answers, images, stages and batches are counted once each, and nothing is left in flight or in the queue."""
    figure = Figures(service.application.telemetry)
    version = {"model": "colours", "version": "1"}
    for image in (RED, GREEN):
        await service.ask("/v1/classify?model=colours:1", image)
    assert figure("vitrail_requests_total", task="classify", **version, alias="", code="200", transport="rest") == 2
    assert figure("vitrail_images_total", task="classify", **version) == 2
    assert figure("vitrail_stage_seconds_count", task="classify", **version, stage="compute") == 2
    assert figure("vitrail_batch_size_count", **version) == 2
    assert figure("vitrail_queue_depth", **version) == 0
    assert figure("vitrail_images_in_flight") == 0


async def test_a_refusal_is_counted_by_its_kind_and_never_by_the_callers_words(service: Running) -> None:
    """A refused request counts as that, and a model's name that a caller made up makes no series of its own."""
    await service.ask("/v1/classify?model=colours:1", b"no image")
    await service.ask("/v1/classify?model=invented", RED)
    figure = Figures(service.application.telemetry)
    assert figure("vitrail_rejections_total", task="classify", reason="invalid_image", transport="rest") == 1
    assert figure("vitrail_rejections_total", task="classify", reason="model_not_found", transport="rest") == 1
    refused = {"task": "classify", "model": "", "version": "", "alias": "", "code": "422", "transport": "rest"}
    assert figure("vitrail_requests_total", **refused) == 1
    assert b"invented" not in service.application.telemetry.exposition()[0]


async def test_loads_are_counted_by_outcome(tmp_path: Path) -> None:
    """Each version counts as ready or failed, and only those that take traffic are shown as ready."""
    for version in (1, 2, 3):
        write_version(tmp_path, "colours", version)
    (tmp_path / "colours/2/golden.npz").unlink()
    async with running(tmp_path) as service:
        figure = Figures(service.application.telemetry)
        assert figure("vitrail_loads_total", outcome="ready") == 2
        assert figure("vitrail_loads_total", outcome="failed") == 1
        shown = [figure("vitrail_version_ready", model="colours", version=version) for version in "123"]
    assert shown == [1, 0, 1]


async def test_what_a_version_runs_on_is_told(tmp_path: Path) -> None:
    """The provider that a version runs on stands among the metrics; where the GPU is forbidden it is the CPU's."""
    write_version(tmp_path, "colours")
    application = Application(Settings(repository=tmp_path, videos=tmp_path / "videos", threads=1, device="cpu"))
    async with application.life(application.asgi):
        await until(lambda: application.registry.settled)
    assert Figures(application.telemetry)("vitrail_version_engine", model="colours", version="1", provider=CPU) == 1
