"""Metrics and a real Prometheus: it scrapes a gateway under load, and is asked every query of every dashboard."""

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tritonclient.grpc import InferenceServerClient
from websockets.sync.client import connect

from contract.card import Platform
from contract.task import Task
from tests.deployment.grafana import Asked, at_first, boards, queries, replaced, values_query, variables
from tests.deployment.prometheus import Prometheus, found, prometheus, quickened
from tests.end_to_end.gateway import Gateway, gateway
from tests.end_to_end.slow_model import slow_model
from tests.end_to_end.test_grpc import classify
from tests.service.running import BLUE, GREEN, RED, WHITE
from tests.service.tiny_tasks import fragile_model, object_model, share_model, write_task
from tests.service.video.clips import every, write_clip
from tests.service.video.rtsp_camera import RtspCamera
from tests.tiny_models import COLOURS, colour_model, write_version
from tests.triton_server import TritonServer, require_triton, triton_server

RULES = sorted((Path(__file__).parents[2] / "helm" / "alerts").glob("*.yaml"))
_NO_TRITON = "the models run within the gateway"
_NO_GPU = "there is no GPU, and no DCGM exporter"
_NO_STAND_IN = "--fallback embedded is not set, so nothing answers for a Triton"
EMPTY = {
    "vitrail_triton_replica_up": _NO_TRITON,
    "vitrail_triton_retries_total": _NO_TRITON,
    "vitrail_triton_repairs_total": _NO_TRITON,
    "vitrail_degraded": _NO_STAND_IN,
    "vitrail_video_webhooks_total": "no caller wants to be told",
    "nv_inference_count": _NO_TRITON,
    "nv_inference_exec_count": _NO_TRITON,
    "nv_inference_request_success": _NO_TRITON,
    "nv_inference_request_failure": _NO_TRITON,
    "nv_inference_request_duration_us": _NO_TRITON,
    "nv_inference_queue_duration_us": _NO_TRITON,
    "nv_inference_compute_input_duration_us": _NO_TRITON,
    "nv_inference_compute_infer_duration_us": _NO_TRITON,
    "nv_inference_compute_output_duration_us": _NO_TRITON,
    "nv_inference_pending_request_count": _NO_TRITON,
    "nv_cpu_utilization": _NO_TRITON,
    "nv_cpu_memory_used_bytes": _NO_TRITON,
    "nv_cpu_memory_total_bytes": _NO_TRITON,
    "nv_gpu_memory_used_bytes": _NO_GPU,
    "nv_gpu_memory_total_bytes": _NO_GPU,
    "DCGM_FI_DEV_GPU_UTIL": _NO_GPU,
    "DCGM_FI_DEV_MEM_COPY_UTIL": _NO_GPU,
    "DCGM_FI_DEV_FB_USED": _NO_GPU,
    "DCGM_FI_DEV_FB_FREE": _NO_GPU,
    "DCGM_FI_DEV_POWER_USAGE": _NO_GPU,
    "DCGM_FI_DEV_GPU_TEMP": _NO_GPU,
    "DCGM_FI_DEV_SM_CLOCK": _NO_GPU,
    "DCGM_FI_DEV_DEC_UTIL": _NO_GPU,
    "DCGM_FI_DEV_XID_ERRORS": _NO_GPU,
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": _NO_GPU,
}
"""Metrics that nothing gives here, and why; the queries of dashboards that name one of them find nothing."""
ROUTING = """
models:
  colours: {aliases: {stable: 1, canary: 2}, weights: {stable: 50, canary: 50}, sticky: header:X-User}
  fragile:
    aliases: {stable: 1, canary: 2}
    weights: {stable: 0, canary: 100}
    rollback: {window_s: 600, min_requests: 8, max_error_rate: 0.1}
tasks:
  classify: colours@stable
"""


@dataclass(frozen=True)
class Scene:
    """A gateway that has been asked all sorts of things, and the Prometheus that watched."""

    gateway: Gateway
    client: httpx.Client
    prometheus: Prometheus

    def values(self, board: str) -> dict[str, str]:
        """What the variables of a dashboard stand for, of the time since the start."""
        (read,) = [one for one in boards() if one["title"] == board]
        seconds = max(1, round(time.time() - self.prometheus.begun))
        return at_first(read) | {"__rate_interval": "1m", "__range": f"{seconds}s"}

    def numbers(self, asked: Asked) -> int:
        """How many numbers a query finds."""
        expression = replaced(asked.expression, self.values(asked.board))
        return self.prometheus.numbers(expression, instant=asked.instant)


