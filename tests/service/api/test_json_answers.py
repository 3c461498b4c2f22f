"""JSON: what results are made of, and nothing else."""

import json
from base64 import b64decode, b64encode
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.task import Task
from service.api import json_answers
from service.api.grpc import messages
from service.api.json_answers import as_json
from service.inference import Query
from tests.service.running import RED, Running


@given(st.binary())
def test_bytes_travel_in_base64(data: bytes) -> None:
    """Bytes anywhere in a result are its standard base64, as the schemas say."""
    text = as_json([{"map": {"data": data}}])

    assert text == b'[{"map":{"data":"' + b64encode(data) + b'"}}]'
    assert b64decode(json.loads(text)[0]["map"]["data"], validate=True) == data


@pytest.mark.parametrize("value", [np.float32(1), bytearray(b"a"), {1, 2}])
def test_what_has_no_form_is_a_mistake(value: object) -> None:
    """A result that holds anything else than JSON's own kinds and bytes is noticed."""
    with pytest.raises(TypeError):
        as_json({"value": value})


async def test_a_stand_in_is_named(service: Running) -> None:
    """Each answer's model says what answered in its stead, in JSON and in messages, so each frame of a stream does."""
    answer = await service.application.inference.predict(Query(Task.CLASSIFY, None, [RED], {}))
    stood_in = replace(answer, stand_in="embedded")
    assert json_answers.model_of(stood_in) == json_answers.model_of(answer) | {"degraded": "embedded"}
    assert (messages.model_of(answer).degraded, messages.model_of(stood_in).degraded) == ("", "embedded")
