"""The history: what happened within a window of time, whatever the clock does and however much it was."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ErrorKind
from service.telemetry import STAGES, Ended, Stages
from service.telemetry.history import History
from service.telemetry.history.answer import HistoryAnswer
from service.telemetry.history.gauges import Gauges, ReadyVersion
from service.telemetry.history.latency_buckets import ACCURACY
from service.telemetry.history.levels import FINE_S
from service.telemetry.history.names import is_fault, is_refusal
from service.telemetry.history.traffic import MOST_VERSIONS
from service.telemetry.tracing import OUR_FAULTS

WALL_S = 1_800_000_000.0


@dataclass
class Kept:
    """A history, and clocks that a test winds."""

    seconds: float = 3600
    now: float = 5000.0
    wall: float = WALL_S
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.seconds, lambda: self.now, lambda: self.wall)

    def go(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds
        self.wall += seconds

    def read(self, window_s: int = 60, points: int = 60, **asked: Any) -> HistoryAnswer:
        """What the history tells."""
        return self.history.read(window_s, points, **asked)

    def after_a_second(self, window_s: int = 60, points: int = 60, **asked: Any) -> HistoryAnswer:
        """What the history tells once the second is over."""
        self.go(1)
        return self.read(window_s, points, **asked)


@pytest.fixture(scope="module")
def long_kept() -> Kept:
    """A history of a request a second, of which everything is still there in slices of every length."""
    kept = Kept(seconds=3600)
    kept.history._levels._kept_s = [100_000] * 3
    for _ in range(1250):
        kept.history.add(ended())
        kept.go(1)
    kept.read()
    return kept


def ended(seconds: float = 0.01, **given: Any) -> Ended:
    """A request that is over: a quarter of its time was in each of four stages."""
    answered: dict[str, Any] = {
        "task": "classify", "model": "colours", "version": "1", "alias": "stable", "transport": "rest", "code": "200",
        "reason": "", "images": 1, "stages": Stages(fetch=seconds / 4, decode=seconds / 4, queue=seconds / 4,
        compute=seconds / 4), "request_id": "r", "trace_id": "", "received_bytes": 10, "sent_bytes": 20,
    }  # fmt: skip
    return Ended(seconds=seconds, **{**answered, **given})


def refused(code: str = "429", reason: str = "overloaded", **given: Any) -> Ended:
    """A request that got no answer."""
    return ended(model="", version="", alias="", code=code, reason=reason, images=0, **given)


def gauges(**given: Any) -> Gauges:
    """How a service stands."""
    return Gauges(**{"queue_depths": {}, "versions": (), **given})


def total(series: Sequence[float | None], answer: HistoryAnswer) -> float:
    """A rate over time as a number of things."""
    return sum(value or 0.0 for value in series) * answer["step_s"]


@given(
    requests=st.lists(st.tuples(st.floats(0, 200), st.sampled_from(["200", "429", "503"])), max_size=60),
    window_s=st.integers(10, 3600),
    points=st.integers(10, 360),
)
@settings(deadline=None)
def test_rates_and_totals_are_of_the_same_requests(
    requests: list[tuple[float, str]], window_s: int, points: int
) -> None:
    """Whatever the window and its points: each rate times the step, summed, is the number of the whole window."""
    kept = Kept()
    for pause, code in requests:
        kept.go(pause)
        kept.history.add(ended(images=3) if code == "200" else refused(code))
    answer = kept.after_a_second(window_s, points)
    found = answer["window"]
    sums = [total(answer["requests"][name], answer) for name in ("rate", "errors", "refused", "images")]
    assert sums == pytest.approx([found["requests"], found["errors"], found["refused"], found["images"]])
    assert found["requests"] == sum(found["codes"].values())
    assert found["requests"] - found["errors"] - found["refused"] == found["codes"].get("200", 0)
    assert len(answer["times"]) * answer["step_s"] == answer["window_s"] >= window_s


@given(pauses=st.lists(st.floats(0, 3), min_size=1, max_size=50), window_s=st.integers(10, FINE_S))
@settings(deadline=None)
def test_a_window_holds_what_happened_in_it(pauses: list[float], window_s: int) -> None:
    """Of all requests those count that ended within the window, which ends with the last whole second."""
    kept = Kept()
    moments = []
    for pause in pauses:
        kept.go(pause)
        kept.history.add(ended())
        moments.append(kept.now)
    answer = kept.read(window_s)
    end = math.floor(kept.now)
    inside = [moment for moment in moments if end - answer["window_s"] <= moment < end]
    assert answer["window"]["requests"] == len(inside)
    assert answer["times"][-1] == pytest.approx(kept.wall - (kept.now - end), abs=0.002)


def test_what_happens_is_seen_after_a_second_at_most() -> None:
    """The second that has not ended is not shown; the moment it is over, it is the last point."""
    kept = Kept(now=5000.9)
    kept.history.add(ended())
    assert kept.read()["window"]["requests"] == 0
    kept.go(0.11)
    answer = kept.read()
    assert (answer["window"]["requests"], answer["requests"]["rate"][-1]) == (1, 1.0)


def test_a_long_window_ends_with_the_last_ten_whole_seconds() -> None:
    """In windows of over ten minutes no point is of less than ten seconds, so none looks like a drop."""
    kept = Kept(now=5000)
    for _ in range(25):
        kept.history.add(ended())
        kept.go(1)
    answer = kept.read(3600, 360)
    assert answer["step_s"] == 10
    assert answer["requests"]["rate"][-3:] == [0.0, 1.0, 1.0]
    assert answer["times"][-1] == WALL_S + 20


def test_a_stepping_wall_clock_changes_no_order() -> None:
    """Times shown are the present time less an age: set back by an hour, they still ascend by the step."""
    kept = Kept()
    kept.history.add(ended())
    kept.go(1)
    kept.wall -= 3600
    answer = kept.read(points=12)
    assert answer["times"][-1] == answer["now"] == WALL_S + 1 - 3600
    assert np.diff(answer["times"]) == pytest.approx([5.0] * 11)
    assert answer["window"]["requests"] == 1


@given(steps=st.lists(st.floats(-1000, 1000), min_size=1, max_size=30))
@settings(deadline=None)
def test_a_clock_that_steps_back_loses_nothing(steps: list[float]) -> None:
    """Set back, the clock goes on from where it stood: what was counted stays, and time goes by as ever."""
    kept = Kept()
    for step in steps:
        kept.history.add(ended())
        kept.now += step
        kept.history.sample(gauges(in_flight=1))
    forward = sum(max(0.0, step) for step in steps)
    answer = kept.after_a_second(600)
    if forward < 590:
        assert answer["window"]["requests"] == len(steps)
    kept.history.add(ended())
    assert kept.after_a_second()["window"]["requests"] >= 1


@pytest.mark.parametrize(("window_s", "points"), [(60, 60), (600, 60), (3600, 360), (3600, 10)])
def test_percentiles_are_those_of_the_requests(window_s: int, points: int) -> None:
    """In every window the percentiles are numpy's to within 2 %, of the whole window and of each point."""
    kept = Kept()
    times = np.random.default_rng(1).lognormal(np.log(0.02), 1.0, 3000).clip(1e-4, 30)
    for seconds in times.tolist():
        kept.history.add(ended(seconds))
        kept.go(0.02)
    kept.go(10)
    answer = kept.read(window_s, points)
    found = answer["window"]["total_ms"]
    inside = times[-answer["window"]["requests"] :] * 1e3
    assert found is not None
    assert [found["mean"], found["max"]] == pytest.approx([inside.mean(), inside.max()], abs=0.001)
    expected = np.percentile(inside, [50, 95, 99])
    assert [found["p50"], found["p95"], found["p99"]] == pytest.approx(expected, rel=ACCURACY, abs=0.001)
    if points == 10:
        assert answer["latency"]["p99_ms"][-1] == pytest.approx(expected[2], rel=ACCURACY, abs=0.001)


