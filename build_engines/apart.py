"""Many builds, each in a process of its own: a crash, a leak or a hang in one does not touch the others."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_GRACE_S = 15.0
_LONGEST_LINE = 2**22
_TAIL = 5

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one build ended."""

    name: str
    events: tuple[Event, ...]
    status: int | None
    """The process's exit status; None where it took too long and was ended."""
    last_words: tuple[str, ...] = field(default=())
    """The last lines that it wrote to stderr."""

    @property
    def end(self) -> Event:
        """The event ``built`` or ``failed``; one made up for a process that ended without either."""
        for event in reversed(self.events):
            if event["event"] in {"built", "failed"}:
                return event
        started = [event["step"] for event in self.events if event["event"] == "started"]
        step = started[-1] if started else "start"
        if self.status is None:
            reason = "took longer than allowed, and was ended"
        elif self.status == -signal.SIGKILL:
            reason = "the process was killed from outside, as systems do where memory is short"
        else:
            reason = f"the process ended with status {self.status}: {' | '.join(self.last_words)}"
        remedy = "build this entry alone, with --traceback, or give it longer with --patience"
        return {"event": "failed", "model": self.name, "step": step, "reason": reason, "remedy": remedy}


def build_apart(
    options: Mapping[str, Sequence[str]], jobs: int, patience_s: float, tell: Callable[[Outcome], None]
) -> None:
    """Build entries by the command line's own ``build NAME --json`` with each name's options, ``jobs`` at a time.

    ``tell`` hears of each outcome as it comes. An interruption ends the processes that run, lets them clear up, and is
    passed on.
    """
    asyncio.run(_all(options, jobs, patience_s, tell))


async def _all(
    options: Mapping[str, Sequence[str]], jobs: int, patience_s: float, tell: Callable[[Outcome], None]
) -> None:
    free = asyncio.Semaphore(jobs)
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // jobs))}

    async def one(name: str) -> None:
        async with free:
            tell(await _build(name, options[name], environment, patience_s))

    async with asyncio.TaskGroup() as group:
        for name in options:
            group.create_task(one(name))


async def _build(name: str, options: Sequence[str], environment: dict[str, str], patience_s: float) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "build_engines", "build", name, "--json", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        limit=_LONGEST_LINE,
    )
    events: list[Event] = []
    words: list[str] = []
    status: int | None = None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await asyncio.gather(_read_events(process, events), _read_words(process, words))
                status = await process.wait()
    finally:
        await _end(process)
    return Outcome(name, tuple(events), status, tuple(words[-_TAIL:]))


async def _read_events(process: asyncio.subprocess.Process, events: list[Event]) -> None:
    if process.stdout is not None:
        async for line in process.stdout:
            with suppress(ValueError):  # A library that prints to stdout is not ours to silence.
                events.append(json.loads(line))


async def _read_words(process: asyncio.subprocess.Process, words: list[str]) -> None:
    if process.stderr is not None:
        async for line in process.stderr:
            words.append(line.decode(errors="replace").rstrip())
            del words[:-_TAIL]


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process that still runs: asked first, so that it clears up, then without asking."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
