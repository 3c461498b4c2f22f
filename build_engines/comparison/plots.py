"""The page's plots: SVG that stands in the page itself and follows its colours, light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any
from zlib import crc32

import matplotlib as mpl
from matplotlib.figure import Figure

from build_engines.comparison.rows import Group, Row

_INK, _GRID = "#010203", "#040506"
_FILLS = ("#0a0b01", "#0a0b02", "#0a0b03")
_CLASSES = {_INK: "var(--ink)", _GRID: "var(--line)"} | {
    colour: f"var(--mark-{number})" for number, colour in enumerate(_FILLS, 1)
}
"""Colours that are drawn with, and what stands for them in the page. Nothing else is drawn in these."""
_SMALLEST, _LARGEST = 40.0, 600.0
"""Areas of marks, in square points."""
_MOST_NAMES = 20


def accuracy_plots(group: Group) -> list[str]:
    """Accuracy against latency, and against the file's size, as SVG; a version without the figure is not drawn."""
    ways: list[tuple[str, Callable[[Row], float | None]]] = [
        ("latency of one image, ms (p50)", lambda row: row.latency.latency_p50_ms if row.latency else None),
        ("size of the model's file, MB", lambda row: row.megabytes),
    ]
    return [svg for label, of in ways if (svg := _scatter(group, label, of))]


def _scatter(group: Group, label: str, of: Callable[[Row], float | None]) -> str:
    """Marks as large as the models' parameters; another shade where the weights are random."""
    points = [(row, value, item.value) for row, item in group.members if (value := of(row)) is not None]
    if not points:
        return ""
    title = f"{group.metric} on {group.dataset} against {label}"
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.2, 3.9), layout="constrained")
        axes = figure.subplots()
        axes.scatter(
            [value for _, value, _ in points],
            [accuracy for _, _, accuracy in points],
            s=_areas([row.card.figures.parameters for row, _, _ in points]),
            c=[_FILLS[0] if row.card.provenance.trained else _FILLS[1] for row, _, _ in points],
            alpha=0.75,
        )
        for row, value, accuracy in points[:_MOST_NAMES]:
            axes.annotate(
                row.name, (value, accuracy), (0, 12), textcoords="offset points", ha="center", fontsize="small"
            )
        axes.set_xlabel(label)
        axes.set_ylabel(group.metric)
        axes.margins(0.2)
        axes.set_xlim(0, 1.3 * max(value for _, value, _ in points))
        lowest, highest = axes.get_ylim()
        axes.set_ylim(max(lowest, -0.05), min(highest, 1.1))
        axes.grid(visible=True)
        return _svg(figure, title, [f"{row.name}: {accuracy:.4g} at {value:.4g}" for row, value, accuracy in points])


def _areas(parameters: Sequence[int]) -> list[float]:
    largest = max(*parameters, 1)
    return [_SMALLEST + (_LARGEST - _SMALLEST) * count / largest for count in parameters]


def _svg(figure: Figure, title: str, described: Sequence[str]) -> str:
    """The figure as an SVG element, with a title and a description for those who cannot see it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, name in _CLASSES.items():
        text = text.replace(colour, name)
    # matplotlib's own description is RDF with addresses, which no reader of the page needs.
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Identifiers must differ from plot to plot, for they all stand in one page.
    prefix = f"p{crc32(title.encode()):x}"
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    told = f"<title>{escape(title)}</title><desc>{escape('; '.join(described))}</desc>"
    return re.sub(r"(<svg[^>]*)>", lambda found: f'{found[1]} role="img">{told}', text, count=1)


_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vitrail",
    "font.family": "sans-serif",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "axes.axisbelow": True,
    "text.parse_math": False,
}
