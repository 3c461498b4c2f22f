import pytest

from benchmarks.scaling.autoscaler import Autoscaler, Policy, Rules, Seen, proposed

_ANY_PACE = Rules(up=[Policy(1000, None, 15)], down=[Policy(100, None, 15)], down_window_s=300)


@pytest.mark.parametrize(
    ("seen", "replicas"),
    [
        (Seen(mean=20, target=10, told=4), 8),
        (Seen(mean=10.9, target=10, told=4), 4),
        (Seen(mean=9.1, target=10, told=4), 4),
        (Seen(mean=11.2, target=10, told=10), 12),
        (Seen(mean=3, target=10, told=4), 2),
    ],
    ids=["twice", "little more", "little less", "rounded up", "a third"],
)
def test_ratio(seen: Seen, replicas: int) -> None:
    """Replicas follow the ratio of the metric to its target, but not within the tolerance of a tenth."""
    assert proposed(seen, seen.told, tolerance=0.1) == replicas


def test_a_lost_zone_is_not_seen() -> None:
    """Pods without a figure count as idle: three halves of the load on two thirds of the pods look like no change."""
    assert proposed(Seen(mean=15, target=10, told=6, missing=3), 9, tolerance=0.1) == 9


def test_pods_on_their_way_count() -> None:
    """Twice the target with as many pods on their way asks for no more of them."""
    assert proposed(Seen(mean=20, target=10, told=4, pending=4), 8, tolerance=0.1) == 8


def test_missing_pods_do_not_shrink_a_fleet() -> None:
    """Where the metric is low, pods without a figure count as being at the target."""
    assert proposed(Seen(mean=5, target=10, told=4, missing=4), 8, tolerance=0.1) == 6


def test_nobody_tells() -> None:
    """Without any figure nothing changes."""
    assert proposed(Seen(mean=0, target=10, told=0, missing=4), 4, tolerance=0.1) == 4


def test_largest_of_several() -> None:
    """Of several metrics the one that asks for most holds."""
    scaler = Autoscaler(_ANY_PACE)

    assert scaler.decide(0, 4, [Seen(10, 10, 4), Seen(30, 10, 4)]) == 12


def test_up_policies() -> None:
    """Within a period the larger of both policies holds, counted from the period's begin."""
    scaler = Autoscaler(Rules(up=[Policy(100, None, 30), Policy(None, 2, 30)], down=[]))
    much = [Seen(1000, 10, 1)]

    assert [scaler.decide(0, 1, much), scaler.decide(15, 3, much), scaler.decide(31, 3, much)] == [3, 3, 6]


def test_down_window() -> None:
    """A fleet shrinks to the most that was asked for within the window."""
    scaler = Autoscaler(_ANY_PACE)
    scaler.decide(0, 10, [Seen(10, 10, 10)])

    assert scaler.decide(200, 10, [Seen(2, 10, 10)]) == 10
    assert scaler.decide(300, 10, [Seen(4, 10, 10)]) == 10
    assert scaler.decide(315, 10, [Seen(2, 10, 10)]) == 4


def test_down_policy() -> None:
    """It shrinks by no more than the policy allows, and never below the least."""
    scaler = Autoscaler(Rules(up=[], down=[Policy(10, None, 60), Policy(None, 1, 60)], down_window_s=0, least=2))
    idle = [Seen(0.1, 10, 40)]

    assert [scaler.decide(0, 40, idle), scaler.decide(15, 36, idle), scaler.decide(61, 36, idle)] == [36, 36, 32]
    assert Autoscaler(Rules(up=[], down=[Policy(100, None, 60)], down_window_s=0, least=2)).decide(0, 9, idle) == 2
