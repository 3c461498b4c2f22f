"""Videos sent in, followed, read and removed, as callers do it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from service.api.rest.video_status import status_document
from service.video.job import Job, new_job_id
from service.video.opening import VideoOptions
from service.video.progress import JobStatus
from tests.doubles import until
from tests.service.api.rest.films import LIMITS, Films, a_clip, film_models, films_of, refusal
from tests.service.running import Running, running
from tests.service.video.clips import every, truncated, write_clip
from tests.service.video.filming import LosingEngine, grey
from tests.service.video.test_results_file import files_no_larger_than

ROUTES = [
    ("GET", ""),
    ("DELETE", ""),
    ("POST", ":cancel"),
    ("GET", "/results"),
    ("GET", "/annotated.mp4"),
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector and a classifier."""
    return film_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
async def service(repository: Path, tmp_path: Path) -> AsyncIterator[Running]:
    """A service over these two."""
    async with running(repository, videos=tmp_path / "videos") as service:
        yield service


@pytest.fixture
async def films(tmp_path: Path, service: Running) -> AsyncIterator[Films]:
    """The routes over the tiny models."""
    async with films_of(tmp_path / "jobs", service) as films:
        yield films


async def test_a_video_is_taken_in_and_worked_through(tmp_path: Path, films: Films) -> None:
    """The answer says where the job stands and where its results will be; in the end there is a line a frame."""
    response = await films.send(a_clip(tmp_path), "task=detect&score_threshold=0.1&window=4")
    status = response.json()
    assert (response.status_code, response.headers["Location"]) == (202, status["links"]["self"])
    assert status["links"] == {"self": f"/v1/videos/{status['id']}", "results": f"/v1/videos/{status['id']}/results"}
    assert (status["task"], status["error"], status["problems"]) == ("detect", None, [])
    assert status["request"] == {"task": "detect", "parameters": {"score_threshold": "0.1"}, "window": 4}
    done = await films.ended(status["links"]["self"])
    assert (done["state"], done["progress"], done["fps"], done["eta_s"]) == ("done", 1.0, None, None)
    assert done["frames"] == {"total": 10, "done": 10, "processed": 10, "carried": 0}
    assert done["created"] <= done["started"] <= done["finished"]
    lines = await films.lines(status["links"]["self"])
    assert [line["frame"] for line in lines] == list(range(10))
    assert all(line["objects"] for line in lines)


async def test_results_stream_while_the_job_runs(tmp_path: Path, films: Films) -> None:
    """Lines come while later frames are still to be done, and the rest behind them when these are."""
    pausing = films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    async with films.client.stream("GET", f"{path}/results") as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["x-accel-buffering"] == "no"
        lines = response.aiter_lines()
        first = [orjson.loads(await anext(lines))["frame"] for _ in range(16)]
        status = (await films.client.get(path)).json()
        assert (first, status["state"], status["frames"]["total"]) == (list(range(16)), "running", 40)
        pausing.gate.set()
        assert len([line async for line in lines]) == 24


async def test_results_go_on_from_a_frame(tmp_path: Path, films: Films) -> None:
    """Whoever has lost the connection reads on from the first frame that is missing, during and after."""
    pausing = films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    async with films.client.stream("GET", f"{path}/results") as response:
        lines = response.aiter_lines()
        first = [orjson.loads(await anext(lines))["frame"] for _ in range(7)]
    resumed = asyncio.create_task(films.lines(path, from_frame=first[-1] + 1))
    pausing.gate.set()
    assert [*first, *(line["frame"] for line in await resumed)] == list(range(40))
    assert [line["frame"] for line in await films.lines(path, from_frame=37)] == [37, 38, 39]
    assert await films.lines(path, from_frame=40) == []


async def test_a_reader_who_leaves_holds_nothing(tmp_path: Path, films: Films) -> None:
    """The file is closed once its reader has gone, while the job goes on."""
    pausing = films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    async with films.client.stream("GET", f"{path}/results") as response:
        await anext(response.aiter_lines())
        assert films.handles() == 2
    await until(lambda: films.handles() == 1)
    pausing.gate.set()
    assert (await films.ended(path))["frames"]["processed"] == 40


