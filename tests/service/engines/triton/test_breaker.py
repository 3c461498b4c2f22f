"""The breaker: it opens after failures in a row, and lets attempts through ever more seldom."""

from service.engines.triton.breaker import Breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """Only failures that nothing came between count; the one that opens it says so."""
    breaker = Breaker(threshold=3)
    assert [breaker.failed(0.0), breaker.failed(0.0)] == [False, False]
    breaker.succeeded()
    assert [breaker.failed(0.0), breaker.failed(0.0)] == [False, False]
    assert breaker.closed
    assert breaker.failed(0.0)
    assert not breaker.closed
    assert not breaker.failed(0.0)


def test_a_success_does_not_close_it() -> None:
    """An answer that was still under way proves nothing of what is loaded: only a recovery closes the breaker."""
    breaker = Breaker(threshold=1)
    assert breaker.trip(0.0)
    assert not breaker.trip(0.0)
    breaker.succeeded()
    assert not breaker.closed
    breaker.close()
    assert breaker.closed


def test_attempts_grow_rarer_up_to_a_limit() -> None:
    """The first is due at once, each later one after twice the pause, and after a recovery it starts anew."""
    breaker = Breaker(threshold=1, first_pause_s=1.0, longest_pause_s=3.0)
    breaker.trip(10.0)
    assert breaker.wait_s(10.0) == 0.0
    pauses = []
    for _ in range(4):
        breaker.attempt_failed(10.0)
        pauses.append(breaker.wait_s(10.0))
    assert pauses == [1.0, 2.0, 3.0, 3.0]
    breaker.close()
    breaker.trip(20.0)
    breaker.attempt_failed(20.0)
    assert breaker.wait_s(20.0) == 1.0
