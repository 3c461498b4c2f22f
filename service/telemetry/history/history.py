"""The last hour, kept in the process: what the dashboard shows without any other server."""

import math
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from service.telemetry.account import Ended
from service.telemetry.history.answer import HistoryAnswer
from service.telemetry.history.gauges import NO_GAUGES, Gauges
from service.telemetry.history.levels import Levels
from service.telemetry.history.slices import (
    CPU_OVER_S,
    CPU_S,
    FULL,
    IN_FLIGHT,
    LOOP_LAG_S,
    MEMORY_BYTES,
    QUEUED,
    Names,
    OpenSlice,
    Slice,
    merged,
)
from service.telemetry.history.traffic import COLUMNS
from service.telemetry.history.versions import version_totals
from service.telemetry.history.view import (
    gauge_series,
    latency_series,
    request_series,
    stage_series,
    video_figures,
    window_totals,
)
from service.telemetry.history.window import Answers, Asked, Kinds, Window

SHORTEST_WINDOW_S: Final = 10
FEWEST_POINTS: Final = 10
MOST_POINTS: Final = 360
_MOST_ANSWERS: Final = 16
"""Answers that are kept until the next second, for whoever asks the same."""
_MOST_NAMES: Final = 4096


class History:
    """What happened in the last seconds to the last hour; for one event loop, of which every method must be called.

    Time is cut into slices of one second. What happens is collected in the open one and counted as it closes; of ten
    closed ones a longer slice is made, and so on. A slice holds a few small arrays, so memory depends on the length of
    the history and hardly on the traffic; and every sum over a window is that of its slices, exactly.

    An answer ends with the last whole second, that of a window over ten minutes with the last whole ten seconds: what
    is still under way would look like a drop. So what happens is seen after one second at most, in long windows after
    ten.

    Slices are numbered by a clock of their own, which follows ``clock`` and never steps back; what is shown as a time
    is the present time by ``wall`` less the slice's age.
    """

    def __init__(
        self,
        seconds: float = 3600,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """An empty one.

        Args:
            seconds: how far back it goes, at least `SHORTEST_WINDOW_S`.
            clock: seconds from any moment on.
            wall: seconds since 1970.

        Raises:
            ValueError: it would be too short.
        """
        if seconds < SHORTEST_WINDOW_S:
            raise ValueError(f"a history of {seconds} s is too short; it takes {SHORTEST_WINDOW_S} s at least")
        self.seconds: Final = int(seconds)
        self._clock = clock
        self._wall = wall
        self._ahead = 0.0
        self._names = Names()
        self._most_names = _MOST_NAMES
        self._gauges = NO_GAUGES
        self._sampled: float | None = None
        self._open = OpenSlice(math.floor(clock()))
        self._parts: list[Slice] = []
        self._levels = Levels(self.seconds, 1 / FEWEST_POINTS)
        self._answers: dict[tuple[int, int, str, str, str], HistoryAnswer] = {}

    def add(self, ended: Ended) -> None:
        """A request is over."""
        slice_ = self._current()
        kinds = self._names.kinds
        kind = (ended.task, ended.model, ended.version, ended.transport, ended.code, ended.reason)
        number = kinds.get(kind)
        if number is None:
            number = kinds.of(kind)
        if ended.reason:
            slice_.refused[number] = slice_.refused.get(number, 0) + 1
        else:
            slice_.answered.extend((number, ended.images, ended.seconds, *ended.stages.seconds))
            if len(slice_.answered) >= FULL * COLUMNS:
                self._count()

    def batch(self, model: str, version: str, size: int) -> None:
        """An engine was given so many images at once."""
        self._current().batches[model, version, size] += 1

    def frames(self, outcome: str, count: int = 1) -> None:
        """Frames of a video job or a live stream are over; outcomes other than `FRAMES` are not kept."""
        frames = self._current().frames
        if outcome in frames:
            frames[outcome] += count

    def lag(self, seconds: float) -> None:
        """A live frame's result came so long after the frame."""
        slice_ = self._current()
        slice_.lags.append(seconds)
        if len(slice_.lags) >= FULL:
            self._count()

    def sample(self, gauges: Gauges) -> None:
        """How the service stands; to be told once a second, whether there is traffic or not."""
        slice_ = self._current()
        now = self._now()
        row = slice_.gauges
        for place, value in (
            (IN_FLIGHT, gauges.in_flight),
            (QUEUED, sum(gauges.queue_depths.values())),
            (LOOP_LAG_S, gauges.event_loop_lag_s),
            (MEMORY_BYTES, math.nan if gauges.memory_bytes is None else gauges.memory_bytes),
        ):
            row[place] = np.fmax(row[place], value)
        if self._sampled is not None and now > self._sampled and gauges.cpu_s >= self._gauges.cpu_s:
            row[CPU_S] += gauges.cpu_s - self._gauges.cpu_s
            row[CPU_OVER_S] += now - self._sampled
        self._sampled = now
        self._gauges = gauges
        self._answers.clear()

    def read(
        self, window_s: int = 300, points: int = 60, task: str = "", model: str = "", version: str = ""
    ) -> HistoryAnswer:
        """The last seconds of what is asked for; not to be changed, for others may get the same.

        Args:
            window_s: `SHORTEST_WINDOW_S` to `seconds`; rounded up to whole points.
            points: at most so many, `FEWEST_POINTS` to `MOST_POINTS`; each is whole seconds long, in windows of more
                than ten minutes whole tens of seconds.
            task: only requests for this task; all if empty.
            model: only those answered by this model.
            version: only those answered by versions of this number.
        """
        self._current()
        asked = (window_s, points, task, model, version)
        answer = self._answers.get(asked)
        if answer is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            answer = self._answers[asked] = self._read(window_s, points, Asked(task, model, version))
        return answer

    def _now(self) -> float:
        """Seconds by the history's own clock."""
        return self._clock() + self._ahead

    def _current(self) -> OpenSlice:
        """The slice of this second."""
        now = self._clock() + self._ahead
        if not self._open.begin <= now < self._open.begin + 1:
            self._turn(now)
        return self._open

    def _turn(self, now: float) -> None:
        """Another second has begun; or the clock has stepped back, and time goes on from where it had come to."""
        begin = self._open.begin
        if now < begin:
            self._ahead += begin - now
            return
        self._count()
        closed = merged(begin, self._parts, self._names)
        self._parts.clear()
        self._open = OpenSlice(math.floor(now))
        self._answers.clear()
        if self._levels.add(closed, self._open.begin, self._names) and len(self._names) > self._most_names:
            self._names.keep(self._levels.all())
            self._most_names = max(_MOST_NAMES, 2 * len(self._names))

    def _count(self) -> None:
        """Count what was collected."""
        self._parts.append(self._open.closed(self._names))
        self._open = OpenSlice(self._open.begin)

    def _read(self, window_s: int, points: int, asked: Asked) -> HistoryAnswer:
        window, end = self._window(window_s, points)
        kinds = Kinds.of(window, self._names.kinds, asked)
        answers = Answers.of(window, self._names.versions, asked)
        wall = self._wall()
        last = wall - (self._now() - end)
        return {
            "now": round(wall, 3),
            "window_s": window.count * window.step_s,
            "step_s": window.step_s,
            "times": [round(last - window.step_s * later, 3) for later in reversed(range(window.count))],
            "requests": request_series(window, kinds, answers),
            "latency": latency_series(answers),
            "stages": stage_series(answers),
            "window": window_totals(kinds, answers),
            "versions": version_totals(window, kinds, answers, self._names.versions, self._gauges, asked),
            "gauges": gauge_series(window, self._gauges),
            "video": video_figures(window, self._gauges),
        }

    def _window(self, window_s: int, points: int) -> tuple[Window, int]:
        """The last seconds in points, and where they end."""
        grain_s = self._levels.length(window_s)
        step_s = grain_s * math.ceil(window_s / (points * grain_s))
        count = math.ceil(window_s / step_s)
        end = self._open.begin - self._open.begin % grain_s
        begin = end - count * step_s
        slices = self._levels.between(begin, end, grain_s)
        within = (np.array([part.begin for part in slices], np.int64) - begin) // step_s
        return Window(slices, within, self._levels.fewest(begin, end), count, step_s), end
