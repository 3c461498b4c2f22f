"""What the builder and a process of own code say to each other: JSON, and arrays as ``.npy``; never pickles."""

import io
import json
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

Message = dict[str, Any]
Array = npt.NDArray[Any]

_ARRAYS = "arrays"


def send(connection: "Connection[bytes, bytes]", message: Message, arrays: Sequence[Array] = ()) -> None:
    """Send a message and the arrays that belong to it; OSError if nobody listens any more."""
    connection.send_bytes(json.dumps(message | {_ARRAYS: len(arrays)}).encode())
    for array in arrays:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        connection.send_bytes(buffer.getbuffer())


def receive(connection: "Connection[bytes, bytes]") -> tuple[Message, list[Array]]:
    """The next message with its arrays; EOFError or OSError if there is none to come, ValueError if it is none."""
    message: Message = json.loads(connection.recv_bytes())
    arrays = [np.load(io.BytesIO(connection.recv_bytes()), allow_pickle=False) for _ in range(message.pop(_ARRAYS))]
    return message, arrays
