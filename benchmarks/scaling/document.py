"""Figures → `docs/scaling.md`."""

from benchmarks.scaling import page, tables
from benchmarks.scaling.chart import chart_table
from benchmarks.scaling.figures import HEAVIER, OVERLOAD, SHORT_TOLERATION_S, Figures, gateways_per_gpu, held_bound
from benchmarks.scaling.inputs import Inputs
from benchmarks.scaling.markdown import wrapped


def written(figures: Figures, inputs: Inputs) -> str:
    """The whole page."""
    parts = (_head, _trust, _pod, _growth, _zones, _sizes, _canary, _cost, _how, chart_table)
    return wrapped("\n".join(part(figures, inputs).strip("\n") + "\n" for part in parts))


def _head(figures: Figures, inputs: Inputs) -> str:
    gpu, objective, work = inputs.gpu_pod, inputs.objective, figures.work
    return page.HEAD.format(
        most_gpus=max(inputs.sizes),
        cores=inputs.cpu_pod.cores,
        whole=work.whole_s * 1e3,
        loop=work.event_loop_s * 1e3,
        worker=work.worker_s * 1e3,
        model_ms=work.model_s * 1e3,
        model=inputs.measured.model,
        fixed=gpu.fixed_ms.base,
        each=gpu.per_image_ms.base,
        fixed_low=gpu.fixed_ms.low,
        fixed_high=gpu.fixed_ms.high,
        each_low=gpu.per_image_ms.low,
        each_high=gpu.per_image_ms.high,
        p99=objective.p99_ms,
        refused=objective.refused,
        most_load=objective.most_load,
        short=_short(figures, inputs),
    )


def _short(figures: Figures, inputs: Inputs) -> str:
    naive, proposed = figures.cpu_growth[0], figures.cpu_growth[-1]
    zones, gateway = inputs.zones, inputs.gateway_pod
    return "\n".join(
        [
            (
                f"- A CPU pod of {inputs.cpu_pod.cores} cores holds {figures.cpu.held.rate:.0f} images/s; size it for "
                f"{(zones - 1) / zones:.0%} of that, and a zone may go."
            ),
            (
                "- Decoding bounds a GPU before the GPU does: "
                f"{gateways_per_gpu(figures, inputs)} gateways of {gateway.cores} cores stand before each (as assumed)."
            ),
            (
                f"- A bound of {inputs.cpu_pod.images_in_flight} images in flight is too much for so small a pod: "
                f"{held_bound(figures.cpu, inputs.objective)} keep the objective in overload, and answer as many."
            ),
            (
                f"- Autoscaling by waits and images in flight runs away: for twice the traffic ten pods became "
                f"{naive.most}. Cut at twice the target, {proposed.most}."
            ),
            f"- New nodes take {inputs.start.node_s.base:g} s; only room helps until then.",
            "- A canary needs 100 answers or more, at one gateway, within its window.",
        ]
    )


def _trust(figures: Figures, inputs: Inputs) -> str:
    del inputs
    committed = figures.committed
    measured = figures.open_loop
    opened = (
        page.OPEN.format(machine=measured.machine, date=measured.date, rows=tables.open_loop(figures.open_compared))
        if measured
        else ""
    )
    return page.TRUST.format(
        theory=tables.compared(figures.theory, 1),
        committed=tables.compared(committed),
        median_error=max(abs(row.error) for row in committed if "p50" in row.name or "requests/s" in row.name),
        p99_error=max(-row.error for row in committed if "p99" in row.name),
        open_loop=opened,
    )


def _pod(figures: Figures, inputs: Inputs) -> str:
    cpu, gpu, gateway = figures.cpu, figures.gpu, inputs.gateway_pod
    loop_s = figures.work.event_loop_s + gateway.tensor_call_ms / 1e3

    def growth(pods: object, name: str) -> float:
        points = {round(point.load, 2): point for point in (cpu if pods is cpu else gpu).curve}
        return float(getattr(points[0.8], name) / getattr(points[0.5], name))

    half = next(point for point in gpu.curve if round(point.load, 2) == 0.5)
    return page.POD.format(
        cores=inputs.cpu_pod.cores,
        cpu_held=cpu.held.rate,
        gpu_held=gpu.held.rate,
        cpu=tables.load(cpu),
        gpu=tables.load(gpu),
        flight=growth(cpu, "in_flight"),
        gpu_flight=growth(gpu, "in_flight"),
        busy=half.busy,
        overload=OVERLOAD,
        bounds=tables.bounds(cpu, gpu),
        bound=inputs.cpu_pod.images_in_flight,
        full_s=inputs.cpu_pod.images_in_flight / cpu.pod.capacity,
        p99=inputs.objective.p99_ms,
        cpu_bound=held_bound(figures.cpu, inputs.objective),
        gpu_bound=held_bound(gpu, inputs.objective),
        gateway_ms=figures.gateway_s * 1e3,
        loop_rate=1 / loop_s,
        utilisation=gateway.target_utilisation,
        gateway_rate=gateway.cores * gateway.target_utilisation / figures.gateway_s,
        gateway_cores=gateway.cores,
        gateways=gateways_per_gpu(figures, inputs),
    )


