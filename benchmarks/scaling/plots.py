"""The document's plots: small PNGs on a light card, so that they can be read on dark pages too."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.scaling.figures import OVERLOAD, Figures, Pods
from benchmarks.scaling.growth import Outcome
from benchmarks.scaling.histogram import percentile_ms
from benchmarks.scaling.inputs import Inputs

_COLOURS = ("#2563a8", "#c2571a", "#3a7d44", "#8b4a9c", "#6b6b6b")
_SMOOTH_S = 10
_PALETTE = 96
"""Colours of a picture: enough for smooth lines, and a third of the bytes."""
_STYLE: Any = {
    "figure.facecolor": "#fbfbf9",
    "axes.facecolor": "#fbfbf9",
    "savefig.facecolor": "#fbfbf9",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3de",
    "axes.edgecolor": "#8a8a86",
    "axes.labelcolor": "#333333",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "font.size": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "axes.prop_cycle": cycler(color=_COLOURS),
}


def write_plots(figures: Figures, inputs: Inputs, folder: Path) -> None:
    """All plots, as PNG files in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        _load(figures, inputs, folder / "load.png")
        _bound(figures, inputs, folder / "bound.png")
        _growth(figures.cpu_growth, folder / "growth_cpu.png")
        _growth(figures.gpu_growth, folder / "growth_gpu.png")
        _zone(figures, folder / "zone.png")
        _canary(figures, folder / "canary.png")
        _cost(figures, folder / "cost.png")


@contextmanager
def _plot(path: Path, columns: int, height: float = 2.9) -> Iterator[list[Axes]]:
    """Axes side by side, saved at the end without a version, so that the same figures give the same file."""
    figure = Figure(figsize=(8.4, height), layout="constrained")
    yield list(np.ravel(figure.subplots(1, columns)))
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100, format="png")
    Image.open(drawn).convert("RGB").quantize(_PALETTE, dither=Image.Dither.NONE).save(path, optimize=True)


def _load(figures: Figures, inputs: Inputs, path: Path) -> None:
    with _plot(path, 2) as axes:
        for ax, pods, name in zip(
            axes, (figures.cpu, figures.gpu), ("CPU pod (measured)", "GPU (assumed)"), strict=True
        ):
            rates = [point.rate for point in pods.curve]
            for label in ("p50_ms", "p95_ms", "p99_ms"):
                ax.plot(rates, [getattr(point, label) for point in pods.curve], label=label[:3])
            ax.axhline(inputs.objective.p99_ms, color="#999999", linestyle=":")
            ax.axvline(pods.held.rate, color="#999999", linestyle=":")
            ax.set(title=name, xlabel="images/s that come", ylabel="ms", yscale="log")
            ax.legend()


def _bound(figures: Figures, inputs: Inputs, path: Path) -> None:
    with _plot(path, 2) as axes:
        for ax, pods, name in zip(axes, (figures.cpu, figures.gpu), ("CPU pod", "GPU"), strict=True):
            _bound_of(ax, pods)
            ax.axhline(inputs.objective.p99_ms, color="#999999", linestyle=":")
            ax.set_title(f"{name}, {OVERLOAD:g} times its capacity")


def _bound_of(ax: Axes, pods: Pods) -> None:
    bounds = [bound for bound, _ in pods.bounds]
    for label in ("p50_ms", "p99_ms"):
        ax.plot(bounds, [getattr(point, label) for _, point in pods.bounds], marker=".", label=label[:3])
    ax.set(xlabel="images in flight, at most", ylabel="ms of the answered", xscale="log", yscale="log")
    ax.set_xticks(bounds, [str(bound) for bound in bounds], minor=False)
    ax.tick_params(axis="x", labelrotation=45)
    ax.minorticks_off()
    ax.legend()


def _growth(outcomes: list[Outcome], path: Path) -> None:
    with _plot(path, 2) as (pods, failing):
        for outcome in outcomes:
            history = outcome.history
            minutes = np.array(history.seconds) / 60
            pods.plot(minutes, history.ready, label=outcome.name)
            failed = np.array(history.refused) + np.array(history.lost)
            share = failed / np.maximum(failed + np.array(history.answered), 1)
            failing.plot(minutes, np.convolve(share, np.ones(_SMOOTH_S) / _SMOOTH_S, "same") * 100, label=outcome.name)
        pods.set(title="pods that are ready", xlabel="minutes", yscale="log")
        failing.set(title="refused, %", xlabel="minutes", ylim=(0, None))
        pods.legend()


def _zone(figures: Figures, path: Path) -> None:
    with _plot(path, 2) as axes:
        for ax, followed in zip(axes, (True, False), strict=True):
            rows = [row for row in figures.zones if row.followed == followed]
            longest = max(row.toleration_s for row in rows)
            for row in rows:
                if row.toleration_s == longest:
                    history = row.outcome.history
                    moments = range(0, len(history.seconds), _SMOOTH_S)
                    p99 = [percentile_ms(np.sum(history.latencies[at : at + _SMOOTH_S], axis=0), 99) for at in moments]
                    ax.plot(np.array(moments) / 60, p99, label=f"{row.load:.0%} before")
            title = "followed by the autoscaler" if followed else "without autoscaler"
            ax.set(title=f"p99, ms; {title}", xlabel="minutes", yscale="log", ylim=(20, 4000))
        axes[0].legend(ncols=2)


def _canary(figures: Figures, path: Path) -> None:
    with _plot(path, 2) as (alarms, slow):
        needs = [row.min_requests for row in figures.alarms]
        alarms.plot(needs, [row.wrongly * 100 for row in figures.alarms], marker="o", label="good, sent back")
        alarms.plot(needs, [row.caught * 100 for row in figures.alarms], marker="o", label="bad, sent back")
        alarms.set(title="judged by faults within an hour, %", xlabel="min_requests", xscale="log", ylim=(-3, 103))
        alarms.set_xticks(needs, [str(need) for need in needs], minor=False)
        alarms.minorticks_off()
        alarms.legend()
        for share in sorted({row.share for row in figures.slow}):
            rows = [row for row in figures.slow if row.share == share]
            p99s = [row.all_p99_ms for row in rows]
            slow.plot([row.slower for row in rows], p99s, marker="o", label=f"share {share:.0%}")
        slow.set(title="p99 of all callers, ms", xlabel="how many times slower the canary is", yscale="log")
        slow.legend()


def _cost(figures: Figures, path: Path) -> None:
    with _plot(path, 2, height=2.6) as (nodes, assumed):
        names = [row.node.replace(" and ", "\nand ").replace(" of ", "\nof ") for row in figures.costs]
        places = np.arange(len(names))
        for offset, label in ((-0.3, "full"), (-0.1, "reserve"), (0.1, "autoscaled"), (0.3, "for_the_peak")):
            values = [getattr(row, label) for row in figures.costs]
            nodes.barh(places + offset, values, height=0.19, label=label.replace("_", " "))
        nodes.set_yticks(places, names)
        nodes.invert_yaxis()
        nodes.set(title="a million images")
        nodes.legend()
        labels = [row.name for row in figures.assumptions]
        for place, row in enumerate(figures.assumptions):
            low, base, high = row.costs
            assumed.barh(place, high - low, left=low, height=0.4, color=_COLOURS[0])
            assumed.plot([base, base], [place - 0.3, place + 0.3], color="#333333")
        assumed.set_yticks(range(len(labels)), [f"time of\n{label}" for label in labels])
        assumed.set(title="the GPU's, within what is assumed", xlim=(0, None))