async def test_a_job_is_cancelled(tmp_path: Path, films: Films) -> None:
    """It ends at once; its lines are kept, and it can be cancelled again."""
    pausing = films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    await pausing.paused.wait()
    status = (await films.client.post(f"{path}:cancel")).json()
    assert (status["state"], status["eta_s"]) == ("cancelled", None)
    assert len(await films.lines(path)) == status["frames"]["processed"] == 20
    assert (await films.client.post(f"{path}:cancel")).json()["state"] == "cancelled"


async def test_a_job_is_removed_under_its_readers(tmp_path: Path, films: Films) -> None:
    """A job that runs is ended and removed with all its files; who reads its results comes to an end."""
    pausing = films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    await pausing.paused.wait()
    async with films.client.stream("GET", f"{path}/results") as response:
        lines = response.aiter_lines()
        await anext(lines)
        removed = await films.client.delete(path)
        assert (removed.status_code, removed.content) == (204, b"")
        assert len([line async for line in lines]) < 40
    assert (films.kept(), films.folders()) == ([], 0)
    assert refusal(await films.client.get(path)) == (404, "not_found")


@pytest.mark.parametrize(("method", "behind"), ROUTES)
async def test_a_job_that_nobody_knows(films: Films, method: str, behind: str) -> None:
    """There is no job of a made-up id, whatever is asked of it."""
    for name in ("nobody", "0198a7c1c1c1ffffffffffffffffffff", "..%2F..", "%00", "a.b", "ä", "x" * 5000):
        response = await films.client.request(method, f"/v1/videos/{name}{behind}")
        assert response.status_code == 404, name


async def test_jobs_are_listed_in_pages(tmp_path: Path, films: Films) -> None:
    """The newest first, some at a time, and only those in a state where that is wanted."""
    clip = a_clip(tmp_path, 2)
    paths = [await films.sent(clip) for _ in range(3)]
    for path in paths:
        await films.ended(path)
    page = (await films.client.get("/v1/videos?limit=2")).json()
    assert [status["links"]["self"] for status in page["videos"]] == paths[:0:-1]
    rest = (await films.client.get(f"/v1/videos?limit=2&before={page['next']}&state=done")).json()
    assert ([status["links"]["self"] for status in rest["videos"]], rest["next"]) == (paths[:1], None)
    assert (await films.client.get("/v1/videos?state=failed")).json() == {"videos": [], "next": None}


@pytest.mark.parametrize(
    "path",
    [
        "?limit=0",
        "?limit=101",
        "?limit=-1",
        "?limit=1e1",
        "?limit=٣",
        "?state=lost",
        "?after=x",
        "/ID/results?from_frame=-1",
        "/ID/results?from_frame=x",
        "/ID/results?frame=1",
    ],
)
async def test_queries_that_make_no_sense(tmp_path: Path, films: Films, path: str) -> None:
    """Numbers out of range, unknown states and unknown names are refused."""
    known = (await films.sent(a_clip(tmp_path, 2))).rpartition("/")[2]
    response = await films.client.get(f"/v1/videos{path.replace('ID', known)}")
    assert refusal(response) == (422, "invalid_parameters")


