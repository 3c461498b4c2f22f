"""What a job's status says of the whole video so far: the model, how many tracks there were, what was counted.

Tracks and counts are those of the job's lines, no more and no less: an attempt that goes on after another takes up the
lines that are there, so nothing is counted twice or lost, however the earlier one has ended.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from typing_extensions import TypedDict

from service.registry.version import LoadedVersion
from service.video.counts import CountParameters
from service.video.track import LISTS


class CountTotals(TypedDict):
    """Events so far, by the names of lines and zones, and then by label."""

    lines: dict[str, dict[str, dict[str, int]]]
    """``to_right`` and ``to_left``."""
    zones: dict[str, dict[str, dict[str, int]]]
    """``entries`` and ``exits``; what began inside has not entered."""


class Tally:
    """Tracks and counts of the lines of one video."""

    def __init__(self, counts: CountParameters | None = None) -> None:
        self._tracks = 0
        self._totals: CountTotals | None = None
        if counts is not None:
            self._totals = {
                "lines": {line.name: {"to_right": {}, "to_left": {}} for line in counts.lines},
                "zones": {zone.name: {"entries": {}, "exits": {}} for zone in counts.zones},
            }

    @classmethod
    def of(cls, path: Path, counts: CountParameters | None) -> "Tally":
        """Of the whole lines of a file, read a line at a time; of none where there is no file."""
        tally = cls(counts)
        for line in _lines(path):
            tally.add(line)
        return tally

    def add(self, fields: Mapping[str, Any]) -> bool:
        """Add a line or its fields; whether that changes anything."""
        ids = (item["track_id"] for name in LISTS for item in fields.get(name, ()) if "track_id" in item)
        tracks, self._tracks = self._tracks, max(self._tracks, max(ids, default=0))
        found = fields.get("counts")
        return (found is not None and self._add(found)) or self._tracks > tracks

    def facts(self) -> dict[str, Any]:
        """``tracks``, the highest id given, and ``counts`` where something is counted; a copy."""
        if self._totals is None:
            return {"tracks": self._tracks}
        return {"tracks": self._tracks, "counts": orjson.loads(orjson.dumps(self._totals))}

    def _add(self, found: Mapping[str, Any]) -> bool:
        if self._totals is None:
            return False
        for crossing in found["crossings"]:
            _count(self._totals["lines"][crossing["line"]][crossing["direction"]], crossing["label"])
        for passage in found["passages"]:
            event = "entries" if passage["event"] == "entry" else "exits"
            _count(self._totals["zones"][passage["zone"]][event], passage["label"])
        return bool(found["crossings"] or found["passages"])


def model_of(version: LoadedVersion) -> dict[str, str]:
    """A version as a summary names it."""
    return {"name": version.card.name, "version": str(version.card.version)}


def _count(labels: dict[str, int], label: str) -> None:
    labels[label] = labels.get(label, 0) + 1


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as file:
            for text in file:
                yield orjson.loads(text)
