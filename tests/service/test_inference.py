"""The way of a request: admitted or refused, decoded, inferred, answered, and every stage timed."""

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.image import decode
from contract.preprocess import Pixels
from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.inference import Answer, Inference, Query, parse_parameters
from service.telemetry import STAGES, Stages
from tests.doubles import settle, until
from tests.service.running import BLACK, BLUE, GREEN, RED, Running, running
from tests.service.tiny_tasks import A_CLIP, A_TRIMAP, share_model, trimap_model, write_task


def query(*images: bytes, **changes: Any) -> Query:
    """A question about images."""
    return Query(**{"task": Task.CLASSIFY, "model": None, "images": images, "parameters": {}, **changes})


def labels(answer: Answer) -> list[str]:
    """The best label of each result."""
    return [result["classes"][0]["label"] for result in answer.results]


async def refusal(inference: Inference, asked: Query) -> ServiceError:
    """The error that a query meets."""
    with pytest.raises(ServiceError) as error:
        await inference.predict(asked)
    return error.value


@pytest.fixture
async def inference(service: Running) -> Inference:
    """The inference of a running service."""
    return service.application.inference


@pytest.fixture
async def narrow(tiny_repository: Path) -> AsyncIterator[Running]:
    """A service that admits three images."""
    async with running(tiny_repository, max_images_in_flight=3, max_images_per_request=8) as service:
        yield service


async def test_the_pixels_of_a_request_are_limited(tiny_repository: Path) -> None:
    """Images that are small enough each are refused where they are too many pixels together, and decoded up to that."""
    pixels = decode(RED).shape[0] * decode(RED).shape[1]
    async with running(tiny_repository, max_pixels_per_request=3 * pixels) as service:
        inference = service.application.inference
        assert labels(await inference.predict(query(RED, GREEN, RED))) == ["red", "green", "red"]
        error = await refusal(inference, query(*[RED] * 4))
    assert (error.kind, "together" in error.message) == (ErrorKind.TOO_LARGE, True)


async def test_results_come_in_the_order_of_the_images(inference: Inference) -> None:
    """Each image of a request gets its own answer, at its own place."""
    answer = await inference.predict(query(RED, GREEN, BLUE, GREEN, RED))
    assert labels(answer) == ["red", "green", "blue", "green", "red"]
    assert (answer.model, answer.version, answer.alias) == ("colours", 2, "stable")


async def test_frames_that_are_decoded_already(inference: Inference) -> None:
    """Pixels are taken like an encoded image, and give the same answer."""
    pixels = decode(RED, inference.decode_limits)
    mixed = await inference.predict(Query(Task.CLASSIFY, None, [RED, pixels], {}))
    assert mixed.results[0] == mixed.results[1]


async def test_a_frame_has_no_trimap(tmp_path: Path) -> None:
    """A model that wants a trimap cannot be asked about a video's frame, and says so."""
    write_task(tmp_path, "hair", Task.MATTE, trimap_model(), preprocess=A_TRIMAP)
    async with running(tmp_path) as service:
        frame = np.zeros((8, 8, 3), np.uint8)
        error = await refusal(service.application.inference, Query(Task.MATTE, None, [frame], {}))
    assert (error.kind, "trimap" in error.message) == (ErrorKind.INVALID_IMAGE, True)


async def test_clips_of_frames_that_are_preprocessed_already(inference: Inference) -> None:
    """A clip is one image of a query: its frames go in as they are, and it gets one answer at its own place."""
    pixels = [decode(colour, inference.decode_limits) for colour in (RED, GREEN, BLUE)]
    frames = [await inference.preprocess_frame(frame, A_CLIP) for frame in pixels]
    clips = [np.stack([frames[2]] * 4), np.stack([*frames, frames[1]])]
    answer = await inference.predict(Query(Task.CLASSIFY_VIDEO, None, clips, {}))
    assert (frames[0].shape, frames[0].dtype) == ((8, 8, 3), np.uint8)
    assert labels(answer) == ["blue", "green"]


