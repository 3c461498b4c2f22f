"""The rotating part of the catalogue covers all that the catalogue has."""

from hypothesis import given
from hypothesis import strategies as st

from build_engines.catalog.loader import entries
from build_engines.catalog.rotation import features, subset
from tests.build_engines.orders import an_entry


@given(st.integers(0, 1000))
def test_every_source_task_and_head_is_covered(rotation: int) -> None:
    """Whatever the day, no feature of the catalogue is left out."""
    chosen = subset(entries(), {}, rotation)
    wanted = frozenset().union(*(features(entry) for entry in entries()))
    assert frozenset().union(*(features(entry) for entry in chosen)) == wanted
    assert len(chosen) <= len(wanted)


def test_in_time_every_quick_entry_has_its_turn() -> None:
    """Over as many days as there are entries, each of several equals is chosen once."""
    several = [an_entry(name=name) for name in "abc"]
    assert {entry.name for rotation in range(3) for entry in subset(several, {}, rotation)} == set("abc")


def test_slow_entries_wait_for_the_whole_run() -> None:
    """An entry that takes minutes is chosen only where no other can stand for it."""
    several = [an_entry(name="slow"), an_entry(name="quick")]
    seconds = {"slow": 500.0, "quick": 5.0}
    assert [entry.name for entry in subset(several, seconds, 0)] == ["quick"]
    assert [entry.name for entry in subset(several[:1], seconds, 0)] == ["slow"]


@given(st.integers(0, 1000), st.sets(st.sampled_from([entry.name for entry in entries()])))
def test_a_week_covers_everything(rotation: int, slow: set[str]) -> None:
    """Whatever takes minutes, a week leaves no feature of the catalogue out."""
    seconds = dict.fromkeys(slow, 500.0)
    chosen = [entry for day in range(7) for entry in subset(entries(), seconds, rotation + day)]
    wanted = frozenset().union(*(features(entry) for entry in entries()))
    assert frozenset().union(*(features(entry) for entry in chosen)) == wanted
