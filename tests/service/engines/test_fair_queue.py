"""Fair queueing among flows."""

from hypothesis import given
from hypothesis import strategies as st

from service.engines.fair_queue import FairQueue

Arrivals = st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.booleans()), max_size=60)


def _drained(queue: FairQueue[str]) -> list[str]:
    return [queue.take()[3] for _ in range(len(queue))]


def test_without_flows_it_is_first_come_first_served() -> None:
    """Items without a flow keep the order of their arrival."""
    queue: FairQueue[str] = FairQueue()
    for item in "abcdef":
        queue.put(item)
    assert _drained(queue) == list("abcdef")


def test_one_flow_keeps_its_order() -> None:
    """Items of one flow alone keep the order of their arrival."""
    queue: FairQueue[str] = FairQueue()
    for item in "abcdef":
        queue.put(item, "camera")
    assert _drained(queue) == list("abcdef")


def test_a_caller_passes_a_stream_that_has_many_waiting() -> None:
    """Whoever comes after ten frames of one stream waits for one of them at most."""
    queue: FairQueue[str] = FairQueue()
    for number in range(10):
        queue.put(f"frame {number}", "camera")
    queue.put("image")
    assert _drained(queue)[:3] == ["frame 0", "image", "frame 1"]


def test_flows_take_turns() -> None:
    """Two streams with many frames each are served in turn."""
    queue: FairQueue[str] = FairQueue()
    for flow in "ab":
        for _ in range(3):
            queue.put(flow, flow)
    assert _drained(queue) == ["a", "b", "a", "b", "a", "b"]


def test_what_was_not_used_is_no_credit() -> None:
    """A stream that was silent for long gets no more than its turn when it comes back."""
    queue: FairQueue[str] = FairQueue()
    for number in range(6):
        queue.put(f"busy {number}", "busy")
    taken = [queue.take()[3] for _ in range(4)]
    for number in range(2):
        queue.put(f"back {number}", "back")
    assert taken + _drained(queue) == [*(f"busy {n}" for n in range(4)), "busy 4", "back 0", "busy 5", "back 1"]


def test_what_is_put_back_is_next_again() -> None:
    """An item that was taken in vain has its place again."""
    queue: FairQueue[str] = FairQueue()
    for item in "abc":
        queue.put(item, "camera")
    places = [queue.take() for _ in range(3)]
    queue.put_back(places[1:], places[0])
    queue.put("d", "camera")
    assert _drained(queue) == ["b", "c", "d"]


def test_who_comes_after_a_vain_attempt_takes_part() -> None:
    """A caller passes a stream's frames also where these were taken and put back a moment ago."""
    queue: FairQueue[str] = FairQueue()
    for number in range(4):
        queue.put(f"frame {number}", "camera")
    places = [queue.take() for _ in range(4)]
    queue.put_back(places[1:], places[0])
    queue.put("image")
    assert _drained(queue) == ["frame 1", "image", "frame 2", "frame 3"]


def test_vain_attempts_hold_up_nobody() -> None:
    """Where all but one of what was taken is put back each time, a stream has its turn beside callers that come."""
    queue: FairQueue[str] = FairQueue()
    for number in range(2):
        queue.put(f"frame {number}", "camera")
    served = []
    for _ in range(6):
        queue.put("image")
        queue.put("image")
        first, *others = [queue.take() for _ in range(len(queue))]
        queue.put_back(others, first)
        served.append(first[3])
    assert "frame 1" in served


def test_of_a_flow_that_lost_its_last_items_nothing_stays() -> None:
    """Where the last items of a flow are let go of, it is forgotten with the last one that stays."""
    queue: FairQueue[int] = FairQueue()
    for number in range(4):
        queue.put(number, "camera")
    queue.keep(lambda number: number < 2)
    taken = [queue.take()[3] for _ in range(2)]
    assert (taken, queue._last_turns) == ([0, 1], {})


@given(Arrivals)
def test_nothing_is_lost_and_nothing_kept(arrivals: list[tuple[str | None, bool]]) -> None:
    """Whatever comes and goes, each item comes out once, and of flows that have gone nothing stays behind."""
    queue: FairQueue[int] = FairQueue()
    taken: list[int] = []
    for number, (flow, take) in enumerate(arrivals):
        queue.put(number, flow)
        if take:
            taken.append(queue.take()[3])
    taken += [queue.take()[3] for _ in range(len(queue))]
    assert sorted(taken) == list(range(len(arrivals)))
    assert not queue._last_turns


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
def test_flows_that_wait_are_never_two_turns_apart(flows: list[str]) -> None:
    """While two flows both wait, neither is served more than once more than the other."""
    queue: FairQueue[str] = FairQueue()
    left = {flow: flows.count(flow) for flow in flows}
    for flow in flows:
        queue.put(flow, flow)
    served = dict.fromkeys(left, 0)
    while len(queue):
        served[queue.take()[3]] += 1
        waiting = [served[flow] for flow in left if served[flow] < left[flow]]
        assert not waiting or max(waiting) - min(waiting) <= 1


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([None, "a", "b"])), max_size=30))
def test_those_that_stay_keep_their_order(items: list[tuple[int, str | None]]) -> None:
    """Letting go of some items changes nothing for the others."""
    whole: FairQueue[tuple[int, int]] = FairQueue()
    thinned: FairQueue[tuple[int, int]] = FairQueue()
    for number, (value, flow) in enumerate(items):
        whole.put((number, value), flow)
        thinned.put((number, value), flow)
    thinned.keep(lambda item: item[1] % 2 == 0)
    wanted = [item for item in (whole.take()[3] for _ in range(len(whole))) if item[1] % 2 == 0]
    assert [thinned.take()[3] for _ in range(len(thinned))] == wanted
