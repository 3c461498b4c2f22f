"""Panels as all dashboards have them: lines, stacked areas, single figures, heat maps, bars, tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from grafana_foundation_sdk.builders import barchart, common, heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    GridPos,
    Panel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.dashboards.colours import QUIET
from deploy.dashboards.promql import RANGE, quantile

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The one that is chosen at the top."""


class Unit(StrEnum):
    """Grafana's names of units."""

    SECONDS = "s"
    PER_SECOND = "cps"
    REQUESTS_PER_SECOND = "reqps"
    SHARE = "percentunit"
    PERCENT = "percent"
    NUMBER = "short"
    BYTES = "bytes"
    MEBIBYTES = "mbytes"
    BYTES_PER_SECOND = "Bps"
    WATTS = "watt"
    CELSIUS = "celsius"
    PLAIN = "none"


@dataclass(frozen=True, slots=True)
class Query:
    """What a panel asks."""

    expression: str
    legend: str = ""
    """With a label in double braces; ``__auto`` shows all labels."""
    exemplars: bool = False
    """Also the traces that stand beside the histogram."""


def percentiles(metric: str, where: str, *of: float, exemplars: bool = False) -> list[Query]:
    """Quantiles of a histogram, named p50 and so on; traces, if wanted, stand at the last."""
    return [Query(quantile(q, metric, where), f"p{round(q * 100)}", exemplars=exemplars and q == of[-1]) for q in of]


@dataclass(frozen=True, slots=True)
class Stacked:
    """How areas stand upon one another."""

    mode: StackingMode = StackingMode.NORMAL


STACKED, PARTS = Stacked(), Stacked(StackingMode.PERCENT)


def lines(
    title: str,
    description: str,
    unit: Unit,
    *queries: Query,
    width: int = 8,
    colours: Mapping[str, str] | None = None,
    stacked: Stacked | None = None,
    top: float | None = None,
    logarithmic: bool = False,
    link: tuple[str, str] | None = None,
) -> Panel:
    """Values over time.

    Args:
        title: what it is, in a few words.
        description: what to think of it; Grafana shows it at the corner.
        unit: of all values.
        queries: one line for each series that they give.
        width: of 24.
        colours: by a line's name, or a regular expression between slashes; other lines' follow from their names.
        stacked: areas instead of lines.
        top: where the axis ends; by default at the highest value.
        logarithmic: the axis has a decade after a decade.
        link: title and address of where a click on a line leads.
    """
    builder = timeseries.Panel().unit(unit).color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    builder.legend(_legend()).tooltip(
        common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    )
    builder.line_width(0 if stacked else 1.5).fill_opacity(75 if stacked else 6).show_points(VisibilityMode.AUTO)
    if stacked is not None:
        builder.stacking(common.StackingConfig().mode(stacked.mode).group("A"))
    if logarithmic:
        builder.scale_distribution(common.ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    else:
        builder.min(0)
    if top is not None:
        builder.max(top)
    if link is not None:
        builder.data_links([DashboardLink(link[0]).type(DashboardLinkType.LINK).url(link[1])])
    for name, colour in (colours or {}).items():
        override = builder.override_by_regexp if name.startswith("/") else builder.override_by_name
        override(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return _panel(builder, title, description, queries, width, 8)


def figure(
    title: str,
    description: str,
    unit: Unit,
    *queries: Query,
    width: int = 3,
    steps: Sequence[tuple[float, str]] = (),
    decimals: int | None = None,
) -> Panel:
    """The latest value in large digits, with its course behind it.

    Args:
        title: see `lines`, as are the others.
        description: see there.
        unit: see there.
        queries: the values; with more than one, each has its name.
        width: of 24.
        steps: from which value on it has which colour, ascending; quiet below the first.
        decimals: digits behind the point.
    """
    thresholds = [Threshold(None, QUIET), *(Threshold(value, colour) for value, colour in steps)]
    builder = stat.Panel().unit(unit).graph_mode(BigValueGraphMode.AREA)
    builder.color_mode(BigValueColorMode.VALUE if steps else BigValueColorMode.NONE)
    builder.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds))
    builder.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    if decimals is not None:
        builder.decimals(decimals)
    return _panel(builder, title, description, queries, width, 4)


