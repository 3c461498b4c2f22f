"""What becomes of every request while something breaks under a steady load: cases, one after the other.

Each case begins a load, breaks something a few seconds later, mends it, and lets the load go on for a while. Of every
request it is known whether it was answered, closed with a reason, or lost.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.photographs import photographs
from benchmarks.reliability import network
from benchmarks.reliability.callers import OK, Account, Callers, percentile_ms
from benchmarks.reliability.processes import DistantTriton, Gateway, gateway, scratch, twins
from benchmarks.serving import CACHE
from tests.triton_server import TritonServer

RATE = 25.0
"""Requests a second: well below what Triton's Python backend answers on two processors."""
BREAKS_S, MENDS_S, ENDS_S = 4.0, 14.0, 29.0


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    name: str
    what: str
    """What was done, for people."""
    account: dict[str, object]
    p99_ms: float
    slowest_s: float
    """Of the good answers, from the moment at which the caller meant to ask."""
    gap_s: float
    """Longest time without a good answer; nothing breaks it is a few hundredths of a second."""
    back_s: float | None
    """From the mending to the first answer that is whole again: good, and not from a stand-in. None: never."""
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def nothing_lost(self) -> bool:
        """Every request got one answer, or a closed connection with a reason."""
        return self.account["lost"] == 0 and self.account["unasked"] == 0


Act = Callable[[], Awaitable[object]]


async def under_load(callers: Callers, breaks: Act, mends: Act) -> float:
    """Run the load, break and mend; the moment at which all was mended, in seconds from the beginning."""
    load = asyncio.create_task(callers.come(RATE, ENDS_S))
    await asyncio.sleep(BREAKS_S)
    await breaks()
    await asyncio.sleep(max(0.0, MENDS_S - callers.passed_s))
    await mends()
    mended = callers.passed_s
    await load
    return mended


def outcome(name: str, what: str, account: Account, mended: float, **notes: object) -> Outcome:
    """The case's figures."""
    good = account.of(OK)
    ends = sorted(answer.due + answer.seconds for answer in good)
    gaps = [later - earlier for earlier, later in zip([0.0, *ends], ends, strict=False)]
    whole = [answer.due + answer.seconds for answer in good if not answer.stood_in and answer.due >= mended - 1.0]
    back = [end - mended for end in whole if end >= mended]
    return Outcome(
        name=name,
        what=what,
        account=account.as_json(),
        p99_ms=percentile_ms(good, 99),
        slowest_s=max((answer.seconds for answer in good), default=float("nan")),
        gap_s=max(gaps, default=float("nan")),
        back_s=min(back, default=None),
        notes=notes,
    )


@dataclass(frozen=True)
class Stage:
    """A gateway over a Triton, and what to ask it."""

    service: Gateway
    triton: TritonServer
    callers: Callers


@asynccontextmanager
async def stage(fallback: str, **options: object) -> AsyncIterator[Stage]:
    """A gateway over a Triton beside it."""
    with scratch() as folder:
        triton = TritonServer(twins(folder), folder)
        try:
            await asyncio.to_thread(triton.start)
            async with _over(triton, folder, fallback, **options) as set_up:
                yield set_up
        finally:
            triton.kill()


@asynccontextmanager
async def distant_stage(link: network.Link, fallback: str) -> AsyncIterator[Stage]:
    """A gateway over a Triton behind a link, which relays in the running loop."""
    with scratch() as folder, link.relaying():
        triton = DistantTriton(twins(folder), folder, link)
        try:
            await asyncio.to_thread(triton.start)
            async with _over(triton, folder, fallback) as set_up:
                yield set_up
        finally:
            triton.kill()


@asynccontextmanager
async def _over(triton: TritonServer, folder: Path, fallback: str, **options: object) -> AsyncIterator[Stage]:
    settings: dict[str, object] = {"engine": "triton", "triton-url": triton.url, "fallback": fallback, **options}
    async with gateway(triton.repository, folder, None, **settings) as service:
        requests = service.requests(photographs(CACHE / "photographs"))
        await Callers(service.address, requests).come(10, 2)
        yield Stage(service, triton, Callers(service.address, requests))


