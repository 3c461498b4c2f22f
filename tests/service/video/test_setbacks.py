import pytest

from service.errors import ErrorKind, ServiceError, engine_unavailable
from service.video.setbacks import Setbacks, is_setback

NONSENSE = ServiceError(ErrorKind.INTERNAL, "nonsense")


def test_some_setbacks_are_told_in_lines() -> None:
    """A frame without an answer says why, however many there are, as long as others have one in between."""
    setbacks = Setbacks()
    for frame in range(100):
        assert setbacks.line_of(NONSENSE) == {"error": {"code": "internal", "detail": "nonsense"}}
        if frame % 20 == 0:
            setbacks.none()


def test_many_in_a_row_are_too_many() -> None:
    """The 25th in a row is raised."""
    setbacks = Setbacks()
    for _ in range(24):
        setbacks.line_of(NONSENSE)
    with pytest.raises(ServiceError) as raised:
        setbacks.line_of(NONSENSE)
    assert raised.value is NONSENSE


def test_what_is_no_matter_of_one_frame() -> None:
    """That the engine is gone is no setback: the next frame would fare the same."""
    assert [is_setback(error) for error in (NONSENSE, engine_unavailable("gone"))] == [True, False]
