"""The page itself: HTML that needs nothing but itself."""

from collections.abc import Sequence
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from build_engines.comparison.plots import accuracy_plots
from build_engines.comparison.rows import Row, groups


def page(rows: Sequence[Row], problems: Sequence[str], written_at: datetime) -> str:
    """A whole HTML document: a table of all versions, and for each metric and data set its plots.

    ``problems`` are sentences about versions that could not be read. Everything that comes from a card is escaped.
    """
    environment = Environment(
        loader=PackageLoader("build_engines.comparison", ""), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        rows=rows,
        problems=problems,
        groups=[(group, accuracy_plots(group)) for group in groups(rows)],
        written_at=written_at.strftime("%Y-%m-%d %H:%M %Z"),
    )