def _write_models(root: Path) -> None:
    """Several tasks; a canary that differs, one that breaks, and a model that takes its time."""
    write_version(root, "colours", 1)
    write_version(root, "colours", 2, model=colour_model(sharpness=0.5))
    write_version(root, "fragile", 1, model=share_model())
    write_version(root, "fragile", 2, model=fragile_model())
    write_version(root, "slow", model=slow_model(), batch_sizes=(1,))
    write_version(root, "means", task=Task.EMBED)
    write_task(root, "middle", Task.DETECT, object_model(masks=False), labels=COLOURS)
    (root / "routing.yaml").write_text(ROUTING)


def _soon(what: str) -> Iterator[None]:
    """Go on, for half a minute at most."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        yield
    pytest.fail(f"not in 30 s: {what}")


def _answers(running: Gateway, client: httpx.Client) -> None:
    """Requests that are answered, by every way there is."""
    compared = running.figure("vitrail_copies_total", outcome="compared")
    versions = set()
    for user, image in enumerate((RED, GREEN, BLUE) * 4):
        answers = [
            client.post(f"/v1/{asked}", content=image, headers={"X-User": str(user)}).raise_for_status().json()
            for asked in ("classify?model=colours", "detect", "embed")
        ]
        versions.add(answers[0]["model"]["version"])
    assert versions == {"1", "2"}
    with grpc.insecure_channel(running.grpc_address) as channel:
        assert classify(channel).result().results
    with connect(f"ws://127.0.0.1:{running.port}/v1/stream?task=classify", compression=None) as stream:
        stream.send(RED)
        assert stream.recv()
    for _ in _soon("a canary's answer is compared"):
        if running.figure("vitrail_copies_total", outcome="compared") > compared:
            break
        client.post("/v1/classify?model=colours@canary", content=GREEN).raise_for_status()


def _refusals(client: httpx.Client) -> set[int]:
    """Requests that are not: no such model, no image, an engine that fails, a deadline, a caller who leaves."""

    def asked(model: str, image: bytes = RED, hurry: str = "30000") -> int:
        headers = {"X-Request-Timeout-Ms": hurry}
        return client.post(f"/v1/classify?model={model}", content=image, headers=headers).status_code

    codes = {asked("nothing"), asked("colours", b"no image"), asked("fragile:2", WHITE)}
    # Stable answers in the canary's stead. Six faults are none too many, in the second round they are.
    codes |= {asked("fragile", image) for image in (RED, *[WHITE] * 6)}
    codes.add(asked("slow", hurry="1"))
    with suppress(httpx.ReadTimeout):
        client.post("/v1/classify?model=slow", content=RED, timeout=0.15)
    return codes


def _crowd(client: httpx.Client) -> set[int]:
    """More requests at once than there are places."""
    with ThreadPoolExecutor(10) as callers:
        answers = callers.map(lambda _: client.post("/v1/classify?model=slow", content=RED), range(10))
        return {answer.status_code for answer in answers}


def _film(client: httpx.Client, clip: Path) -> None:
    """A short video, from its upload until it is done, and gone."""
    query = "task=classify&model=colours@stable&fps=5"
    job = client.post(f"/v1/videos?{query}", content=clip.read_bytes()).json()["id"]
    for _ in _soon("the video is done"):
        if client.get(f"/v1/videos/{job}").json()["state"] == "done":
            break
        time.sleep(0.05)
    assert client.delete(f"/v1/videos/{job}").status_code == 204


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two rounds of load with a scrape between them: a rate is a difference."""
    found("prometheus")
    folder = tmp_path_factory.mktemp("scene")
    _write_models(folder / "models")
    clip = write_clip(folder / "clip.mp4", every(25))
    film = write_clip(folder / "camera.h264", every(50))
    rules = [quickened(path, folder) for path in RULES]
    settings: dict[str, object] = {"threads": 1, "max_images_in_flight": 6, "allowed_urls": "rtsp://127.0.0.1:*"}
    # Nobody takes the traces; the metrics name them all the same.
    settings |= {"otlp_endpoint": "http://127.0.0.1:9", "trace_share": 1}
    with ExitStack() as stack:
        running = stack.enter_context(gateway(folder / "models", folder / "gateway.log", **settings))
        watching = stack.enter_context(
            prometheus({"gateway": f"127.0.0.1:{running.port}"}, tmp_path_factory.mktemp("prometheus"), *rules)
        )
        camera = stack.enter_context(RtspCamera(film, pause_s=0.02, endless=True))
        client = stack.enter_context(httpx.Client(base_url=running.url, timeout=30))
        wanted = {"url": camera.url, "task": "classify", "model": "colours"}
        client.post("/v1/streams", json=wanted).raise_for_status()
        # Prometheus takes some seconds before it asks for the first time.
        watching.until(lambda: watching.scraped("gateway") > 0, "the first scrape")
        codes = _crowd(client)
        for _ in range(2):
            _answers(running, client)
            codes |= _refusals(client)
            _film(client, clip)
            _until_scraped(running, watching)
        assert codes >= {200, 404, 422, 429, 503, 504}
        done = time.time()
        watching.until(lambda: watching.scraped("gateway") > done + 2, "scrapes behind the last request")
        yield Scene(running, client, watching)