async def test_the_same_key_is_the_same_job(tmp_path: Path, films: Films) -> None:
    """A request that is sent again gets the job of the first time; the key is for no other request."""
    clip = a_clip(tmp_path)
    first = await films.send(clip, idempotency_key="k~1")
    again = await films.send(clip, idempotency_key="k~1")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert again.headers["Location"] == first.headers["Location"]
    assert refusal(await films.send(clip, "task=classify", idempotency_key="k~1")) == (409, "conflict")
    assert refusal(await films.send(a_clip(tmp_path, 3), idempotency_key="k~1")) == (409, "conflict")
    assert films.folders() == 1


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
async def test_a_key_of_another_form(tmp_path: Path, films: Films, key: str) -> None:
    """A key is 1 to 255 visible characters."""
    assert refusal(await films.send(a_clip(tmp_path, 2), idempotency_key=key)) == (422, "invalid_parameters")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("", (422, "invalid_parameters")),
        ("task=dance", (422, "invalid_parameters")),
        ("task=detect&colour=red", (422, "invalid_parameters")),
        ("task=detect&score_threshold=high", (422, "invalid_parameters")),
        ("task=detect&fps=0", (422, "invalid_parameters")),
        ("task=detect&fps=5&sample=event", (422, "invalid_parameters")),
        ("task=classify&track=true", (422, "invalid_parameters")),
        ("task=detect&counts={}", (422, "invalid_parameters")),
        ("task=detect&model=nobody", (404, "model_not_found")),
        ("task=detect&model=colours", (404, "model_not_found")),
    ],
)
async def test_a_request_is_judged_before_its_video(films: Films, query: str, answer: tuple[int, str]) -> None:
    """What makes no sense is refused before a byte of the video is sent, and the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", films.port)
    writer.write(f"POST /v1/videos?{query} HTTP/1.1\r\nHost: here\r\nContent-Length: 99\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    told = orjson.loads(await reader.readexactly(length))
    writer.close()
    assert (int(head.split()[1]), told["code"]) == answer
    assert "connection: close" in head
    assert films.folders() == 0


async def test_the_answer_reaches_who_is_still_sending(films: Films) -> None:
    """Who is refused while the video is on its way reads why, though much of it has not been read."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)

    response = await films.client.post("/v1/videos?task=dance", content=endless())
    assert refusal(response) == (422, "invalid_parameters")


