"""``WS /v1/stream``: each binary message an encoded frame, each answer one JSON text, in the frames' order."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from contract.tasks.definition import TaskDefinition
from contract.tasks.table import TASKS
from contract.validation import first_problem
from service.api.json_answers import as_json, model_of
from service.api.request_id import request_id
from service.errors import ErrorKind, ServiceError, invalid_parameters, unforeseen
from service.inference import Inference, Query, parse_parameters
from service.security.caller import caller_of
from service.security.own_pages import OwnPages
from service.stream_places import StreamPlaces
from service.telemetry import Account, Telemetry, Transport
from service.window import in_order

PATH = "/v1/stream"
SUBPROTOCOL = "vitrail"
"""What is agreed on with a browser that offers protocols, one of which may hold its key."""

_GOING_AWAY = 1001
_POLICY_VIOLATION = 1008
_INTERNAL_ERROR = 1011
_SERVER_RESTARTS = 1012
"""What uvicorn has a stream receive when the service ends."""
_TRY_AGAIN_LATER = 1013

_CLOSE_CODES = {
    ErrorKind.OVERLOADED: _TRY_AGAIN_LATER,
    ErrorKind.RATE_LIMITED: _TRY_AGAIN_LATER,
    ErrorKind.DEADLINE_EXCEEDED: _TRY_AGAIN_LATER,
    ErrorKind.ENGINE_UNAVAILABLE: _TRY_AGAIN_LATER,
    ErrorKind.INTERNAL: _INTERNAL_ERROR,
}
"""How a stream that cannot begin is closed; `_POLICY_VIOLATION` where the caller has to ask for something else."""

_MAX_REASON_BYTES = 123
"""Of a close frame, by RFC 6455."""
_MAX_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How long things may take, in seconds, and how many frames may be under way."""

    frame_timeout_s: float
    """A frame's answer, from the frame's arrival."""
    stall_s: float = 10.0
    """A caller's pause in reading; then the stream ends."""
    idle_s: float = 300.0
    """A caller's pause in sending; then the stream ends."""
    window: int = 4
    """Frames of one stream that are worked on, or whose answers wait to be read."""


class CallerLeft(Exception):
    """There is nobody to answer to any more."""


class TextMessage(BaseModel):
    """What a caller may say between frames."""

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, Any]
    """Parameters to change from the next frame on; null puts one back to its default."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream asks of its frames."""

    task: TaskDefinition
    model: str | None
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame and the parameters that held when it came."""

    number: int
    image: bytes
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamRoute:
    """What the route needs."""

    inference: Inference
    telemetry: Telemetry
    limits: StreamLimits
    places: StreamPlaces
    codes: Mapping[ErrorKind, int]
    """The HTTP status of each kind of error, as the metrics' label ``code``."""
    pages: OwnPages = field(default_factory=OwnPages)
    """Whose pages may open streams: browsers let those of all sites try."""

    def router(self) -> APIRouter:
        """The one route."""
        return APIRouter(routes=[WebSocketRoute(PATH, self._stream, name="stream")])

    async def _stream(self, socket: WebSocket) -> None:
        stream_id = request_id(socket.headers.get("x-request-id"))
        # Refusing the handshake would tell a script in a browser nothing but that it failed; so errors are told after.
        agreed = SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None
        await socket.accept(agreed, headers=[(b"x-request-id", stream_id.encode("latin-1", "replace"))])
        task = TASKS.get(socket.query_params.get("task", ""))  # type: ignore[call-overload]
        notes = Notes(self.telemetry, self.codes, stream_id, task.task if task else "", socket.headers)
        with ExitStack() as stack:
            try:
                self.pages.require(socket.headers)
                wanted = await self._wanted(socket, task)
                host = socket.client.host if socket.client else ""
                stack.enter_context(self.places.place(caller_of(socket.scope).id or host))
            except ServiceError as error:
                notes.refused(notes.account(), error)
                await refuse(socket, error, self.limits.stall_s)
                return
            await Stream(socket, wanted, self.inference, self.limits, notes).run()

    async def _wanted(self, socket: WebSocket, task: TaskDefinition | None) -> Wanted:
        """What the address asks for; ServiceError if no frame could ever be answered."""
        if task is None or task.clips:
            known = ", ".join(name for name, task in TASKS.items() if not task.clips)
            raise invalid_parameters(f"a stream's address names its task, as in {PATH}?task=detect; there are {known}")
        parameters: dict[str, Any] = dict(socket.query_params)
        del parameters["task"]
        wanted = Wanted(task, parameters.pop("model", None), parameters)
        parse_parameters(task, parameters)
        deadline = time.monotonic() + self.limits.frame_timeout_s
        await self.inference.resolve(task.task, wanted.model, socket.headers, deadline)
        return wanted


@dataclass(frozen=True, slots=True)
class Notes:
    """What the frames of one stream leave behind in metrics and log."""

    telemetry: Telemetry
    codes: Mapping[ErrorKind, int]
    stream_id: str
    task: str
    """As a metric's label; empty where the caller made it up."""

    headers: Mapping[str, str]

    def account(self) -> Account:
        """Of a frame; to be asked for in a task that does nothing else."""
        return self.telemetry.account(Transport.WEBSOCKET, self.task, self.stream_id, self.headers, f"frame {PATH}")

    def refused(self, account: Account, error: ServiceError, cause: BaseException | None = None) -> None:
        """Note a frame, or a stream, that gets no answer."""
        account.refused(error, str(self.codes[error.kind]), cause)


