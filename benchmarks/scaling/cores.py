"""Processors that threads share evenly, as an operating system's scheduler does: egalitarian processor sharing."""

from heapq import heappop, heappush

from simpy import Environment, Event


class Cores:
    """So many processors; while more threads want to run, each goes on at its even share of them."""

    def __init__(self, env: Environment, cores: int) -> None:
        self._env, self._cores = env, cores
        self._done = 0.0
        """CPU seconds that each thread has been given that was there from the beginning."""
        self._as_of = 0.0
        self._jobs: list[tuple[float, int, Event]] = []
        self._number = 0
        self._look = 0

    def work(self, seconds: float) -> Event:
        """An event after so many CPU seconds of one thread."""
        self._go_on()
        event = self._env.event()
        self._number += 1
        heappush(self._jobs, (self._done + seconds, self._number, event))
        self._plan()
        return event

    def _pace(self) -> float:
        return min(1.0, self._cores / len(self._jobs)) if self._jobs else 1.0

    def _go_on(self) -> None:
        self._done += (self._env.now - self._as_of) * self._pace()
        self._as_of = self._env.now

    def _plan(self) -> None:
        """Look again when the next thread is done, unless something changes before."""
        self._look += 1
        if self._jobs:
            look = self._look
            delay = max(0.0, (self._jobs[0][0] - self._done) / self._pace())
            wake = self._env.timeout(delay)
            wake.callbacks.append(lambda _: self._finish(look))

    def _finish(self, look: int) -> None:
        if look != self._look:
            return
        self._go_on()
        end = self._jobs[0][0]
        # What rounding leaves over of a job must not make it wait for another turn.
        while self._jobs and self._jobs[0][0] <= end:
            heappop(self._jobs)[2].succeed()
        self._plan()
