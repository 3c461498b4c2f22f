"""Who is next: start-time fair queueing (Goyal, Vin and Cheng, 1996), with images in the place of packets."""

from collections.abc import Callable, Hashable, Sequence
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")

Place = tuple[int, int, Hashable | None, T]
"""An item in the queue: its turn, the number of its arrival, its flow, and the item; smaller ones are first."""


class FairQueue(Generic[T]):
    """A queue that flows share evenly: however many items one of them has waiting, another's next is not behind them.

    Items of one flow keep their order. An item without a flow is a flow of its own; where all are, or where each flow
    has one item at a time, this is first come, first served.
    """

    def __init__(self) -> None:
        self._heap: list[Place[T]] = []
        self._turn = 0
        """Of the item that was taken last: who comes now takes part from the next one on."""
        self._arrived = 0
        self._last_turns: dict[Hashable, int] = {}
        """The turn of the last item of each flow that waits."""

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, item: T, flow: Hashable | None = None) -> None:
        """Add an item."""
        turn = self._turn + 1
        if flow is not None:
            self._last_turns[flow] = turn = max(turn, self._last_turns.get(flow, 0) + 1)
        self._arrived += 1
        heappush(self._heap, (turn, self._arrived, flow, item))

    def take(self) -> Place[T]:
        """Take the next item out; IndexError where there is none."""
        place = heappop(self._heap)
        self._turn, _, flow, _ = place
        # A flow of which nothing waits begins like any newcomer: nothing of it needs to be kept.
        if flow is not None and self._last_turns[flow] == self._turn:
            del self._last_turns[flow]
        return place

    def put_back(self, places: Sequence[Place[T]], last: Place[T]) -> None:
        """Add items again where they were; ``last`` is the one before them, which stays taken."""
        self._turn = last[0]
        for place in places:
            turn, _, flow, _ = place
            if flow is not None:
                self._last_turns[flow] = max(turn, self._last_turns.get(flow, 0))
            heappush(self._heap, place)

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Let go of all items but those wanted; the others stay in their order."""
        self._heap = [place for place in self._heap if wanted(place[3])]
        heapify(self._heap)
        # In order of their turns, the last of each flow stays.
        self._last_turns = {flow: turn for turn, _, flow, _ in sorted(self._heap, key=_turn_of) if flow is not None}


def _turn_of(place: Place[T]) -> int:
    return place[0]