def test_stages_are_told_by_point_and_for_the_window() -> None:
    """Each stage has its mean in each point, none where there was no request, and its percentiles in the window."""
    kept = Kept()
    for seconds in (0.1, 0.3):
        kept.history.add(ended(0, stages=Stages(decode=seconds)))
    answer = kept.after_a_second()
    assert answer["stages"]["decode"][-2:] == [None, 200.0]
    assert answer["stages"]["fetch"][-1] == 0.0
    stages: Any = answer["window"]["stages_ms"]
    assert tuple(stages) == STAGES
    assert stages["decode"]["mean"] == 200.0
    assert stages["decode"]["p50"] == pytest.approx(200, rel=ACCURACY)
    assert stages["compute"] == {"mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0}


def test_without_requests_there_are_zeros_and_gaps() -> None:
    """An empty history has rates of zero, no percentiles, no versions, and says so in well-formed JSON."""
    answer = Kept().read(10, 10)
    assert answer["requests"]["rate"] == [0.0] * 10
    assert answer["latency"]["p99_ms"] == answer["stages"]["queue"] == answer["gauges"]["cpu"] == [None] * 10
    assert (answer["window"]["total_ms"], answer["window"]["stages_ms"], answer["versions"]) == (None, None, [])
    assert orjson.loads(orjson.dumps(answer)) == answer


@pytest.mark.parametrize("reason", list(ErrorKind))
def test_faults_of_ours_are_errors(reason: ErrorKind) -> None:
    """A request without an answer is an error just where traces and the log call it a fault of ours, else refused."""
    kind = ("classify", "", "", "rest", "503", str(reason))
    assert (is_fault(kind), is_refusal(kind)) == (reason in OUR_FAULTS, reason not in OUR_FAULTS)


def test_answers_are_neither() -> None:
    """A request that was answered is no error, and was not refused."""
    kind = ("classify", "", "", "rest", "200", "")
    assert not is_fault(kind)
    assert not is_refusal(kind)


def test_requests_are_told_by_code_reason_transport_and_task() -> None:
    """The window says how many requests there were of each."""
    kept = Kept()
    for request in (ended(), ended(transport="grpc", code="OK"), refused(), refused(), refused("INTERNAL", "internal")):
        kept.history.add(request)
    found = kept.after_a_second()["window"]
    assert found["codes"] == {"200": 1, "OK": 1, "429": 2, "INTERNAL": 1}
    assert found["reasons"] == {"overloaded": 2, "internal": 1}
    assert found["transports"] == {"rest": 4, "grpc": 1}
    assert found["tasks"] == {"classify": 5}
    assert (found["errors"], found["refused"]) == (1, 2)


def test_versions_are_told_with_their_share() -> None:
    """Each version has its requests, its share of its model's, its times, batches, queue and aliases, busiest first."""
    kept = Kept()
    for version, count in (("1", 1), ("2", 3)):
        for _ in range(count):
            kept.history.add(ended(0.2, version=version, images=2))
    for size in (1, 4, 4):
        kept.history.batch("colours", "2", size)
    ready = (ReadyVersion("classify", "colours", "2", ["stable"]), ReadyVersion("detect", "idle", "7"))
    kept.history.sample(gauges(queue_depths={("colours", "2"): 5}, versions=ready))
    busy, other, idle = kept.after_a_second()["versions"]
    assert [busy["version"], other["version"], idle["model"]] == ["2", "1", "idle"]
    assert [busy["share"], other["share"], idle["share"]] == [0.75, 0.25, 0.0]
    assert [busy["aliases"], busy["queue_depth"], busy["ready"], other["ready"]] == [["stable"], 5, True, False]
    assert busy["batch"] == {"mean": 3.0, "sizes": {"1": 1, "4": 2}}
    assert busy["p50_ms"] == pytest.approx(200, rel=ACCURACY)
    assert (busy["images"], idle["p50_ms"], idle["batch"]["mean"]) == (6, None, None)


@pytest.mark.parametrize(
    ("asked", "requests"),
    [({}, 7), ({"task": "detect"}, 3), ({"model": "colours"}, 3), ({"version": "2"}, 3), ({"task": "nothing"}, 0),
     ({"model": "colours", "version": "2"}, 1), ({"task": "detect", "model": "colours"}, 0)],
)  # fmt: skip
def test_filters_choose_requests(asked: dict[str, Any], requests: int) -> None:
    """Only requests that fit all that is asked for count, in series, totals, stages and versions alike."""
    kept = Kept()
    for task, model, version, count in (
        ("classify", "colours", "1", 2), ("classify", "colours", "2", 1), ("detect", "boxes", "2", 2),
    ):  # fmt: skip
        for _ in range(count):
            kept.history.add(ended(task=task, model=model, version=version))
    kept.history.add(refused())
    kept.history.add(refused(task="detect"))
    answer = kept.after_a_second(**asked)
    answered = answer["window"]["codes"].get("200", 0)
    assert total(answer["requests"]["rate"], answer) == answer["window"]["requests"] == requests
    assert sum(version["requests"] for version in answer["versions"]) == answered
    assert (answer["window"]["stages_ms"] is None) == (answered == 0)


def test_stages_of_one_version_are_its_own() -> None:
    """With a filter, stages are of the versions asked for and of no others; without, of all."""
    kept = Kept()
    for version, seconds in (("1", 0.1), ("2", 0.5)):
        for _ in range(20):
            kept.history.add(ended(0, version=version, stages=Stages(compute=seconds)))
            kept.go(1)
    for version, expected in (("1", 100), ("2", 500), ("", 300)):
        stages = kept.read(version=version)["window"]["stages_ms"]
        assert stages is not None
        assert [stages["compute"]["mean"], stages["compute"]["p50"]] == pytest.approx([expected] * 2, rel=ACCURACY)


def test_too_many_versions_count_for_their_task_only() -> None:
    """Beyond so many versions the least busy lose their names, and no request is lost."""
    kept = Kept()
    for version in range(MOST_VERSIONS + 20):
        for _ in range(2 if version >= 20 else 1):
            kept.history.add(ended(version=str(version)))
    kept.go(10)
    for window_s in (60, 3600):
        answer = kept.read(window_s)
        assert answer["window"]["requests"] == 2 * MOST_VERSIONS + 20
        assert {version["requests"] for version in answer["versions"]} == {2}
        assert len(answer["versions"]) == MOST_VERSIONS
        assert answer["window"]["tasks"] == {"classify": 2 * MOST_VERSIONS + 20}


def test_memory_is_bounded_whatever_the_number_of_models() -> None:
    """Names that no slice holds any more are forgotten, and so are slices that no window reaches."""
    kept = Kept(seconds=30)
    for model in range(9000):
        kept.history.add(ended(model=f"model-{model}"))
        kept.go(0.05)
    assert len(kept.history._names) < 10_000
    kept.go(10_000)
    kept.history.add(ended())
    kept.go(100)
    kept.read(10)
    assert len(kept.history._levels) <= 4


def test_a_burst_is_counted_whole() -> None:
    """More requests in a second than are collected at once are all counted, with all their times."""
    kept = Kept()
    for _ in range(10_000):
        kept.history.add(ended(0.5, stages=Stages(compute=0.5)))
    for _ in range(5000):
        kept.history.lag(0.25)
    answer = kept.after_a_second()
    assert answer["requests"]["rate"][-1] == answer["window"]["images"] == 10_000
    assert answer["stages"]["compute"][-1] == 500.0
    assert answer["video"]["lag_ms"]["p99"][-1] == pytest.approx(250, rel=ACCURACY)


def test_gauges_are_the_highest_of_each_point() -> None:
    """In-flight images, queues, lag and memory are told at their worst; the processor's use on average."""
    kept = Kept()
    for place, (in_flight, cpu_s) in enumerate([(3, 10.0), (9, 10.5), (4, 12.0), (1, 12.0)]):
        depths = {("colours", "1"): in_flight, ("boxes", "1"): 1}
        kept.history.sample(
            gauges(in_flight=in_flight, in_flight_limit=64, queue_depths=depths, cpu_s=cpu_s, memory_bytes=place + 1,
                   event_loop_lag_s=0.02)
        )  # fmt: skip
        kept.go(1)
    found = kept.read(20, 10)["gauges"]
    assert found["in_flight"][-3:] == [None, 9.0, 4.0]
    assert found["queue_depth"][-2:] == [10.0, 5.0]
    assert found["event_loop_lag_ms"][-1] == 20.0
    assert found["memory_bytes"][-2:] == [2.0, 4.0]
    assert found["cpu"][-2:] == [0.5, 0.75]
    assert found["in_flight_limit"] == 64


def test_a_look_that_came_late_leaves_no_gap() -> None:
    """Whoever looks once a second is late now and then; the second without a look has the value of the one before."""
    kept = Kept(now=5000.9)
    for in_flight, pause in ((1, 1.2), (2, 1.0), (3, 1.0)):
        kept.history.sample(gauges(in_flight=in_flight))
        kept.go(pause)
    assert kept.read()["gauges"]["in_flight"][-4:] == [1.0, 1.0, 2.0, 3.0]


def test_frames_and_lag_of_video_are_told() -> None:
    """Frames count by what became of them, lag has its percentiles, jobs and streams stand as they do now."""
    kept = Kept()
    kept.history.frames("processed", 20)
    kept.history.frames("carried", 5)
    kept.history.frames("dropped")
    kept.history.frames("skipped", 99)
    for seconds in (0.1, 0.1, 0.4):
        kept.history.lag(seconds)
    kept.history.sample(gauges(jobs_running=2, jobs_waiting=7, streams=3))
    answer = kept.after_a_second()
    video = answer["video"]
    assert [total(video["frames"][name], answer) for name in ("processed", "carried", "dropped")] == [20, 5, 1]
    assert video["lag_ms"]["p50"][-1] == pytest.approx(100, rel=ACCURACY)
    assert (video["jobs_running"], video["jobs_waiting"], video["streams"]) == (2, 7, 3)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_times_that_make_no_sense_harm_nothing(seconds: float) -> None:
    """A request whose clock went mad is counted, and every figure stays a number."""
    kept = Kept()
    kept.history.add(ended(seconds))
    answer = kept.after_a_second()
    assert answer["window"]["requests"] == 1
    assert orjson.loads(orjson.dumps(answer))["window"]["total_ms"]["mean"] is not None


def test_the_hour_is_kept_and_no_more() -> None:
    """A request of an hour ago is in the window of an hour, and soon after in none."""
    kept = Kept()
    kept.history.add(ended())
    kept.go(3590)
    assert kept.read(3600, 360)["window"]["requests"] == 1
    kept.go(20)
    assert kept.read(3600, 360)["window"]["requests"] == 0


def test_a_day_is_kept_in_as_few_slices() -> None:
    """A longer history has the same points for ten minutes and an hour, and longer ones for a day."""
    kept = Kept(seconds=86_400)
    for _ in range(900):
        kept.history.add(ended())
        kept.go(100)
    for window_s, step_s, requests in ((600, 10, 6), (3600, 10, 36), (7200, 240, 72), (86_400, 240, 864)):
        answer = kept.read(window_s, 360 if window_s > 600 else 60)
        assert (answer["step_s"], len(answer["times"])) == (step_s, window_s // step_s)
        assert answer["window"]["requests"] == pytest.approx(requests, abs=2)
        assert total(answer["requests"]["images"], answer) == pytest.approx(answer["window"]["images"])
    assert len(kept.history._levels) < 600


@given(begin=st.integers(5000, 6250), seconds=st.integers(1, 1250))
def test_the_fewest_slices_hold_every_second_once(long_kept: Kept, begin: int, seconds: int) -> None:
    """Whatever the span of time: of its seconds none is missing and none is there twice, in few slices."""
    end = min(begin + seconds, 6250)
    found = long_kept.history._levels.fewest(begin, end)
    assert sum(int(part.traffic.requests.sum()) for part in found) == max(0, end - begin)
    assert len(found) <= 1250 // 100 + 4 * 9


def test_whoever_asks_the_same_gets_the_same() -> None:
    """Within one second the answer is made once; a new look or a new second makes it anew."""
    kept = Kept()
    first = kept.read()
    assert kept.read() is first
    kept.history.sample(gauges(in_flight_limit=8))
    assert kept.read()["gauges"]["in_flight_limit"] == 8
    assert kept.after_a_second()["now"] > first["now"]


def test_a_history_of_no_length_is_refused() -> None:
    """A history must be as long as its shortest window."""
    with pytest.raises(ValueError, match="10 s"):
        History(9)
