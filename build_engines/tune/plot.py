"""A picture of a tuning: what an image costs, and how many go through, by batch size."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from build_engines.artifact import BuildFailure
from contract.card import Measurement, Tuning

_SUFFIXES = (".png", ".svg")


def write_plot(result: Tuning, title: str, file: Path) -> None:
    """Write a PNG or SVG of two panels, by the file's suffix.

    Left: the latency of a whole batch (p50, and p99 as a faint line); right: images a second of all callers together.
    A line for each way of sharing the processors; dotted verticals stand at the preferred batch sizes. Raises
    BuildFailure for another suffix, or where the file cannot be written.
    """
    require_suffix(file)
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    latency, throughput = figure.subplots(1, 2)
    _panel(latency, result, "ms a batch", lambda item: item.latency_p50_ms, lambda item: item.latency_p99_ms)
    _panel(throughput, result, "images a second", lambda item: item.images_per_second)
    latency.set_title("latency, p50 (faint: p99)")
    throughput.set_title("throughput")
    throughput.legend(fontsize="small")
    figure.suptitle(f"{title}\n{result.machine}", fontsize="medium")
    try:
        with mpl.rc_context({"svg.fonttype": "none"}):
            figure.savefig(file, dpi=150, metadata={"Title": title})
    except OSError as error:
        raise BuildFailure(f"the plot cannot be written: {error}", "name another file with --plot") from error


def require_suffix(file: Path) -> None:
    """Refuse, before anything is measured, a file that no plot can be written into; BuildFailure."""
    if file.suffix.lower() not in _SUFFIXES:
        raise BuildFailure(f"{file.name} is neither a PNG nor an SVG", "name the plot's file .png or .svg")


def _panel(
    axes: Axes,
    result: Tuning,
    unit: str,
    value: Callable[[Measurement], float],
    upper: Callable[[Measurement], float] | None = None,
) -> None:
    sizes = sorted({item.batch_size for item in result.measurements})
    for way in dict.fromkeys((item.callers, item.threads) for item in result.measurements):
        items = [item for item in result.measurements if (item.callers, item.threads) == way]
        places = [item.batch_size for item in items]
        (line,) = axes.plot(places, [value(item) for item in items], marker="o", label=_label(*way))
        if upper is not None:
            axes.plot(places, [upper(item) for item in items], color=line.get_color(), alpha=0.3)
    for size in result.preferred_batch_sizes:
        axes.axvline(size, color="grey", linestyle=":", linewidth=1)
    axes.set_xticks(sizes)
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.set_xlabel("batch size")
    axes.set_ylabel(unit)
    axes.grid(alpha=0.3)


def _label(callers: int, threads: int) -> str:
    return f"{callers} caller{'' if callers == 1 else 's'} x {threads} thread{'' if threads == 1 else 's'}"
