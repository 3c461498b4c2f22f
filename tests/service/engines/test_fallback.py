"""An engine and its stand-in: whoever asks gets an answer from one of them, and hears which it was."""

import asyncio
from collections.abc import Callable, Hashable, Sequence

import pytest

from contract.preprocess import Pixels
from service.engines.base import Engine, EngineAway, Inferred
from service.engines.fallback import FallbackEngine, StandIn
from service.errors import ErrorKind, ServiceError, engine_unavailable
from tests.doubles import BrokenEngine, EchoEngine, GatedEngine, settle, tagged_image, until


class FarEngine(GatedEngine):
    """Can be away: then it holds what it has, and refuses what comes."""

    def __init__(self) -> None:
        super().__init__(concurrency=2)
        self.gate = asyncio.Semaphore(1_000_000)

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`."""
        if not self.healthy:
            raise EngineAway("it is away")
        return await super().infer(images, deadline, flow)


class Pair:
    """An engine with a stand-in, and what they told."""

    def __init__(self, keep_s: float = 60.0, stand_in: Callable[[], EchoEngine] = EchoEngine) -> None:
        self.far = FarEngine()
        self.opened: list[EchoEngine] = []
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.told: list[bool] = []
        self._make = stand_in
        self.both = FallbackEngine(
            "colours:1", self.far, StandIn("embedded", self._open), self.told.append, keep_s=keep_s
        )

    async def _open(self) -> Engine:
        await self.may_open.wait()
        self.opened.append(self._make())
        return self.opened[-1]

    async def ask(self, *numbers: int) -> list[tuple[int, str]]:
        """The tags that come back, and who stood in."""
        answers = await self.both.infer([tagged_image(number) for number in numbers])
        return [(int(answer.outputs["tag"]), answer.stand_in) for answer in answers]

    def leave(self) -> None:
        """The engine goes away."""
        self.far.healthy = False

    def come_back(self) -> None:
        """The engine is there again."""
        self.far.healthy = True


async def test_the_engine_answers_as_long_as_it_is_there() -> None:
    """On a good day no stand-in is opened, and answers bear no mark."""
    pair = Pair()
    assert await pair.ask(1, 2) == [(1, ""), (2, "")]
    pair.both.look()
    assert (pair.opened, pair.told, pair.both.degraded, pair.both.concurrency) == ([], [], False, 2)


async def test_the_stand_in_answers_and_says_so() -> None:
    """While the engine is away the stand-in answers, marked; whoever is told of changes is told once each."""
    pair = Pair()
    pair.leave()
    assert [await pair.ask(number) for number in (1, 2)] == [[(1, "embedded")], [(2, "embedded")]]
    assert (pair.both.healthy, pair.both.concurrency, pair.told) == (True, 1, [True])
    pair.come_back()
    assert await pair.ask(3) == [(3, "")]
    assert (pair.told, len(pair.opened)) == ([True, False], 1)


async def test_it_opens_before_anybody_asks() -> None:
    """As soon as it is seen that the engine is away the stand-in is opened, and as soon as it is back that is told."""
    pair = Pair()
    pair.leave()
    pair.both.look()
    await until(lambda: pair.opened)
    pair.come_back()
    pair.both.look()
    assert pair.told == [True, False]


async def test_requests_wait_while_the_stand_in_is_opened() -> None:
    """Who comes while the stand-in is being opened waits, and it is opened once; one who leaves takes nobody along."""
    pair = Pair()
    pair.may_open.clear()
    pair.leave()
    asking = [asyncio.create_task(pair.ask(number)) for number in range(5)]
    await settle()
    asking.pop(0).cancel()
    pair.may_open.set()
    assert await asyncio.gather(*asking) == [[(number, "embedded")] for number in range(1, 5)]
    assert len(pair.opened) == 1


async def test_requests_under_way_in_an_engine_that_hangs() -> None:
    """Who waits for an engine that is found to hang is answered by the stand-in; none gets two answers or no answer."""
    pair = Pair()
    pair.far.gate = asyncio.Semaphore(0)
    asking = [asyncio.create_task(pair.ask(number)) for number in range(8)]
    await until(lambda: pair.far.running == 8)
    pair.leave()
    pair.both.look()
    assert await asyncio.gather(*asking) == [[(number, "embedded")] for number in range(8)]
    assert pair.far.running == 0


async def test_an_engine_that_goes_may_be_looked_at_again_and_again() -> None:
    """Who looks while calls are still being taken back, as where several replicas go at once, learns of no error."""
    pair = Pair()
    pair.far.gate = asyncio.Semaphore(0)
    asking = [asyncio.create_task(pair.ask(number)) for number in range(4)]
    await until(lambda: pair.far.running == 4)
    pair.leave()
    for _ in range(6):
        pair.both.look()
        await asyncio.sleep(0)
    assert await asyncio.gather(*asking) == [[(number, "embedded")] for number in range(4)]


async def test_an_engine_that_fails_on_a_batch_is_not_away() -> None:
    """Errors that another engine would make too, and those of the caller's making, are passed on."""
    broken = BrokenEngine(error=ServiceError(ErrorKind.INVALID_PARAMETERS, "no"))
    both = FallbackEngine("colours:1", broken, StandIn("embedded", _never), lambda _: None)
    with pytest.raises(ServiceError, match="no"):
        await both.infer([tagged_image(666)])
    assert not both.degraded


async def _never() -> Engine:
    raise AssertionError("nobody should ask for it")


async def test_without_a_stand_in_that_works_it_is_unavailable() -> None:
    """Where the stand-in cannot be opened callers hear that the engine is away, and readiness tells; later it may."""
    pair = Pair()
    pair.leave()
    willing = [False]

    async def opened() -> Engine:
        if not willing[0]:
            raise engine_unavailable("its file is gone")
        return EchoEngine()

    both = FallbackEngine("colours:1", pair.far, StandIn("embedded", opened), pair.told.append)
    with pytest.raises(ServiceError) as error:
        await both.infer([tagged_image(1)])
    assert (error.value.kind, both.healthy) == (ErrorKind.ENGINE_UNAVAILABLE, False)
    willing[0] = True
    assert (await both.infer([tagged_image(1)]))[0].stand_in == "embedded"
    assert both.healthy


async def test_a_stand_in_that_fails_to_open_as_nobody_foresaw_is_tried_again() -> None:
    """Whoever asks then gets the error; what others read of the engine goes on to be told, and the next try counts."""
    pair = Pair()
    pair.leave()
    problems: list[Exception] = [MemoryError("no memory")]

    async def opened() -> Engine:
        if problems:
            raise problems.pop()
        return EchoEngine()

    both = FallbackEngine("colours:1", pair.far, StandIn("embedded", opened), pair.told.append)
    with pytest.raises(MemoryError):
        await both.infer([tagged_image(1)])
    assert both.concurrency == 2
    assert (await both.infer([tagged_image(1)]))[0].stand_in == "embedded"


async def test_a_stand_in_that_is_not_needed_gives_its_memory_back() -> None:
    """A while after the engine's return the stand-in is closed; the next time another one is opened."""
    pair = Pair(keep_s=0.0)
    pair.leave()
    await pair.ask(1)
    pair.come_back()
    await pair.ask(2)
    await until(lambda: pair.opened[0].closed)
    pair.leave()
    assert await pair.ask(3) == [(3, "embedded")]
    assert len(pair.opened) == 2


async def test_a_stand_in_stays_while_the_engine_comes_and_goes() -> None:
    """An engine that goes away again soon finds the same stand-in."""
    pair = Pair()
    for number in range(3):
        pair.leave()
        assert await pair.ask(number) == [(number, "embedded")]
        pair.come_back()
        assert await pair.ask(number) == [(number, "")]
    assert (len(pair.opened), pair.opened[0].closed) == (1, False)


async def test_closing_closes_both() -> None:
    """When the version goes, so do its engine and the stand-in, whoever answers at that moment."""
    pair = Pair()
    pair.leave()
    await pair.ask(1)
    await pair.both.close()
    assert (pair.far.closed, pair.opened[0].closed) == (True, True)
