"""One model on one replica: brought to what is wanted, unloaded, repaired."""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping

from service.engines.triton.channel import TritonChannel
from service.engines.triton.errors import Cause, Failure, showable
from service.engines.triton.patience import Patience
from service.engines.triton.wanted import WantedModel

_log = logging.getLogger("vitrail.engines.triton")

_MANY_FAILURES = 5
"""Failures of a model in a row after which it is loaded anew, in case that helps."""
_REPAIR_PAUSE_S = 30.0
"""Between two repairs on a guess."""
_POLL_S = 0.05
_READY = "READY"
_NOT_EXPLICIT = "load / unload is not allowed"
"""What a Triton says that decides by itself what is loaded; traffic over it would follow nobody's will."""
_NO_VERSION = "at least one version must be available"
_ABSENT = "Triton does not find it in its model repository"


_REFUSED = re.compile(r"version (\d+) is at \w+ state")


class Resident:
    """What is known of a model on a replica. The lock is held while it is loaded or unloaded there."""

    def __init__(self, wanted: WantedModel, channel: TritonChannel, patience: Patience) -> None:
        self.wanted = wanted
        self.ready: set[int] = set()
        """Versions that take traffic here."""
        self.regions: set[str] = set()
        """Regions of shared memory that this replica knows."""
        self.loads = 0
        """How often it was loaded; the failure of a request from before the last time tells nothing of what is now."""
        self._channel = channel
        self._patience = patience
        self._lock = asyncio.Lock()
        self._held: tuple[str, int] | None = None
        self._generation = 0
        self._failures: Counter[int] = Counter()
        self._repair_after = 0.0
        self._broken: set[int] = set()
        self._lost = False

    @property
    def serves(self) -> frozenset[int]:
        """Versions that may be sent requests."""
        return frozenset(self.ready - self._broken)

    @property
    def needs_work(self) -> bool:
        """What was loaded is gone, or broken."""
        return bool(self._broken) or self._lost

    def answered(self, version: int) -> None:
        """A request was answered."""
        self._failures.pop(version, None)

    def failed(self, version: int, failure: Failure, loads: int) -> bool:
        """A request, sent when ``loads`` was so much, was not answered; whether the resident needs work now."""
        if loads != self.loads:
            return False
        match failure.cause:
            case Cause.EMPTY:
                self.forget()
            case Cause.STUB_DEAD:
                self._broken.add(version)
            case Cause.FAILED:
                self._failures[version] += 1
                now = time.monotonic()
                if self._failures[version] >= _MANY_FAILURES and now >= self._repair_after:
                    self._repair_after = now + _REPAIR_PAUSE_S
                    self._broken.add(version)
        return self.needs_work

    @property
    def loaded(self) -> tuple[str, int] | None:
        """The configuration and revision that the replica holds; None while that changes, or is not known."""
        return None if self._lock.locked() else self._held

    def compare(self, loaded: tuple[str, int] | None, states: Mapping[tuple[str, int], tuple[str, str]]) -> None:
        """Forget what is loaded if Triton's states, asked for when this was ``loaded``, tell otherwise."""
        if loaded is None or loaded != self.loaded:
            return
        if any(states.get((self.wanted.name, version), ("", ""))[0] != _READY for version in self.ready):
            _log.warning("%s: %s is gone", self._channel.address, self.wanted.name)
            self.forget()

    def forget(self) -> None:
        """The replica may hold nothing of what was loaded: it is another process, or someone else unloaded it."""
        self.ready.clear()
        self.regions.clear()
        self._held = None
        self._lost = True

    async def ensure(self) -> dict[int, str]:
        """Load what is wanted; the versions that Triton refuses, with reasons fit for callers.

        Failure where Triton cannot be asked. A load replaces the whole configuration; versions that were loaded stay
        in traffic meanwhile, for Triton puts new instances in their place only once these are ready.
        """
        async with self._lock:
            if not self.wanted.versions:
                await self._unload()
                return {}
            broken = frozenset(self._broken)
            self._generation += bool(broken)
            held = self.wanted.config(self._generation), self.wanted.revision
            refusal = "" if held == self._held else await self._load(held[0])
            states = {} if _NOT_EXPLICIT in refusal else await self._channel.states(self._patience.call_s)
            found = {version: states.get((self.wanted.name, version)) for version in self.wanted.versions}
            self.ready = {version for version, state in found.items() if state and state[0] == _READY}
            self.loads += held != self._held
            self._held, self._lost = held, False
            self._broken -= broken
            self._failures.clear()
            await self._register()
            # Where new files of a version do not load, what was loaded before of it goes on.
            unloadable = (found.keys() - self.ready) | (found.keys() & _versions_in(refusal))
            reasons = {version: found[version] or (None, "") for version in unloadable}
            return {version: showable(reason or refusal) or _ABSENT for version, (_, reason) in reasons.items()}

    async def unregister(self, region: str) -> None:
        """Have Triton forget a region of shared memory; Failure where it cannot be asked."""
        if region in self.regions:
            self.regions.discard(region)
            await self._channel.unregister(region, self._patience.call_s)

    async def release(self, version: int) -> None:
        """Unload a version that is no longer wanted, and wait until it is gone; Failure where Triton cannot."""
        if version not in self.wanted.versions:
            self.ready.discard(version)
        await self.ensure()
        end = time.monotonic() + self._patience.unload_s
        while version not in self.wanted.versions and await self._state(version) in (_READY, "UNLOADING"):
            if time.monotonic() > end:
                _log.warning("%s: %s:%s is still being unloaded", self._channel.address, self.wanted.name, version)
                return
            await asyncio.sleep(_POLL_S)

    async def _state(self, version: int) -> str | None:
        states = await self._channel.states(self._patience.call_s)
        return states.get((self.wanted.name, version), (None, ""))[0]

    async def _load(self, config: str) -> str:
        """Triton's refusal, or nothing."""
        try:
            await self._channel.load(self.wanted.name, config, self._patience.load_s)
        except Failure as failure:
            if failure.cause is Cause.LATE:
                # One model that takes too long must not keep a replica that is well from serving the others.
                await self._channel.live(self._patience.call_s)
                return f"it was not ready within {self._patience.load_s:g} seconds"
            if failure.cause not in (Cause.REJECTED, Cause.FAILED, Cause.EMPTY, Cause.STUB_DEAD):
                raise
            _log.warning("%s does not load %s: %s", self._channel.address, self.wanted.name, failure.detail)
            return "" if _NO_VERSION in failure.detail else failure.detail
        return ""

    async def _unload(self) -> None:
        self.ready.clear()
        self._broken.clear()
        if self._held is not None or self._lost:
            await self._channel.unload(self.wanted.name, self._patience.call_s)
        self._held, self._lost = None, False

    async def _register(self) -> None:
        """Make the versions' shared memory known; without it, images travel in messages."""
        for slots in [lease.slots for lease in self.wanted.leases]:
            if slots is None or slots.name in self.regions:
                continue
            try:
                await self._channel.register(slots.name, slots.size, self._patience.call_s)
            except Failure as failure:
                if failure.cause not in (Cause.REJECTED, Cause.FAILED):
                    raise
                _log.warning("%s shares no memory with this service: %s", self._channel.address, failure.detail)
            else:
                self.regions.add(slots.name)


def _versions_in(refusal: str) -> set[int]:
    """The versions that a refused load was refused for."""
    return {int(number) for number in _REFUSED.findall(refusal)}