def _growth(figures: Figures, inputs: Inputs) -> str:
    start, told = inputs.start, inputs.kubernetes
    pending = start.scheduling_s.base + start.image_pull_s.base + start.service_s + start.readiness_period_s / 2
    naive = figures.cpu_growth[0]
    return page.GROWTH.format(
        start=pending,
        node=start.node_s.base,
        sync=told.sync_s,
        tolerance=told.tolerance,
        scrape=told.scrape_s,
        cpu=tables.growth(figures.cpu_growth),
        most=naive.most,
        down_hours=naive.most / 60,
        window=list(inputs.autoscaling.cpu.values())[-1].down_window_s,
        gpu_start=pending + start.triton_start_s.base,
        gpu=tables.growth(figures.gpu_growth),
        nodes=" | ".join(f"node in {row.node_s:g} s" for row in figures.lags[:3]),
        lags=tables.lags(figures.lags),
    )


def _zones(figures: Figures, inputs: Inputs) -> str:
    zones, told = inputs.zones, inputs.kubernetes
    return page.ZONES.format(
        zones=zones,
        noticed=told.noticed_s,
        rows=tables.zones(figures.zones, zones),
        safe=(zones - 1) / zones,
        before=zones - 1,
        after=f"{zones}/{zones - 1}",
        grace=told.node_grace_s,
        toleration=told.toleration_s,
        short=told.node_grace_s + SHORT_TOLERATION_S,
    )


def _sizes(figures: Figures, inputs: Inputs) -> str:
    alone = figures.sizes[0]
    return page.SIZES.format(
        most=max(inputs.sizes),
        load=(inputs.zones - 1) / inputs.zones,
        rows=tables.sizes(figures.sizes),
        nodes=inputs.start.nodes_at_once,
        one=f"A fleet of {alone.gpus} has no second zone at all." if alone.gpus < inputs.zones else "",
    )


def _canary(figures: Figures, inputs: Inputs) -> str:
    shares = [f"{share:.0%}" for share in inputs.canary.shares]
    quick, slowest = figures.slow[0], figures.slow[-1]
    blind = [row for row in figures.slow if row.slower >= 3 and row.sent_back_after_s is None]
    finding = (
        f"Without a slower canary p99 is {quick.all_p99_ms:.0f} ms. One {slowest.slower:g} times slower with "
        f"{slowest.share:.0%} of the callers makes it {slowest.all_p99_ms:,.0f} ms for all: it takes everybody's "
        "processors. **Keep a canary's share at a tenth or less.**"
    )
    if blind:
        finding += (
            " And do not rely on `max_p99_ratio` for it: of "
            f"{sum(row.slower >= 3 for row in figures.slow)} canaries three or more times slower it let {len(blind)} "
            "stay in busy pods. It compares p99 in the engine with the queue, and stable, whose images go in larger "
            "batches, waits for the same processors. The comparison's own latency ratio, of computing times, and the "
            "objective's alert do tell."
        )
    return page.CANARY.format(
        need=20,
        window=60.0,
        least=20 / 60,
        shares=" | ".join(f"share {share}" for share in shares),
        dashes="---|" * len(shares),
        decisions=tables.decisions(figures.decisions, inputs),
        alarms=tables.alarms(figures.alarms),
        slow=tables.slow(figures.slow, figures.slow_idle),
        finding=finding,
    )


def _cost(figures: Figures, inputs: Inputs) -> str:
    prices = inputs.prices
    named = (
        ("CPU node", prices.cpu_node),
        ("GPU node", prices.gpu_node),
        ("node of four GPUs", prices.gpu_node_of_four),
    )
    rows = {row.node: row for row in figures.costs}
    cpu, heavy, gpu = rows["CPU node"], rows["CPU node, heavy model"], rows["GPU node"]
    each = figures.assumptions[0].costs
    return page.COST.format(
        prices=", ".join(f"{name} {node.price:.2f} an hour for {node.cores} cores" for name, node in named),
        peak=inputs.day.peak,
        model=inputs.measured.model,
        heavier=HEAVIER,
        costs=tables.costs(figures.costs),
        assumptions=tables.assumptions(figures.assumptions),
        finding=(
            f"A GPU node makes a million of the heavy model for {gpu.full:.2f}, CPU nodes for {heavy.full:.2f}; of the "
            f"small one CPU nodes do for {cpu.full:.2f}, and there a GPU gains little: its node's processors decode "
            f"{gpu.rate.images_per_s:,.0f} images/s and no more ({gpu.rate.by} is what bounds it), however quick the "
            f"GPU is. Within what is assumed of the GPU a million cost {each[0]:.2f} to {each[2]:.2f}: **measure your "
            "model on your GPU** (`benchmarks/gpu.sh`) before you buy many, and buy processors with it."
        ),
    )


def _how(figures: Figures, inputs: Inputs) -> str:
    del figures
    return page.HOW.format(most=max(inputs.sizes))
