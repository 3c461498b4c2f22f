"""Those who come back, recognised by an embed model in jobs and streams."""

from pathlib import Path

import numpy as np
import pytest

from contract.preprocess import Pixels
from service.errors import ServiceError
from service.video.job import JobState
from service.video.reidentify import Reidentifier, ReidentifyParameters
from service.video.video_request import VideoRequest
from tests.doubles import until
from tests.service.running import Running
from tests.service.video.clips import HEIGHT, WIDTH, every, write_clip
from tests.service.video.filming import filmed, filming, lines_of, sent
from tests.service.video.job_work import ended

RED, BLUE, NOTHING = (255, 60, 60), (60, 60, 255), (0, 0, 0)
BRIEFLY = {"lost_s": 0.3, "confirm_after": 1}


def _away(back: tuple[int, int, int], gone: int = 10) -> list[Pixels]:
    """Ten frames of something red, some of nothing, and ten of what comes back."""
    colours = [RED] * 10 + [NOTHING] * gone + [back] * 10
    return [np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in colours]


def _clip(path: Path, frames: list[Pixels]) -> Path:
    return write_clip(path, every(len(frames), 10), paint=frames.__getitem__)


def _ids(lines: list[dict[str, list[dict[str, int]]]]) -> list[int]:
    return [item["track_id"] for line in lines for item in line["objects"] if "track_id" in item]


@pytest.mark.parametrize(("back", "ids"), [(RED, {1}), (BLUE, {1, 2})])
async def test_who_comes_back_is_recognised(
    tmp_path: Path, service: Running, back: tuple[int, int, int], ids: set[int]
) -> None:
    """What comes back after a second has its id of before if it looks the same, and a new one if it does not."""
    clip = _clip(tmp_path / "clip.mp4", _away(back))
    async with filming(tmp_path / "jobs", service) as jobs:
        status, lines = await filmed(jobs, clip, track=BRIEFLY, reidentify={"model": "means"})
    assert (status.job.state, set(_ids(lines))) == (JobState.DONE, ids)
    assert status.job.summary["tracks"] == len(ids)


async def test_without_it_nobody_is_recognised(tmp_path: Path, service: Running) -> None:
    """Tracking alone gives what was away for longer than its patience a new id."""
    clip = _clip(tmp_path / "clip.mp4", _away(RED))
    async with filming(tmp_path / "jobs", service) as jobs:
        _, lines = await filmed(jobs, clip, track=BRIEFLY)
    assert set(_ids(lines)) == {1, 2}


async def test_ids_are_not_given_twice_after_a_restart(tmp_path: Path, service: Running) -> None:
    """A job that goes on at the next start goes on with its ids: what is new then has a new one."""
    frames = [*_away(RED), *_away(BLUE)]
    clip = _clip(tmp_path / "clip.mp4", frames)
    wanted = {"track": BRIEFLY, "reidentify": {"model": "means", "within_s": 0.5}, "window": 1}
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, **wanted)
        await until(lambda: jobs.results(job.id).last_frame is not None and jobs.results(job.id).last_frame >= 4)
    async with filming(tmp_path / "jobs", service) as jobs:
        await ended(jobs, job.id)
        ids = _ids(await lines_of(jobs, job.id))
    assert ids == sorted(ids)
    assert len(set(ids)) == len({1, 2, 3, 4} & set(ids)) >= 3


async def test_another_model_forgets_the_looks() -> None:
    """Pictures of one model are not compared with those of another: who comes back then is new."""

    async def colours(crops: list[Pixels]) -> np.ndarray:
        return np.float32([[1, 0]] * len(crops))

    recognising = Reidentifier(colours, ReidentifyParameters())
    seen = {"objects": [{"label": "a", "box": {"x1": 0, "y1": 0, "x2": 50, "y2": 50}, "track_id": 1}]}
    pixels = np.zeros((60, 60, 3), np.uint8)
    await recognising.update(seen, pixels, 0.0)
    recognising.forget_looks()
    again = {"objects": [{**seen["objects"][0], "track_id": 7}]}
    assert (await recognising.update(again, pixels, 2.0))["objects"][0]["track_id"] == 2


def test_nobody_is_recognised_who_is_not_tracked() -> None:
    """Recognition without tracking makes no sense, and is refused in words."""
    with pytest.raises(ServiceError, match="ask for track too"):
        VideoRequest.from_query({"task": "detect", "reidentify": "true"})


def test_switched_on_in_a_query() -> None:
    """In a query it is true, false or JSON."""
    asked = [
        VideoRequest.from_query({"task": "detect", "track": "true", "reidentify": text}).reidentify
        for text in ("true", "false", '{"similarity": 0.9}')
    ]
    assert asked == [ReidentifyParameters(), None, ReidentifyParameters(similarity=0.9)]
