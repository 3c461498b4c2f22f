"""Which of a card's labels a data set's class means."""

import re
from collections import defaultdict
from collections.abc import Sequence


def indices_by_name(names: Sequence[str], labels: Sequence[str]) -> list[frozenset[int]]:
    """For each name of a data set the numbers of the labels that mean it; empty where none does.

    Names are compared without case, and with ``_`` and ``-`` as spaces. Where no label is the whole name, a synonym of
    one counts (``tabby, tabby cat``). Several labels may mean one name: ImageNet has two cranes.
    """
    whole, parts = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    for index, label in enumerate(labels):
        whole[_plain(label)].add(index)
        for synonym in _synonyms(label):
            parts[synonym].add(index)
    return [frozenset(whole.get(_plain(name), ()) or _any(parts, name)) for name in names]


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _any(parts: dict[str, set[int]], name: str) -> set[int]:
    return {index for synonym in _synonyms(name) for index in parts.get(synonym, ())}


def _synonyms(name: str) -> list[str]:
    return [plain for part in re.split(r"[,;]", name) if (plain := _plain(part))]


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-\s]+", " ", name).casefold().split())