@pytest.mark.parametrize(
    "content", [b"", b"Dear reader, this is a letter.\n" * 400, b"\x00" * 5000, b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"]
)
async def test_what_is_no_video_is_refused_at_once(tmp_path: Path, films: Films, content: bytes) -> None:
    """A text that is called .mp4, a playlist, or nothing at all is refused, and not kept."""
    (tmp_path / "a.mp4").write_bytes(content)
    assert refusal(await films.send(tmp_path / "a.mp4")) == (422, "invalid_video")
    assert (films.folders(), (await films.client.get("/v1/videos")).json()["videos"]) == (0, [])


async def test_frames_that_are_too_large(tmp_path: Path, service: Running) -> None:
    """A video whose frames have more pixels than allowed is refused at once."""
    async with films_of(tmp_path / "jobs", service, options=VideoOptions(max_pixels=1000)) as films:
        assert refusal(await films.send(a_clip(tmp_path))) == (413, "too_large")
        assert films.folders() == 0


@pytest.mark.parametrize("declared", [True, False])
async def test_a_video_of_too_many_bytes(tmp_path: Path, service: Running, declared: bool) -> None:
    """A video beyond the limit is refused, by its declared length or once it has come that far."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(100)

    async with films_of(tmp_path / "jobs", service, upload_bytes=2000) as films:
        content = bytes(4000) if declared else pieces()
        response = await films.client.post("/v1/videos?task=detect", content=content)
        assert refusal(response) == (413, "too_large")
        assert films.folders() == 0


@pytest.mark.parametrize("length", ["Content-Length: 500000", "Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_in_the_middle(films: Films, length: str) -> None:
    """Of an upload that was broken off nothing is left."""
    _, writer = await asyncio.open_connection("127.0.0.1", films.port)
    body = b"%x\r\n" % 100_000 if "chunked" in length else b""
    head = f"POST /v1/videos?task=detect HTTP/1.1\r\nHost: here\r\n{length}\r\n\r\n"
    writer.write(head.encode() + body + bytes(90_000))
    await until(lambda: films.folders() == 1)
    writer.close()
    await until(lambda: films.folders() == 0)
    assert (await films.client.get("/v1/videos")).json()["videos"] == []


async def test_a_body_that_stalls(tmp_path: Path, service: Running) -> None:
    """A body that pauses for too long is answered as elsewhere, and nothing of it is kept."""
    async with films_of(tmp_path / "jobs", service, limits=replace(LIMITS, stall_s=0.1)) as films:
        reader, writer = await asyncio.open_connection("127.0.0.1", films.port)
        writer.write(b"POST /v1/videos?task=detect HTTP/1.1\r\nHost: here\r\nContent-Length: 5000\r\n\r\nbegun")
        answer = await reader.readuntil(b'"request_id"')
        writer.close()
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"stopped arriving after 5 bytes" in answer
        await until(lambda: films.folders() == 0)


async def test_the_annotated_video(tmp_path: Path, films: Films) -> None:
    """It is not there while the job runs; then it is, whole and in ranges."""
    pausing = films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1&annotate=true")
    link = (await films.client.get(path)).json()["links"]["annotated"]
    await pausing.paused.wait()
    assert refusal(await films.client.get(link)) == (409, "conflict")
    pausing.gate.set()
    assert (await films.ended(path))["state"] == "done"
    whole = await films.client.get(link)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    part = await films.client.get(link, headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{len(whole.content)}"
    beyond = await films.client.get(link, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-type"]) == (416, "application/problem+json")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


async def test_no_annotated_video(tmp_path: Path, films: Films) -> None:
    """There is none where none was asked for, and none where the job ended before anything was drawn."""
    films.pause_after(0)
    running = await films.sent(a_clip(tmp_path), "task=detect")
    waiting = await films.sent(a_clip(tmp_path), "task=detect&annotate=1")
    await films.client.post(f"{waiting}:cancel")
    for path, words in ((running, "annotate=true"), (waiting, "nothing was drawn")):
        response = await films.client.get(f"{path}/annotated.mp4")
        assert (refusal(response), words in response.json()["detail"]) == ((404, "not_found"), True)
    await films.client.delete(running)


async def test_a_full_disk(tmp_path: Path, service: Running) -> None:
    """Where the disk has no room, that is said, with when to try again."""
    async with films_of(tmp_path / "jobs", service, min_free_bytes=1 << 60) as films:
        response = await films.send(a_clip(tmp_path))
        assert refusal(response) == (507, "storage_full")
        assert int(response.headers["Retry-After"]) > 0
        assert films.folders() == 0


async def test_too_many_videos(tmp_path: Path, service: Running) -> None:
    """Where too many wait, the next is refused and told to come back."""
    async with films_of(tmp_path / "jobs", service, waiting=1) as films:
        films.pause_after(0)
        clip = a_clip(tmp_path, 2)
        paths = [await films.sent(clip) for _ in range(2)]
        response = await films.send(clip)
        assert (refusal(response), response.headers["Retry-After"]) == ((429, "overloaded"), "1")
        for path in paths:
            await films.client.delete(path)


async def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, films: Films) -> None:
    """Of a file that is cut short, what can be read is processed, and the rest is told."""
    clip = write_clip(tmp_path / "a.mkv", every(60), paint=grey)
    status = await films.ended(await films.sent(truncated(clip, 0.5)))
    assert (status["state"], status["error"]) == ("done", None)
    assert "announces" in status["problems"][0]
    assert 0 < status["frames"]["processed"] < 60


async def test_why_a_job_has_failed_is_told(tmp_path: Path, films: Films) -> None:
    """A job that loses its engine for good fails with that as its reason, and keeps its lines."""
    engine = films.service.engines["middle:1"]
    engine.engine = LosingEngine(engine.engine, range(18, 99))
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    status = await films.ended(path)
    assert (status["state"], status["error"]["code"]) == ("failed", "engine_unavailable")
    assert status["error"]["detail"]
    assert len(await films.lines(path)) == status["frames"]["processed"] == 17


async def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, films: Films) -> None:
    """An upload for which the disk has no room any more is refused as that, and leaves nothing."""
    (tmp_path / "large.mp4").write_bytes(bytes(900_000))
    with files_no_larger_than(500_000):
        response = await films.send(tmp_path / "large.mp4")
    assert (refusal(response), films.folders()) == ((507, "storage_full"), 0)


async def test_no_place_for_videos(tmp_path: Path, films: Films) -> None:
    """Where there can be no jobs, every route says so."""
    films.jobs.unavailable = "this service takes no videos"
    answers = [await films.client.request(method, f"/v1/videos/any{behind}") for method, behind in ROUTES]
    answers += [await films.client.get("/v1/videos"), await films.send(a_clip(tmp_path, 2))]
    assert [refusal(answer) for answer in answers] == [(503, "engine_unavailable")] * 7


async def test_readers_come_to_an_end_with_the_service(tmp_path: Path, films: Films) -> None:
    """Nobody who reads the results of a job that runs keeps the service from ending."""
    films.pause_after(20)
    path = await films.sent(a_clip(tmp_path, 40), "task=detect&window=1")
    async with films.client.stream("GET", f"{path}/results") as response:
        lines = response.aiter_lines()
        await anext(lines)
        await films.jobs.close()
        assert len([line async for line in lines]) >= 15


async def test_requests_are_counted(tmp_path: Path, films: Films) -> None:
    """What was taken in is counted by task and version, what was refused by its kind; made-up tasks are no labels."""
    await films.sent(a_clip(tmp_path, 2))
    await films.send(a_clip(tmp_path, 2), "task=detect&colour=red")
    await films.send(a_clip(tmp_path, 2), "task=dance")
    text = films.service.application.telemetry.exposition()[0].decode()
    series = 'vitrail_requests_total{alias="",code="202",model="middle",task="detect",transport="rest",version="1"}'
    assert f"{series} 1.0" in text
    assert 'vitrail_rejections_total{reason="invalid_parameters",task="detect",transport="rest"} 1.0' in text
    assert 'vitrail_rejections_total{reason="invalid_parameters",task="",transport="rest"} 1.0' in text
    assert "dance" not in text


async def test_a_webhook_that_is_not_allowed_is_refused_before_the_video(service: Running) -> None:
    """Whom the service may not tell is said before it is seen that the video is none."""
    response = await service.client.post("/v1/videos?task=detect&webhook=http://10.0.0.1/", content=b"no video")
    assert refusal(response) == (403, "forbidden")


async def test_another_sites_page_sends_no_video(tmp_path: Path, films: Films) -> None:
    """What a foreign page sends through somebody's browser is refused."""
    clip = a_clip(tmp_path).read_bytes()
    response = await films.client.post(
        "/v1/videos?task=detect", content=clip, headers={"Origin": "https://evil.example"}
    )
    assert refusal(response) == (403, "forbidden")


@pytest.mark.parametrize(("method", "part"), [("POST", ":cancel"), ("DELETE", "")])
async def test_another_sites_page_ends_no_video(tmp_path: Path, films: Films, method: str, part: str) -> None:
    """Nor does it end or remove one."""
    path = await films.sent(a_clip(tmp_path, 2))
    foreign = {"Origin": "https://evil.example"}
    assert refusal(await films.client.request(method, path + part, headers=foreign)) == (403, "forbidden")


def test_a_webhooks_secrets_are_not_shown() -> None:
    """Everybody may list jobs; who calls whom with what password is not for everybody."""
    request = {"task": "detect", "webhook": "https://user:word@a.example/services/secret?token=abc"}
    job = Job(id=new_job_id(), request=request, input_name=None, input_bytes=1, created_s=0.0)
    shown = status_document(JobStatus(job, None))["request"]
    assert shown == {"task": "detect", "webhook": "https://a.example/..."}


async def test_after_the_end_nothing_is_taken(films: Films) -> None:
    """Who asks while the service ends is told so, by a document."""
    await films.jobs.close()
    assert refusal(await films.client.get("/v1/videos")) == (503, "engine_unavailable")


async def test_a_label_that_the_model_does_not_know_is_refused_before_the_video(films: Films) -> None:
    """What would be refused for every frame is refused for the video."""
    response = await films.client.post("/v1/videos?task=detect&labels=unicorn", content=b"no video")
    assert refusal(response) == (422, "invalid_parameters")
    assert "unicorn" in response.json()["detail"]
