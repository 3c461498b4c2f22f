"""Which versions give their memory to another."""

from hypothesis import given
from hypothesis import strategies as st

from service.registry.eviction import LOW_WATER, Resident, evicted

RESIDENTS = st.lists(
    st.builds(
        Resident,
        key=st.tuples(st.just("model"), st.integers(1, 1000)),
        memory_bytes=st.integers(1, 100),
        idle_s=st.none() | st.floats(0, 100),
        pinned=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda resident: resident.key,
)


@given(RESIDENTS, st.integers(0, 200), st.integers(1, 500), st.floats(0, 50))
def test_what_goes_makes_room_and_may_go(residents: list[Resident], needed: int, limit: int, min_idle_s: float) -> None:
    """What is left fits; nothing goes that is pinned, in use or was used just now; nothing goes without need."""
    going = evicted(residents, needed, limit, min_idle_s)
    by_key = {resident.key: resident for resident in residents}
    may_go = {r.key for r in residents if not r.pinned and r.idle_s is not None and r.idle_s >= min_idle_s}
    used = sum(r.memory_bytes for r in residents) + needed
    if going is None:
        assert used - sum(by_key[key].memory_bytes for key in may_go) > limit
        return
    assert set(going) <= may_go
    assert used - sum(by_key[key].memory_bytes for key in going) <= limit
    assert used > limit or not going


@given(RESIDENTS, st.integers(0, 200), st.integers(1, 500))
def test_the_longest_idle_go_first(residents: list[Resident], needed: int, limit: int) -> None:
    """Of those that may go, none stays that was idle for longer than one that goes."""
    going = evicted(residents, needed, limit, 0)
    idle = {r.key: r.idle_s for r in residents if not r.pinned and r.idle_s is not None}
    if going:
        assert min(idle[key] for key in going) >= max((idle[key] for key in idle.keys() - set(going)), default=0)


def test_more_goes_than_must() -> None:
    """Once one version goes others follow until some room is left, so that the next load need not evict again."""
    residents = [Resident(("model", number), 10, float(number), pinned=False) for number in range(1, 11)]
    going = evicted(residents, 1, 100, 0)
    assert going == [("model", 10), ("model", 9)]
    assert 100 * LOW_WATER >= 100 - 20 + 1
