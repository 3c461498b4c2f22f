"""What an engine's builder says while it works, its log and how far it is; and how it is stopped."""

from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

Done = TypeVar("Done")

Progress = Callable[[str, int, int], bool]
"""Hears the phase's name, the steps done and the steps in all; False stops the build."""


class Log:
    """The lines of a builder's log that matter, without repetitions."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def take(self, severity: str, text: str) -> None:
        """Keep an error or a warning; what is neither is the builder's own affair."""
        kept = {"INTERNAL_ERROR": self.errors, "ERROR": self.errors, "WARNING": self.warnings}.get(severity)
        line = " ".join(text.split())
        if kept is not None and line not in kept and not any(noise in line for noise in _NOISE):
            kept.append(line)


_NOISE = ("Thread context has not been set", "is unsupported in TensorRT-RTX", "Int64 binding", "Empty initializer")
"""Of the library itself, in every build; or of integers, whose types the contract fixes anyway."""


def logger(library: Any, log: Log) -> Any:
    """The library's logger, which writes into ``log``."""

    class Logger(library.ILogger):  # type: ignore[misc]  # the library is known at run time only
        def __init__(self) -> None:
            library.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            log.take(severity.name, text)

    return Logger()


class Stages:
    """Phases nest; the outermost one counts, and the innermost one that runs gives the name."""

    def __init__(self, told: Progress) -> None:
        self._told = told
        self._running: list[str] = []
        self._done = 0
        self._all = 1
        self.stopped = False
        """Whether the build ends, or has ended, before its time."""

    def start(self, phase: str, outer: str | None, steps: int) -> None:
        """A phase begins."""
        if outer is None:
            self._done, self._all = 0, max(steps, 1)
        self._running.append(phase)

    def finish(self, phase: str) -> None:
        """A phase has ended, and with it all that it contained."""
        if phase in self._running:
            del self._running[self._running.index(phase) :]

    def step(self, phase: str, number: int) -> bool:
        """A step of a phase is done; False stops the build."""
        if self._running and phase == self._running[0]:
            self._done = number + 1
        going = self._told(self._running[-1] if self._running else phase, self._done, self._all)
        self.stopped = self.stopped or not going
        return not self.stopped


def interruptible(work: Callable[[], Done], stages: Stages) -> Done:
    """Do long work of a library in a thread, so that Ctrl-C is heard meanwhile; it stops the work and is passed on.

    Python hears signals in its main thread only, and there not before the library returns.
    """
    begin = Event()

    def attempt() -> Done:
        # Ctrl-C while the thread starts leaves it unknown to the pool, which then does not wait for its end.
        begin.wait()
        if stages.stopped:
            raise CancelledError
        return work()

    with ThreadPoolExecutor(1) as pool:
        try:
            outcome = pool.submit(attempt)
            begin.set()
            return outcome.result()
        except KeyboardInterrupt:
            stages.stopped = True
            begin.set()
            raise


def monitor(library: Any, stages: Stages) -> Any:
    """The library's progress monitor, which tells ``stages``."""

    class Monitor(library.IProgressMonitor):  # type: ignore[misc]  # the library is known at run time only
        def __init__(self) -> None:
            library.IProgressMonitor.__init__(self)

        def phase_start(self, phase: str, outer: str | None, steps: int) -> None:
            stages.start(phase, outer, steps)

        def phase_finish(self, phase: str) -> None:
            stages.finish(phase)

        def step_complete(self, phase: str, number: int) -> bool:
            return stages.step(phase, number)

    return Monitor()
