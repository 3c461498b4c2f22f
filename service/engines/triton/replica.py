"""One Triton: its connections, its breaker, what is loaded on it, and the task that looks after it."""

import asyncio
import logging
import time
from typing import Any

from service.engines.triton.breaker import Breaker
from service.engines.triton.channel import TritonChannel
from service.engines.triton.errors import Cause, Failure
from service.engines.triton.events import TritonEvents
from service.engines.triton.patience import Patience
from service.engines.triton.resident import Resident
from service.engines.triton.wanted import WantedModel

_log = logging.getLogger("vitrail.engines.triton")

_LOADS_AT_A_TIME = 4


class Replica:
    """A Triton that takes traffic while its breaker is closed, for the versions that were seen ready on it."""

    def __init__(
        self, address: str, models: dict[str, WantedModel], connections: int, patience: Patience, events: TritonEvents
    ) -> None:
        self.address = address
        self.looked_at = asyncio.Event()
        """Set once the replica has been tried for the first time."""
        self._models = models
        self._patience = patience
        self._events = events
        self._channel = TritonChannel(address, connections)
        self._breaker = Breaker()
        self._breaker.trip(time.monotonic())
        self._residents: dict[str, Resident] = {}
        self._wake = asyncio.Event()
        self._in_flight = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """It takes traffic."""
        return self._breaker.closed

    def serves(self, model: str, version: int) -> bool:
        """Whether a request for this version may be sent here."""
        resident = self._residents.get(model)
        return self.up and resident is not None and version in resident.serves

    def shares(self, model: str, region: str) -> bool:
        """Whether it can read this region of shared memory."""
        resident = self._residents.get(model)
        return resident is not None and region in resident.regions

    def start(self) -> None:
        """Begin to look after it."""
        self._task = asyncio.create_task(self._look_after())

    async def close(self) -> None:
        """Finish what is under way, at most as long as a request may take, and leave."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        end = time.monotonic() + self._patience.request_s
        while self._in_flight and time.monotonic() < end:  # noqa: ASYNC110 - so rare that no event is kept for it
            await asyncio.sleep(0.01)
        await self._channel.close()

    async def infer(self, model: str, version: int, request: Any, timeout_s: float) -> Any:
        """ModelInferRequest → ModelInferResponse, or Failure."""
        resident = self._residents[model]
        loads = resident.loads
        self._in_flight += 1
        try:
            response = await self._channel.infer(request, timeout_s)
        except Failure as failure:
            self._note(resident, version, failure, loads)
            raise
        finally:
            self._in_flight -= 1
        self._breaker.succeeded()
        resident.answered(version)
        return response

    async def ensure(self, model: WantedModel) -> dict[int, str]:
        """Load what is wanted of a model; refused versions with reasons. Failure where the replica is down."""
        if not self.up:
            raise Failure(Cause.UNREACHABLE, "the replica is down")
        try:
            return await self._resident(model).ensure()
        except Failure as failure:
            self._down(failure)
            raise

    async def release(self, model: WantedModel, version: int) -> None:
        """Unload a version unless it is still wanted; where the replica is down, its return will see to it."""
        if not self.up or model.name not in self._residents:
            return
        try:
            await self._residents[model.name].release(version)
        except Failure as failure:
            self._down(failure)

    async def unregister(self, model: WantedModel, region: str) -> None:
        """Have a region of shared memory forgotten; where the replica is down, its next start will see to it."""
        if not self.up or model.name not in self._residents:
            return
        try:
            await self._residents[model.name].unregister(region)
        except Failure as failure:
            self._down(failure)

    def _resident(self, model: WantedModel) -> Resident:
        return self._residents.setdefault(model.name, Resident(model, self._channel, self._patience))

    def _note(self, resident: Resident, version: int, failure: Failure, loads: int) -> None:
        """Draw the consequences of a request that failed."""
        if failure.cause in (Cause.UNREACHABLE, Cause.CUT_OFF):
            if self._breaker.failed(time.monotonic()):
                self._opened(failure)
        elif resident.failed(version, failure, loads):
            _log.warning("%s: %s is to be loaded anew: %s", self.address, resident.wanted.name, failure.detail)
            self._wake.set()

    def _down(self, failure: Failure) -> None:
        """A call of our own failed: nothing is known any more of what is loaded there."""
        if self._breaker.trip(time.monotonic()):
            self._opened(failure)

    def _opened(self, failure: Failure) -> None:
        _log.warning("%s takes no traffic: %s", self.address, failure.detail)
        self._events.replica(self.address, False)
        self._wake.set()

    async def _look_after(self) -> None:
        while True:
            now = time.monotonic()
            pause = self._patience.check_s if self.up else self._breaker.wait_s(now)
            if self.up or pause:
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            self._wake.clear()
            if self.up:
                await self._check()
            elif not self._breaker.wait_s(time.monotonic()):
                await self._recover()

    async def _check(self) -> None:
        """See whether it answers and still holds what was loaded, and do what has come to be needed."""
        loaded = {name: resident.loaded for name, resident in self._residents.items()}
        try:
            states = await self._channel.states(self._patience.look_s)
        except Failure as failure:
            if self._breaker.failed(time.monotonic()):
                self._opened(failure)
            elif failure.cause is Cause.LATE:
                # The look has taken its time already: one that hangs is to be known before its callers' deadlines.
                self._wake.set()
            return
        self._breaker.succeeded()
        for name, before in loaded.items():
            self._residents[name].compare(before, states)
        for resident in [resident for resident in self._residents.values() if resident.needs_work]:
            try:
                await resident.ensure()
            except Failure as failure:
                self._down(failure)
                return
            self._events.repaired(resident.wanted.name)

    async def _recover(self) -> None:
        """Half open: when it is alive, load all that is wanted, and only then let traffic flow again."""
        try:
            await self._channel.live(self._patience.call_s, patient=self.looked_at.is_set())
            for resident in self._residents.values():
                resident.forget()
            await self._ensure_all()
        except Failure as failure:
            self._breaker.attempt_failed(time.monotonic())
            level = logging.DEBUG if self.looked_at.is_set() else logging.WARNING
            _log.log(level, "%s cannot be used yet: %s", self.address, failure.detail)
        else:
            self._breaker.close()
            _log.info("%s takes traffic", self.address)
            self._events.replica(self.address, True)
        finally:
            self.looked_at.set()

    async def _ensure_all(self) -> None:
        """Load all that is wanted, a few models at a time; Failure, once none is under way, where that cannot be."""
        some = asyncio.Semaphore(_LOADS_AT_A_TIME)

        async def ensure(model: WantedModel) -> None:
            async with some:
                await self._resident(model).ensure()

        outcomes = await asyncio.gather(*map(ensure, list(self._models.values())), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
