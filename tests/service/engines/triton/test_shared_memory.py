"""Images through shared memory: into slots, back out of them, and nothing left behind."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from service.engines.triton.engine import TritonEngine
from service.engines.triton.shared_memory import ImageSlots
from tests.doubles import until
from tests.service.engines.triton.conftest import Control, open_version, pictures, pool_over
from tests.triton_server import TritonServer


def regions_of(server: TritonServer) -> dict[str, int]:
    """Sizes of the regions that this server knows, by name."""
    with InferenceServerClient(server.url) as client:
        return {name: region.byte_size for name, region in client.get_system_shared_memory_status().regions.items()}


def files() -> set[str]:
    """The service's regions on this machine."""
    return {path.name for path in Path("/dev/shm").glob("vitrail-*")}  # noqa: S108  where the system keeps them


async def probabilities(engine: TritonEngine, count: int) -> list[float]:
    """One number for each image, all of which differ."""
    return [float(answer.outputs["probabilities"][0]) for answer in await engine.infer(pictures(count))]


def test_slots_are_taken_and_given_back() -> None:
    """Each batch has a slot of its own while it is held; where all are taken there is none."""
    slots = ImageSlots((2, 2, 3), largest=2, slots=2)
    images = [np.full((2, 2, 3), value, np.uint8) for value in (1, 2)]
    with slots.holding(images) as first, slots.holding(images[1:]) as second, slots.holding(images) as third:
        assert (first, second, third) == (24, 0, None)
        assert slots.free == 0
    assert slots.free == 2
    slots.close()


def test_a_batch_that_does_not_fit_gives_its_slot_back() -> None:
    """Whatever goes wrong while a slot is filled, it is free again, and the region can be closed."""
    slots = ImageSlots((2, 2, 3), largest=1, slots=1)
    with pytest.raises(ValueError), slots.holding([np.zeros((9, 9, 3), np.uint8)]):
        pass
    assert slots.free == 1
    slots.close()


async def test_more_callers_than_slots(repository: Path, control: Control, triton: TritonServer) -> None:
    """Batches beyond the slots travel in messages, and every caller gets the answer to its own image."""
    async with pool_over(triton, shared_memory=True) as pool:
        engine = await open_version(pool, repository)
        alone = await probabilities(engine, 24)
        control.tell("obey", "hold")
        requests = [asyncio.create_task(engine.infer([image])) for image in pictures(24)]
        await until(lambda: control.heard("running"))
        control.stop("hold")
        together = [float(answer.outputs["probabilities"][0]) for (answer,) in await asyncio.gather(*requests)]
        np.testing.assert_allclose(together, alone, rtol=1e-6)


async def test_a_region_comes_and_goes_with_its_version(repository: Path, triton: TritonServer) -> None:
    """Triton knows the region while the version is loaded, and neither it nor the machine keeps it after that."""
    before = files()
    async with pool_over(triton, shared_memory=True) as pool:
        engine = await open_version(pool, repository)
        assert set(regions_of(triton)) == files() - before
        await engine.close()
        assert regions_of(triton) == {}
        assert files() == before


async def test_a_region_goes_also_where_versions_stay(repository: Path, triton: TritonServer) -> None:
    """A service that leaves its versions loaded takes its memory back all the same."""
    before = files()
    async with pool_over(triton, shared_memory=True, unload_on_close=False) as pool:
        await (await open_version(pool, repository)).close()
    assert (regions_of(triton), files()) == ({}, before)


async def test_a_restarted_triton_learns_the_region_again(repository: Path, triton: TritonServer) -> None:
    """After a restart the images travel through the same region as before."""
    before = files()
    async with pool_over(triton, shared_memory=True) as pool:
        engine = await open_version(pool, repository)
        known, expected = regions_of(triton), await probabilities(engine, 4)
        triton.kill()
        await until(lambda: not engine.healthy)
        triton.start()
        await until(lambda: engine.healthy)
        assert regions_of(triton) == known
        assert await probabilities(engine, 4) == expected
    assert files() == before


async def test_a_triton_that_forgot_the_region_is_told_again(repository: Path, triton: TritonServer) -> None:
    """A request for an unknown region was not executed; the region is registered again and traffic goes on."""
    async with pool_over(triton, shared_memory=True) as pool:
        engine = await open_version(pool, repository)
        with InferenceServerClient(triton.url) as client:
            client.unregister_system_shared_memory()
        await asyncio.gather(engine.infer(pictures(1)), return_exceptions=True)
        await until(lambda: engine.healthy and regions_of(triton))
        assert len(await engine.infer(pictures(1))) == 1
