"""The batcher: right answers, certified batches, nothing lost, nothing computed for nobody."""

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.preprocess import Pixels
from service.engines.base import Inferred
from service.engines.batcher import Batch, Batcher, BatcherEvents
from service.engines.onnx import OnnxEngine
from service.errors import ErrorKind, ServiceError
from tests.doubles import BrokenEngine, EchoEngine, GatedEngine, ShortEngine, settle, tagged_image
from tests.tiny_models import SIDE, write_version


def tags(answers: list[Inferred]) -> list[int]:
    """The tags that came back."""
    return [int(answer.outputs["tag"]) for answer in answers]


async def ask(batcher: Batcher, *numbers: int, deadline: float | None = None) -> list[int]:
    """Send images with these tags, and give the tags that come back."""
    return tags(await batcher.infer([tagged_image(number) for number in numbers], deadline))


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=200, max_size=200),
    pauses=st.lists(st.integers(0, 3), min_size=200, max_size=200),
    batch_sizes=st.sampled_from([(1,), (1, 2, 4), (1, 2, 3, 4, 5, 6, 7, 8), (1, 8)]),
    concurrency=st.integers(1, 3),
)
def test_two_hundred_callers_get_their_own_answers(
    sizes: list[int], pauses: list[int], batch_sizes: tuple[int, ...], concurrency: int
) -> None:
    """200 requests of random sizes at random moments get exactly their own answers, in batches that are certified."""

    async def run() -> EchoEngine:
        engine = EchoEngine(batch_sizes, concurrency)
        batcher = Batcher(engine, max_queue=10_000)

        async def caller(first: int, size: int, pause: int) -> None:
            for _ in range(pause):
                await asyncio.sleep(0)
            wanted = list(range(first, first + size))
            assert await ask(batcher, *wanted) == wanted

        firsts = np.cumsum([0, *sizes[:-1]]).tolist()
        await asyncio.gather(*map(caller, firsts, sizes, pauses))
        await batcher.close()
        return engine

    engine = asyncio.run(run())
    assert {len(batch) for batch in engine.batches} <= set(batch_sizes)
    assert sum(len(batch) for batch in engine.batches) == sum(sizes)
    assert engine.most_running <= concurrency


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_a_real_session_answers_as_if_each_were_alone(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """200 requests through a real session in batches get to the bit what each image gets alone."""
    root: Path = tmp_path_factory.mktemp("repository")
    card = write_version(root, "colours")
    chance = np.random.default_rng(seed)

    async def run(threads: ThreadPoolExecutor) -> None:
        engine = OnnxEngine(card, root / "colours" / "1" / "model.onnx", threads, 2)
        batcher = Batcher(engine, max_queue=10_000)

        async def caller(images: list[Pixels]) -> None:
            await asyncio.sleep(chance.random() / 100)
            together = await batcher.infer(images)
            for image, answer in zip(images, together, strict=True):
                (alone,) = await engine.infer([image])
                assert np.array_equal(alone.outputs["probabilities"], answer.outputs["probabilities"])

        random_images = np.random.default_rng(seed).integers(0, 256, (600, SIDE, SIDE, 3), np.uint8)
        groups = [list(random_images[3 * n : 3 * n + chance.integers(1, 4)]) for n in range(200)]
        await asyncio.gather(*map(caller, groups))

    with ThreadPoolExecutor(2) as threads:
        asyncio.run(run(threads))


async def test_an_idle_engine_starts_at_once() -> None:
    """The first image is sent alone and at once, without waiting for company."""
    engine = GatedEngine()
    batcher = Batcher(engine, max_queue=10)
    caller = asyncio.create_task(ask(batcher, 1))
    await settle()
    assert engine.batches == [[1]]
    await engine.release()
    assert await caller == [1]


async def test_a_busy_engine_lets_images_gather() -> None:
    """What arrives while the engine is busy goes together, oldest first, as many as are certified."""
    engine = GatedEngine(batch_sizes=(1, 2, 4))
    batcher = Batcher(engine, max_queue=10)
    callers = [asyncio.create_task(ask(batcher, number)) for number in range(8)]
    await settle()
    await engine.release()
    assert [await caller for caller in callers] == [[number] for number in range(8)]
    # Seven were waiting: four, then the two of the three left that make a certified batch, then the last.
    assert engine.batches == [[0], [1, 2, 3, 4], [5, 6], [7]]


async def test_never_more_batches_than_places() -> None:
    """With two places, two batches run and the rest waits."""
    engine = GatedEngine(batch_sizes=(1,), concurrency=2)
    batcher = Batcher(engine, max_queue=10)
    callers = [asyncio.create_task(ask(batcher, number)) for number in range(5)]
    await settle()
    assert engine.running == 2
    await engine.release()
    await asyncio.gather(*callers)
    assert engine.most_running == 2


async def test_a_full_queue_refuses_the_whole_request() -> None:
    """The queue counts images, not requests, and takes all of a request or none."""
    engine = GatedEngine(batch_sizes=(1,))
    batcher = Batcher(engine, max_queue=3)
    waiting = [asyncio.create_task(ask(batcher, 1)), asyncio.create_task(ask(batcher, 2, 3))]
    await settle()
    with pytest.raises(ServiceError) as refused:
        await ask(batcher, 4, 5)
    assert refused.value.kind is ErrorKind.OVERLOADED
    await engine.release()
    await asyncio.gather(*waiting)
    assert engine.batches == [[1], [2], [3]]


async def test_images_of_a_caller_who_left_are_not_computed() -> None:
    """A cancelled caller's images are dropped from the queue; the others' go on."""
    engine = GatedEngine(batch_sizes=(1, 2))
    batcher = Batcher(engine, max_queue=10)
    first, gone, last = (asyncio.create_task(ask(batcher, *numbers)) for numbers in [(1,), (2, 3), (4,)])
    await settle()
    gone.cancel()
    await engine.release()
    assert (await first, await last) == ([1], [4])
    assert engine.batches == [[1], [4]]


async def test_images_past_their_deadline_are_not_computed() -> None:
    """An image whose deadline passed while it waited is answered with that, and never computed."""
    engine = GatedEngine(batch_sizes=(1, 2))
    batcher = Batcher(engine, max_queue=10)
    first = asyncio.create_task(ask(batcher, 1))
    late = asyncio.create_task(ask(batcher, 2, deadline=time.monotonic() - 1))
    await settle()
    await engine.release()
    assert await first == [1]
    with pytest.raises(ServiceError) as error:
        await late
    assert error.value.kind is ErrorKind.DEADLINE_EXCEEDED
    assert engine.batches == [[1]]


async def test_too_few_answers_are_noticed() -> None:
    """If the engine gives fewer answers than there were images, nobody gets another's."""
    batcher = Batcher(ShortEngine(), max_queue=10)
    with pytest.raises(ServiceError) as error:
        await ask(batcher, 1, 2)
    assert error.value.kind is ErrorKind.INTERNAL
    assert "answers to" in error.value.message


async def test_a_failing_batch_fails_alone() -> None:
    """An engine that fails on one batch goes on with the next."""
    batcher = Batcher(BrokenEngine(batch_sizes=(1,)), max_queue=10)
    results = await asyncio.gather(ask(batcher, 1), ask(batcher, 666), ask(batcher, 2), return_exceptions=True)
    assert results[0] == [1]
    assert isinstance(results[1], RuntimeError)
    assert results[2] == [2]


@pytest.mark.parametrize("error", [KeyError("odd"), AssertionError(), OSError(), Exception("of no kind")])
async def test_whatever_the_engine_raises_reaches_its_callers(error: Exception) -> None:
    """No error of an engine, foreseen or not, leaves a caller of its batch waiting or the next batch unsent."""
    batcher = Batcher(BrokenEngine(batch_sizes=(1, 2), error=error), max_queue=10)
    results = await asyncio.gather(*(ask(batcher, tag) for tag in (1, 666, 2, 3)), return_exceptions=True)
    assert results == [[1], error, error, [3]]


async def test_an_engine_that_is_stopped_leaves_nobody_waiting() -> None:
    """Where the inner engine's work is cancelled from below, the caller hears that the engine is unavailable."""
    batcher = Batcher(BrokenEngine(error=asyncio.CancelledError()), max_queue=10)
    with pytest.raises(ServiceError) as stopped:
        await ask(batcher, 666)
    assert stopped.value.kind is ErrorKind.ENGINE_UNAVAILABLE
    assert await ask(batcher, 1) == [1]


async def test_no_error_goes_unheard(caplog: pytest.LogCaptureFixture) -> None:
    """Callers who left before their batch failed leave no future behind that complains of its error."""
    engine = GatedEngine(batch_sizes=(1,))
    batcher = Batcher(engine, max_queue=10)
    gone = [asyncio.create_task(ask(batcher, 1)), asyncio.create_task(ask(batcher, 2, 3))]
    await settle()
    for caller in gone:
        caller.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await engine.release()
    del gone
    gc.collect()
    await batcher.close()
    assert not caplog.records
    assert engine.batches == [[1]]


async def test_the_dead_take_no_place_from_the_living() -> None:
    """Images of callers who have left do not count when the queue is judged full."""
    engine = GatedEngine(batch_sizes=(1,))
    batcher = Batcher(engine, max_queue=2)
    busy, gone = asyncio.create_task(ask(batcher, 1)), asyncio.create_task(ask(batcher, 2, 3))
    await settle()
    gone.cancel()
    await settle()
    living = asyncio.create_task(ask(batcher, 4, 5))
    await engine.release()
    assert await asyncio.gather(busy, living) == [[1], [4, 5]]
    assert engine.batches == [[1], [4], [5]]


@pytest.mark.parametrize("batch_sizes", [(1, 2, 4), (1, 4), (1, 8)])
async def test_the_oldest_go_first(batch_sizes: tuple[int, ...]) -> None:
    """Images are sent in the order in which they came, whoever sent them and however they are cut into batches."""
    engine = EchoEngine(batch_sizes)
    batcher = Batcher(engine, max_queue=100)
    await asyncio.gather(*(ask(batcher, *range(3 * n, 3 * n + 3)) for n in range(11)))
    assert [tag for batch in engine.batches for tag in batch] == list(range(33))


async def test_waiting_is_counted_in_the_answer() -> None:
    """The queue's seconds of an answer are those in the batcher and those in the engine, never negative."""
    answers = await Batcher(EchoEngine(), max_queue=10).infer([tagged_image(1), tagged_image(2)])
    assert all(answer.queue_s >= 0 for answer in answers)


async def test_a_failed_request_leaves_nothing_in_the_queue() -> None:
    """When one image of a request fails, those of it that still wait are not computed."""
    engine = BrokenEngine(batch_sizes=(1,))
    batcher = Batcher(engine, max_queue=10)
    with pytest.raises(RuntimeError):
        await ask(batcher, 666, 1, 2, 3)
    await settle()
    assert [666] in engine.batches
    assert [3] not in engine.batches


async def test_closing_finishes_what_waits_and_then_refuses() -> None:
    """Closing drains the queue, closes the engine within, and takes no more."""
    engine = EchoEngine(batch_sizes=(1, 2))
    batcher = Batcher(engine, max_queue=10)
    callers = [asyncio.create_task(ask(batcher, number)) for number in range(5)]
    await asyncio.sleep(0)
    await batcher.close()
    assert [await caller for caller in callers] == [[number] for number in range(5)]
    assert engine.closed
    with pytest.raises(ServiceError) as refused:
        await ask(batcher, 9)
    assert refused.value.kind is ErrorKind.ENGINE_UNAVAILABLE


async def test_events_tell_batches_and_depth() -> None:
    """Every batch is counted with its size, and the depth returns to none."""
    sizes: list[int] = []
    depths: list[int] = []
    ran: list[Batch] = []
    batcher = Batcher(EchoEngine(batch_sizes=(1, 2)), 10, BatcherEvents(sizes.append, depths.append, ran.append))
    await asyncio.gather(*(ask(batcher, number) for number in range(5)))
    await settle()
    assert sum(sizes) == 5
    assert [batch.size for batch in ran] == sizes == [len(batch.waits_s) for batch in ran]
    assert max(depths) > 0
    assert depths[-1] == 0


async def test_work_for_callers_who_have_left_is_told_as_wasted() -> None:
    """Of a batch of two, one of whose callers has left while it ran, half of the time was for nobody."""
    ran: list[Batch] = []
    engine = GatedEngine((1, 2))
    batcher = Batcher(engine, 10, BatcherEvents(lambda _: None, lambda _: None, ran.append))
    blocker, leaver, stayer = (asyncio.create_task(ask(batcher, number)) for number in range(3))
    await settle()
    await engine.release(1)
    leaver.cancel()
    await engine.release()
    assert await blocker == [0]
    assert await stayer == [2]
    assert [(batch.size, batch.wasted_s) for batch in ran] == [(1, 0), (2, ran[1].compute_s / 2)]


async def test_a_stream_with_many_frames_waiting_does_not_hold_up_a_caller() -> None:
    """Behind a stream that has eight frames in the queue, a caller's image is the next but one."""
    engine = GatedEngine((1,))
    batcher = Batcher(engine, max_queue=100)
    frames = [asyncio.create_task(batcher.infer([tagged_image(n)], None, "camera")) for n in range(8)]
    await settle()
    caller = asyncio.create_task(ask(batcher, 99))
    await settle()
    await engine.release(3)
    assert await caller == [99]
    assert engine.batches[:3] == [[0], [1], [99]]
    await engine.release()
    await asyncio.gather(*frames)
    await batcher.close()


async def test_an_image_passes_a_stream_whose_frames_fill_no_batch() -> None:
    """Frames that are put back because they fill no certified batch are not before a caller who comes then."""
    engine = GatedEngine(batch_sizes=(1, 8))
    batcher = Batcher(engine, max_queue=100)
    frames = [asyncio.create_task(batcher.infer([tagged_image(number)], flow="job")) for number in range(8)]
    await settle()
    await engine.release(1)
    image = asyncio.create_task(batcher.infer([tagged_image(100)]))
    await settle()
    await engine.release()
    await asyncio.gather(*frames, image)
    assert engine.batches.index([100]) <= 3
    await batcher.close()
