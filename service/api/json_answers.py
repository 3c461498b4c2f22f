"""An answer as JSON, for every transport that speaks it."""

import time
from binascii import b2a_base64
from typing import Any

import orjson

from service.inference import Answer
from service.telemetry import Stages


def as_json(value: Any) -> bytes:
    """JSON of a value; bytes within it become base64, as the results' schemas say."""
    return orjson.dumps(value, _base64)


def json_answer(answer: Answer, request_id: str, stages: Stages, results: list[Any] | None = None) -> bytes:
    """The whole answer; ``results`` where they are to be told otherwise than the answer has them.

    The time that the results take is set in ``stages``, which are part of the answer.
    """
    begun = time.monotonic()
    encoded = as_json(answer.results if results is None else results)
    stages.encode += time.monotonic() - begun
    return orjson.dumps(
        {
            "model": model_of(answer),
            "results": orjson.Fragment(encoded),
            "timings_ms": stages.as_milliseconds(),
            "request_id": request_id,
        }
    )


def model_of(answer: Answer) -> dict[str, str]:
    """The version that answered; ``degraded`` says what did in its stead, where its engine was away."""
    model = {"name": answer.model, "version": str(answer.version)}
    if answer.alias:
        model["alias"] = answer.alias
    if answer.stand_in:
        model["degraded"] = answer.stand_in
    return model


def _base64(value: object) -> orjson.Fragment:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    # Base64 needs no escapes, so it goes in as it is.
    return orjson.Fragment(b'"%b"' % b2a_base64(value, newline=False))
