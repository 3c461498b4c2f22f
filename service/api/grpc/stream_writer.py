"""Answers to a caller who may have stopped reading."""

import asyncio
from typing import Any

import grpc

from service.errors import deadline_exceeded


class StreamWriter:
    """Writes a stream's answers, one at a time, and gives up on a caller who reads none for a while.

    gRPC cannot end a call while an answer of it is still on its way: so one that was begun is never cancelled, and
    whoever ends the call waits until it is settled. All else that the stream held is free by then.
    """

    def __init__(self, context: "grpc.aio.ServicerContext[Any, Any]", stall_s: float) -> None:
        self._context = context
        self._stall_s = stall_s
        self._writing: asyncio.Task[None] | None = None

    async def write(self, message: Any) -> None:
        """Write a message; ServiceError (deadline_exceeded) if the caller has not taken it within the time."""
        self._writing = asyncio.ensure_future(self._context.write(message))
        done, _ = await asyncio.wait({self._writing}, timeout=self._stall_s)
        if not done:
            raise deadline_exceeded(f"no answer was read for {self._stall_s:g} s; the stream ends")
        self._writing.result()

    async def settle(self) -> None:
        """Wait until the last answer that was begun is read, or its reader gone."""
        if self._writing is not None and not self._writing.done():
            await asyncio.wait({self._writing})