@dataclass(slots=True)
class Stream:
    """One caller's stream, from its acceptance to its end."""

    socket: WebSocket
    wanted: Wanted
    inference: Inference
    limits: StreamLimits
    notes: Notes
    parameters: dict[str, Any] = field(init=False)
    farewell: str = field(init=False, default="")
    flow: object = field(init=False, default_factory=object)
    """What its frames have in common, in the queue of the engine."""

    def __post_init__(self) -> None:
        self.parameters = self.wanted.parameters

    async def run(self) -> None:
        """Answer frames until the caller leaves or the service does; work for a caller who has left is cancelled."""
        try:
            await in_order(self._messages(), self._answer, self._deliver, self.limits.window)
            await _within(self.limits.stall_s, self.socket.close(_GOING_AWAY, self.farewell))
        except CallerLeft:
            return

    async def _messages(self) -> AsyncIterator[Frame | ServiceError]:
        """Frames, and errors in what was said between them; CallerLeft at the caller's end, none at the service's."""
        number = 0
        while (message := await self._receive()) is not None:
            image = message.get("bytes")
            if image is not None:
                yield Frame(number, image, self.parameters)
                number += 1
                continue
            try:
                self._change(message["text"])
            except ServiceError as error:
                yield error

    async def _receive(self) -> Mapping[str, Any] | None:
        """The next message; None where the service ends the stream."""
        try:
            async with asyncio.timeout(self.limits.idle_s):
                message = await self.socket.receive()
        except TimeoutError:
            self.farewell = f"no message for {self.limits.idle_s:g} s; connect again when there are frames"
            return None
        if message["type"] == "websocket.receive":
            return message
        if message.get("code") == _SERVER_RESTARTS:
            self.farewell = "the service ends; connect again"
            return None
        raise CallerLeft

    def _change(self, text: str) -> None:
        """Change the parameters of the frames to come; ServiceError if the text does not say how."""
        if len(text) > _MAX_TEXT:
            raise invalid_parameters(f"a text message has more than {_MAX_TEXT:,} letters; frames are binary messages")
        try:
            changes = TextMessage.model_validate(orjson.loads(text)).parameters
        except (orjson.JSONDecodeError, ValidationError) as error:
            why = first_problem(error) if isinstance(error, ValidationError) else str(error)
            raise invalid_parameters(f'a text message is JSON like {{"parameters": {{…}}}}: {why}') from error
        changed = {name: value for name, value in (self.parameters | changes).items() if value is not None}
        parse_parameters(self.wanted.task, changed)
        self.parameters = changed

    async def _answer(self, message: Frame | ServiceError) -> str:
        """The text that answers a message."""
        if isinstance(message, ServiceError):
            self.notes.refused(self.notes.account(), message)
            return as_json({"error": _told(message)}).decode()
        with Attempt(message, self.notes, self.notes.account()) as attempt:
            attempt.answer = await self._predict(message, attempt.account)
        return attempt.answer.decode()

    async def _predict(self, frame: Frame, account: Account) -> bytes:
        account.received_bytes = len(frame.image)
        deadline, stages = time.monotonic() + self.limits.frame_timeout_s, account.stages
        task, headers = self.wanted.task.task, self.socket.headers
        query = Query(
            task,
            self.wanted.model,
            [frame.image],
            frame.parameters,
            deadline,
            stages,
            headers,
            self.notes.stream_id,
            self.flow,
            caller_of(self.socket.scope).priority,
        )
        answer = await self.inference.predict(query)
        begun = time.monotonic()
        result = as_json(answer.results[0])
        stages.encode = time.monotonic() - begun
        account.answered(answer.version_used.metrics, answer.alias, "200", 1, len(result))
        return orjson.dumps(
            {
                "frame": frame.number,
                "model": model_of(answer),
                "result": orjson.Fragment(result),
                "timings_ms": stages.as_milliseconds(),
            }
        )

    async def _deliver(self, text: str) -> None:
        await _within(self.limits.stall_s, self.socket.send_text(text))


@dataclass(slots=True)
class Attempt:
    """``with Attempt(…)``: whatever goes wrong with a frame becomes its answer, and the stream goes on."""

    frame: Frame
    notes: Notes
    account: Account
    answer: bytes = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Tell the caller what is meant for callers, and the log the rest; a cancellation goes on its way."""
        if isinstance(error, asyncio.CancelledError):
            self.notes.refused(self.account, ServiceError(ErrorKind.CANCELLED, "the caller has left"))
        if not isinstance(error, Exception):
            return False
        told = error if isinstance(error, ServiceError) else unforeseen()
        self.notes.refused(self.account, told, error)
        self.answer = as_json({"frame": self.frame.number, "error": _told(told)})
        return True


def _told(error: ServiceError) -> dict[str, str]:
    """An error as callers see it, in the words of REST's problem documents."""
    return {"code": error.kind, "detail": error.message}


async def refuse(socket: WebSocket, error: ServiceError, stall_s: float) -> None:
    """Tell why an accepted stream is none, and close it; the reason alone would be cut off at 123 bytes."""
    reason = error.message.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
    try:
        await _within(stall_s, socket.send_text(as_json({"error": _told(error)}).decode()))
        await _within(stall_s, socket.close(_CLOSE_CODES.get(error.kind, _POLICY_VIOLATION), reason))
    except CallerLeft:
        return


async def _within(seconds: float, sending: Any) -> None:
    """Send something; CallerLeft if the caller is gone, or reads nothing for so long."""
    try:
        async with asyncio.timeout(seconds):
            await sending
    except (TimeoutError, WebSocketDisconnect) as error:
        raise CallerLeft from error
