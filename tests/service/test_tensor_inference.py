"""From tensors to tensors, whichever transport brings them."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from service.engines.base import Inferred
from service.errors import ErrorKind, ServiceError
from service.tensor_inference import InputTensor, TensorInference, TensorQuery, _together
from tests.doubles import until
from tests.service.running import Running
from tests.tiny_models import SIDE

SHAPE = (SIDE, SIDE, 3)


class Bringing:
    """An input of so many bright images, and how often it was made."""

    def __init__(self, images: int = 1) -> None:
        self.batch = np.full((images, *SHAPE), 200, np.uint8)
        self.made = 0

    async def read(self) -> Any:
        """Make it."""
        self.made += 1
        return self.batch

    def query(self, model: str = "colours", outputs: tuple[str, ...] = (), **more: Any) -> TensorQuery:
        """What a caller wants of it."""
        return TensorQuery(model, [InputTensor("images", "UINT8", self.batch.shape, self.read)], outputs, **more)


def tensors(service: Running) -> TensorInference:
    """Tensor inference over a running service's parts."""
    application = service.application
    return TensorInference(application.inference)


async def test_outputs_come_as_asked(service: Running) -> None:
    """Outputs come in the order asked for, with the batch axis, and without being asked for all in the card's."""
    inference, bringing = tensors(service), Bringing(3)
    two = await inference.infer(bringing.query("middle", ("labels", "boxes")))
    every = await inference.infer(bringing.query("middle"))
    assert {name: values.shape for name, values in two.outputs.items()} == {"labels": (3, 1), "boxes": (3, 1, 4)}
    assert list(two.outputs) == ["labels", "boxes"]
    assert list(every.outputs) == [output.name for output in every.version_used.card.outputs]
    assert (every.images, every.alias) == (3, "stable")


async def test_the_stages_are_timed(service: Running) -> None:
    """The request's time stands in its stages, and none is below zero."""
    query = Bringing(3).query()
    await tensors(service).infer(query)
    stages = query.stages
    assert stages.compute > 0
    assert min(stages.decode, stages.queue, stages.postprocess) >= 0


async def test_nothing_is_made_without_a_permit(service: Running) -> None:
    """A request that is refused, for what it holds or for want of room, costs nothing."""
    many, wrong = Bringing(65), Bringing()
    for query in (many.query(), wrong.query(outputs=("absent",)), wrong.query("absent")):
        with pytest.raises(ServiceError):
            await tensors(service).infer(query)
    assert (many.made, wrong.made) == (0, 0)


async def test_a_version_is_leased_while_it_is_used(service: Running) -> None:
    """A version in use is not closed under the request, and is free after it."""
    version = service.application.registry.aliased("colours")
    service.engines["colours:2"].hold()
    asked = asyncio.create_task(tensors(service).infer(Bringing().query()))
    await until(lambda: version.leases.held)
    service.engines["colours:2"].let_go()
    await asked
    assert version.leases.held == 0


async def test_a_deadline_that_has_passed(service: Running) -> None:
    """Work whose time is up is not done, and leaves no permit behind."""
    service.engines["colours:2"].hold()
    with pytest.raises(ServiceError) as raised:
        await tensors(service).infer(Bringing().query(deadline=time.monotonic() - 1))
    assert raised.value.kind is ErrorKind.DEADLINE_EXCEEDED
    assert service.application.inference.in_flight == 0


def test_images_whose_outputs_differ_in_shape() -> None:
    """Outputs that make no tensor are an error that says what to do; those of one image are not copied."""
    short, long = (Inferred({"out": np.zeros(size)}, 0.0, 0.0, 1) for size in (1, 2))
    assert np.shares_memory(_together("out", [long]), long.outputs["out"])
    with pytest.raises(ServiceError, match="one image at a time"):
        _together("out", [short, long])
