"""All that the document tells, computed once."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.scaling.canary import Alarms, Decision, Slow, alarms, decisions, slow_canary
from benchmarks.scaling.cost import Cost, NodeRate, cost, cpu_node, gpu_node, helped_gpu_node
from benchmarks.scaling.fleet import PodModel
from benchmarks.scaling.growth import Outcome, Rise, grown, start_times, zone_lost
from benchmarks.scaling.inputs import ROOT, Bound, Inputs, Objective
from benchmarks.scaling.one_node import (
    Point,
    bound_curve,
    cpu_pod,
    gateway_pods,
    gpu_pod,
    load_curve,
    sustained,
)
from benchmarks.scaling.service_times import CpuWork, cpu_work
from benchmarks.scaling.validation import (
    Compared,
    OpenLoop,
    OpenLoopPart,
    against_closed_loops,
    against_open_loop,
    against_steady_callers,
    against_theory,
    read_open_loop,
)
from service.registry.traffic import RollbackRules

LOADS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.3)
BOUNDS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
OVERLOAD = 1.5
ZONE_LOADS = (0.5, 0.65, 0.75, 0.85)
SHORT_TOLERATION_S = 30.0
LAG_LOADS = (0.5, 0.65, 0.8)
HEAVIER = 10.0
"""ResNet-50, which the GPU's times are of, to EfficientNet-Lite0, by multiplications: 4.1 to 0.4 thousand million."""
_CPU_PODS, _GPU_PODS, _ZONE_PODS = 10, 100, 12


@dataclass(frozen=True, slots=True)
class Pods:
    """One kind of pod, alone."""

    pod: PodModel
    curve: list[Point]
    held: Point
    """At the highest rate within the objective."""
    bounds: list[tuple[int, Point]]
    """In overload."""


@dataclass(frozen=True, slots=True)
class Size:
    """A fleet of so many GPUs."""

    gpus: int
    rate: float
    """Images a second that it holds with one zone away."""
    gateways: int
    price: float
    """An hour, with the CPU nodes that decode for it."""
    grown: Outcome
    """Half as many more come within half a minute."""


@dataclass(frozen=True, slots=True)
class ZoneLoss:
    """A zone lost at one load."""

    load: float
    """To what each pod holds."""
    toleration_s: float
    followed: bool
    """By the autoscaler, set as proposed; else nothing but Kubernetes replaces the pods."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lag:
    """Twice the traffic, with so much room and so quick nodes."""

    load: float
    node_s: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Assumption:
    """What changes with one assumption of the GPU's, from its lowest to its highest."""

    name: str
    rates: tuple[float, float, float]
    """Images a second that one GPU holds."""
    costs: tuple[float, float, float]
    """Of a million images, with the decoding that it needs."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it."""

    work: CpuWork
    gateway_s: float
    """CPU seconds of an image in a gateway before Triton."""
    cpu: Pods
    gpu: Pods
    theory: list[Compared]
    committed: list[Compared]
    """With what this repository's reports tell."""
    open_loop: OpenLoop | None
    open_compared: list[tuple[OpenLoopPart, list[Compared]]]
    cpu_growth: list[Outcome]
    gpu_growth: list[Outcome]
    lags: list[Lag]
    zones: list[ZoneLoss]
    sizes: list[Size]
    decisions: list[Decision]
    alarms: list[Alarms]
    slow: list[Slow]
    slow_idle: list[Slow]
    """The same in pods with little to do."""
    costs: list[Cost]
    assumptions: list[Assumption]


def held_bound(pods: Pods, objective: Objective) -> int:
    """The largest bound tried that keeps the objective in overload; the least where none does."""
    return max((bound for bound, point in pods.bounds if point.p99_ms <= objective.p99_ms), default=pods.bounds[0][0])


def gateways_per_gpu(figures: Figures, inputs: Inputs) -> int:
    """Gateways that decode for one GPU at the rate that it holds."""
    return _gateways(inputs, figures.gateway_s, figures.gpu.held.rate)