async def killed(fallback: str) -> Outcome:
    """SIGKILL."""
    async with stage(fallback) as set_up:

        async def breaks() -> None:
            set_up.triton.kill()

        async def mends() -> None:
            await asyncio.to_thread(set_up.triton.start)

        mended = await under_load(set_up.callers, breaks, mends)
        what = f"Triton is killed (SIGKILL), and started again 10 s later; --fallback {fallback}"
        return outcome(f"Triton killed, fallback {fallback}", what, set_up.callers.account, mended)


async def stopped(fallback: str) -> Outcome:
    """SIGSTOP."""
    async with stage(fallback) as set_up:

        async def send(number: signal.Signals) -> None:
            os.killpg(set_up.triton.pid, number)

        try:
            mended = await under_load(set_up.callers, lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT))
        finally:
            os.killpg(set_up.triton.pid, signal.SIGCONT)
        what = f"Triton hangs (SIGSTOP) for 10 s, its connections open; --fallback {fallback}"
        return outcome(f"Triton hangs, fallback {fallback}", what, set_up.callers.account, mended)


async def bad_network(name: str, what: str, loss: float, delay_s: float, fallback: str = "embedded") -> Outcome:
    """A link that loses or delays."""
    with network.link() as link:
        async with distant_stage(link, fallback) as set_up:

            async def make(loss: float, delay_s: float) -> None:
                link.loss, link.delay_s = loss, delay_s

            mended = await under_load(set_up.callers, lambda: make(loss, delay_s), lambda: make(0.0, 0.0))
        told = f"{what} between gateway and Triton for 10 s; --fallback {fallback}"
        dropped = {"packets dropped": link.dropped, "packets carried": link.carried}
        return outcome(name, told, set_up.callers.account, mended, **dropped)


async def gateway_killed() -> Outcome:
    """SIGKILL of the gateway itself."""
    async with stage("none") as set_up:
        service = set_up.service

        async def breaks() -> None:
            service.kill()

        async def mends() -> None:
            await service.start()

        mended = await under_load(set_up.callers, breaks, mends)
        what = "the gateway itself is killed (SIGKILL), and started again 10 s later"
        return outcome("gateway killed", what, set_up.callers.account, mended)


async def gateway_drained() -> Outcome:
    """SIGTERM of the gateway, and another start."""
    async with stage("none") as set_up:
        service, status = set_up.service, []

        async def breaks() -> None:
            status.append(await service.drain())

        async def mends() -> None:
            await service.start()

        mended = await under_load(set_up.callers, breaks, mends)
        what = "the gateway is asked to end (SIGTERM), and started again 10 s later"
        return outcome("gateway drained", what, set_up.callers.account, mended, exit_status=status[0])


Case = Callable[[], Awaitable[Outcome]]

TRITON_CASES: dict[str, Case] = {
    "killed": lambda: killed("embedded"),
    "killed-bare": lambda: killed("none"),
    "stopped": lambda: stopped("embedded"),
    "stopped-bare": lambda: stopped("none"),
    "gateway-killed": gateway_killed,
    "gateway-drained": gateway_drained,
}
NETWORK_CASES: dict[str, Case] = {
    "cut": lambda: bad_network("network cut", "every packet is lost", 1.0, 0.0),
    "loss": lambda: bad_network("network loss", "one packet in ten is lost, each way,", 0.1, 0.0),
    "latency": lambda: bad_network("network latency", "every packet takes 100 ms longer, each way,", 0.0, 0.1),
}


async def measure(cases: dict[str, Case]) -> dict[str, object]:
    """All cases as JSON."""
    return {"rate": RATE, "cases": {name: asdict(await case()) for name, case in cases.items()}}
