"""A relay between a client and a service, which breaks connections in the middle of answers."""

import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class Relay:
    """Passes bytes on both ways; of the first connections that carry an answer, it lets so many bytes through each."""

    def __init__(self, to: str, cuts: Iterable[int]) -> None:
        self.lead_to(to)
        self._cuts = deque(cuts)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._lines: list[socket.socket] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def lead_to(self, url: str) -> None:
        """Connections go there from now on."""
        parts = urlsplit(url)
        self._to = (parts.hostname or "", parts.port or 80)

    def start(self) -> None:
        """Take connections from now on."""
        self._threads[0].start()

    def close(self) -> None:
        """Break all connections, and take no more."""
        _shut(self._listening)
        self._threads[0].join(10)
        for line in self._lines:
            _shut(line)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._to)
            except OSError:
                _shut(near)
                continue
            self.connections += 1
            self._lines += [near, far]
            budget = self._cuts.popleft() if self._cuts else None
            for source, sink, most in ((near, far, None), (far, near, budget)):
                thread = threading.Thread(target=_pump, args=(source, sink, most))
                self._threads.append(thread)
                thread.start()


def _pump(source: socket.socket, sink: socket.socket, left: int | None) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data if left is None else data[:left])
            if left is not None:
                left -= len(data)
                if left <= 0:
                    break
    for line in (source, sink):
        _shut(line)


def _shut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


@contextmanager
def relay(to: str, *cuts: int) -> Iterator[Relay]:
    """A relay to the service at that address."""
    relay = Relay(to, cuts)
    relay.start()
    try:
        yield relay
    finally:
        relay.close()
