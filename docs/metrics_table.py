"""Write the table of every metric into ``docs/metrics.md``, between its two marks.

python docs/metrics_table.py
"""

from pathlib import Path

from service.telemetry import Telemetry
from service.telemetry.declaration import Declared

PAGE = Path(__file__).parent / "metrics.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"


def table(metrics: list[Declared]) -> str:
    """Markdown, a row a metric, in the order of their declaration."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} |" for metric in metrics
    ]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows]) + "\n"


def page(text: str) -> str:
    """The page with the table as the code has it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(Telemetry().declaration.metrics)}{END}{after}"


def main() -> None:
    """Command line."""
    PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    main()
