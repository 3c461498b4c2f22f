from hypothesis import given
from hypothesis import strategies as st

from service.video.retention import Ended, leaving

_ENDED = st.lists(
    st.builds(Ended, id=st.uuids().map(str), finished_s=st.integers(0, 100).map(float), size=st.integers(0, 50)),
    unique_by=lambda job: job.id,
)


def test_old_jobs_leave_and_others_stay() -> None:
    """Age alone decides where there is room."""
    ended = [Ended("new", 90.0, 5), Ended("old", 10.0, 5)]
    assert leaving(ended, 100.0, 50.0, 0) == ["old"]
    assert leaving(ended, 100.0, None, 0) == []


def test_the_oldest_make_room() -> None:
    """Where bytes are missing, the jobs that ended first leave, and no more than are needed."""
    ended = [Ended("c", 30.0, 5), Ended("a", 10.0, 5), Ended("b", 20.0, 5)]
    assert leaving(ended, 100.0, None, 6) == ["a", "b"]


@given(ended=_ENDED, max_age_s=st.none() | st.integers(0, 100).map(float), missing=st.integers(0, 500))
def test_enough_leave_or_none_in_vain(ended: list[Ended], max_age_s: float | None, missing: int) -> None:
    """Whoever leaves is older than whoever stays; what leaves is enough, unless all of it would not be."""
    going = leaving(ended, 100.0, max_age_s, missing)
    stay = [job for job in ended if job.id not in going]
    gone = [job for job in ended if job.id in going]
    assert all(a.finished_s <= b.finished_s for a in gone for b in stay)
    assert max_age_s is None or all(100.0 - job.finished_s <= max_age_s for job in stay)
    if sum(job.size for job in ended) >= missing:
        assert sum(job.size for job in gone) >= missing
    elif max_age_s is None:
        assert not gone
