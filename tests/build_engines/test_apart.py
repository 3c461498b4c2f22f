"""Builds in processes of their own: one that fails, crashes or hangs is told and touches no other."""

import signal
from pathlib import Path

from build_engines.apart import Outcome, build_apart
from tests.build_engines.orders import SMALL

RANDOM = ("--weights", "random", "--resolution", "64", "--no-cache")


def built(tmp_path: Path, names: list[str], patience_s: float = 200) -> dict[str, Outcome]:
    """The outcomes of these builds, two at a time."""
    outcomes: dict[str, Outcome] = {}
    options = (*RANDOM, "--repository", str(tmp_path))
    build_apart(dict.fromkeys(names, options), 2, patience_s, lambda outcome: outcomes.update({outcome.name: outcome}))
    return outcomes


def test_every_outcome_is_told(tmp_path: Path) -> None:
    """One build is written and the other one's step and reason are known."""
    outcomes = built(tmp_path, [f"timm:{SMALL}", "timm:no_such_model"])
    assert outcomes[f"timm:{SMALL}"].end["event"] == "built"
    assert (tmp_path / SMALL / "1" / "card.json").is_file()
    failure = outcomes["timm:no_such_model"].end
    assert failure["step"] == "source"
    assert "no model 'no_such_model'" in failure["reason"]


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A build beyond its patience is ended, leaves nothing, and is told as a failure."""
    end = built(tmp_path, [f"timm:{SMALL}"], patience_s=0.5)[f"timm:{SMALL}"].end
    assert "took longer than allowed" in end["reason"]
    assert not list(tmp_path.rglob("card.json"))


def test_a_crash_is_told_with_its_last_words() -> None:
    """A process that died in a step is a failure of that step."""
    events = ({"event": "started", "step": "export"},)
    end = Outcome("a", events, -11, ("Segmentation fault",)).end
    assert (end["step"], end["event"]) == ("export", "failed")
    assert "status -11: Segmentation fault" in end["reason"]


def test_a_process_that_ran_out_of_memory_is_told() -> None:
    """A process that the system killed says so, for it has no last words."""
    assert "memory is short" in Outcome("a", (), -signal.SIGKILL).end["reason"]
