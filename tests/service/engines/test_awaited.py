"""An engine that cannot be opened yet."""

import asyncio

import pytest

from service.engines.awaited import AwaitedEngine
from service.engines.base import Engine, EngineAway
from service.errors import ErrorKind, ServiceError, deadline_exceeded, engine_unavailable, overloaded
from tests.doubles import EchoEngine, settle, tag_of, tagged_image, until


class Opening:
    """Fails by these errors, one after the other, and then opens an engine."""

    def __init__(self, *errors: ServiceError) -> None:
        self.engine = EchoEngine((1, 2), concurrency=3)
        self.errors = list(errors)
        self.told = 0

    async def open(self) -> Engine:
        """Fail or open."""
        if self.errors:
            raise self.errors.pop(0)
        return self.engine

    def opened(self) -> None:
        """It is there."""
        self.told += 1

    def awaited(self) -> AwaitedEngine:
        """The engine that waits for this."""
        return AwaitedEngine("colours:1", (1,), self.open, self.opened, pause_s=0.0)


async def test_it_is_away_until_it_can_be_opened() -> None:
    """Tried again until it opens, it is away before and the engine itself after, and that is told once."""
    opening = Opening(engine_unavailable("not yet"), engine_unavailable("not yet"))
    engine = opening.awaited()
    assert (engine.healthy, engine.batch_sizes, engine.concurrency) == (False, (1,), 1)
    with pytest.raises(EngineAway):
        await engine.infer([tagged_image(1)])
    await until(lambda: opening.told)
    assert (engine.healthy, engine.batch_sizes, engine.concurrency, opening.told) == (True, (1, 2), 3, 1)
    (answer,) = await engine.infer([tagged_image(7)])
    assert int(answer.outputs["tag"]) == tag_of(tagged_image(7))
    await engine.close()
    assert opening.engine.closed


async def test_an_engine_that_is_slow_or_crowded_at_first_is_tried_again() -> None:
    """What comes with a start, or from others who ask as well, does not leave a version without its engine for ever."""
    opening = Opening(overloaded("it is full"), deadline_exceeded("its first answer took too long"))
    engine = opening.awaited()
    await until(lambda: opening.told)
    assert engine.healthy
    await engine.close()


async def test_what_is_refused_is_not_tried_again() -> None:
    """An engine that cannot run the version at all is not asked again and again."""
    opening = Opening(ServiceError(ErrorKind.INTERNAL, "it computes something else"))
    engine = opening.awaited()
    await until(lambda: not opening.errors)
    await settle()
    assert (engine.healthy, opening.told) == (False, 0)
    await engine.close()


async def test_closing_ends_the_wait() -> None:
    """A version that goes while its engine is awaited leaves nothing running."""
    opening = Opening(*[engine_unavailable("not yet")] * 1000)
    engine = opening.awaited()
    await engine.close()
    assert not [task for task in asyncio.all_tasks() if "waiting for the engine" in task.get_name()]