def computed(inputs: Inputs, told: Callable[[str], None] = lambda _: None) -> Figures:
    """Run everything; minutes on one processor. ``told`` hears what begins."""
    work, seed = cpu_work(inputs), inputs.seed
    gateway_s = work.service_s + inputs.gateway_pod.tensor_call_ms / 1e3
    told("theory and measurements")
    measured = read_open_loop(ROOT / inputs.measured.open_loop)
    told("one pod")
    cpu = _pods(cpu_pod(work, inputs.cpu_pod), inputs)
    gpu = _pods(_gpu(inputs, gateway_s), inputs)
    told("growth")
    cpu_growth = _cpu_growth(inputs, cpu)
    gpu_growth = _gpu_growth(inputs, gpu)
    told("a zone")
    zones = _zones(inputs, cpu)
    told("sizes")
    sizes = [_size(inputs, gpu, gateway_s, gpus) for gpus in inputs.sizes]
    told("canaries")
    rules = RollbackRules()
    return Figures(
        work=work,
        gateway_s=gateway_s,
        cpu=cpu,
        gpu=gpu,
        theory=against_theory(1_000_000, seed),
        committed=[*against_closed_loops(inputs, work, seed), *against_steady_callers(inputs, work, seed)],
        open_loop=measured,
        open_compared=against_open_loop(inputs, work, measured) if measured else [],
        cpu_growth=cpu_growth,
        gpu_growth=gpu_growth,
        lags=_lags(inputs, cpu),
        zones=zones,
        sizes=sizes,
        decisions=decisions(inputs.canary.rates, inputs.canary.shares, cpu.held.rate * 0.65, rules, seed),
        alarms=[
            alarms(need, 50.0, 0.1, (0.003, 0.05), max(60.0, need / 5 * 1.5), seed) for need in (20, 50, 100, 200, 400)
        ],
        slow=_slow(inputs, work, 0.65 * cpu.held.rate, rules),
        slow_idle=_slow(inputs, work, 0.2 * cpu.held.rate, rules),
        costs=_costs(inputs, work, cpu, gpu, gateway_s),
        assumptions=_assumptions(inputs, gateway_s),
    )


def _gpu(inputs: Inputs, gateway_s: float, **changed: Bound) -> PodModel:
    """One GPU, bounded by what the gateways that it needs admit together."""
    told = inputs.gpu_pod
    fixed, each = changed.get("fixed_ms", "base"), changed.get("per_image_ms", "base")
    chosen = told.model_copy(
        update={
            "fixed_ms": told.fixed_ms.model_copy(update={"base": told.fixed_ms.at(fixed)}),
            "per_image_ms": told.per_image_ms.model_copy(update={"base": told.per_image_ms.at(each)}),
        }
    )
    pod = gpu_pod(chosen, 0)
    return replace(pod, bound=max(pod.bound, _gateways(inputs, gateway_s, pod.capacity) * _admitted(inputs)))


def _admitted(inputs: Inputs) -> int:
    return inputs.gateway_pod.images_in_flight


def _gateways(inputs: Inputs, gateway_s: float, rate: float) -> int:
    gateway = inputs.gateway_pod
    return gateway_pods(rate, gateway.cores, gateway_s, gateway.target_utilisation)


def _pods(pod: PodModel, inputs: Inputs) -> Pods:
    seed = inputs.seed
    return Pods(
        pod=pod,
        curve=load_curve(pod, LOADS, seed),
        held=sustained(pod, inputs.objective, seed),
        bounds=bound_curve(pod, BOUNDS, OVERLOAD, seed),
    )


def _cpu_growth(inputs: Inputs, cpu: Pods) -> list[Outcome]:
    start, rise = start_times(inputs, gpu=False), Rise(_CPU_PODS, 0.65, 2.0, 1800.0, 900.0)
    return [
        grown(inputs, cpu.pod, cpu.held.rate, start, name, way, rise, inputs.seed)
        for name, way in inputs.autoscaling.cpu.items()
    ]


def _gpu_growth(inputs: Inputs, gpu: Pods) -> list[Outcome]:
    start, rise = start_times(inputs, gpu=True), Rise(_GPU_PODS, 0.65, 2.0, 1200.0)
    return [
        grown(inputs, gpu.pod, gpu.held.rate, start, name, way, rise, inputs.seed)
        for name, way in inputs.autoscaling.gpu.items()
    ]


def _zones(inputs: Inputs, cpu: Pods) -> list[ZoneLoss]:
    start = start_times(inputs, gpu=False)
    way = list(inputs.autoscaling.cpu.values())[-1]
    told = inputs.kubernetes
    ways = ((way, told.toleration_s), (None, told.toleration_s), (None, SHORT_TOLERATION_S))
    found = []
    for load in ZONE_LOADS:
        for chosen, toleration_s in ways:
            lost = zone_lost(inputs, cpu.pod, cpu.held.rate, start, chosen, _ZONE_PODS, load, toleration_s, inputs.seed)
            found.append(ZoneLoss(load, toleration_s, chosen is not None, lost))
    return found


