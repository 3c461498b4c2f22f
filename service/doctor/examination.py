"""All groups at once, each within its time: one that hangs, on a disk that is gone say, keeps no other waiting."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from service.doctor.finding import Finding, Group, Level, problem
from service.settings import Settings

PATIENCE_S = 30.0
"""For all groups together: they run side by side."""


@dataclass(frozen=True, slots=True)
class Told:
    """One finding, and whose it is."""

    group: str
    check: str
    finding: Finding


def examine(settings: Settings, groups: Sequence[Group], patience_s: float = PATIENCE_S) -> Iterator[Told]:
    """The findings of every group, in the order of the groups, as they come."""
    running = [(group, _begun(group, settings)) for group in groups]
    end = time.monotonic() + patience_s
    for group, future in running:
        yield from _outcome(group, future, max(0.0, end - time.monotonic()))


def worst(told: Sequence[Told]) -> Level:
    """The worst of all findings."""
    levels = {one.finding.level for one in told}
    return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)


def _begun(group: Group, settings: Settings) -> Future[dict[str, list[Finding]]]:
    """Examine in a thread that ends with the process, also where it hangs; an executor's would be waited for."""
    future: Future[dict[str, list[Finding]]] = Future()

    def run() -> None:
        try:
            future.set_result(group.examine(settings))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is handed to who waits, and told
            future.set_exception(error)

    threading.Thread(target=run, name=group.title, daemon=True).start()
    return future


def _outcome(group: Group, future: Future[dict[str, list[Finding]]], patience_s: float) -> Iterator[Told]:
    try:
        error = future.exception(patience_s)
    except TimeoutError:
        hung = problem("it does not come to an end", "look for a disk, a mount or a server there that hangs")
        yield from (Told(group.title, check, hung) for check in group.checks)
        return
    if error is not None:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        failed = problem(f"the check itself failed: {words}", "please report it: it is a mistake of this command")
        yield from (Told(group.title, check, failed) for check in group.checks)
        return
    for check, findings in future.result().items():
        yield from (Told(group.title, check, finding) for finding in findings)
