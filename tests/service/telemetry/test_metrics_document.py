"""The document of the metrics says what the code declares."""

import importlib.util
from pathlib import Path

from service.telemetry import Telemetry

DOCS = Path(__file__).parents[3] / "docs"
SPEC = importlib.util.spec_from_file_location("metrics_table", DOCS / "metrics_table.py")
assert SPEC is not None
assert SPEC.loader is not None
metrics_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(metrics_table)


def test_the_table_is_that_of_the_code() -> None:
    """docs/metrics.md is what `python docs/metrics_table.py` writes."""
    text = (DOCS / "metrics.md").read_text()
    assert metrics_table.page(text) == text


def test_every_metric_stands_in_it() -> None:
    """What the service exposes under its own name is in the table, with its labels and in words."""
    declared = {metric.name: metric for metric in Telemetry().declaration.metrics}
    families = [family for family in Telemetry().registry.collect() if family.name.startswith("vitrail_")]
    assert {family.name + ("_total" if family.type == "counter" else "") for family in families} == declared.keys()
    assert all(metric.meaning.endswith(".") for metric in declared.values())
