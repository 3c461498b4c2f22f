"""Streams over WebSocket: frames in, answers in the same order out, and an end that is told of."""

import asyncio
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_now

from contract.tasks.table import TASKS
from service.api.rest.problems import STATUS
from service.api.rest.wire import StreamProtocol
from service.api.websocket import Attempt, Frame, Notes, StreamLimits, StreamRoute
from service.errors import ErrorKind, invalid_parameters
from service.telemetry import Telemetry
from tests.doubles import settle, until
from tests.end_to_end.gateway import gateway
from tests.service.api.listening import Listener, listening
from tests.service.running import BLUE, GREEN, RED, WHITE, Running, picture, running
from tests.tiny_models import write_version

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "websocket.md"


class HastyProtocol(StreamProtocol):
    """Waits a tenth of a second for the other side of a close."""

    close_timeout_s = linger_s = 0.1


@asynccontextmanager
async def stream(service: Running, query: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A stream of a service that listens for it alone."""
    async with listening(service.application.asgi) as listener, connect(listener.url(query), **options) as socket:
        yield socket


@asynccontextmanager
async def impatient(service: Running, **limits: float) -> AsyncIterator[Listener]:
    """A listener whose streams have limits of one's choice, in seconds."""
    application = service.application
    patience = StreamLimits(**{"frame_timeout_s": 30.0, **limits})
    route = StreamRoute(application.inference, application.telemetry, patience, application.places, STATUS)
    app = FastAPI()
    app.include_router(route.router())
    async with listening(app, stream=HastyProtocol) as listener:
        yield listener


async def told(socket: ClientConnection) -> Any:
    """The next message."""
    async with asyncio.timeout(30):
        return json.loads(await socket.recv())


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason of the stream's end, which is the next thing to come."""
    with pytest.raises(ConnectionClosed) as closed:
        await told(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def label(answer: Any) -> str:
    """The best label of an answer."""
    return str(answer["result"]["classes"][0]["label"])


def counted(service: Running, name: str, **labels: str) -> float:
    """A figure of the metrics; 0 where there is none yet."""
    return service.application.telemetry.registry.get_sample_value(name, labels) or 0.0


# --- answers


async def test_answers_come_in_the_order_of_the_frames(service: Running) -> None:
    """Every frame gets one answer, with its number, however many are sent at once."""
    frames = [RED, GREEN, BLUE] * 10
    async with stream(service, "task=classify&top_k=1") as socket:
        for frame in frames:
            await socket.send(frame)
        answers = [await told(socket) for _ in frames]

    assert [answer["frame"] for answer in answers] == list(range(30))
    assert [label(answer) for answer in answers] == ["red", "green", "blue"] * 10


@pytest.mark.parametrize("task", [task for task, definition in TASKS.items() if not definition.clips])
async def test_an_answer_is_that_of_rest(service: Running, task: str) -> None:
    """For every task the model and the result are what REST answers for the same image."""
    response = await service.ask(f"/v1/{task}", WHITE)
    async with stream(service, f"task={task}") as socket:
        if response.status_code != 200:
            assert (await told(socket))["error"]["code"] == response.json()["code"]
            return
        await socket.send(WHITE)
        answer = await told(socket)

    assert (answer["model"], [answer["result"]]) == (response.json()["model"], response.json()["results"])
    assert answer["timings_ms"].keys() == response.json()["timings_ms"].keys()


async def test_a_fragmented_message_is_one_frame(service: Running) -> None:
    """A frame may come in as many pieces as the caller likes."""
    async with stream(service, "task=classify") as socket:
        await socket.send([GREEN[at : at + 20] for at in range(0, len(GREEN), 20)])
        assert label(await told(socket)) == "green"


@pytest.mark.parametrize("frame", [b"", b"no image", RED[:40]])
async def test_a_bad_frame_is_told_and_the_stream_goes_on(service: Running, frame: bytes) -> None:
    """What is wrong with one frame is told in its place; the next is answered."""
    async with stream(service, "task=classify") as socket:
        await socket.send(frame)
        await socket.send(GREEN)
        refused, answered = await told(socket), await told(socket)

    assert refused.keys() == {"frame", "error"}
    assert (refused["frame"], refused["error"]["code"]) == (0, "invalid_image")
    assert (answered["frame"], label(answered)) == (1, "green")
    rejections = {"task": "classify", "reason": "invalid_image", "transport": "websocket"}
    assert counted(service, "vitrail_rejections_total", **rejections) == 1
    requests = {"task": "classify", "model": "", "version": "", "alias": "", "code": "422", "transport": "websocket"}
    assert counted(service, "vitrail_requests_total", **requests) == 1


async def test_answered_frames_are_counted_as_requests(service: Running) -> None:
    """The metrics count each frame as REST counts a request, and measure its stages."""
    version = {"task": "classify", "model": "colours", "version": "2"}
    before = counted(service, "vitrail_stage_seconds_count", **version, stage="decode")
    async with stream(service, "task=classify") as socket:
        for _ in range(3):
            await socket.send(RED)
            await told(socket)

    assert counted(service, "vitrail_requests_total", **version, alias="stable", code="200", transport="websocket") == 3
    assert counted(service, "vitrail_images_total", **version) == 3
    assert counted(service, "vitrail_stage_seconds_count", **version, stage="decode") == before + 3


async def test_a_caller_stays_with_its_version(tmp_path: Path) -> None:
    """Traffic that is divided by a header is divided by the handshake's."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    (tmp_path / "routing.yaml").write_text(
        "models: {colours: {aliases: {stable: 1, canary: 2}, weights: {stable: 50, canary: 50}, sticky: header:X-User}}"
    )
    async with running(tmp_path) as service, listening(service.application.asgi) as listener:
        by_user = {}
        for user in map(str, range(20)):
            rest = await service.ask("/v1/classify", RED, x_user=user)
            async with connect(listener.url("task=classify"), additional_headers={"X-User": user}) as socket:
                await socket.send(RED)
                by_user[user] = (await told(socket))["model"]
            assert by_user[user] == rest.json()["model"]
    assert {model["alias"] for model in by_user.values()} == {"stable", "canary"}


@pytest.mark.parametrize(("given", "length"), [("my-own", 6), ("x" * 500, 32), (None, 32)])
async def test_a_stream_has_an_id(service: Running, given: str | None, length: int) -> None:
    """The handshake's answer has the caller's X-Request-Id if it is a sane one, else a new one."""
    headers = {} if given is None else {"X-Request-Id": given}
    async with stream(service, "task=classify", additional_headers=headers) as socket:
        assert socket.response is not None
        assert len(socket.response.headers["X-Request-Id"]) == length


# --- what is asked


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("", "invalid_parameters", "/v1/stream?task=detect"),
        ("task=classify-video", "invalid_parameters", "there are classify, detect"),
        ("task=nothing", "invalid_parameters", "there are classify, detect"),
        ("task=classify&model=nothing", "model_not_found", "/v1/models"),
        ("task=classify&model=middle", "model_not_found", "middle"),
        ("task=classify&top_k=0", "invalid_parameters", "top_k"),
        ("task=classify&topk=1", "invalid_parameters", "it has top_k"),
    ],
)
async def test_a_request_that_makes_no_sense_is_told(service: Running, query: str, code: str, words: str) -> None:
    """The handshake succeeds, so that browsers hear of it: a message with the error, then 1008 with a reason."""
    async with stream(service, query) as socket:
        error = (await told(socket))["error"]
        closed, reason = await closing(socket)

    assert error["code"] == code
    assert words in error["detail"]
    assert closed == 1008
    assert reason
    assert error["detail"].startswith(reason)


async def test_a_long_reason_is_cut_between_letters(service: Running) -> None:
    """A close frame has room for 123 bytes; a reason is never cut within a letter."""
    async with stream(service, "task=classify&" + "ü" * 200) as socket:
        error = (await told(socket))["error"]
        _, reason = await closing(socket)
    assert len(reason.encode()) in (122, 123)
    assert error["detail"].startswith(reason)


async def test_a_service_that_is_not_ready_asks_to_come_again(tiny_repository: Path) -> None:
    """Where the caller need change nothing, the stream closes with 1013: try again later."""
    async with (
        running(tiny_repository, memory_limit=1, memory_min_idle_s=0) as service,
        impatient(service, frame_timeout_s=1e-9) as listener,
        connect(listener.url("task=classify&model=colours")) as socket,
    ):
        assert (await told(socket))["error"]["code"] == "deadline_exceeded"
        assert (await closing(socket))[0] == 1013


async def test_parameters_change_while_the_stream_runs(service: Running) -> None:
    """A text message changes parameters from the next frame on, keeps the others, and null means the default."""
    async with stream(service, "task=classify&score_threshold=0&top_k=1") as socket:
        shown = []
        for change in (None, {"top_k": 2}, {"score_threshold": 0.9}, {"score_threshold": None, "top_k": None}):
            if change is not None:
                await socket.send(json.dumps({"parameters": change}))
            await socket.send(RED)
            shown.append(len((await told(socket))["result"]["classes"]))
    assert shown == [1, 2, 1, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "parameters"),
        ('{"parameters": {"top_k": 0}}', "top_k"),
        ('{"parameters": {"threshold": 1}}', "threshold"),
        ('{"parameters": 7}', "parameters"),
        ('{"parameters": {}, "model": "means"}', "model"),
        ("[1]", "parameters"),
        ('"' + "x" * 70_000 + '"', "binary"),
    ],
)
async def test_a_text_that_makes_no_sense_changes_nothing(service: Running, text: str, words: str) -> None:
    """It is answered with an error that is no frame's, and the parameters stay as they were."""
    async with stream(service, "task=classify&top_k=2") as socket:
        await socket.send(text)
        await socket.send(RED)
        refused, answered = await told(socket), await told(socket)
    assert refused.keys() == {"error"}
    assert refused["error"]["code"] == "invalid_parameters"
    assert words in refused["error"]["detail"]
    assert (answered["frame"], len(answered["result"]["classes"])) == (0, 2)


# --- bounds


async def test_no_more_than_the_window_is_under_way(service: Running) -> None:
    """Of many frames four are worked on, the others wait on the wire; in the end all are answered."""
    engine = service.engines["colours:2"]
    engine.hold()
    async with stream(service, "task=classify") as socket:
        for _ in range(40):
            await socket.send(RED)
        await until(lambda: service.application.inference.in_flight == 4)
        await settle()
        assert service.application.inference.in_flight == 4
        engine.let_go()
        assert [(await told(socket))["frame"] for _ in range(40)] == list(range(40))


async def test_a_frame_that_takes_too_long_is_told(service: Running) -> None:
    """Each frame has the time that a request has; when it is over that is told, and the stream goes on."""
    engine = service.engines["colours:2"]
    async with impatient(service, frame_timeout_s=0.05) as listener, connect(listener.url("task=classify")) as socket:
        engine.hold()
        await socket.send(RED)
        late = await told(socket)
        engine.let_go()
    assert (late["frame"], late["error"]["code"]) == (0, "deadline_exceeded")
    assert service.application.inference.in_flight == 0


async def test_a_frame_without_a_place_is_told(tiny_repository: Path) -> None:
    """Where the service is busy with others' images, a frame is refused, and the stream goes on."""
    async with running(tiny_repository, max_images_in_flight=1) as service:
        engine = service.engines["colours:2"]
        engine.hold()
        other = asyncio.create_task(service.ask("/v1/classify", RED))
        await until(lambda: service.application.inference.in_flight == 1)
        async with stream(service, "task=classify") as socket:
            await socket.send(GREEN)
            assert (await told(socket))["error"]["code"] == "overloaded"
            engine.let_go()
            assert (await other).status_code == 200
            await socket.send(GREEN)
            assert label(await told(socket)) == "green"


async def test_a_frame_that_is_too_large_ends_the_stream(service: Running) -> None:
    """It is refused by its length, with 1009 and the limit, also while the caller is still sending it."""
    async with listening(service.application.asgi, stream=HastyProtocol) as listener:
        async with connect(listener.url("task=classify")) as socket:
            sending = asyncio.create_task(socket.send(bytes(8 << 20)))
            code, reason = await closing(socket)
            await asyncio.wait([sending])
            assert sending.exception() is None or isinstance(sending.exception(), ConnectionClosed)
        await until(lambda: not listener.state.connections)
    assert code == 1009
    assert "1048576 bytes" in reason


async def test_a_stream_may_break_while_answers_are_on_their_way(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Where one frame of several is too large, the others' answers have nowhere to go, and that is no mistake."""
    engine = service.engines["colours:2"]
    engine.hold()
    async with listening(service.application.asgi) as listener:
        async with connect(listener.url("task=classify")) as socket:
            for _ in range(4):
                await socket.send(RED)
            await until(lambda: service.application.inference.in_flight == 4)
            (connection,) = listener.state.connections
            await socket.send(bytes(2 << 20))
            await until(lambda: connection.close_sent)
            engine.let_go()
            assert (await closing(socket))[0] == 1009
        await until(lambda: not listener.state.connections and not listener.state.tasks)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_caller_who_reads_nothing_is_let_go(service: Running) -> None:
    """Answers that nobody reads are kept for a while; then the connection is gone, and its memory with it."""
    image = picture(1, 2, 3, width=1000, height=1000)
    async with impatient(service, stall_s=0.2) as listener:
        async with connect(listener.url("task=restore&encoding=npy"), close_timeout=0.1) as socket:
            # Each answer has 16 MB.
            socket.transport.pause_reading()
            for _ in range(6):
                await socket.send(image)
            await until(lambda: not listener.state.connections)
        assert service.application.inference.in_flight == 0


async def test_a_caller_who_sends_nothing_is_let_go(service: Running) -> None:
    """After a long silence the stream is closed, and told why."""
    async with impatient(service, idle_s=0.1) as listener, connect(listener.url("task=classify")) as socket:
        code, reason = await closing(socket)
    assert code == 1001
    assert "no message for 0.1 s" in reason


# --- the end


async def test_work_for_a_caller_who_has_left_is_cancelled(service: Running) -> None:
    """When the connection is gone, the frames under way are dropped before the engine sees them."""
    engine = service.engines["colours:2"]
    engine.hold()
    async with stream(service, "task=classify") as socket:
        for _ in range(3):
            await socket.send(RED)
        await until(lambda: service.application.inference.in_flight == 3)
        socket.transport.abort()
        await until(lambda: service.application.inference.in_flight == 0)
        assert engine.computed == 0
    assert counted(service, "vitrail_rejections_total", task="classify", reason="cancelled", transport="websocket") == 3


async def test_a_caller_may_say_good_bye(service: Running) -> None:
    """A close from the caller is answered in kind, and nothing is left behind."""
    async with listening(service.application.asgi) as listener:
        async with connect(listener.url("task=classify")) as socket:
            await socket.send(RED)
            await told(socket)
        assert socket.close_code == 1000
        await until(lambda: not listener.state.connections and not listener.state.tasks)


async def test_the_end_of_the_service_is_told(service: Running) -> None:
    """What was begun is answered and the rest is not, then the stream closes with 1001: the caller goes elsewhere."""
    engine = service.engines["colours:2"]
    engine.hold()
    async with listening(service.application.asgi) as listener, connect(listener.url("task=classify")) as socket:
        for _ in range(40):
            await socket.send(RED)
        await until(lambda: service.application.inference.in_flight == 4)
        listener.shut_down()
        engine.let_go()
        assert [(await told(socket))["frame"] for _ in range(4)] == [0, 1, 2, 3]
        assert await closing(socket) == (1001, "the service ends; connect again")


def test_a_mistake_of_the_service_is_a_frames_error() -> None:
    """What nobody foresaw is told without its details and counted; a cancellation is counted and goes on."""
    telemetry = Telemetry()
    notes = Notes(telemetry, STATUS, "id", "classify", {})
    with Attempt(Frame(7, b"", {}), notes, notes.account()) as attempt:
        raise ZeroDivisionError("a secret")
    with pytest.raises(asyncio.CancelledError), Attempt(Frame(8, b"", {}), notes, notes.account()):
        raise asyncio.CancelledError
    with Attempt(Frame(9, b"", {}), notes, notes.account()) as refused:
        raise invalid_parameters("why")

    error = json.loads(attempt.answer)
    assert (error["frame"], error["error"]["code"]) == (7, "internal")
    assert "secret" not in error["error"]["detail"]
    assert json.loads(refused.answer) == {"frame": 9, "error": {"code": "invalid_parameters", "detail": "why"}}
    for kind in (ErrorKind.INTERNAL, ErrorKind.CANCELLED, ErrorKind.INVALID_PARAMETERS):
        labels = {"task": "classify", "reason": kind, "transport": "websocket"}
        assert telemetry.registry.get_sample_value("vitrail_rejections_total", labels) == 1


def test_a_real_service_streams_and_ends(tiny_repository: Path, tmp_path: Path) -> None:
    """`vitrail-serve` answers frames without compressing them, refuses large ones, and takes leave at SIGTERM."""
    with gateway(tiny_repository, tmp_path / "log", max_body_bytes=5000) as service:
        url = f"{service.url.replace('http', 'ws')}/v1/stream?task=classify"
        with connect_now(url) as large:
            large.send(bytes(6000))
            with pytest.raises(ConnectionClosed) as refused:
                large.recv(30)
        with connect_now(url) as socket:
            assert socket.response is not None
            assert "Sec-WebSocket-Extensions" not in socket.response.headers
            socket.send(GREEN)
            assert label(json.loads(socket.recv(30))) == "green"
            service.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as ended:
                socket.recv(30)
        assert service.process.wait(30) == 0
        assert "Traceback" not in service.log.read_text()
    assert refused.value.rcvd is not None
    assert ended.value.rcvd is not None
    assert (refused.value.rcvd.code, ended.value.rcvd.code) == (1009, 1001)


def test_the_documented_example(tiny_repository: Path, tmp_path: Path) -> None:
    """The example of docs/websocket.md runs as it stands, and shows an answer a frame."""
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    for name, frame in {"a": RED, "b": GREEN, "c": b"no image", "d": BLUE}.items():
        (tmp_path / f"{name}.jpg").write_bytes(frame)
    with gateway(tiny_repository, tmp_path / "log") as service:
        code = example.replace("localhost:8000", service.url.removeprefix("http://"))
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
    lines = done.stdout.splitlines()
    for line, word in zip(lines, ["'red'", "'green'", "not an image", "'blue'"], strict=True):
        assert word in line


async def test_a_caller_has_so_many_streams(tiny_repository: Path) -> None:
    """One stream more than a caller may have is told so and closed; once another has ended there is a place again."""
    async with running(tiny_repository, max_frame_streams_per_caller=1) as service:
        async with stream(service, "task=classify") as first:
            await first.send(RED)
            assert label(await told(first)) == "red"
            async with stream(service, "task=classify") as second:
                assert (await told(second))["error"]["code"] == "rate_limited"
                assert (await closing(second))[0] == 1013
        await until(lambda: service.application.places.taken == 0)
        async with stream(service, "task=classify") as third:
            await third.send(RED)
            assert label(await told(third)) == "red"
