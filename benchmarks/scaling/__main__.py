"""``python -m benchmarks.scaling``: run the simulation, and write `docs/scaling.md` and its plots."""

import argparse
import sys
import time
from pathlib import Path

from pydantic import ValidationError

from benchmarks.scaling.document import written
from benchmarks.scaling.figures import computed
from benchmarks.scaling.inputs import INPUTS, ROOT, read_inputs
from benchmarks.scaling.plots import write_plots


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Simulate fleets, and write what they need and cost.")
    parser.add_argument("--inputs", type=Path, default=INPUTS)
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "scaling.md")
    given = parser.parse_args()
    try:
        inputs = read_inputs(given.inputs)
    except (OSError, ValidationError) as error:
        sys.exit(f"{given.inputs} cannot be used: {error}")
    begun = time.monotonic()
    figures = computed(inputs, lambda what: print(f"{time.monotonic() - begun:5.0f} s  {what}", file=sys.stderr))
    write_plots(figures, inputs, given.report.parent / "images" / "scaling")
    given.report.write_text(written(figures, inputs), encoding="utf-8")


if __name__ == "__main__":
    main()