@pytest.mark.parametrize("wrong", [RED, np.zeros((8, 8, 3), np.uint8), np.zeros((5, 8, 8, 3), np.uint8)])
async def test_what_is_no_clip_is_refused(inference: Inference, wrong: bytes | Pixels) -> None:
    """A model of clips is not asked about an image, or about a clip of another length, and says what it takes."""
    error = await refusal(inference, Query(Task.CLASSIFY_VIDEO, None, [wrong], {}))
    assert (error.kind, "clips of 4 frames" in error.message) == (ErrorKind.INVALID_IMAGE, True)


@pytest.mark.parametrize(("images", "index"), [((b"x",), 0), ((RED, b"", GREEN), 1), ((RED, GREEN, RED[:50]), 2)])
async def test_a_bad_image_is_named(inference: Inference, images: tuple[bytes, ...], index: int) -> None:
    """One bad image fails the request, and the message says which it was."""
    error = await refusal(inference, query(*images))
    assert error.kind is ErrorKind.INVALID_IMAGE
    assert error.message.startswith(f"image {index}:")
    assert inference.in_flight == 0


async def test_too_many_images_at_once_are_refused_before_they_are_decoded(narrow: Running) -> None:
    """Without a permit nothing is decoded: bytes that are no image are refused for the crowd, not for themselves."""
    narrow.engines["colours:2"].hold()
    inference = narrow.application.inference
    busy = asyncio.create_task(inference.predict(query(RED, GREEN)))
    await until(lambda: narrow.engines["colours:2"].arrived)
    error = await refusal(inference, query(b"no image", b"no image"))
    assert error.kind is ErrorKind.OVERLOADED
    assert error.retry_after_s
    narrow.engines["colours:2"].let_go()
    assert labels(await busy) == ["red", "green"]
    assert inference.in_flight == 0


async def test_the_last_permit_is_given(narrow: Running) -> None:
    """As many images as are admitted go through in one request; one more does not."""
    assert len(labels(await narrow.application.inference.predict(query(*[RED] * 3)))) == 3
    assert (await refusal(narrow.application.inference, query(*[RED] * 4))).kind is ErrorKind.OVERLOADED


async def test_a_request_of_no_images_or_too_many(narrow: Running) -> None:
    """No image makes no sense; more than one request may hold is too large, however idle the service is."""
    assert (await refusal(narrow.application.inference, query())).kind is ErrorKind.INVALID_PARAMETERS
    assert (await refusal(narrow.application.inference, query(*[RED] * 9))).kind is ErrorKind.TOO_LARGE


