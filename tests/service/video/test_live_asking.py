"""What live frames get from a model that is busy or away."""

from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.registry.traffic import ModelTraffic, Routing
from service.video.live_asking import LiveAsking
from tests.service.running import Running, running
from tests.service.video.filming import grey
from tests.service.video.live_filming import asking


async def kind_of(of: LiveAsking) -> ErrorKind:
    """The kind of error that a frame meets."""
    with pytest.raises(ServiceError) as failed:
        await of.ask(grey(0))
    return failed.value.kind


async def test_a_busy_service_refuses_at_once(tiny_repository: Path) -> None:
    """Where a caller would be told to come back, a frame is not asked again."""
    async with running(tiny_repository, max_images_in_flight=1) as service:
        of = asking(service)
        await of.find_model()
        with service.application.inference.permit(1):
            assert await kind_of(of) is ErrorKind.OVERLOADED
        assert (await of.ask(grey(0)))["objects"]


async def test_a_slow_model_is_not_waited_for(service: Running) -> None:
    """A frame has its deadline."""
    service.engines["middle:1"].hold()
    of = asking(service, timeout_s=0.02)
    await of.find_model()
    assert await kind_of(of) is ErrorKind.DEADLINE_EXCEEDED


async def test_a_version_that_was_taken_away(service: Running) -> None:
    """It costs one frame; the next one finds the version that is left."""
    of = asking(service, "classify", model="colours")
    await of.find_model()
    assert of.model == ("colours", 2)
    await service.application.lifecycle.unload("colours", 2)
    assert await kind_of(of) is ErrorKind.VERSION_NOT_READY
    assert (await of.ask(grey(0)))["classes"]
    assert of.model == ("colours", 1)


async def test_the_model_is_asked_for_more_than_the_caller(service: Running) -> None:
    """With tracking unsure objects come from the model, and are left out of the answers unless they are known."""
    of = asking(service, track=True, parameters={"score_threshold": 0.9})
    await of.find_model()
    result = await of.ask(grey(0))
    assert result["objects"][0]["score"] < 0.9
    assert of.followed is not None
    assert of.followed.update(result, 0.0)["objects"] == []


async def test_a_stream_follows_its_models_alias(service: Running) -> None:
    """Another version takes over within a running stream; where the alias names none that answers, the last goes on."""
    of = asking(service, "classify", model="colours@stable")
    of.look_again_s = 0.0
    answered = []
    for version in (1, 2, 9):
        service.application.registry.route(Routing(models={"colours": ModelTraffic(aliases={"stable": version})}))
        await of.ask(grey(0))
        answered.append(of.model)
    assert answered == [("colours", 1), ("colours", 2), ("colours", 2)]
