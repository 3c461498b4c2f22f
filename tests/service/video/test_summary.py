import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from service.video.counts import CountParameters
from service.video.summary import Tally
from tests.doubles import settle
from tests.service.running import Running
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import LosingEngine, PausingEngine, filmed, filming, sent, still
from tests.service.video.job_work import ended
from tests.service.video.scenes import detected, picture

COUNTS = CountParameters.model_validate(
    {
        "lines": [{"name": "door", "points": [[0, 0.5], [1, 0.5]]}],
        "zones": [{"name": "yard", "points": [[0, 0], [1, 0], [1, 1]]}],
    }
)
EVERYWHERE = {"zones": [{"name": "all", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}]}


def line_of(frame: int, *ids: int, crossings: list[str] | None = None, passages: list[str] | None = None) -> Any:
    """A line of tracked persons, with what happened."""
    objects = [{**detected((0, 0, 9, 9)), "track_id": number} for number in ids]
    made = [{"line": "door", "direction": way, "track_id": 1, "label": "person"} for way in crossings or []]
    through = [{"zone": "yard", "event": event, "track_id": 1, "label": "car"} for event in passages or []]
    counts = {"crossings": made, "passages": through, "inside": {"yard": 0}}
    return {"frame": frame, "timestamp_s": frame / 10, **picture(objects), "counts": counts}


LINES = [
    line_of(0, 1),
    line_of(1, 1, 4, crossings=["to_right", "to_right"], passages=["entry"]),
    {**line_of(2, 4, 2), "carried": True},
    {"frame": 3, "timestamp_s": 0.3, "error": {"code": "internal", "detail": "nonsense"}},
    line_of(4, crossings=["to_left"], passages=["exit", "entry"]),
]
TOTALS = {
    "lines": {"door": {"to_right": {"person": 2}, "to_left": {"person": 1}}},
    "zones": {"yard": {"entries": {"car": 2}, "exits": {"car": 1}}},
}


def test_tracks_and_events_are_added_up() -> None:
    """The tracks are as many as the highest id says, and the totals those of all events; what is new is told."""
    tally = Tally(COUNTS)
    assert tally.facts()["counts"]["lines"] == {"door": {"to_right": {}, "to_left": {}}}
    assert [tally.add(line) for line in LINES] == [True, True, False, False, True]
    assert tally.facts() == {"tracks": 4, "counts": TOTALS}


@pytest.mark.parametrize("split", range(len(LINES) + 1))
def test_it_goes_on_from_the_lines_that_are_there(tmp_path: Path, split: int) -> None:
    """An attempt that takes up the lines of another comes to the same, wherever that one has ended."""
    path = tmp_path / "results.ndjson"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in LINES[:split]))
    tally = Tally.of(path, COUNTS)
    for line in LINES[split:]:
        tally.add(line)
    assert tally.facts() == {"tracks": 4, "counts": TOTALS}


def test_facts_are_a_copy() -> None:
    """What was told stays as it was, for it may be written at this moment."""
    tally = Tally(COUNTS)
    before = tally.facts()
    tally.add(LINES[1])
    assert before["counts"]["zones"] == {"yard": {"entries": {}, "exits": {}}}
    assert Tally.of(Path("nowhere"), None).facts() == {"tracks": 0}


@pytest.mark.parametrize(
    ("wanted", "summary"),
    [
        ({"task": "classify"}, {"model": {"name": "colours", "version": "2"}}),
        ({"track": True}, {"model": {"name": "middle", "version": "1"}, "tracks": 1}),
    ],
)
async def test_a_job_tells_what_it_knows(
    tmp_path: Path, service: Running, wanted: dict[str, Any], summary: dict[str, Any]
) -> None:
    """The summary names the model, and the number of tracks where objects are tracked; no more."""
    async with filming(tmp_path / "jobs", service) as jobs:
        status, _ = await filmed(jobs, write_clip(tmp_path / "clip.mp4", every(5), paint=still), **wanted)
    assert status.job.summary == summary


def shifting(number: int) -> Any:
    """A picture in which the detector finds something, but not in every eighth."""
    return still(number) * (number % 16 < 8)


async def test_a_summary_survives_restarts_and_losses(tmp_path: Path, service: Running) -> None:
    """Interrupted, taken up and left by its engine, a job comes to the summary of one that was not."""
    clip = write_clip(tmp_path / "clip.mp4", every(60), paint=shifting)
    wanted = {"track": {"lost_s": 0.1}, "counts": EVERYWHERE}
    async with filming(tmp_path / "other", service) as jobs:
        undisturbed, _ = await filmed(jobs, clip, **wanted)
    held = service.engines["middle:1"]
    held.engine = pausing = PausingEngine(held.engine, after=20)
    async with filming(tmp_path / "jobs", service) as jobs:
        job = await sent(jobs, clip, window=1, **wanted)
        await pausing.paused.wait()
    pausing.gate.set()
    held.engine = LosingEngine(pausing.engine, at=(9,))
    async with filming(tmp_path / "jobs", service) as jobs:
        status = await ended(jobs, job.id)
    assert undisturbed.job.summary["tracks"] > 1
    assert status.job.summary == undisturbed.job.summary


async def test_the_latest_version_is_named(tmp_path: Path, service: Running) -> None:
    """Where another version answers the rest, the summary names that one."""
    held = service.engines["colours:2"]
    held.engine = pausing = PausingEngine(held.engine, after=3)
    async with filming(tmp_path / "jobs", service) as jobs:
        clip = write_clip(tmp_path / "clip.mp4", every(20), paint=still)
        job = await sent(jobs, clip, task="classify", model="colours", window=1)
        await pausing.paused.wait()
        assert (await jobs.get(job.id)).job.summary["model"]["version"] == "2"  # type: ignore[union-attr]
        unloading = asyncio.create_task(service.application.lifecycle.unload("colours", 2))
        await settle()
        pausing.gate.set()
        status = await ended(jobs, job.id)
        await unloading
    assert status.job.summary == {"model": {"name": "colours", "version": "1"}}
