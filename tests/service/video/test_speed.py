import pytest

from service.video.speed import Speed


def test_the_speed_is_that_of_the_last_seconds() -> None:
    """A slow beginning is forgotten after ten seconds."""
    speed = Speed(0.0, 0)
    for second in range(1, 31):
        speed.moved(float(second), second if second <= 10 else 10 + (second - 10) * 100)
    assert speed.per_second(30.0) == pytest.approx(100.0)


def test_what_stands_still_becomes_slower() -> None:
    """Between two steps the time that passes counts."""
    speed = Speed(0.0, 100)
    speed.moved(1.0, 150)
    assert [speed.per_second(now) for now in (0.0, 1.0, 2.0, 50.0)] == [0.0, 50.0, 25.0, 1.0]


def test_many_steps_take_no_memory() -> None:
    """A thousand frames a second for a minute leave a few marks."""
    speed = Speed(0.0, 0)
    for step in range(60_000):
        speed.moved(step / 1000, step)
    assert len(speed._marks) < 50
    assert speed.per_second(60.0) == pytest.approx(1000.0, rel=0.05)