def heat(title: str, description: str, unit: Unit, query: Query, width: int = 12) -> Panel:
    """How the buckets of a histogram fill over time; the query gives them by the label ``le``.

    Args:
        title: see `lines`, as are the others.
        description: see there.
        unit: of the buckets' bounds.
        query: the buckets.
        width: of 24.
    """
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").exponent(0.5).steps(64)
    builder = heatmap.Panel().unit(unit).calculate(False).color(colour).y_axis(heatmap.YAxisConfig().unit(unit))
    return _panel(builder, title, description, [query], width, 8, PromQueryFormat.HEATMAP)


def waterfall(title: str, description: str, unit: Unit, query: Query, row: str, colours: Mapping[str, str]) -> Panel:
    """One bar for each value of the label ``row``, made of one piece for each stage.

    Args:
        title: see `lines`, as are the others.
        description: see there.
        unit: of the pieces.
        query: the pieces at one moment, with the labels ``row`` and ``stage``.
        row: the label that has a bar.
        colours: of the pieces, in their order.
    """
    # Grafana calls the column with the names of the rows by both labels.
    rows = f"{row}\\stage"
    builder = barchart.Panel().unit(unit).orientation(VizOrientation.HORIZONTAL).x_field(rows)
    builder.stacking(StackingMode.NORMAL).show_value(VisibilityMode.NEVER).fill_opacity(85).line_width(0).legend(
        _legend()
    )
    builder.min(0)
    matrix = {"columnField": "stage", "rowField": row, "valueField": "Value", "emptyValue": "zero"}
    order = {name: place for place, name in enumerate([rows, *colours])}
    builder.transformations([_change("groupingToMatrix", matrix), _change("organize", {"indexByName": order})])
    for name, colour in colours.items():
        builder.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    return _panel(builder, title, description, [query], 24, 9, PromQueryFormat.TABLE)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name, its unit, and what it shows."""

    name: str
    unit: Unit
    expression: str


def overview(title: str, description: str, rows: Sequence[str], *columns: Column, width: int = 24) -> Panel:
    """A table at one moment: a row for each combination of labels, a column for each query.

    Args:
        title: see `lines`, as is the description.
        description: see there.
        rows: the labels that all queries have in common; they are the first columns.
        columns: the others.
        width: of 24.
    """
    values = {f"Value #{_letter(place)}": column for place, column in enumerate(columns)}
    order = {name: place for place, name in enumerate([*rows, *values])}
    shown = {
        "excludeByName": {"Time": True},
        "indexByName": order,
        "renameByName": {name: column.name for name, column in values.items()},
    }
    builder = table.Panel().unit(Unit.PLAIN).transformations([_change("merge", {}), _change("organize", shown)])
    for column in columns:
        builder.override_by_name(column.name, [DynamicConfigValue("unit", column.unit.value)])
    queries = [Query(column.expression) for column in columns]
    return _panel(builder, title, description, queries, width, 8, PromQueryFormat.TABLE)


def _panel(
    builder: Builder[Panel],
    title: str,
    description: str,
    queries: Sequence[Query],
    width: int,
    height: int,
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> Panel:
    panel = builder.build()
    panel.title, panel.description, panel.datasource = title, description, SOURCE
    panel.grid_pos = GridPos(h=height, w=width)
    panel.targets = [_target(query, _letter(place), form).build() for place, query in enumerate(queries)]
    return panel


def _target(query: Query, name: str, form: PromQueryFormat) -> Dataquery:
    target = Dataquery().ref_id(name).expr(query.expression).datasource(SOURCE).format(form)
    target.legend_format("{{le}}" if form is PromQueryFormat.HEATMAP else query.legend or "__auto")
    if query.exemplars:
        target.exemplar(True)
    # What is asked of all the time that is shown has one value, not one at every step.
    return target.instant() if form is PromQueryFormat.TABLE or RANGE in query.expression else target.range()


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
    )


def _change(name: str, options: Mapping[str, Any]) -> DataTransformerConfig:
    return DataTransformerConfig(id_val=name, options=options)
