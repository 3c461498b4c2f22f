"""Tracking, recognising and counting along a video, and going on with both where an earlier attempt has ended."""

from collections.abc import Iterable, Mapping
from typing import Any

from contract.preprocess import Pixels
from service.video.counts import Counting, CountParameters, FrameCounts
from service.video.disk import on_disk
from service.video.lines import Line
from service.video.reidentify import Reidentifier
from service.video.track import LISTS, Tracker, TrackParameters

_AT_ONCE = 64
"""So many objects are tracked in the event loop, in a millisecond or two."""


class Followed:
    """Puts track ids and counts into results, in the order of frames."""

    def __init__(
        self,
        parameters: TrackParameters,
        counts: CountParameters | None,
        score_threshold: float,
        recognising: Reidentifier | None = None,
    ) -> None:
        """Results are wanted from ``score_threshold`` on, and come from ``parameters.detection_threshold`` of it on."""
        self._recognising = recognising
        self._tracker = Tracker(parameters, score_threshold)
        self._counting = None if counts is None else Counting(counts)
        self._seen: Mapping[str, Any] | None = None
        """The last result, as the model gave it."""
        self._known: dict[int, int] | None = None
        self._last_id = 0

    def go_on(self, tail: Iterable[Line], last_id: int) -> None:
        """Take up the tracks of the last lines of an earlier attempt, under their ids; new ids come after ``last_id``.

        What the tracker knew of objects that are in no line is lost.
        """
        self._known, self._last_id = {}, last_id
        tail = list(tail)
        if self._recognising is not None:
            self._recognising.take_up(tail, last_id)
        for line in tail:
            name = next((name for name in LISTS if name in line), None)
            if name is None:
                continue
            ids = {_place(item): item["track_id"] for item in line[name] if "track_id" in item}
            self._seen = {**line, name: _without_ids(line[name])}
            result = self._tracker.update(self._seen, line["timestamp_s"])
            for item in result[name]:
                if "track_id" in item and _place(item) in ids:
                    self._known.setdefault(item["track_id"], ids[_place(item)])
            if self._counting is not None and line.get("carried") is not True:
                self._counting.update(line, line["timestamp_s"])

    def update(self, result: Mapping[str, Any], time_s: float) -> dict[str, Any]:
        """The result with track ids, and with ``counts`` if they are wanted; nobody is recognised.

        Raises:
            NotTrackable: a result without boxes that have scores.
        """
        return self._counted(self._tracked(result, time_s), time_s)

    async def seen(self, result: Mapping[str, Any], pixels: Pixels, time_s: float) -> dict[str, Any]:
        """The same, where those are recognised, if it is wanted, whom the frame uint8 [H, W, 3] shows again.

        Raises:
            NotTrackable: as above.
            ServiceError: the model that recognises cannot answer.
        """
        tracked = await self._tracked_soon(result, time_s)
        if self._recognising is not None:
            tracked = await self._recognising.update(tracked, pixels, time_s)
        return self._counted(tracked, time_s)

    async def carry(self, time_s: float, last: Mapping[str, Any]) -> dict[str, Any]:
        """What a frame says that has the last result: ``last``, as `seen` or this gave it, with its ids of now.

        The things stand where they stood. Were their tracks not told, they would go on at their speed for as long as no
        frame is processed, and lose what has come to a stop.
        """
        now = {} if self._seen is None else await self._tracked_soon(self._seen, time_s)
        if self._recognising is not None:
            now = self._recognising.rename(now, time_s)
        return carried_fields({**last, **{name: now[name] for name in LISTS if name in now}})

    async def _tracked_soon(self, result: Mapping[str, Any], time_s: float) -> dict[str, Any]:
        """A crowd takes long enough to be in other callers' way: then it is done by a thread."""
        found = max((len(result[name]) for name in LISTS if name in result), default=0)
        if max(found, len(self._tracker)) <= _AT_ONCE:
            return self._tracked(result, time_s)
        return await on_disk(self._tracked, result, time_s)

    def _tracked(self, result: Mapping[str, Any], time_s: float) -> dict[str, Any]:
        tracked = self._renamed(dict(self._tracker.update(result, time_s)))
        self._seen = result
        return tracked

    def _counted(self, tracked: dict[str, Any], time_s: float) -> dict[str, Any]:
        if self._counting is not None:
            tracked["counts"] = self._counting.update(tracked, time_s)
        return tracked

    def _renamed(self, result: dict[str, Any]) -> dict[str, Any]:
        """With the ids of the earlier attempt where there was one."""
        if self._known is None:
            return result
        name = next(name for name in LISTS if name in result)
        items = [
            {**item, "track_id": self._id(item["track_id"])} if "track_id" in item else item for item in result[name]
        ]
        return {**result, name: items}

    def _id(self, tracker_id: int) -> int:
        known = self._known or {}
        if tracker_id not in known:
            self._last_id += 1
            known[tracker_id] = self._last_id
        return known[tracker_id]


def carried_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a frame takes over from the one before: all but what happened there."""
    counts: FrameCounts | None = fields.get("counts")
    if counts is None:
        return dict(fields)
    return {**fields, "counts": {"crossings": [], "passages": [], "inside": counts["inside"]}}


def _without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "track_id"} for item in items]


def _place(item: Mapping[str, Any]) -> tuple[float, ...]:
    return (*item["box"].values(), item["score"])
