"""``make bench-video``: video jobs beside the in-process ceiling, what sampling saves, tracks, fairness → ``VIDEO.md``.

Needs the sample assets (weights, clips, photographs), which VITRAIL_ASSETS or ../shared/assets holds. A shared
machine's clock rate moves by the minute, so the ceiling is measured before and after every job, and the figure that
counts is the ratio to it; the round with the median ratio is reported.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.beside_video import Load, Seen
from benchmarks.clips import repeated, times_of
from benchmarks.photographs import photographs
from benchmarks.serving import CACHE, ROOT
from benchmarks.static_camera import write_static_clip
from benchmarks.track_comparison import Comparison, Tracks, compared
from benchmarks.video_report import written
from benchmarks.video_service import JobRun, VideoService, video_service
from contract.card import ModelCard
from tests.assets import ASSETS

MODEL = "yolox_nano"
WEIGHTS = ASSETS / "weights" / "yolox_nano_416.onnx"
CARD = ROOT.parent / "tests" / "import_cards" / "yolox_nano.yaml"
JUGGLER = ASSETS / "video" / "sam2_05_juggle.mp4"
STREET = ASSETS / "video" / "mmdet_demo_street.mp4"
AVI = ASSETS / "video" / "mmaction2_test.avi"
REPEATS = 4
"""Of the juggler, for the throughput: about 20 seconds of 1280 x 720."""
WAYS: dict[str, dict[str, Any]] = {
    "each frame": {},
    "… tracked": {"track": True},
    "… tracked and drawn": {"track": True, "annotate": True},
}
_LONG = 40
"""Repeats of the juggler for a job that is to last."""


@dataclass(frozen=True)
class Ceiling:
    """What the bare pipeline reaches."""

    frames_per_s: float
    cpu_ms: float


@dataclass(frozen=True)
class Pipeline:
    """The way in which the bare pipeline is quickest here."""

    batch: int
    decoders: int

    def measured(self, version: Path, clip: Path) -> Ceiling:
        """Run it once over a clip, in a process of its own, after a run over another."""
        command = [sys.executable, "-m", "benchmarks.video_ceiling", str(version), str(clip)]
        command += ["--threads", str(_processors()), "--batch", str(self.batch), "--decoders", str(self.decoders)]
        command += ["--warm-up", str(STREET)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return Ceiling(told["frames_per_s"], told["cpu_ms"])


@dataclass(frozen=True)
class Speed:
    """A job, and the ceiling around it."""

    frames_per_s: float
    cpu_ms: float
    ceiling: Ceiling

    @property
    def ratio(self) -> float:
        """Of the frames a second to the ceiling's."""
        return self.frames_per_s / self.ceiling.frames_per_s


@dataclass(frozen=True)
class Events:
    """A clip of which every frame was processed, and then only those that had changed."""

    saved: float
    """The share of frames that the model did not see."""
    seconds: tuple[float, float]
    """Of the job with every frame, and of the other."""
    comparison: Comparison
    lines: list[dict[str, Any]]
    """Of the job with every frame."""


@dataclass(frozen=True)
class Drawn:
    """An annotated video beside the lines of its job."""

    frames: int
    lines: int
    latest_s: float
    """The largest difference between a frame's time in the one and in the other."""


@dataclass(frozen=True)
class Figures:
    """All that is reported."""

    pipeline: Pipeline
    speeds: dict[str, list[Speed]]
    events: dict[str, Events]
    juggler: float
    """The share of the clip for which the juggler keeps one id."""
    drawn: dict[str, Drawn]
    beside: dict[str, Seen]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure video jobs and streams.")
    parser.add_argument("--rounds", type=int, default=5, help="of the throughput")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part with single images")
    parser.add_argument("--rate", type=float, default=20.0, help="single images a second")
    parser.add_argument("--quick", action="store_true", help="one round, 5 seconds: a trial")
    parser.add_argument("--report", type=Path, default=ROOT / "VIDEO.md")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 5.0
    if not WEIGHTS.is_file():
        sys.exit(f"the sample assets are not at {ASSETS}; VITRAIL_ASSETS says where they are")
    tell = partial(print, file=sys.stderr, flush=True)
    repository, static = imported(), _static_clip(tell)
    with tempfile.TemporaryDirectory() as folder, video_service(repository, Path(folder)) as service:
        figures = _measured(service, repository / MODEL / "1", static, Path(folder), arguments, tell)
    arguments.report.write_text(
        written(figures, arguments.rounds, arguments.seconds, arguments.rate, _batch(repository))
    )
    tell(f"written: {arguments.report}")


def imported() -> Path:
    """A repository with YOLOX-Nano, real weights, made by the builder's command if it is not there."""
    repository = CACHE / "video"
    if not (repository / MODEL / "1" / "card.json").is_file():
        command = ["import", str(WEIGHTS), "--card", str(CARD), "--repository", str(repository)]
        subprocess.run([sys.executable, "-m", "build_engines", *command], check=True, stdout=sys.stderr)
    return repository


