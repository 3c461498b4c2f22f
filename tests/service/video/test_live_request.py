from typing import Any

import pytest

from service.errors import ErrorKind, ServiceError
from service.video.live_request import LiveRequest
from service.video.sampling import SampleMode

URL = "rtsp://camera/a"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "task"),
        ({"url": None}, "url"),
        ({"url": "ftp://camera"}, "begins with one of"),
        ({"colour": "red"}, "colour"),
        ({"annotate": True}, "annotate goes with video files"),
        ({"window": 4}, "window goes with video files"),
        ({"webhook": "https://a"}, "webhook goes with video files"),
        ({"task": "classify-video"}, "classify-video"),
        ({"task": "classify", "track": True}, "nothing can be tracked"),
        ({"fps": 0}, "fps"),
        ({"fps": 5, "sampling": {"fps": 5}}, "fps stands there twice"),
        ({"fps": 5, "sampling": {"sample": "event"}}, "fps goes with"),
        ({"parameters": {"score_threshold": 2}}, "score_threshold"),
        ({"parameters": {"nonsense": 2}}, "nonsense"),
    ],
)
def test_what_makes_no_sense(values: dict[str, Any], why: str) -> None:
    """What is wrong is named; what only files have is refused."""
    given = {"url": URL, "task": "detect", **values} if values else {"url": URL}
    with pytest.raises(ServiceError, match=why) as refused:
        LiveRequest.of(given)
    assert refused.value.kind is ErrorKind.INVALID_PARAMETERS


def test_fps_is_short_for_sampling() -> None:
    """A rate may stand by itself or with the rest of sampling."""
    alone = LiveRequest.of({"url": URL, "task": "detect", "fps": 5})
    within = LiveRequest.of({"url": URL, "task": "detect", "sampling": {"fps": 5}})
    assert alone.sampled() == within.sampled()
    event = LiveRequest.of({"url": URL, "task": "detect", "sampling": {"sample": "event"}})
    assert event.sampled().sample is SampleMode.EVENT


def test_what_is_shown_of_it() -> None:
    """What a caller said is shown as it was, but for the secrets of the address."""
    request = LiveRequest.of({"url": "rtsp://u:p@camera/a", "task": "detect", "fps": 5, "track": True})
    assert request.as_shown() == {"url": "rtsp://camera/a", "task": "detect", "fps": 5.0, "track": {}}
