"""Live sources: what is opened, and what happens when one is silent, broken or sly."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.video.opening import InvalidVideo, SourceUnavailable, VideoOptions
from service.video.source import VideoSource
from tests.service.video.clips import every, number_in, write_clip
from tests.service.video.live_filming import HttpSource, sending
from tests.service.video.rtsp_camera import RtspCamera


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "concat:a.ts|b.ts", "/etc/passwd", "data:video/mp4;base64,AAAA", "rtsp:", "http://"],
)
def test_addresses_are_of_few_kinds(address: str) -> None:
    """Only addresses of streams are opened: a text never names a local file."""
    with pytest.raises(InvalidVideo, match="begins with one of"):
        VideoSource(address)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_unreachable(scheme: str) -> None:
    """An address where nobody listens is unavailable, which is another error than a bad video."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(SourceUnavailable, match="refused"):
            VideoSource(f"{scheme}://user:secret@127.0.0.1:{held.getsockname()[1]}/a")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A socket that listens on loopback; what it answers is up to the test."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        yield listening


def answer(server: socket.socket, head: bytes, body: bytes = b"") -> threading.Thread:
    """Answer one request over HTTP, then say no more and keep the line until the caller leaves."""

    def run() -> None:
        line, _ = server.accept()
        with line:
            line.settimeout(20)
            line.recv(65_536)
            line.sendall(head + b"\r\n\r\n" + body)
            while line.recv(65_536):
                pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def url_of(server: socket.socket) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"


def test_stalled_source(tmp_path: Path, server: socket.socket) -> None:
    """Of a source that falls silent the frames until then are given, and that it fell silent is said."""
    data = write_clip(tmp_path / "a.ts", every(200)).read_bytes()
    thread = answer(server, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999", data)
    with VideoSource(url_of(server), VideoOptions(read_timeout_s=0.3)) as source:
        numbers = [number_in(frame.pixels()) for frame in source.frames()]
        assert numbers[:50] == list(range(50))
        assert "said nothing for 0.3 s" in source.problems[-1]
    thread.join(20)
    assert not thread.is_alive()


def test_interrupt_of_a_stalled_source(tmp_path: Path, server: socket.socket) -> None:
    """An interruption from another thread ends a source that is silent, and close frees its connection."""
    data = write_clip(tmp_path / "a.ts", every(200)).read_bytes()
    thread = answer(server, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999", data)
    source = VideoSource(url_of(server), VideoOptions(read_timeout_s=0.3))
    reader = threading.Thread(target=lambda: list(source.frames()))
    reader.start()
    source.interrupt()
    source.close()
    reader.join(20)
    thread.join(20)
    assert not reader.is_alive()
    assert not thread.is_alive()


def test_silent_source(server: socket.socket) -> None:
    """A source that never says a word is unavailable after the time for opening."""
    with pytest.raises(SourceUnavailable, match=r"said nothing for 0\.2 s"):
        VideoSource(url_of(server), VideoOptions(open_timeout_s=0.2))


def test_redirects_are_not_followed(server: socket.socket) -> None:
    """A redirect could lead past the check of the address; it is not followed."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        thread = answer(server, f"HTTP/1.1 302 Found\r\nLocation: {url_of(other)}\r\nContent-Length: 0".encode())
        with pytest.raises(SourceUnavailable):
            VideoSource(url_of(server), VideoOptions(open_timeout_s=5))
        with pytest.raises(BlockingIOError):
            other.accept()
    thread.join(20)


def test_playlists_of_addresses_are_refused(server: socket.socket) -> None:
    """A playlist at an address names other addresses; none of them is asked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        body = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url_of(other)}\n#EXT-X-ENDLIST\n".encode()
        thread = answer(server, b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body), body)
        with pytest.raises(InvalidVideo):
            VideoSource(url_of(server).replace(".ts", ".m3u8"))
        with pytest.raises(BlockingIOError):
            other.accept()
    thread.join(20)


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RtspCamera]:
    """A camera that plays a hundred frames, then falls silent."""
    with RtspCamera(write_clip(tmp_path / "camera.h264", every(100))) as playing:
        yield playing


def test_rtsp(camera: RtspCamera) -> None:
    """A camera is read by RTSP, in order and with its times; a second viewer after the first sees it anew."""
    for _ in range(2):
        with VideoSource(camera.url, VideoOptions(read_timeout_s=0.3)) as source:
            frames = [(number_in(frame.pixels()), frame.time_s) for frame in source.frames()]
            assert [number for number, _ in frames] == list(range(100))
            assert [time for _, time in frames] == pytest.approx(every(100))
            assert "said nothing for 0.3 s" in source.problems[-1]


def test_rtsp_without_end(tmp_path: Path) -> None:
    """A camera that never ends is read until the interruption, with times that go on."""
    clip = write_clip(tmp_path / "a.h264", every(25))
    with RtspCamera(clip, pause_s=0.001, endless=True) as camera, VideoSource(camera.url) as source:
        times = []
        for frame in source.frames():
            times.append(frame.time_s)
            if frame.index == 60:
                source.interrupt()
        assert times == pytest.approx(every(61))
        assert source.problems == []


def test_rtsp_that_breaks_off(camera: RtspCamera) -> None:
    """When the line to a camera breaks, reading ends at once and says so."""
    with VideoSource(camera.url, VideoOptions(read_timeout_s=20)) as source:
        frames = source.frames()
        first = next(frames)
        camera.cut()
        last = [first, *frames][-1]
        assert f"ended at {last.time_s:.3f} s" in source.problems[0]


def test_the_environments_proxy_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source by HTTP is asked itself, whatever proxy the environment names."""
    clip = write_clip(tmp_path / "a.ts", every(50)).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with HttpSource(sending(clip)) as source, VideoSource(source.url, VideoOptions(open_timeout_s=5)) as video:
            assert number_in(next(video.frames()).pixels()) == 0