def _static_clip(tell: Callable[[str], None]) -> Path:
    path = CACHE / "static_camera.mp4"
    if not path.is_file():
        tell("making the clip of a camera that stands still")
        unfinished = path.with_stem("unfinished")
        write_static_clip(unfinished, ASSETS).rename(path)
    return path


def _measured(
    service: VideoService,
    version: Path,
    static: Path,
    folder: Path,
    arguments: argparse.Namespace,
    tell: Callable[[str], None],
) -> Figures:
    long = repeated(JUGGLER, REPEATS, folder / "throughput.mp4")
    service.run(STREET, task="detect", track=True, annotate=True)  # Nothing is loaded for the first time after this.
    pipeline = _quickest(version, JUGGLER, tell)
    speeds: dict[str, list[Speed]] = {name: [] for name in WAYS}
    for number in range(arguments.rounds):
        tell(f"throughput, round {number + 1} of {arguments.rounds}")
        for name, speed in _round(service, pipeline, version, long).items():
            speeds[name].append(speed)
    events = {}
    for name, clip in {"static camera": static, "street": STREET, "juggler": JUGGLER, "AVI, 320 x 240": AVI}.items():
        tell(f"sampling by events: {name}")
        events[name] = _events(service, clip)
    drawn = {name: _drawn(service, clip, folder) for name, clip in {"street": STREET, "juggler": JUGGLER}.items()}
    load = Load(
        service.base,
        MODEL,
        [path.read_bytes() for path in photographs(CACHE / "photographs")],
        arguments.rate,
        arguments.seconds,
    )
    beside = _beside(service, load, repeated(JUGGLER, _LONG, folder / "long.mp4"), tell)
    juggler = Tracks.of(events["juggler"].lines, "person").longest
    return Figures(pipeline, speeds, events, juggler, drawn, beside)


def _quickest(version: Path, clip: Path, tell: Callable[[str], None]) -> Pipeline:
    """Of batches of one or of the largest certified size, and one decoding thread or one a processor."""
    found: dict[Pipeline, list[float]] = {}
    ways = [Pipeline(batch, decoders) for batch, decoders in product((1, _batch(version.parents[1])), (1, 0))]
    for _ in range(2):
        for way in ways:
            found.setdefault(way, []).append(way.measured(version, clip).frames_per_s)
    for way, rates in found.items():
        tell(f"ceiling, {way}: {', '.join(f'{rate:.0f}' for rate in rates)} frames/s")
    return max(found, key=lambda way: max(found[way]))


def _batch(repository: Path) -> int:
    """The largest batch that the model is certified for."""
    card = ModelCard.model_validate_json((repository / MODEL / "1" / "card.json").read_bytes())
    return card.batch_sizes[-1]


def _round(service: VideoService, pipeline: Pipeline, version: Path, clip: Path) -> dict[str, Speed]:
    """Every way once, between two ceilings each."""
    speeds = {}
    before = pipeline.measured(version, clip)
    for name, wanted in WAYS.items():
        run = service.run(clip, task="detect", **wanted)
        after = pipeline.measured(version, clip)
        around = Ceiling(
            statistics.fmean((before.frames_per_s, after.frames_per_s)), statistics.fmean((before.cpu_ms, after.cpu_ms))
        )
        speeds[name] = Speed(run.frames_per_s, run.cpu_ms, around)
        service.delete(run.status["id"])
        before = after
    return speeds


def _events(service: VideoService, clip: Path) -> Events:
    whole: JobRun = service.run(clip, task="detect", track=True)
    some = service.run(clip, task="detect", track=True, sample="event")
    saved = 1 - some.processed / some.frames
    return Events(saved, (whole.seconds, some.seconds), compared(whole.lines, some.lines), whole.lines)


def _drawn(service: VideoService, clip: Path, folder: Path) -> Drawn:
    run = service.run(clip, task="detect", track=True, annotate=True)
    times = times_of(service.annotated(run.status["id"], folder / "annotated.mp4"))
    apart = [abs(time - line["timestamp_s"]) for time, line in zip(times, run.lines, strict=False)]
    return Drawn(len(times), len(run.lines), max(apart))


def _beside(service: VideoService, load: Load, long: Path, tell: Callable[[str], None]) -> dict[str, Seen]:
    found = {}
    for name, streams, jobs in (("alone", 0, 0), ("stream", 1, 0), ("job", 0, 1), ("stream and job", 1, 1)):
        tell(f"single images: {name}")
        job_id = service.submit(long, task="detect")["id"] if jobs else None
        found[name] = load.beside(streams=streams, job_id=job_id)
        if job_id is not None:
            service.delete(job_id)
    return found


def _processors() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
