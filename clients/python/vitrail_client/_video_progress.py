"""How far a video is, on a terminal."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from vitrail_client._client import Client
from vitrail_client._errors import VitrailError
from vitrail_client.schemas import VideoAnswer

_EVERY_S = 0.5


@contextmanager
def sending(path: Path, console: Console) -> Iterator[BinaryIO]:
    """The file, open; a bar shows how much of it has been read."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn())
    with _bars(console, *columns) as bars, bars.open(path, "rb", description="sending") as file:
        yield file


@contextmanager
def working(client: Client, job: VideoAnswer, console: Console, *, shown: bool) -> Iterator[None]:
    """Around what waits for a job: a bar shows how far it is."""
    if not shown:
        yield
        return
    words = TextColumn("{task.fields[words]}")
    with _bars(console, TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), words) as bars:
        bar = bars.add_task(job["state"], total=1.0, words="")
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(client, job["id"], bars, bar, over), name="progress")
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _bars(console: Console, *columns: TextColumn | BarColumn | TaskProgressColumn | DownloadColumn) -> Progress:
    # Redirected, what is written to standard output would end where the bar is.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal)


def _watch(client: Client, job_id: str, bars: Progress, bar: TaskID, over: threading.Event) -> None:
    while not over.wait(_EVERY_S):
        try:
            job = client.videos.get(job_id)
        except VitrailError:  # whoever reads the results meets it too, and tells
            continue
        bars.update(bar, description=job["state"], completed=job["progress"] or 0.0, words=_words(job))


def _words(job: VideoAnswer) -> str:
    words = [f"{job['frames']['done']} frames"]
    if job["fps"] is not None:
        words.append(f"{job['fps']:.0f} a second")
    if job["eta_s"] is not None:
        words.append(f"{job['eta_s']:.0f} s left")
    return ", ".join(words)
