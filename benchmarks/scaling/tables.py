"""Rows of the document's tables, as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks.scaling.canary import Alarms, Decision, Slow
from benchmarks.scaling.cost import Cost
from benchmarks.scaling.figures import Assumption, Lag, Pods, Size, ZoneLoss
from benchmarks.scaling.growth import Outcome
from benchmarks.scaling.inputs import Inputs
from benchmarks.scaling.validation import Compared, OpenLoopPart

_SHOWN_LOADS = (0.3, 0.5, 0.65, 0.8, 0.9, 1.0, 1.3)
_SHOWN_BOUNDS = (16, 32, 64, 128, 256, 512)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Lines of cells."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def compared(rows: Sequence[Compared], digits: int = 0) -> str:
    """Known, simulated, and the error."""
    return table(
        (
            row.name,
            f"{row.known:.{digits}f} {row.unit}".strip(),
            f"{row.simulated:.{digits}f} {row.unit}".strip(),
            f"{row.error:+.0%}",
        )
        for row in rows
    )


def open_loop(parts: Sequence[tuple[OpenLoopPart, list[Compared]]]) -> str:
    """One row a rate: measured → simulated."""
    return table(
        (
            f"{part.rate:g}",
            f"{part.refused}",
            f"{part.service_cpu_ms:.1f}",
            *(f"{row.known:.0f} → {row.simulated:.0f} ({row.error:+.0%})" for row in rows),
        )
        for part, rows in parts
    )


def load(pods: Pods) -> str:
    """A pod by its load."""
    return table(
        (
            f"{point.load:.0%}",
            f"{point.rate:.0f}",
            f"{point.p50_ms:.0f} / {point.p95_ms:.0f} / {point.p99_ms:.0f}",
            f"{point.refused:.1%}",
            f"{point.wait_ms:.1f} / {point.wait_p95_ms:.0f}",
            f"{point.in_flight:.1f}",
            f"{point.batch:.1f}",
            f"{point.busy:.0%}",
        )
        for point in pods.curve
        if round(point.load, 2) in _SHOWN_LOADS
    )


def bounds(cpu: Pods, gpu: Pods) -> str:
    """Both pods by their bound on images in flight."""
    gpus = dict(gpu.bounds)
    return table(
        (
            str(bound),
            f"{point.answered:.0f}",
            f"{point.p50_ms:.0f} / {point.p99_ms:.0f}",
            f"{gpus[bound].answered:.0f}" if bound in gpus else "",
            f"{gpus[bound].p50_ms:.0f} / {gpus[bound].p99_ms:.0f}" if bound in gpus else "",
        )
        for bound, point in cpu.bounds
        if bound in _SHOWN_BOUNDS
    )


def growth(outcomes: Sequence[Outcome]) -> str:
    """Ways to follow the same growth."""
    return table(
        (
            outcome.name,
            f"{outcome.failed:.2%}",
            f"{outcome.failed_for_s:.0f}",
            f"{outcome.pods} → {outcome.most} → {outcome.at_end}",
            f"{outcome.pod_hours:.0f}",
        )
        for outcome in outcomes
    )


def lags(rows: Sequence[Lag]) -> str:
    """Room by the time that nodes take."""
    lines = []
    for load in sorted({row.load for row in rows}):
        chosen = [row.outcome for row in rows if row.load == load]
        lines.append((f"{load:.0%}", *(f"{outcome.failed_for_s:.0f} s, {outcome.failed:.2%}" for outcome in chosen)))
    return table(lines)


def zones(rows: Sequence[ZoneLoss], zones_in_all: int) -> str:
    """A zone lost at several loads."""
    return table(
        (
            f"{row.load:.0%}",
            f"{row.load * zones_in_all / (zones_in_all - 1):.0%}",
            "yes" if row.followed else "no",
            f"{row.toleration_s:.0f} s",
            f"{row.outcome.failed_for_s:.0f} s",
            f"{row.outcome.failed:.2%}",
            f"{row.outcome.p99_ms:.0f}",
            str(row.outcome.most),
        )
        for row in rows
    )


def sizes(rows: Sequence[Size]) -> str:
    """Fleets from one GPU on."""
    return table(
        (
            f"{row.gpus:,}",
            f"{row.rate:,.0f}",
            f"{row.gateways:,}",
            f"{row.price:,.2f}",
            f"{row.grown.failed:.2%}",
            f"{row.grown.failed_for_s:.0f}",
            f"{row.grown.p99_ms:.0f}",
            f"{row.grown.most:,}",
        )
        for row in rows
    )


def decisions(rows: Sequence[Decision], inputs: Inputs) -> str:
    """Rates by shares: how long until there is enough to judge by."""
    lines = []
    for rate in inputs.canary.rates:
        chosen = [row for row in rows if row.rate == rate]
        cells = [f"{row.median_s:.0f} s" if row.median_s < float("inf") else "never" for row in chosen]
        lines.append((f"{rate:g}", str(chosen[0].gateways), *cells))
    return table(lines)


def alarms(rows: Sequence[Alarms]) -> str:
    """How many must be seen."""
    return table(
        (str(row.min_requests), f"{row.wrongly:.0%}", f"{row.caught:.0%}", f"{row.after_s:.0f} s") for row in rows
    )


def slow(rows: Sequence[Slow], idle: Sequence[Slow]) -> str:
    """Canaries that are slower, in busy pods and in idle ones."""
    return table(
        (
            f"{row.slower:g}",
            f"{row.share:.0%}",
            f"{row.stable_p99_ms:.0f}",
            f"{row.canary_p99_ms:.0f}",
            f"{row.all_p99_ms:.0f}",
            f"{row.refused:.1%}",
            _rule(row),
            _rule(other),
        )
        for row, other in zip(rows, idle, strict=True)
    )


def _rule(row: Slow) -> str:
    return "stays" if row.sent_back_after_s is None else f"back after {row.sent_back_after_s:.0f} s"


def costs(rows: Sequence[Cost]) -> str:
    """Kinds of nodes."""
    return table(
        (
            row.node,
            f"{row.rate.images_per_s:,.0f}",
            row.rate.by,
            f"{row.full:.2f}",
            f"{row.reserve:.2f}",
            f"{row.autoscaled:.2f}",
            f"{row.for_the_peak:.2f}",
        )
        for row in rows
    )


def assumptions(rows: Sequence[Assumption]) -> str:
    """What the assumptions change."""
    return table(
        (
            f"time of {row.name}",
            " / ".join(f"{rate:,.0f}" for rate in row.rates),
            " / ".join(f"{cost:.2f}" for cost in row.costs),
        )
        for row in rows
    )
