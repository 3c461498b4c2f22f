"""All Tritons of a service: who there is, what they hold, whose turn it is."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from contract.card import ModelCard
from service.engines.triton.addresses import Lookup, addresses, is_name, look_up
from service.engines.triton.engine import TritonEngine
from service.engines.triton.errors import Failure, TritonRefused
from service.engines.triton.events import TritonEvents
from service.engines.triton.patience import Patience
from service.engines.triton.replica import Replica
from service.engines.triton.shared_memory import ImageSlots
from service.engines.triton.wanted import Lease, WantedModel
from service.errors import engine_unavailable

_log = logging.getLogger("vitrail.engines.triton")

_SLOTS = 8
"""Batches of one version that shared memory has room for; what comes beside them travels in messages."""


class TritonPool:
    """Replicas of Triton, in explicit mode and over the same repository as the service.

    ``urls``: ``host:port``, or ``dns:///host:port`` for all addresses of a name, which is looked up again and again.
    ``shared_memory``: the replicas run on this machine and see its ``/dev/shm``. ``instances`` of each version run at
    the same time on each replica. ``queue_in_triton``: Triton refuses what does not fit into its queue, too; for
    Tritons that several services crowd. With ``unload_on_close`` false, engines that close leave their versions
    loaded: it may be set at the end of a service whose Tritons others use too.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        shared_memory: bool = False,
        connections: int = 1,
        instances: int = 1,
        on_gpu: bool | None = None,
        queue_in_triton: bool = False,
        unload_on_close: bool = True,
        events: TritonEvents | None = None,
        patience: Patience | None = None,
        lookup: Lookup = look_up,
    ) -> None:
        self.unload_on_close = unload_on_close
        self._urls = tuple(urls)
        self._shared_memory = shared_memory
        self._connections = connections
        self._instances = instances
        self._on_gpu = on_gpu
        self._queue_in_triton = queue_in_triton
        self._events = events or TritonEvents.silent()
        self._patience = patience or Patience()
        self._lookup = lookup
        self._models: dict[str, WantedModel] = {}
        self._replicas: dict[str, Replica] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None
        self._turn = 0

    @property
    def replicas(self) -> dict[str, bool]:
        """Whether each takes traffic, by address."""
        return {address: replica.up for address, replica in self._replicas.items()}

    @property
    def places(self) -> int:
        """Batches of one version that run at the same time; at least one."""
        return self._instances * max(1, sum(replica.up for replica in self._replicas.values()))

    async def start(self) -> None:
        """Find the replicas, and wait a moment for their first answers; ones that are down are tried on and on.

        ValueError for a URL that is none.
        """
        await self._follow()
        if any(is_name(url) for url in self._urls):
            self._follower = asyncio.create_task(self._follow_on())
        looks = [asyncio.ensure_future(replica.looked_at.wait()) for replica in self._replicas.values()]
        if looks:
            await asyncio.wait(looks, timeout=self._patience.start_s)
        for look in looks:
            look.cancel()

    async def close(self) -> None:
        """Leave all replicas; engines are closed before."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._replicas.values()), *self._leaving)
        self._replicas.clear()
        for model in self._models.values():
            for lease in model.leases:
                if lease.slots is not None:
                    lease.slots.close()
            model.leases.clear()

    async def open(self, card: ModelCard, *, max_queue: int, max_batch_size: int | None) -> TritonEngine:
        """Load a version on every replica that is up; one that is open already is loaded anew if its files changed.

        TritonRefused if one of them will not; ServiceError (engine_unavailable) if there is none, or they went away.
        """
        fresh = WantedModel(card.name, self._instances, self._on_gpu, self._queue_in_triton)
        model = self._models.setdefault(card.name, fresh)
        lease = Lease(card, max_queue, max_batch_size)
        async with model.lock, AsyncExitStack() as undo:
            model.require_fit(card)
            if self._shared_memory:
                lease = replace(lease, slots=ImageSlots(card.input.shape, lease.largest, _SLOTS))
            model.add(lease)
            undo.push_async_callback(self._give_up, model, lease)
            await self._load(model, card.version)
            undo.pop_all()
        return TritonEngine(model, lease, self, self._patience, lambda: self._closed(model, lease))

    def next(self, model: str, version: int, tried: Collection[Replica]) -> Replica | None:
        """The replica whose turn it is, of those that serve the version and were not tried."""
        fit = [
            replica for replica in self._replicas.values() if replica not in tried and replica.serves(model, version)
        ]
        if not fit:
            return None
        self._turn += 1
        return fit[self._turn % len(fit)]

    def serves(self, model: str, version: int) -> bool:
        """Whether any replica can be asked for the version."""
        return any(replica.serves(model, version) for replica in self._replicas.values())

    def retried(self, failure: Failure) -> None:
        """Take notice that a request goes to another replica."""
        self._events.retried(failure.cause.name.lower())

    async def _load(self, model: WantedModel, version: int) -> None:
        outcomes = await asyncio.gather(
            *(replica.ensure(model) for replica in self._replicas.values()), return_exceptions=True
        )
        answers = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Failure):
                raise outcome
        for refused in answers:
            if reason := refused.get(version):
                raise TritonRefused(f"Triton does not load it: {reason}")
        if not answers:
            raise engine_unavailable("no Triton can be reached; try again in a moment")

    async def _closed(self, model: WantedModel, lease: Lease) -> None:
        async with model.lock:
            if self.unload_on_close:
                await self._give_up(model, lease)
            else:
                await self._forget(lease, model)

    async def _give_up(self, model: WantedModel, lease: Lease) -> None:
        """End a claim, and bring the replicas to what is wanted without it."""
        model.leases.remove(lease)
        await asyncio.gather(*(replica.release(model, lease.card.version) for replica in self._replicas.values()))
        await self._forget(lease, model)
        if model.leases:
            model.offered = model.largest

    async def _forget(self, lease: Lease, model: WantedModel) -> None:
        """Free a claim's shared memory, here and on the replicas."""
        if lease.slots is None:
            return
        region = lease.slots.name
        await asyncio.gather(*(replica.unregister(model, region) for replica in self._replicas.values()))
        lease.slots.close()

    async def _follow_on(self) -> None:
        while True:
            await asyncio.sleep(self._patience.lookup_s)
            await self._follow()

    async def _follow(self) -> None:
        """Take in replicas that have come, let go of those that have left; where a name fails, all stays as it is."""
        try:
            found = await addresses(self._urls, self._lookup)
        except OSError as error:
            _log.warning("the replicas of Triton cannot be looked up: %s", error)
            return
        for address in found:
            if address not in self._replicas:
                replica = Replica(address, self._models, self._connections, self._patience, self._events)
                self._replicas[address] = replica
                replica.start()
        for address in set(self._replicas) - set(found):
            task = asyncio.create_task(self._leave(address, self._replicas.pop(address)))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _leave(self, address: str, replica: Replica) -> None:
        await replica.close()
        if address not in self._replicas:
            self._events.left(address)
