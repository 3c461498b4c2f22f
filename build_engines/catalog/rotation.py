"""A part of the catalogue that covers every source, task and head, and another part each day."""

from collections.abc import Mapping, Sequence

from build_engines.catalog.entry import Entry

_LONG_S = 10.0
"""Entries that take longer are left to the run over the whole catalogue, where others can stand for them; where none
can, they have their turn once a week."""
_TURNS = 7

Feature = tuple[str, str]


def features(entry: Entry) -> frozenset[Feature]:
    """What a build of the entry puts to the test."""
    found = {("source", entry.source.kind), ("task", entry.task.value)}
    if entry.head is not None:
        found.add(("head", entry.head.kind))
    return frozenset(found)


def subset(entries: Sequence[Entry], seconds: Mapping[str, float], rotation: int) -> tuple[Entry, ...]:
    """Few entries that have together all features of all entries; another ``rotation`` chooses others where it can.

    Features that only long builds have are in every seventh rotation, a seventh of them in each.

    ``seconds``: how long each entry's build took, by name; entries unknown to it count as quick.
    """
    bearers: dict[Feature, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.name):
        for feature in features(entry):
            bearers.setdefault(feature, []).append(entry)
    chosen: dict[str, Entry] = {}
    covered: set[Feature] = set()
    # What few entries have comes first, for those bring common features along.
    for place, feature in enumerate(sorted(bearers, key=lambda feature: (len(bearers[feature]), feature))):
        if feature not in covered:
            quick = [entry for entry in bearers[feature] if seconds.get(entry.name, 0) <= _LONG_S]
            candidates = quick or sorted(bearers[feature], key=lambda entry: seconds[entry.name])[:1]
            entry = candidates[rotation % len(candidates)]
            if not quick and (rotation + place) % _TURNS:
                continue
            chosen[entry.name] = entry
            covered |= features(entry)
    return tuple(chosen[name] for name in sorted(chosen))
