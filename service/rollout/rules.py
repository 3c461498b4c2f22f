"""When an alias has shown enough to be sent away: a pure function over the counts of two windows."""

from dataclasses import dataclass

from service.registry.traffic import RollbackRules
from service.rollout.window import Counts


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that was broken."""

    rule: str
    """The rule's name in `RollbackRules`."""
    reason: str


def breach(rules: RollbackRules, trial: Counts, stable: Counts) -> Breach | None:
    """The first rule that the version on trial breaks, faults before slowness before disagreement; None if none.

    It is measured against ``stable`` within the same window: what both suffer is no fault of the one on trial. A rule
    is asked once ``min_requests`` of what it looks at have been seen.
    """
    return _faults(rules, trial, stable) or _slowness(rules, trial, stable) or _disagreement(rules, trial)


def _faults(rules: RollbackRules, trial: Counts, stable: Counts) -> Breach | None:
    if rules.max_error_rate is None or trial.requests < rules.min_requests:
        return None
    excess = trial.error_rate - stable.error_rate
    if trial.faults == 0 or excess <= rules.max_error_rate:
        return None
    shares = f"{trial.error_rate:.1%} of {trial.requests} requests failed, {stable.error_rate:.1%} of stable's"
    return Breach("max_error_rate", f"{shares}; {rules.max_error_rate:.1%} more are allowed")


def _slowness(rules: RollbackRules, trial: Counts, stable: Counts) -> Breach | None:
    if rules.max_p99_ratio is None or trial.p99_s is None or stable.p99_s is None:
        return None
    if min(trial.requests - trial.faults, stable.requests - stable.faults) < rules.min_requests:
        return None
    ratio = trial.p99_s / stable.p99_s
    if ratio <= rules.max_p99_ratio:
        return None
    times = f"p99 in the engine is {trial.p99_s * 1e3:.1f} ms, stable's {stable.p99_s * 1e3:.1f} ms"
    return Breach("max_p99_ratio", f"{times}: {ratio:.1f} times, {rules.max_p99_ratio:g} are allowed")


def _disagreement(rules: RollbackRules, trial: Counts) -> Breach | None:
    if rules.max_disagreement is None or trial.disagreement is None or trial.compared < rules.min_requests:
        return None
    if trial.disagreement <= rules.max_disagreement:
        return None
    share = f"it differs from stable in {trial.disagreement:.1%} of the answer, over {trial.compared} images"
    return Breach("max_disagreement", f"{share}; {rules.max_disagreement:.1%} are allowed")