async def test_a_cancelled_request_gives_its_permit_back(narrow: Running) -> None:
    """A caller who leaves makes room, and what waited for that caller is not computed."""
    engine, inference = narrow.engines["colours:2"], narrow.application.inference
    engine.hold()
    # Each fills one of the two places of the engine; the third waits in the batcher.
    callers = [asyncio.create_task(inference.predict(query(colour))) for colour in (RED, GREEN)]
    await until(lambda: engine.arrived == 2)
    waiting = asyncio.create_task(inference.predict(query(BLUE)))
    version = narrow.application.registry.aliased("colours")
    assert version is not None
    await until(lambda: version.metrics.waiting == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert inference.in_flight == 2
    engine.let_go()
    await asyncio.gather(*callers)
    assert inference.in_flight == 0
    await settle()
    assert engine.computed == 2


@pytest.mark.parametrize("images", [(RED,), (RED, GREEN)])
async def test_a_deadline_that_has_passed_stops_before_decoding(
    inference: Inference, images: tuple[bytes, ...]
) -> None:
    """With its deadline behind it, a request fails for that, even if its bytes are no image."""
    asked = query(*[b"no image" for _ in images], deadline=time.monotonic() - 1)
    assert (await refusal(inference, asked)).kind is ErrorKind.DEADLINE_EXCEEDED
    assert inference.in_flight == 0


async def test_a_deadline_ends_the_wait_for_the_engine(service: Running) -> None:
    """A request whose engine does not answer in time is told so, and its permit is free again."""
    service.engines["colours:2"].hold()
    asked = query(RED, deadline=time.monotonic() + 0.05)
    assert (await refusal(service.application.inference, asked)).kind is ErrorKind.DEADLINE_EXCEEDED
    assert service.application.inference.in_flight == 0


@pytest.mark.parametrize("images", [(RED,), (RED, GREEN, BLUE, RED, GREEN, BLUE)])
async def test_stages_account_for_the_time_and_no_more(inference: Inference, images: tuple[bytes, ...]) -> None:
    """No stage is negative, and together they are no longer than the call took."""
    stages = Stages()
    begun = time.monotonic()
    await inference.predict(query(*images, stages=stages))
    wall = time.monotonic() - begun
    seconds = [getattr(stages, stage) for stage in STAGES]
    assert min(seconds) >= 0
    assert sum(seconds) <= wall
    assert min(stages.decode, stages.preprocess, stages.compute, stages.postprocess) > 0


@pytest.mark.parametrize("patience_s", [0.05, -1])
@pytest.mark.parametrize("images", [(b"no image",), (RED, b"no image"), (RED,), (RED, GREEN)])
async def test_a_failed_request_leaves_nothing_in_memory(
    service: Running, images: tuple[bytes, ...], patience_s: float
) -> None:
    """When a request has failed, its images are freed at once: no error keeps them in a circle of references."""

    class Watched(Query):
        """A query that can be watched; it holds the images."""

    service.engines["colours:2"].hold()
    watched = Watched(Task.CLASSIFY, None, images, {}, time.monotonic() + patience_s)
    gone = weakref.ref(watched)
    gc.disable()
    try:
        # `pytest.raises` would keep the error, and so all that it refers to.
        with suppress(ServiceError):
            await service.application.inference.predict(watched)
        del watched
        # A worker thread may need a moment to let go of its last job.
        await until(lambda: gone() is None)
    finally:
        gc.enable()


async def test_an_output_that_is_no_number_is_the_services_fault(tmp_path: Path) -> None:
    """NaN from a model is an internal error, never an answer."""
    write_task(tmp_path, "shares", Task.CLASSIFY, share_model())
    async with running(tmp_path) as service:
        inference = service.application.inference
        assert labels(await inference.predict(query(GREEN))) == ["green"]
        error = await refusal(inference, query(BLACK))
    assert error.kind is ErrorKind.INTERNAL
    assert inference.in_flight == 0


async def test_a_label_that_the_model_does_not_know(inference: Inference) -> None:
    """Asking for an unknown label is a mistake of the caller's; a known one is taken."""
    wrong = query(RED, task=Task.DETECT, parameters={"labels": "red,zebra"})
    error = await refusal(inference, wrong)
    assert error.kind is ErrorKind.INVALID_PARAMETERS
    assert "zebra" in error.message
    right = query(RED, task=Task.DETECT, parameters={"labels": "red", "score_threshold": "0"})
    assert len((await inference.predict(right)).results[0]["objects"]) == 1


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"top_k": "-1"}, "top_k"),
        ({"top_k": "abc"}, "top_k"),
        ({"score_threshold": "nan"}, "score_threshold"),
        ({"score_threshold": 2}, "score_threshold"),
        ({"colour": "red"}, "'colour'"),
        ({"x" * 1_000_000: "1"}, "no parameter"),
    ],
)
async def test_wrong_parameters_are_explained(inference: Inference, parameters: dict[str, Any], said: str) -> None:
    """The message names the parameter that is wrong, and repeats no more of the caller's words than needed."""
    error = await refusal(inference, query(RED, parameters=parameters))
    assert error.kind is ErrorKind.INVALID_PARAMETERS
    assert said in error.message
    assert len(error.message) < 300


async def test_parameters_are_read_from_text(service: Running) -> None:
    """Numbers may come as text, as a query string has them."""
    task = service.application.registry.resolve(Task.CLASSIFY, None).version.task
    assert parse_parameters(task, {"top_k": "2"}) == parse_parameters(task, {"top_k": 2})
