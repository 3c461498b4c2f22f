"""How far the simulation is from theory, and from what this repository measured."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.scaling import theory
from benchmarks.scaling.inputs import ROOT, Inputs, read_rows
from benchmarks.scaling.node import Gateway, closed_loop, open_loop
from benchmarks.scaling.service_times import CpuWork, ServiceLaw
from benchmarks.scaling.station import Station, poisson_arrivals

_SECONDS = 60.0
_ROLLOUT_RATE = 40.0


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure, simulated and known."""

    name: str
    unit: str
    known: float
    simulated: float

    @property
    def error(self) -> float:
        """Of the simulation, to what is known."""
        return self.simulated / self.known - 1


class OpenLoopPart(BaseModel):
    """Callers who came at a rate, whether or not those before were answered, as `measure` saw them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float
    seconds: float
    answered: int
    refused: int
    failed: int
    service_cpu_ms: float
    """A request that was answered or refused."""
    caller_cpu_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    seed: int


class OpenLoop(BaseModel):
    """What `python -m benchmarks.scaling.measure` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    date: str
    model: str
    cores: int
    parts: tuple[OpenLoopPart, ...]


def against_theory(images: int, seed: int) -> list[Compared]:
    """Mean waits of single images and one server, at three loads; and of several servers."""
    found = []
    for load in (0.5, 0.7, 0.9):
        wait = mean_wait(ServiceLaw(0.0, 0.01), 1, load / 0.01, images, seed)
        found.append(Compared(f"M/D/1, load {load:g}", "ms", theory.mg1_wait(load / 0.01, 0.01, 0.0) * 1e3, wait * 1e3))
    for servers in (2, 8):
        law = Exponential(0.0, 0.01)
        wait = mean_wait(law, servers, 0.8 * servers / 0.01, images, seed)
        known = theory.mmc_wait(0.8 * servers / 0.01, 0.01, servers)
        found.append(Compared(f"M/M/{servers}, load 0.8", "ms", known * 1e3, wait * 1e3))
    return found


class Exponential(ServiceLaw):
    """Times without memory, as the oldest formulas have them."""

    def factors(self, generator: np.random.Generator, count: int) -> list[float]:
        """Exponential, of mean 1."""
        drawn: list[float] = generator.exponential(1.0, count).tolist()
        return drawn


def mean_wait(law: ServiceLaw, servers: int, rate: float, images: int, seed: int) -> float:
    """Mean seconds in the queue, of single images that are never refused."""
    generator = np.random.default_rng(seed)
    station = Station(law, servers, 1, images + servers, generator)
    served = station.serve(poisson_arrivals(generator, rate, 0.0, images / rate), images / rate)
    return float(served.waits_s[images // 10 :].mean())


def against_closed_loops(inputs: Inputs, work: CpuWork, seed: int) -> list[Compared]:
    """`RESULTS.md`: callers who each wait for their answer, with the CPU time that their requests took.

    The load generator's own time is not known, and left out.
    """
    found = []
    for row in read_rows(ROOT / inputs.measured.report, inputs.measured.model):
        log = closed_loop(_gateway(inputs, work.scaled(row.cpu_ms / 1e3)), row.callers, _SECONDS, seed)
        name = f"closed loop, {row.callers} caller{'s' if row.callers > 1 else ''}"
        found += [
            Compared(f"{name}: requests/s", "", row.requests_per_s, len(log.ended) / _SECONDS),
            Compared(f"{name}: p50", "ms", row.p50_ms, log.percentile_ms(50)),
            Compared(f"{name}: p99", "ms", row.p99_ms, log.percentile_ms(99)),
        ]
    return found


def against_steady_callers(inputs: Inputs, work: CpuWork, seed: int) -> list[Compared]:
    """`ROLLOUT.md`, its quiet part: callers who come at even distances, whether or not the last was answered."""
    told = inputs.measured
    row = next(line for line in (ROOT / told.steady_callers).read_text().splitlines() if line.startswith("| quiet |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    one_caller = read_rows(ROOT / told.report, told.model)[0]
    gateway = _gateway(inputs, work.scaled(one_caller.cpu_ms / 1e3), told.caller_ms / 1e3)
    log = open_loop(gateway, [number / told.steady_rate for number in range(int(cells[1]))], seed)
    return [
        Compared(f"open loop, {told.steady_rate:g}/s: p{share}", "ms", float(known), log.percentile_ms(share))
        for share, known in zip((50, 95, 99), cells[3].split("/"), strict=True)
    ]


def _gateway(inputs: Inputs, work: CpuWork, caller_s: float = 0.0) -> Gateway:
    pod = inputs.cpu_pod
    return Gateway(work, pod.cores, pod.max_batch, pod.images_in_flight, caller_s=caller_s)


def read_open_loop(path: Path) -> OpenLoop | None:
    """What was measured; None where nothing was."""
    return OpenLoop.model_validate(json.loads(path.read_text())) if path.is_file() else None


def against_open_loop(inputs: Inputs, work: CpuWork, measured: OpenLoop) -> list[tuple[OpenLoopPart, list[Compared]]]:
    """The same moments of arrival, with the CPU time that the requests took in that hour."""
    found = []
    for part in measured.parts:
        that_hour = work.scaled(part.service_cpu_ms / 1e3)
        gateway = replace(_gateway(inputs, that_hour, part.caller_cpu_ms / 1e3), cores=measured.cores)
        log = open_loop(gateway, moments(part.rate, part.seconds, part.seed), part.seed)
        answered = len(log.ended)
        compared = [
            Compared("answers/s", "", part.answered / part.seconds, answered / part.seconds),
            Compared("p50", "ms", part.p50_ms, log.percentile_ms(50)),
            Compared("p95", "ms", part.p95_ms, log.percentile_ms(95)),
            Compared("p99", "ms", part.p99_ms, log.percentile_ms(99)),
        ]
        found.append((part, compared))
    return found


def moments(rate: float, seconds: float, seed: int) -> list[float]:
    """When callers come: the same in the measurement and in the simulation."""
    return poisson_arrivals(np.random.default_rng(seed), rate, 0.0, seconds)
