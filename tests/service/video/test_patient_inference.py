import asyncio
from pathlib import Path
from typing import Any

import pytest

from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.video.patient_inference import Patience, PatientInference
from tests.doubles import settle, until
from tests.service.running import Running, running
from tests.service.video.filming import grey


def patient(
    service: Running, task: Task = Task.DETECT, model: str | None = None, told: list[str] | None = None, **patience: Any
) -> PatientInference:
    """One that asks a service."""
    told = [] if told is None else told
    return PatientInference(service.application.inference, task, model, {}, Patience(**patience), "a job", told.append)


async def test_frames_get_results(service: Running) -> None:
    """A frame's pixels go in, the task's result comes out."""
    result = await patient(service).ask(grey(0))
    assert result["image"] == {"width": 128, "height": 64}
    assert len(result["objects"]) == 1


async def test_a_model_that_is_being_loaded_is_waited_for(tiny_repository: Path) -> None:
    """A job that begins with the service waits for its model, as no caller would."""
    async with running(tiny_repository, wait=False) as service:
        version = await patient(service).version()
        assert version.card.name == "middle"


async def test_it_gives_way_to_callers(service: Running) -> None:
    """While many images of others are being answered, no frame is added to them."""
    engine = service.engines["middle:1"]
    engine.hold()
    with service.application.inference.permit(2):
        asking = asyncio.create_task(patient(service, busy_from=2, turn_s=60).ask(grey(0)))
        await settle()
        assert (engine.arrived, service.application.inference.in_flight) == (0, 2)
    engine.let_go()
    assert (await asking)["objects"]


async def test_it_does_not_give_way_for_ever(service: Running) -> None:
    """Under a load that never ends a frame goes in among the others after a while."""
    with service.application.inference.permit(2):
        assert (await patient(service, busy_from=2, turn_s=0.02).ask(grey(0)))["objects"]


async def test_a_refusal_is_not_the_end(tiny_repository: Path) -> None:
    """Where a caller would be told to come back, the frame comes back by itself."""
    async with running(tiny_repository, max_images_in_flight=1) as service:
        inference = service.application.inference
        with inference.permit(1):
            asking = asyncio.create_task(patient(service).ask(grey(0)))
            await settle()
            assert not asking.done()
        assert (await asking)["objects"]


async def test_a_frame_that_took_too_long_is_asked_again(service: Running) -> None:
    """After its deadline a frame is asked again, and has its answer once the engine has one."""
    engine = service.engines["middle:1"]
    engine.hold()
    asking = asyncio.create_task(patient(service, frame_timeout_s=0.05).ask(grey(0)))
    await until(lambda: engine.arrived >= 2)
    engine.let_go()
    assert (await asking)["objects"]


async def test_patience_has_an_end(service: Running) -> None:
    """What never answers fails in the end, with the reason of its last try."""
    service.engines["middle:1"].hold()
    with pytest.raises(ServiceError) as failed:
        await patient(service, frame_timeout_s=0.02, give_up_s=0.1).ask(grey(0))
    assert failed.value.kind is ErrorKind.DEADLINE_EXCEEDED


async def test_an_unknown_model_is_not_waited_for(service: Running) -> None:
    """What will never be there is told at once."""
    with pytest.raises(ServiceError) as failed:
        await patient(service, model="nobody").version()
    assert failed.value.kind is ErrorKind.MODEL_NOT_FOUND


async def test_one_version_answers_all_frames(service: Running) -> None:
    """A video has one version; where that is taken away another answers the rest, and the caller is told."""
    told: list[str] = []
    asking = patient(service, Task.CLASSIFY, "colours", told)
    assert (await asking.version()).card.version == 2
    await service.application.lifecycle.unload("colours", 2)
    assert (await asking.ask(grey(0)))["classes"]
    assert told == ["colours:2 was taken away in the middle; colours:1 answered the rest"]


async def test_callers_keep_places(tiny_repository: Path) -> None:
    """Frames that share places never take more of them, however many are asked and however long the answers take."""
    async with running(tiny_repository, max_images_in_flight=4) as service:
        engine, inference, places = service.engines["middle:1"], service.application.inference, asyncio.Semaphore(2)
        engine.hold()
        jobs = [patient(service, turn_s=0.0) for _ in range(2)]
        for job in jobs:
            job.places = places
        asking = [asyncio.create_task(job.ask(grey(0))) for job in jobs for _ in range(4)]
        await until(lambda: inference.in_flight >= 2)
        await settle()
        with inference.permit(2):
            engine.let_go()
        assert all(result["objects"] for result in await asyncio.gather(*asking))


async def test_where_several_find_no_room_one_may(tiny_repository: Path) -> None:
    """Frames that are asked for together go one by one where so many are not admitted; none of that is a refusal."""
    async with running(tiny_repository, max_images_in_flight=3) as service:
        with service.application.inference.permit(2):
            results = await patient(service, turn_s=0.0, give_up_s=5.0).ask_all([grey(0), grey(1)])
        assert all(result["objects"] for result in results)
        refused = {"task": "detect", "reason": "overloaded", "transport": "video"}
        registry = service.application.telemetry.registry
        assert registry.get_sample_value("vitrail_rejections_total", refused) is None