def _until_scraped(running: Gateway, watching: Prometheus) -> None:
    """Until Prometheus knows of all that is done by now."""
    done = running.figure("vitrail_requests_total", transport="rest")
    known = 'sum(vitrail_requests_total{transport="rest"})'
    watching.until(lambda: watching.now(known).get((), 0) >= done, known)


def test_every_query_of_every_dashboard(scene: Scene) -> None:
    """Each finds numbers, or names a metric of which it is known why it is not here; of those, none is here."""
    numbers = {asked: scene.numbers(asked) for asked in queries()}
    wrong = [
        f"{asked} finds {count}: {asked.expression}"
        for asked, count in numbers.items()
        if (count > 0) == bool(asked.metrics & set(EMPTY))
    ]
    assert not wrong, "\n".join(wrong)
    assert len(numbers) > 100


def test_what_is_known_to_be_empty(scene: Scene) -> None:
    """Of each such metric there is a query, and Prometheus has not one series."""
    asked = {name for one in queries() for name in one.metrics}
    assert set(EMPTY) <= asked, set(EMPTY) - asked
    there = {name: scene.prometheus.numbers(name) for name in EMPTY}
    assert not any(there.values()), there


def test_every_variable_has_values(scene: Scene) -> None:
    """What can be chosen at the top of a dashboard is found, and what is chosen finds something."""
    for board in boards():
        values = scene.values(board["title"])
        for name, variable in variables(board).items():
            if variable["type"] != "query":
                continue
            series, label = values_query(variable)
            there = scene.prometheus.labels(label, replaced(series, values))
            assert bool(there) != any(metric in series for metric in EMPTY), f"{board['title']}: {name}"


def test_a_choice_narrows(scene: Scene) -> None:
    """With one model chosen, a dashboard's queries find that model alone."""
    asked = [one for one in queries() if "model=~" in one.expression and "by (model, version)" in one.expression]
    names = set()
    for one in asked:
        expression = replaced(one.expression, scene.values(one.board) | {"model": "colours"})
        names |= {dict(labels).get("model") for labels in scene.prometheus.now(expression)}
    assert names == {"colours"}


