"""`python -m deploy.dashboards [FOLDER]`: write every dashboard as JSON, helm/dashboards unless told otherwise."""

import argparse
from pathlib import Path

from deploy.dashboards import DASHBOARDS
from deploy.dashboards.board import as_json

FOLDER = Path(__file__).parents[2] / "helm" / "dashboards"


def main() -> None:
    """Write the files; one that no dashboard is named after is left alone."""
    parser = argparse.ArgumentParser(description="Write Grafana's dashboards of Vitrail.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to (default: helm/dashboards)")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for board in DASHBOARDS:
        (folder / f"{board.name}.json").write_text(as_json(board))


if __name__ == "__main__":
    main()
