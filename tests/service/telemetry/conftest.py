"""A receiver of traces."""

from collections.abc import Iterator

import pytest

from tests.otlp_receiver import OtlpReceiver, receiving


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A receiver that takes all."""
    with receiving() as receiver:
        yield receiver
