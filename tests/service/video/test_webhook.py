import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.job import Job, JobState
from service.video.jobs import Jobs
from service.video.webhook import Webhook
from tests.service.video.job_work import Counting, ended, limits, started, submitted

JOB = Job(id="a", state=JobState.DONE, request={}, input_name=None, input_bytes=1, created_s=1.0)


class Listener:
    """A small HTTP server on loopback: keeps the bodies and answers what it is told, in turn; None: no answer."""

    def __init__(self, answers: list[str | None]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.heard = asyncio.Event()
        self.url = ""
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.split("content-length: ")[1].split("\r\n")[0])
        self.bodies.append(json.loads(await reader.readexactly(size)))
        self.heard.set()
        answer = self._answers.pop(0)
        if answer is not None:
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        else:
            await reader.read()
        writer.close()


@asynccontextmanager
async def listening(*answers: str | None) -> AsyncIterator[Listener]:
    """A server that gives these answers."""
    listener = Listener(list(answers))
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield listener


@asynccontextmanager
async def webhook(refused: str = "", try_s: float = 30.0) -> AsyncIterator[Webhook]:
    """Without pauses, and with a policy that refuses addresses with this in them."""

    def allowed(url: str) -> None:
        if refused and refused in url:
            raise ServiceError(ErrorKind.FORBIDDEN, f"{url} is not allowed")

    def links(job: Job) -> Mapping[str, str]:
        return {"self": f"/v1/videos/{job.id}"}

    hook = Webhook(allowed, links, pauses_s=(0.0, 0.0), try_s=try_s)
    yield hook
    await hook.close()


async def all_told(jobs: Jobs) -> None:
    """Return once no caller waits to be told."""
    while any(status.job.webhook_due for status in await jobs.page(9)):  # noqa: ASYNC110 - rows are being written
        await asyncio.sleep(0)


async def test_the_end_of_a_job_is_told() -> None:
    """The caller gets id, state and links, once."""
    async with listening("204 No Content") as listener, webhook() as hook:
        assert await hook.tell(JOB, listener.url)
        assert listener.bodies == [{"id": "a", "state": "done", "links": {"self": "/v1/videos/a"}}]


async def test_it_is_told_again_where_that_failed() -> None:
    """An error or silence is tried again; three times in all."""
    async with listening("500 No", None, "200 OK") as listener, webhook(try_s=2.0) as hook:
        assert await hook.tell(JOB, listener.url)
        assert len(listener.bodies) == 3


async def test_it_is_given_up_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Who never takes it is not asked for ever, and the log says why."""
    async with listening("500 No", "500 No", "503 No") as listener, webhook() as hook:
        assert not await hook.tell(JOB, listener.url)
        assert len(listener.bodies) == 3
        assert "its webhook was not taken: status 503" in caplog.text


async def test_no_redirect_is_followed() -> None:
    """Where a redirect leads the policy has not seen: it counts as not taken."""
    async with listening() as other, listening(*[f"307 There\r\nLocation: {other.url}"] * 3) as listener:
        async with webhook() as hook:
            assert not await hook.tell(JOB, listener.url)
        assert other.bodies == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hook", "ftp://example.org", "http://", "http://[", "nonsense"])
async def test_an_address_that_nobody_answers_is_no_error(url: str) -> None:
    """Whatever the address is, it ends no service."""
    async with webhook() as hook:
        assert not await hook.tell(JOB, url)


async def test_the_policy_is_asked_before_every_try() -> None:
    """An address that is refused is not called."""
    async with listening() as listener, webhook(refused="127.0.0.1") as hook:
        with pytest.raises(ServiceError, match="is not allowed"):
            hook.check(listener.url)
        assert not await hook.tell(JOB, listener.url)
        assert listener.bodies == []


async def test_only_http_is_called() -> None:
    """A camera's address is no webhook, though the operator may have listed it."""
    async with webhook() as hook:
        with pytest.raises(ServiceError, match="begins with http"):
            hook.check("rtsp://camera.example/hook")


async def test_a_job_tells_of_its_end_once(tmp_path: Path) -> None:
    """A job with a webhook calls it at its end, cancelled or done, and not again at the next start."""
    async with listening("200 OK", "200 OK") as listener, webhook() as hook:
        request = {"task": "detect", "webhook": listener.url}
        async with started(tmp_path, work := Counting(gate_at=1), webhook=hook) as jobs:
            await ended(jobs, first := await submitted(jobs, 1, request))
            second = await submitted(jobs, 2, request)
            await work.at_gate.wait()
            await jobs.cancel(second)
            await all_told(jobs)
        async with started(tmp_path, Counting(), webhook=hook):
            pass
        assert [(body["id"], body["state"]) for body in listener.bodies] == [(first, "done"), (second, "cancelled")]


async def test_a_caller_who_could_not_be_told_is_told_after_the_restart(tmp_path: Path) -> None:
    """A service that ends while it tells a caller tells again at its next start."""
    async with listening(None, "200 OK") as listener, webhook() as hook:
        async with started(tmp_path, Counting(), webhook=hook) as jobs:
            job_id = await submitted(jobs, 1, {"webhook": listener.url})
            await listener.heard.wait()
        listener.heard.clear()
        async with started(tmp_path, Counting(), webhook=hook) as jobs:
            await listener.heard.wait()
            await all_told(jobs)
        assert [body["id"] for body in listener.bodies] == [job_id] * 2


async def test_a_webhook_that_is_not_allowed_is_refused_with_the_job(tmp_path: Path) -> None:
    """Where webhooks are off, or the address is refused, the caller hears it at once and nothing is kept."""
    async with webhook(refused="127") as hook, started(tmp_path / "a", Counting(), webhook=hook) as jobs:
        with pytest.raises(ServiceError, match="is not allowed"):
            await submitted(jobs, 1, {"webhook": "http://127.0.0.1/"})
        with pytest.raises(ServiceError, match="must be an address"):
            await submitted(jobs, 1, {"webhook": 7})
        assert await jobs.page(9) == []
    async with started(tmp_path / "b", Counting(), limits=limits(waiting=1)) as jobs:
        with pytest.raises(ServiceError, match="switched off"):
            await submitted(jobs, 1, {"webhook": "http://example.org/"})
        assert list((tmp_path / "b" / "jobs").iterdir()) == []