def _lags(inputs: Inputs, cpu: Pods) -> list[Lag]:
    """The proposed way, by the room that there is and the time that nodes take."""
    way = list(inputs.autoscaling.cpu.values())[-1]
    bounds: tuple[Bound, Bound, Bound] = ("low", "base", "high")
    found = []
    for load in LAG_LOADS:
        rise = Rise(_CPU_PODS, load, 2.0, 1200.0)
        for bound in bounds:
            start = start_times(inputs, gpu=False, at=bound)
            outcome = grown(inputs, cpu.pod, cpu.held.rate, start, "proposed", way, rise, inputs.seed)
            found.append(Lag(load, start.node_s, outcome))
    return found


def _size(inputs: Inputs, gpu: Pods, gateway_s: float, gpus: int) -> Size:
    node, helper = inputs.prices.gpu_node, inputs.prices.cpu_node
    utilisation = inputs.gateway_pod.target_utilisation
    safe = gpu.held.rate * (inputs.zones - 1) / inputs.zones
    _, price = helped_gpu_node(node, helper, gpu.held.rate, gateway_s, utilisation)
    way = list(inputs.autoscaling.gpu.values())[-1]
    start = start_times(inputs, gpu=True)
    rise = Rise(gpus, safe / gpu.held.rate, 1.5, 900.0)
    followed = grown(inputs, gpu.pod, gpu.held.rate, start, f"{gpus} GPUs", way, rise, inputs.seed)
    return Size(gpus, gpus * safe, _gateways(inputs, gateway_s, gpus * safe), gpus * price, followed)


def _slow(inputs: Inputs, work: CpuWork, rate: float, rules: RollbackRules) -> list[Slow]:
    pod = inputs.cpu_pod
    return [
        slow_canary(
            work,
            pod.cores,
            pod.max_batch,
            pod.images_in_flight,
            share,
            slower,
            rate,
            rules,
            inputs.seed,
        )
        for slower in (1.0, 1.5, 3.0, 6.0)
        for share in (0.05, 0.1, 0.25)
    ]


def _costs(inputs: Inputs, work: CpuWork, cpu: Pods, gpu: Pods, gateway_s: float) -> list[Cost]:
    prices, utilisation, target = inputs.prices, inputs.gateway_pod.target_utilisation, 0.65
    held = gpu.held.rate
    # A batch would not end in time: one image goes at once.
    heavy_pod = inputs.cpu_pod.model_copy(update={"max_batch": 1})
    heavy = sustained(cpu_pod(replace(work, model_s=work.model_s * HEAVIER), heavy_pod), inputs.objective, inputs.seed)
    rows: list[tuple[str, NodeRate, float]] = [
        ("CPU node", cpu_node(prices.cpu_node, inputs.cpu_pod.cores, cpu.held.rate), prices.cpu_node.price),
        ("CPU node, heavy model", cpu_node(prices.cpu_node, inputs.cpu_pod.cores, heavy.rate), prices.cpu_node.price),
        ("GPU node", gpu_node(prices.gpu_node, held, gateway_s, utilisation), prices.gpu_node.price),
        ("GPU node and CPU nodes", *helped_gpu_node(prices.gpu_node, prices.cpu_node, held, gateway_s, utilisation)),
        (
            "node of four GPUs",
            gpu_node(prices.gpu_node_of_four, held, gateway_s, utilisation),
            prices.gpu_node_of_four.price,
        ),
    ]
    return [cost(name, rate, price, inputs.zones, inputs.day, target) for name, rate, price in rows]


def _assumptions(inputs: Inputs, gateway_s: float) -> list[Assumption]:
    """One at a time, the others as they are."""
    found = []
    for name, label in (("per_image_ms", "each image"), ("fixed_ms", "each batch")):
        rates, costs = [], []
        bounds: tuple[Bound, Bound, Bound] = ("low", "base", "high")
        for bound in bounds:
            held = sustained(_gpu(inputs, gateway_s, **{name: bound}), inputs.objective, inputs.seed)
            rate, price = helped_gpu_node(
                inputs.prices.gpu_node,
                inputs.prices.cpu_node,
                held.rate,
                gateway_s,
                inputs.gateway_pod.target_utilisation,
            )
            rates.append(held.rate)
            costs.append(price / (rate.images_per_s * 3600) * 1e6)
        found.append(Assumption(label, (rates[0], rates[1], rates[2]), (costs[0], costs[1], costs[2])))
    return found
