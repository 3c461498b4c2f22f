"""A process in which a user's own code runs, and which may die, hang or print without harm to the builder."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import IO, Any

from build_engines.artifact import BuildFailure
from build_engines.messages import Array, Message, receive, send

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from build_engines.own_code.server import main; main()"
)
_LOOK_S = 0.25
_GRACE_S = 2.0
_LINES = 40
_SHOWN = 4


class OwnCodeProcess:
    """A Python of its own that answers one request at a time; its prints are kept back.

    It starts with the builder's own path, so that it is the same builder; the code's folder comes first only when its
    factory is imported. It leads a session of its own: Ctrl-C reaches it only through `close`.
    """

    def __init__(self) -> None:
        self._connection, other = multiprocessing.Pipe()
        paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109  a string is wanted
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, json.dumps(paths), str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(other.fileno(),),
                start_new_session=True,
            )
        self._words: deque[str] = deque(maxlen=_LINES)
        self._listener = Thread(target=_listen, args=(self._process.stdout, self._words), daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, request: Message, arrays: Sequence[Array], patience_s: float) -> tuple[Message, list[Array]]:
        """What the process answers; BuildFailure if it refuses, dies, or takes longer than ``patience_s``."""
        try:
            send(self._connection, request, arrays)
            self._wait(str(request["do"]), patience_s)
            answer, results = receive(self._connection)
        except (EOFError, OSError) as error:
            raise self._death(str(request["do"])) from error
        if "reason" in answer:
            raise BuildFailure(str(answer["reason"]), str(answer["remedy"]))
        return answer, results

    def close(self) -> None:
        """End the process and all that it started."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        # Its session may outlive it: workers that the code started.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(_GRACE_S)

    def _wait(self, doing: str, patience_s: float) -> None:
        end = time.monotonic() + patience_s
        while not self._connection.poll(_LOOK_S):
            if self._process.poll() is not None:
                raise EOFError
            if time.monotonic() > end:
                raise self._hang(doing, patience_s)

    def _hang(self, doing: str, patience_s: float) -> BuildFailure:
        self._words.clear()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        time.sleep(_GRACE_S / 2)
        frames = [line.strip() for line in self._words if line.startswith("  File")]
        return BuildFailure(
            f"the code did not answer within {patience_s:g} s (at {_DOING[doing]})"
            + (f"; it was at {'; '.join(frames[:2])}" if frames else ""),
            "look what it waits for there (a download, a lock, a prompt), or give it longer",
        )

    def _death(self, doing: str) -> BuildFailure:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._listener.join(_GRACE_S)
        status = self._process.poll()
        words = " | ".join(list(self._words)[-_SHOWN:]) or "it said nothing"
        if status is None:
            how = "closed its connection"
        elif status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        else:
            how = f"ended itself with status {status}"
        remedy = "SIGKILL most often means too little memory" if status == -signal.SIGKILL else "run the code alone"
        return BuildFailure(f"the process of the code {how} (at {_DOING[doing]}); its last words: {words}", remedy)


_DOING = {
    "load": "importing it and making the network",
    "prepare": "its first run",
    "export": "the export",
    "run": "a run",
}


def _listen(stream: IO[bytes] | Any, words: deque[str]) -> None:
    with stream:
        for line in stream:
            words.append(line.decode(errors="replace").rstrip())
