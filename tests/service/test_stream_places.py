"""Places for streams of frames."""

from contextlib import ExitStack

import pytest

from service.errors import ErrorKind, ServiceError
from service.stream_places import StreamPlaces


def test_a_caller_has_so_many() -> None:
    """One caller's streams are limited, whatever place others leave."""
    places = StreamPlaces(10, 2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(places.place("a"))
        stack.enter_context(places.place("b"))
        with pytest.raises(ServiceError, match="you have 2 streams") as caught:
            stack.enter_context(places.place("a"))
    assert caught.value.kind is ErrorKind.RATE_LIMITED


def test_all_together_have_so_many() -> None:
    """Where all places are taken, who has none yet is told that the service is busy."""
    places = StreamPlaces(1, 1)
    with places.place("a"), pytest.raises(ServiceError) as caught, places.place("b"):
        pass
    assert caught.value.kind is ErrorKind.OVERLOADED


def test_a_place_is_given_back() -> None:
    """However a stream ends, its place is free again, and nothing is kept of its caller."""
    places = StreamPlaces(1, 1)
    with pytest.raises(KeyError), places.place("a"):
        raise KeyError
    assert places.taken == 0
    assert not places._taken
