"""The forms in which videos are sent, as clients send them."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from service.api.rest.video_body import Arriving, VideoBody, opened_body
from service.errors import ErrorKind, ServiceError
from service.url_policy import UrlPolicy
from service.video.download import Download
from tests.doubles import until
from tests.service.api.rest.films import LIMITS, Films, a_clip, film_models, films_of, refusal
from tests.service.running import Running, running
from tests.service.video.job_work import Counting, limits, started
from tests.service.video.test_download import shelf

FORM = "multipart/form-data; boundary=b"
DETECT = b'--b\r\nContent-Disposition: form-data; name="task"\r\n\r\ndetect\r\n'
VIDEO = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'


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
    """The routes; videos may be fetched by HTTP from anywhere."""
    download = Download(UrlPolicy(["http://127.0.0.1:*"]).check)
    async with films_of(tmp_path / "jobs", service, download=download) as films:
        yield films
    await download.close()


def arriving(pieces: Sequence[bytes], *, leaves: bool = False, **headers: str) -> tuple[Request, Arriving]:
    """A request whose body comes in these pieces; its caller may leave instead of ending it."""
    more = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    last: dict[str, Any] = {"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b""}
    messages = iter([*more, last])

    async def receive() -> Any:
        return next(messages)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "method": "POST", "headers": raw}, receive)
    return request, Arriving(request, 5.0)


@asynccontextmanager
async def opened(pieces: Sequence[bytes], **headers: str) -> AsyncIterator[VideoBody]:
    """A body in these pieces, up to its video."""
    request, body = arriving(pieces, **headers)
    async with opened_body(request, body, LIMITS, None) as found:
        yield found


async def taken(request: Request, arriving: Arriving) -> tuple[VideoBody, bytes]:
    """What stands before the video, and the video."""
    async with opened_body(request, arriving, LIMITS, None) as body:
        return body, b"".join([chunk async for chunk in body.chunks])


async def read(pieces: Sequence[bytes], **headers: str) -> tuple[VideoBody, bytes]:
    """What stands before the video, and the video, of a body in these pieces."""
    return await taken(*arriving(pieces, **headers))


async def refused(pieces: Sequence[bytes], **headers: str) -> tuple[ErrorKind, str]:
    """Kind and words with which a body is refused."""
    with pytest.raises(ServiceError) as error:
        await read(pieces, **headers)
    return error.value.kind, error.value.message


@pytest.mark.parametrize("media_type", ["video/mp4", "application/octet-stream", "text/plain", "nonsense", ""])
async def test_the_video_itself(media_type: str) -> None:
    """Whatever type a body is said to have, it is the video, unless that is one of the other two forms."""
    body, video = await read([b"a", b"", b"bc"], content_type=media_type, content_length="3")
    assert (video, body.parameters, body.declared_bytes, body.name) == (b"abc", {}, 3, None)


async def test_the_videos_name() -> None:
    """A caller may say what the file is called."""
    disposition = 'attachment; filename="C:\\films\\street.mp4"'
    assert (await read([b"a"], content_disposition=disposition))[0].name == "street.mp4"


@given(
    video=st.binary(max_size=300) | st.lists(st.sampled_from([b"\r\n", b"--b", b"-", b"x"])).map(b"".join),
    data=st.data(),
)
def test_a_form_in_any_pieces(video: bytes, data: st.DataObject) -> None:
    """However a form is cut into pieces, its video is what was put into it, and its fields are known before."""
    if b"\r\n--b" in b"\r\n" + video:
        return
    whole = DETECT + VIDEO + video + b"\r\n--b--\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    body, found = asyncio.run(read(pieces, content_type=FORM))
    assert (found, body.parameters, body.name) == (video, {"task": "detect"}, "a.mp4")


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("multipart/form-data", DETECT, "boundary is missing"),
        ("multipart/form-data; boundary=" + "b" * 300, DETECT, "cannot be read"),
        (FORM, b"", "ends before"),
        (FORM, b"no form at all", "cannot be read"),
        (FORM, DETECT, "ends before"),
        (FORM, DETECT + b"--b--\r\n", "no part named 'video'"),
        (FORM, DETECT + VIDEO + b"unfinished", "ends before"),
        (FORM, VIDEO + b"x\r\n" + DETECT + b"--b--\r\n", "put parameters before it"),
        (FORM, VIDEO + b"x\r\n" + VIDEO + b"x\r\n--b--\r\n", "put parameters before it"),
        (FORM, VIDEO.replace(b"video", b"film", 1) + b"x\r\n--b--\r\n", "not named 'video'"),
        (FORM, DETECT.replace(b"detect", b"d" * 70_000), "more than 65,536 bytes"),
        (FORM, b"".join(DETECT.replace(b"task", b"t%d" % n) for n in range(70)), "more than 64 fields"),
        (FORM, b"--b\r\n" + b"X: y\r\n" * 99, "cannot be read"),
        (FORM, b"--b\r\nX: " + b"y" * 9000, "cannot be read"),
    ],
)
async def test_a_form_that_cannot_be_read(content_type: str, body: bytes, words: str) -> None:
    """A broken form is refused, and so is one without a video, with two, or with anything behind it."""
    kind, message = await refused([body], content_type=content_type)
    assert (kind, words in message) == (ErrorKind.INVALID_PARAMETERS, True), message


async def test_a_caller_who_leaves() -> None:
    """Whoever leaves in the middle of a video is noticed, in whichever form it came."""
    for form, pieces in (("video/mp4", [b"a"]), (FORM, [DETECT + VIDEO]), ("application/json", [b'{"url"'])):
        request, body = arriving(pieces, leaves=True, content_type=form)
        with pytest.raises(ClientDisconnect):
            await taken(request, body)


@pytest.mark.parametrize("declared", ["2", "4"])
async def test_a_length_that_is_not_true(declared: str) -> None:
    """A body of another length than was said is not taken for whole."""
    kind, message = await refused([b"abc"], content_length=declared)
    assert (kind, f"says {declared} bytes, and 3 came" in message) == (ErrorKind.INVALID_PARAMETERS, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 70_000, "larger than"),
        (b"[]", "is an object"),
        (b"{}", '{"url"'),
        (b'{"url": 5}', '{"url"'),
        (b'{"url": null}', '{"url"'),
        (b'{"url": "http://a.example/"}', "fetches no videos by URL"),
    ],
)
async def test_json_of_another_form(body: bytes, words: str) -> None:
    """JSON that is broken, too long or without an address is refused; without the right to fetch, so is any."""
    _, message = await refused([body], content_type="application/json")
    assert words in message


@pytest.mark.parametrize(("media_type", "before", "behind"), [("video/mp4", b"", b""), (FORM, VIDEO, b"\r\n--b--\r\n")])
async def test_a_large_video_takes_no_memory(tmp_path: Path, media_type: str, before: bytes, behind: bytes) -> None:
    """A video of many MiB goes to disk in pieces, as it is and in a form."""
    pieces = [before, *[bytes(1 << 20)] * 48, behind]
    async with (
        started(tmp_path, Counting(), limits=limits(upload_bytes=1 << 30)) as jobs,
        jobs.receive() as upload,
        opened(pieces, content_type=media_type) as body,
    ):
        tracemalloc.start()
        try:
            await upload.read(body.chunks)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()
        assert upload.size == 48 << 20


async def test_a_form_becomes_a_job(tmp_path: Path, films: Films) -> None:
    """Fields of a form are parameters as the query's are, which go before them; the file's name is kept."""
    files = {"video": ("Straße.mp4", a_clip(tmp_path).read_bytes(), "video/mp4")}
    fields = {"task": "classify", "sample": "event", "threshold": "0.5"}
    response = await films.client.post("/v1/videos?task=detect", files=files, data=fields)
    assert response.status_code == 202, response.text
    assert response.json()["request"] == {"task": "detect", "sampling": {"sample": "event", "threshold": 0.5}}
    assert response.json()["input"]["name"] == "Straße.mp4"
    assert (await films.ended(response.headers["Location"]))["frames"]["done"] == 10


async def test_an_address_becomes_a_job(tmp_path: Path, films: Films) -> None:
    """A video is fetched from its address; what stands beside that in JSON are parameters."""
    clip = a_clip(tmp_path).read_bytes()
    beside = {"task": "detect", "track": True, "labels": ["red", "green"], "parameters": {"score_threshold": 0.2}}
    async with shelf("200 OK", clip, f"Content-Length: {len(clip)}") as there:
        wanted = {"url": f"{there.url}/a.mp4?key=secret", "fps": 5, "model": None, **beside}
        response = await films.client.post("/v1/videos", json=wanted)
    status = response.json()
    assert response.status_code == 202, response.text
    assert status["request"] == {
        "task": "detect",
        "track": {},
        "sampling": {"fps": 5.0},
        "parameters": {"score_threshold": 0.2, "labels": "red,green"},
    }
    assert status["input"] == {"name": "a.mp4", "bytes": len(clip)}
    assert (await films.ended(response.headers["Location"]))["state"] == "done"


REFUSED: dict[str, Callable[[str], tuple[Any, tuple[int, str]]]] = {
    "an address that is not allowed": lambda _: ("http://localhost/a.mp4", (403, "forbidden")),
    "no address": lambda _: ("a.mp4", (422, "invalid_parameters")),
    "no video there": lambda url: (url, (422, "invalid_video")),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_addresses_that_give_no_video(films: Films, case: str) -> None:
    """An address that may not be called, or gives no video, is refused, and nothing is kept of it."""
    async with shelf("200 OK", b"a letter", "Content-Length: 8") as there:
        url, answer = REFUSED[case](there.url)
        response = await films.client.post("/v1/videos?task=detect", json={"url": url})
    assert refusal(response) == answer
    assert films.folders() == 0


async def test_a_request_by_address_is_judged_first(films: Films) -> None:
    """What makes no sense is refused before the address is called."""
    async with shelf("200 OK", b"x", "Content-Length: 1") as there:
        response = await films.client.post("/v1/videos?task=dance", json={"url": there.url})
        assert (refusal(response), there.heads) == ((422, "invalid_parameters"), [])


async def test_a_video_at_an_address_that_is_too_large(tmp_path: Path, service: Running) -> None:
    """A video is not fetched beyond the limit."""
    download = Download(UrlPolicy(["http://127.0.0.1:*"]).check)
    async with shelf("200 OK", bytes(9000), "Content-Length: 9000") as there:
        async with films_of(tmp_path / "jobs", service, download=download, upload_bytes=5000) as films:
            response = await films.client.post("/v1/videos?task=detect", json={"url": there.url})
            assert (refusal(response), films.folders()) == ((413, "too_large"), 0)
        await download.close()


async def test_a_caller_who_leaves_while_it_is_fetched(films: Films) -> None:
    """The address is let go, and nothing is kept."""
    async with shelf("200 OK", b"begun", "Content-Length: 99", falls_silent=True) as there:
        asking = asyncio.create_task(films.client.post("/v1/videos?task=detect", json={"url": there.url}))
        await until(lambda: there.heads)
        asking.cancel()
        with pytest.raises((asyncio.CancelledError, httpx.HTTPError)):
            await asking
        await until(lambda: films.folders() == 0)


async def test_json_that_is_nested_too_deep_is_refused(films: Films) -> None:
    """What can be read but not be written again is the caller's mistake, not the service's."""
    deep = b'{"url": "http://127.0.0.1:1/", "task": "detect", "counts": ' + b"[" * 300 + b"]" * 300 + b"}"
    response = await films.client.post("/v1/videos", content=deep, headers={"Content-Type": "application/json"})
    assert refusal(response) == (422, "invalid_parameters")
