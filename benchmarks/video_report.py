"""Figures of videos → ``VIDEO.md``."""

import os
import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.beside_video import STREAM_RATE, Seen, percentile
from benchmarks.report import machine
from benchmarks.static_camera import HEIGHT, NOISE, RATE, SECONDS, WIDTH
from service.video.sampling import EVENT_THRESHOLD, Events

if TYPE_CHECKING:
    from benchmarks.video import Drawn, Figures, Speed
    from benchmarks.video import Events as EventRuns

_WANTED = 0.9
_TEXT = """# Videos

Written by `make bench-video`; do not edit. A service of one process (`python -m service`), asked over REST on loopback
with default settings; YOLOX-Nano (416 pixels, real weights); service, callers and ceiling on the same {processors}
processors. {machine}, {date}.

## Throughput

A video of 1280 x 720 pixels. The **ceiling** is a pipeline of bare threads in one process: one decodes ({decoders}),
{processors} convert to RGB, preprocess, and run the session with one thread each, in batches of {batch}; of four such
ways it was the quickest here. It does less than a job: no result is made of the outputs, no track, no line. It is
measured before and after each job; of {rounds} rounds the one with the median ratio is shown. A job's time is from
`started` to `finished`, and its caller looks at it once a second; its CPU time is the service's, from the first byte of
the upload on.

| | frames/s | ceiling's | **ratio** | all rounds | CPU ms/frame | ceiling's |
|---|---|---|---|---|---|---|
{speeds}

With every frame processed, {wanted} of the ceiling is wanted: **{reached}**; by CPU time, which others on the machine
change less, it is {work:.2f}. Drawing and encoding H.264 are work that the ceiling does not have.

## Sampling by events

`sample=event` against every frame, both tracked, with the defaults: threshold {threshold:g}, at least a frame every
{gap:g} s. The *static camera* is made of photographs: a dog and two people come, stand and go before a house, {seconds}
s of {width} x {height} at {rate} frames/s, with noise of deviation {noise:g} on each frame and light that changes. The
others are real; *street* and *juggler* have movement all the time, so that there is little to save.

| | engine calls saved | job s, every frame → events | tracks | ID switches | same boxes | mean IoU | unchanged |
|---|---|---|---|---|---|---|---|
{events}

*Tracks* is the number of ids, with every frame → by events; *same boxes* is the share of the boxes of every frame
whose id is in that frame of the other, and *mean IoU* how well these lie; *unchanged*: the same ids with the same
labels, and no track of the one has two ids in the other. On the static camera more than half must be saved at
unchanged tracks: **{saved}**.

## Tracks and annotated videos

| | frames | tracks | longest | mean length | annotated MP4: frames | largest difference of a time |
|---|---|---|---|---|---|---|
{tracks}

The juggler keeps one id for {juggler:.1%} of the clip; more than 90 % is wanted: **{kept}**.

## Single images beside videos

{images:g} single images a second (640 x 480 JPEG, open loop, the same model) for {part:g} s each; a WebSocket stream
that sends {stream:g} frames a second and has its window full all the time; a video job that runs all the time. From the
moment at which a caller meant to ask, in milliseconds; *queue* and *batch* are the service's own account of the waiting
and of the batch's run.

| beside | answered | failed | p50 / p99 | queue p50 / p99 | batch p50 / p99 | p99 to alone | stream, job: frames/s |
|---|---|---|---|---|---|---|---|
{beside}

Batches have up to {batch_size} images, and {processors} run at a time. Single images, stream and job take turns, so
an image waits for a batch that is running, and not for the frames that wait before it.
"""


def written(figures: "Figures", rounds: int, part: float, images: float, batch_size: int) -> str:
    """The whole document."""
    each = _median(next(iter(figures.speeds.values())))
    static = figures.events["static camera"]
    person = figures.juggler
    threads = "FFmpeg with one thread a processor" if figures.pipeline.decoders == 0 else "FFmpeg with one thread"
    return _TEXT.format(
        processors=len(os.sched_getaffinity(0)),
        machine=machine(),
        date=datetime.now(UTC).strftime("%B %Y"),
        rounds=rounds,
        batch=figures.pipeline.batch,
        decoders=threads,
        speeds="\n".join(_speed(name, speeds) for name, speeds in figures.speeds.items()),
        reached=f"{_verdict(each.ratio >= _WANTED)}, {each.ratio:.2f}",
        wanted=_WANTED,
        work=each.ceiling.cpu_ms / each.cpu_ms,
        threshold=EVENT_THRESHOLD,
        gap=Events().max_gap_s,
        seconds=SECONDS,
        width=WIDTH,
        height=HEIGHT,
        rate=RATE,
        noise=NOISE,
        events="\n".join(_event(name, run) for name, run in figures.events.items()),
        saved=f"{_verdict(static.saved > 0.5 and static.comparison.unchanged)}, {static.saved:.1%}",
        tracks="\n".join(_track(name, figures) for name in figures.events),
        juggler=person,
        kept=_verdict(person > 0.9),
        images=images,
        part=part,
        stream=STREAM_RATE,
        beside="\n".join(_beside(name, seen, figures.beside["alone"]) for name, seen in figures.beside.items()),
        batch_size=batch_size,
    )


def _verdict(reached: bool) -> str:  # noqa: FBT001 - it is the one thing that it is about
    return "reached" if reached else "not reached"


def _median(speeds: "list[Speed]") -> "Speed":
    middle = statistics.median_low([speed.ratio for speed in speeds])
    return next(speed for speed in speeds if speed.ratio == middle)


def _speed(name: str, speeds: "list[Speed]") -> str:
    shown = _median(speeds)
    rounds = " ".join(f"{speed.ratio:.2f}" for speed in speeds)
    return (
        f"| {name} | {shown.frames_per_s:.1f} | {shown.ceiling.frames_per_s:.1f} | **{shown.ratio:.2f}** | {rounds} "
        f"| {shown.cpu_ms:.1f} | {shown.ceiling.cpu_ms:.1f} |"
    )


def _event(name: str, run: "EventRuns") -> str:
    found = run.comparison
    before, after = run.seconds
    return (
        f"| {name} | {run.saved:.1%} | {before:.1f} → {after:.1f} | {len(found.whole.lengths)} → "
        f"{len(found.other.lengths)} | {found.switches} | {found.kept:.1%} | {found.overlap:.3f} "
        f"| {'yes' if found.unchanged else 'no'} |"
    )


def _track(name: str, figures: "Figures") -> str:
    tracks = figures.events[name].comparison.whole
    drawn: Drawn | None = figures.drawn.get(name)
    shown = "- | -" if drawn is None else f"{drawn.frames} of {drawn.lines} | {drawn.latest_s * 1e3:.2f} ms"
    return (
        f"| {name} | {tracks.frames} | {len(tracks.lengths)} | {tracks.longest:.0%} | {tracks.mean_length:.0f} "
        f"| {shown} |"
    )


def _beside(name: str, seen: Seen, alone: Seen) -> str:
    times = " | ".join(
        f"{percentile(values, 50):.0f} / {percentile(values, 99):.0f}"
        for values in (seen.whole_ms, seen.queue_ms, seen.compute_ms)
    )
    ratio = percentile(seen.whole_ms, 99) / percentile(alone.whole_ms, 99)
    return (
        f"| {name} | {len(seen.whole_ms)} | {seen.failures.total()} | {times} | {ratio:.1f} "
        f"| {seen.stream_frames / seen.seconds:.0f}, {seen.job_frames / seen.seconds:.0f} |"
    )
