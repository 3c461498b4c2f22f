"""A camera on loopback: RTSP over TCP (RFC 2326), H.264 in RTP (RFC 6184), enough for one viewer at a time."""

import socket
import struct
import threading
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_CLOCK = 90_000
_BEGIN = 12_345
"""Cameras begin anywhere; FFmpeg takes 0 for not begun."""


def _units(stream: bytes) -> list[bytes]:
    """The NAL units of a bare H.264 stream."""
    return [unit.strip(b"\0") for unit in stream.split(b"\0\0\1") if unit.strip(b"\0")]


class RtspCamera:
    """Plays a bare H.264 file to whoever comes, then falls silent until the viewer leaves.

    Frames go out with ``pause_s`` between them, as fast as they are read without; with ``endless`` the file begins anew
    at its end, while the timestamps go on. A camera with the ``port`` of one that was stopped is that one started anew.
    """

    def __init__(
        self, clip: Path, rate: int = 25, *, pause_s: float = 0.0, endless: bool = False, port: int = 0
    ) -> None:
        self._units, self._rate = _units(clip.read_bytes()), rate
        self._pause_s, self._endless, self._stop = pause_s, endless, threading.Event()
        self._listening = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._run)
        self._line: socket.socket | None = None
        self.port: int = self._listening.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/camera"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def cut(self) -> None:
        """Break the line to the viewer, as a camera does that loses its power."""
        if self._line is not None:
            with suppress(OSError):  # the viewer was faster
                self._line.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while True:
            try:
                self._line, _ = self._listening.accept()
            except OSError:
                return
            try:
                with self._line, self._line.makefile("rb") as requests:
                    while self._answer(self._line, requests.readline(), requests):
                        pass
            except OSError:
                continue

    def _answer(self, line: socket.socket, first: bytes, requests: BinaryIO) -> bool:
        method = first.split(b" ")[0]
        if not method:
            return False
        headers: dict[bytes, bytes] = {}
        while header := requests.readline().strip():
            name, _, value = header.partition(b":")
            headers[name.lower()] = value.strip()
        extra, body = b"", b""
        if method == b"OPTIONS":
            extra = b"Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        if method == b"DESCRIBE":
            body = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            body += b"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n"
            extra = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n" % len(body)
        if method == b"SETUP":
            extra = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        line.sendall(b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n%s\r\n%s" % (headers.get(b"cseq", b"0"), extra, body))
        if method == b"PLAY":
            self._play(line)
        return method != b"TEARDOWN"

    def _play(self, line: socket.socket) -> None:
        pictures = 0
        for sequence, unit in enumerate(cycle(self._units) if self._endless else self._units):
            picture = unit[0] & 0x1F in (1, 5)
            stamp = _BEGIN + pictures * _CLOCK // self._rate
            pictures += picture
            packet = struct.pack(">BBHII", 0x80, 96 | (0x80 if picture else 0), sequence & 0xFFFF, stamp, 7) + unit
            line.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
            if picture and self._stop.wait(self._pause_s):
                return
