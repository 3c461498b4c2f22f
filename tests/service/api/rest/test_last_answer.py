from typing import Any

import pytest
from starlette.responses import Response

from service.api.rest.last_answer import LastAnswer


@pytest.mark.parametrize("ends_after", [3, 1_000_000])
async def test_a_last_answer_is_said_first(ends_after: int) -> None:
    """Who is refused in the middle of a body hears it at once; then a part of the rest is read, no more."""
    happened: list[str] = []

    async def receive() -> Any:
        happened.append("read")
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": happened.count("read") < ends_after}

    async def send(message: Any) -> None:
        happened.append(f"{message.get('status', '')}{message.get('body', b'').decode()}")

    answer = LastAnswer(Response("no", 413))
    await answer({"type": "http"}, receive, send)
    read = min(ends_after, 16)
    assert happened == ["413", "no", *["read"] * read, ""]
    assert answer.headers["connection"] == "close"
