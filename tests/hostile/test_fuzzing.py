"""A short run of the fuzzer; `make fuzz-image` makes the long one."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.fuzzing import SEEDS, check, damaged, read_seeds
from tests.hostile.seeds import MOST_BYTES

FILES = read_seeds()


@pytest.mark.filterwarnings("ignore")  # libraries may remark on what is broken on purpose
@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(0, 2**62), trimap=st.booleans())
def test_damaged_files_lead_to_pixels_or_a_refusal(number: int, trimap: bool) -> None:
    """However a file is damaged, it becomes pixels within the limits, or is refused in words meant for the caller."""
    check(damaged(FILES, number), trimap=trimap)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(list(FILES)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), min_size=1, max_size=4),
)
def test_rewritten_files_lead_to_pixels_or_a_refusal(name: str, edits: list[tuple[float, bytes]]) -> None:
    """The same holds when bytes of a file are written over, anywhere."""
    data = bytearray(FILES[name])
    for place, new in edits:
        at = int(place * len(data))
        data[at : at + len(new)] = new

    check(bytes(data))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")
def test_seeds_are_small_and_harmless(name: str) -> None:
    """Every seed is below 5 kB, and itself becomes pixels or a refusal."""
    assert (SEEDS / name).stat().st_size < MOST_BYTES
    check(FILES[name])


def test_an_input_can_be_made_again() -> None:
    """The number of an input is all that is needed to have it once more."""
    assert [damaged(FILES, number) for number in range(50)] == [damaged(FILES, number) for number in range(50)]
