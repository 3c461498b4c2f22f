"""One gateway with the embedded engine, simulated request by request, thread by thread.

A request takes a permit or is refused; the event loop reads it, a worker decodes it, the batcher queues it, an engine
thread runs its batch. All threads share the processors. Whose turn it is is decided by the service's own `FairQueue`.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from simpy import Environment, Event, Resource

from benchmarks.scaling.cores import Cores
from benchmarks.scaling.service_times import CpuWork
from service.engines.fair_queue import FairQueue

Steps = Generator[Event, Any, None]


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the node is."""

    work: CpuWork
    cores: int
    most: int
    """Largest batch."""
    in_flight: int
    """`--max-images-in-flight`."""
    slower: Sequence[float] = (1.0,)
    """Each version's time of the model, to the measured one."""
    caller_s: float = 0.0
    """CPU seconds of the load generator for a request, on the same processors."""


@dataclass(slots=True)
class Log:
    """What came of the requests, in order of their answers."""

    latencies_s: list[float] = field(default_factory=list)
    engine_s: list[float] = field(default_factory=list)
    """From the batcher's queue to the answer."""
    waits_s: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    refused: int = 0

    def percentile_ms(self, share: float, version: int | None = None) -> float:
        """A percentile of the latencies of one version or of all, in milliseconds."""
        seconds = np.array(self.latencies_s)
        if version is not None:
            seconds = seconds[np.array(self.versions) == version]
        return float(np.percentile(seconds, share)) * 1e3


@dataclass(slots=True, eq=False)
class _Waiting:
    arrived: float
    answered: Event
    started: float = 0.0


class Node:
    """A gateway that runs; `ask` is one request's whole way."""

    def __init__(self, env: Environment, gateway: Gateway, generator: np.random.Generator) -> None:
        self._env, self._gateway, self._generator = env, gateway, generator
        self.log = Log()
        self._cores = Cores(env, gateway.cores)
        self._event_loop = Resource(env)
        self._workers = Resource(env, gateway.cores)
        self._engine_threads = Resource(env, gateway.cores)
        self._batchers = [_Batcher(self, slower) for slower in gateway.slower]
        self._in_flight = 0

    def ask(self, version: int = 0, flow: Hashable | None = None) -> Steps:
        """One image, from the moment at which its caller means to ask; a process of simpy."""
        begun, gateway = self._env.now, self._gateway
        if gateway.caller_s:
            yield self._cores.work(gateway.caller_s)
        if self._in_flight >= gateway.in_flight:
            self.log.refused += 1
            return
        self._in_flight += 1
        yield from self.run(self._event_loop, gateway.work.event_loop_s)
        yield from self.run(self._workers, gateway.work.worker_s)
        entry = _Waiting(self._env.now, self._env.event())
        self._batchers[version].put(entry, flow)
        yield entry.answered
        self._in_flight -= 1
        self.log.latencies_s.append(self._env.now - begun)
        self.log.engine_s.append(self._env.now - entry.arrived)
        self.log.waits_s.append(entry.started - entry.arrived)
        self.log.versions.append(version)
        self.log.ended.append(self._env.now)

    def run(self, threads: Resource, seconds: float) -> Steps:
        """Work for about so many CPU seconds in one of these threads."""
        with threads.request() as thread:
            yield thread
            yield self._cores.work(seconds * float(np.exp(self._generator.normal(0.0, self._gateway.work.spread))))

    def batch(self, images: int, slower: float) -> Steps:
        """Run a batch in an engine thread."""
        self.log.batches.append(images)
        yield from self.run(self._engine_threads, self._gateway.work.model_s * slower * images)

    @property
    def env(self) -> Environment:
        """Its clock."""
        return self._env

    @property
    def gateway(self) -> Gateway:
        """What it is."""
        return self._gateway


class _Batcher:
    """`service.engines.batcher.Batcher`, in simulated time."""

    def __init__(self, node: Node, slower: float) -> None:
        self._node, self._slower = node, slower
        self._waiting: FairQueue[_Waiting] = FairQueue()
        self._running = 0

    def put(self, entry: _Waiting, flow: Hashable | None) -> None:
        self._waiting.put(entry, flow)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._running < self._node.gateway.cores and self._waiting:
            size = min(self._node.gateway.most, len(self._waiting))
            self._running += 1
            self._node.env.process(self._run([self._waiting.take()[3] for _ in range(size)]))

    def _run(self, batch: list[_Waiting]) -> Steps:
        for entry in batch:
            entry.started = self._node.env.now
        yield from self._node.batch(len(batch), self._slower)
        self._running -= 1
        for entry in batch:
            entry.answered.succeed()
        self._dispatch()


def open_loop(
    gateway: Gateway, moments: Sequence[float], seed: int, version: Callable[[int], int] = lambda _: 0
) -> Log:
    """Requests at these moments, whether or not those before have their answer."""
    env = Environment()
    node = Node(env, gateway, np.random.default_rng(seed))

    def callers() -> Steps:
        for number, moment in enumerate(moments):
            yield env.timeout(moment - env.now)
            env.process(node.ask(version(number)))

    env.process(callers())
    env.run()
    return node.log


def closed_loop(gateway: Gateway, callers: int, seconds: float, seed: int) -> Log:
    """So many callers, each of whom asks again as soon as it is answered."""
    env = Environment()
    node = Node(env, gateway, np.random.default_rng(seed))

    def caller() -> Steps:
        while env.now < seconds:
            yield env.process(node.ask())

    for _ in range(callers):
        env.process(caller())
    env.run(seconds)
    return node.log