def test_every_recording_rule(scene: Scene) -> None:
    """Each rule of helm/alerts is read and evaluated without error, and what is recorded has been found."""
    groups = scene.prometheus.get("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    documents = [yaml.safe_load(path.read_text()) for path in RULES]
    assert len(rules) == sum(len(group["rules"]) for document in documents for group in document["groups"]) > 0
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    empty = {name for name in recorded if not scene.prometheus.numbers(name)}
    assert recorded
    assert not empty


def test_traces_are_found(scene: Scene) -> None:
    """Where a dashboard asks for exemplars there are some, with the id of a trace."""
    for asked in (one for one in queries() if one.exemplars):
        traced = scene.prometheus.exemplars(replaced(asked.expression, scene.values(asked.board)))
        assert traced, asked
        assert all(re.fullmatch("[0-9a-f]{32}", labels["trace_id"]) for labels in traced), asked


def test_the_shares_are_those_of_the_traffic(scene: Scene) -> None:
    """What the dashboard of versions says of the shares is what the routing says."""
    share = scene.prometheus.now('max by (alias) (vitrail_traffic_share{model="colours"})')
    assert share == {(("alias", "stable"),): 0.5, (("alias", "canary"),): 0.5}
    rolled_back = scene.prometheus.now('vitrail_rollbacks_total{model="fragile", alias="canary"}')
    assert list(rolled_back.values()) == [1.0]


def test_the_counters_are_the_gateways(scene: Scene) -> None:
    """Prometheus has read the same numbers that the gateway gives, label by label."""
    text = scene.client.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    told = {
        # To Prometheus, a label that is empty is none.
        tuple(sorted((label, value) for label, value in sample.labels.items() if value)): sample.value
        for sample in families["vitrail_requests"].samples
        if sample.name.endswith("_total") and sample.labels["transport"] == "rest"
    }
    known = 'sum without (job, instance) (vitrail_requests_total{transport="rest"})'
    scene.prometheus.until(lambda: scene.prometheus.now(known) == told, f"the same as {told}")
    assert len(told) > 5


def test_metrics_are_read_while_many_requests_fly(scene: Scene) -> None:
    """The exposition is OpenMetrics to the library's strict reader and to Prometheus, at rest and in a crowd."""
    texts, faults = [], set()
    with ThreadPoolExecutor(64) as callers:
        flying = [callers.submit(scene.client.post, "/v1/classify", content=RED, timeout=60) for _ in range(1000)]
        while not all(one.done() for one in flying):
            answer = scene.client.get("/metrics")
            assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            texts.append(answer.text)
            faults.add(scene.prometheus.last_error())
    begun = time.time()
    assert {one.result().status_code for one in flying} <= {200, 429}
    assert len(texts) > 1
    assert all("vitrail_requests" in {family.name for family in text_string_to_metric_families(text)} for text in texts)
    scene.prometheus.until(lambda: scene.prometheus.scraped("gateway") > begun, "a scrape after the crowd")
    # A machine that has more to do than it can may take longer than a scrape may; what is wrong in the text says so.
    assert all(not fault or "deadline exceeded" in fault for fault in faults | {scene.prometheus.last_error()})
    scene.prometheus.until(lambda: set(scene.prometheus.now("up").values()) == {1.0}, "up is 1")


def _without_the_model(client: httpx.Client, running: Gateway, triton: TritonServer) -> None:
    """Take a model from a Triton: what it was to answer goes to the other one, and the gateway loads it anew."""
    with InferenceServerClient(triton.url) as beside:
        for _ in _soon("a request goes elsewhere"):
            # Again and again, for the gateway may see it before a request does.
            beside.unload_model("colours")
            for image in (RED, GREEN, BLUE):
                client.post("/v1/classify", content=image).raise_for_status()
            if running.figure("vitrail_triton_retries_total"):
                break
    for _ in _soon("the model is back"):
        if running.figure("vitrail_triton_repairs_total"):
            break
        time.sleep(0.1)


def test_tritons_dashboard(tmp_path: Path) -> None:
    """Before two Tritons, one of which loses its model, their dashboard lacks only numbers of GPUs and of stand-ins."""
    found("prometheus")
    require_triton()
    write_version(tmp_path / "models", "colours", platform=Platform.PYTHON)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    metrics = ("--allow-metrics=true", "--allow-gpu-metrics=false", f"--metrics-port={port}")
    with ExitStack() as stack:
        one, other = (stack.enter_context(triton_server(tmp_path / "models", *more)) for more in (metrics, ()))
        settings = {"engine": "triton", "triton_url": f"{one.url},{other.url}"}
        running = stack.enter_context(gateway(tmp_path / "models", tmp_path / "gateway.log", **settings))
        client = stack.enter_context(httpx.Client(base_url=running.url, timeout=30))
        targets = {"gateway": f"127.0.0.1:{running.port}", "triton": f"127.0.0.1:{port}"}
        (tmp_path / "prometheus").mkdir()
        watching = stack.enter_context(prometheus(targets, tmp_path / "prometheus"))
        watching.until(lambda: len(watching.now("nv_inference_count")) == 1, "Triton's first scrape")
        _without_the_model(client, running, other)
        asked = [query for query in queries() if query.board == "Vitrail: Triton and GPU"]
        scene = Scene(running, client, watching)
        empty = {name for name, reason in EMPTY.items() if reason in (_NO_GPU, _NO_STAND_IN)}
        watching.until(lambda: all(map(scene.numbers, (one for one in asked if not one.metrics & empty))), "all")
        assert not any(map(scene.numbers, (one for one in asked if one.metrics & empty)))
