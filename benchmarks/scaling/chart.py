"""The end of the document: what the chart should set, and the figure behind it."""

from benchmarks.scaling import tables
from benchmarks.scaling.figures import SHORT_TOLERATION_S, Figures, gateways_per_gpu, held_bound
from benchmarks.scaling.inputs import Autoscaling, Inputs

_TEXT = """## What the chart sets, and why

For pods of {cores} cores with a model like `{model}`; other models want other numbers, by the same reasoning.

| | value | why |
|---|---|---|
{rows}
"""


def chart_table(figures: Figures, inputs: Inputs) -> str:
    """One row a setting."""
    rows = [*_sizes(figures, inputs), *_autoscaling(figures, inputs), *_bad_days(figures, inputs)]
    return _TEXT.format(cores=inputs.cpu_pod.cores, model=inputs.measured.model, rows=tables.table(rows))


def _sizes(figures: Figures, inputs: Inputs) -> list[tuple[str, str, str]]:
    pod, gateway = inputs.cpu_pod, inputs.gateway_pod
    bound, full_s = held_bound(figures.cpu, inputs.objective), figures.cpu.pod.bound / figures.cpu.pod.capacity
    loop_rate = 1 / (figures.work.event_loop_s + gateway.tensor_call_ms / 1e3)
    gateways = gateways_per_gpu(figures, inputs)
    return [
        (
            "gateway requests and limits",
            f"cpu {pod.cores} = {pod.cores}",
            (
                "measured there; threads are counted from the limit. Before Triton one event loop ends at "
                f"{loop_rate:.0f} images/s, about 3 cores: more pods, not larger ones"
            ),
        ),
        (
            "`max_images_in_flight`",
            f"{bound}, or `adaptive_limit`",
            (
                f"p99 in overload stays within {inputs.objective.p99_ms:g} ms; the default {pod.images_in_flight} "
                f"waits {full_s:.1f} s. It must not be below `max_images_per_request` (64), so lower that too"
            ),
        ),
        (
            "gateways before each GPU",
            str(gateways),
            f"{figures.gateway_s * 1e3:.1f} ms of processor time an image at {gateway.target_utilisation:.0%}",
        ),
        (
            "minReplicas",
            str(inputs.zones),
            f"one a zone; a lost zone of {inputs.zones} then leaves {(inputs.zones - 1) / inputs.zones:.0%}",
        ),
        (
            "maxReplicas",
            "set it",
            "about three times the pods of the highest hour: the last thing that stops a metric that runs away",
        ),
    ]


def _autoscaling(figures: Figures, inputs: Inputs) -> list[tuple[str, str, str]]:
    cpu, gpu = _last(inputs.autoscaling.cpu), _last(inputs.autoscaling.gpu)
    share = (inputs.zones - 1) / inputs.zones
    at_safe, gpu_at = (
        min(pods.curve, key=lambda point: abs(point.rate - share * pods.held.rate))
        for pods in (figures.cpu, figures.gpu)
    )
    naive, proposed = figures.cpu_growth[0], figures.cpu_growth[-1]
    return [
        (
            "HPA, images in flight",
            f"{cpu.in_flight:g} a pod of {inputs.cpu_pod.cores} cores, mean of {cpu.in_flight_window_s:g} s",
            (f"at {share:.0%} of what a pod holds there are {at_safe.in_flight:.1f}; the gauge of one moment jumps"),
        ),
        (
            "HPA, queue wait",
            f"p95 {cpu.queue_wait_ms:g} ms over {cpu.wait_window_s:g} s",
            (
                f"a second alarm: {at_safe.wait_p95_ms:.0f} ms at that load, {figures.cpu.held.wait_p95_ms:.0f} ms "
                "at the rate that is just held"
            ),
        ),
        (
            "… of Triton",
            f"mean {gpu.queue_wait_ms:g} ms over {gpu.wait_window_s:g} s",
            f"{gpu_at.wait_ms:.1f} ms with a zone to spare, {figures.gpu.held.wait_ms:.1f} ms at the rate just held",
        ),
        (
            "both metrics",
            f"cut at {cpu.clamp:g} x the target",
            f"for twice the traffic {proposed.most} pods at most, not {naive.most}",
        ),
        (
            "scale up",
            "window 0; 100 % or 2 pods in 30 s",
            "twice in one step is what traffic may ask; the start of a pod takes longer anyway",
        ),
        (
            "scale down",
            f"window {cpu.down_window_s:g} s ({gpu.down_window_s:g} s for GPUs); 10 % or 1 pod a minute",
            f"longer than a node takes to come; one pod a minute keeps {naive.most} pods for hours",
        ),
    ]


def _bad_days(figures: Figures, inputs: Inputs) -> list[tuple[str, str, str]]:
    told, full_s = inputs.kubernetes, figures.cpu.pod.bound / figures.cpu.pod.capacity
    small = next(row for row in figures.alarms if row.min_requests == 20)
    enough = next(row for row in figures.alarms if row.wrongly <= 0.02)
    alone, slowed = (
        next(row.all_p99_ms for row in figures.slow if (row.slower, row.share) == (slower, 0.1))
        for slower in (1.0, 3.0)
    )
    return [
        (
            "PodDisruptionBudget",
            "maxUnavailable 10 %",
            "rounded up: 1 of up to ten; at 65 % a tenth away is not felt, and a thousand need not go one by one",
        ),
        (
            "topology spread",
            "by zone, maxSkew 1, ScheduleAnyway",
            (
                "there is room for a lost zone only if none has more than its share; with DoNotSchedule its pods "
                "could not be made elsewhere"
            ),
        ),
        (
            "tolerations, not-ready and unreachable",
            "30 s",
            (
                f"pods of a lost node are replaced after {told.node_grace_s + SHORT_TOLERATION_S:g} s, not "
                f"{told.node_grace_s + told.toleration_s:g}"
            ),
        ),
        (
            "grace period",
            "preStop + delay + 30 s + margin",
            (f"a full pod is empty after {full_s:.1f} s; the 30 s are the longest deadline of a request"),
        ),
        (
            "canary",
            f"share 10 %, `min_requests` {enough.min_requests}",
            (
                f"{small.wrongly:.0%} of good ones were sent back within an hour with 20, {enough.wrongly:.0%} with "
                f"{enough.min_requests}; one three times slower with 10 % makes p99 {slowed:.0f} ms, not {alone:.0f}"
            ),
        ),
    ]


def _last(ways: dict[str, Autoscaling]) -> Autoscaling:
    """The one that is proposed."""
    return list(ways.values())[-1]
