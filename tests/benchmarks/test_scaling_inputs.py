from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from benchmarks.scaling.cost import cost, cpu_node, gpu_node, helped_gpu_node
from benchmarks.scaling.growth import Rise, grown, scaling, start_times
from benchmarks.scaling.inputs import INPUTS, Day, Inputs, Node, Range, read_inputs, read_rows
from benchmarks.scaling.one_node import cpu_pod, measured_at, sustained
from benchmarks.scaling.service_times import cpu_work

_NODE = Node(price=1.0, cores=10, gpus=1, usable=1.0)


def test_committed_inputs() -> None:
    """The file in the repository is valid, and its measured figures are those of the report."""
    inputs = read_inputs()
    row = read_rows(INPUTS.parents[2] / inputs.measured.report, inputs.measured.model)[1]

    assert row.callers == inputs.measured.callers
    assert cpu_work(inputs).whole_s == pytest.approx(row.cpu_ms / 1e3)


def test_wrong_inputs() -> None:
    """A number that cannot be, or a name that is not known, is named."""
    told = yaml.safe_load(INPUTS.read_text(encoding="utf-8"))
    told["zones"] = 1
    told["prices"]["cpu_nodes"] = {}

    with pytest.raises(ValidationError) as refused:
        Inputs.model_validate(told)
    assert {error["loc"] for error in refused.value.errors()} >= {("zones",), ("prices", "cpu_nodes")}


def test_range_that_does_not_ascend() -> None:
    """A range's base lies between its ends."""
    with pytest.raises(ValidationError, match="must ascend"):
        Range(low=2, base=1, high=3)


def test_report_without_the_model(tmp_path: Path) -> None:
    """A report that has no figures of the model says so."""
    report = tmp_path / "RESULTS.md"
    report.write_text("# Results\n")

    with pytest.raises(LookupError, match="no section resnet50"):
        read_rows(report, "resnet50")


def test_sustained_rate() -> None:
    """The rate that is called sustained holds the objective, and a tenth more does not."""
    inputs = read_inputs()
    pod = cpu_pod(cpu_work(inputs), inputs.cpu_pod)

    held = sustained(pod, inputs.objective, seed=0)

    assert held.p99_ms <= inputs.objective.p99_ms
    assert measured_at(pod, 1.1 * held.rate, seed=0).p99_ms > inputs.objective.p99_ms


def test_decoding_bounds_a_gpu() -> None:
    """A GPU is no quicker than the processors that decode for it; more of them cost more."""
    bound = gpu_node(_NODE, gpu_rate=5000, image_s=0.004, utilisation=0.8)

    assert (bound.images_per_s, bound.by) == (pytest.approx(1800), "decoding")
    helped, price = helped_gpu_node(_NODE, Node(price=0.5, cores=10, gpus=0, usable=1.0), 5000, 0.004, 0.8)
    assert (helped.images_per_s, price) == (5000, pytest.approx(1 + 1.6 * 0.5))


def test_cost_of_a_million() -> None:
    """A node of 3.60 an hour with 100 images a second makes a million for 10; a zone of three away, for 15."""
    rate = cpu_node(Node(price=3.6, cores=8, gpus=0, usable=0.9), pod_cores=2, pod_rate=100 / 3)

    found = cost("node", rate, 3.6, zones=3, day=Day(trough=0.5, peak=2.0), target=0.5)

    assert (found.full, found.reserve, found.for_the_peak, found.autoscaled) == pytest.approx((10, 15, 30, 20))


def test_every_way_of_the_file_can_be_followed() -> None:
    """Each way to set the autoscaler brings pods when traffic doubles."""
    inputs = read_inputs()
    pod, start = cpu_pod(cpu_work(inputs), inputs.cpu_pod), start_times(inputs, gpu=False)

    for name, way in inputs.autoscaling.cpu.items():
        assert scaling(inputs, way, 140.0).rules.down_window_s == way.down_window_s
        assert grown(inputs, pod, 140.0, start, name, way, Rise(2, 0.65, 2.0, 200.0), seed=0).at_end > 2
