"""JSON: what results are made of, and nothing else."""

import json
from base64 import b64decode, b64encode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.json_answers import as_json


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
