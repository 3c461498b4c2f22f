from typing import Any

import pytest

from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.video.sampling import SampleMode
from service.video.video_request import VideoRequest


def test_the_query_of_the_documentation() -> None:
    """``task=detect&model=…&fps=5&track=true`` is what it says; the task's own parameters stand beside it."""
    request = VideoRequest.from_query(
        {"task": "detect", "model": "yolox@stable", "fps": "5", "track": "true", "labels": "dog,cat", "window": "4"}
    )
    assert (request.task, request.model, request.window, request.annotate) == (Task.DETECT, "yolox@stable", 4, False)
    assert request.sampling.fps == 5.0
    assert request.track is not None
    assert request.parameters == {"labels": "dog,cat"}


def test_parts_may_be_json() -> None:
    """How tracks are made and what is counted is JSON in the query."""
    line = '{"lines": [{"name": "door", "points": [[0, 0.5], [1, 0.5]]}]}'
    request = VideoRequest.from_query(
        {"task": "detect", "sample": "event", "track": '{"lost_s": 3}', "counts": line, "annotate": "true"}
    )
    assert request.track is not None
    assert request.counts is not None
    assert (request.sampling.sample, request.track.lost_s, request.annotate) == (SampleMode.EVENT, 3.0, True)
    assert request.counts.lines[0].name == "door"


def test_windows_of_clips() -> None:
    """For clips, how long windows are and how far they overlap stands in the query, or in JSON."""
    request = VideoRequest.from_query({"task": "classify-video", "window_s": "4", "overlap": "0.25", "top_k": "3"})
    assert (request.clips.window_s, request.clips.overlap, request.parameters) == (4.0, 0.25, {"top_k": "3"})
    assert VideoRequest.of({"task": "classify-video", "clips": {"window_s": 4, "overlap": 0.25}}).clips == request.clips


@pytest.mark.parametrize(
    "query",
    [
        {"task": "classify"},
        {"task": "classify-video", "window_s": "1.5", "annotate": "true"},
        {"task": "detect", "track": "true", "fps": "2.5", "score_threshold": "0.4"},
        {"task": "keypoints", "track": '{"confirm_after": 1}', "counts": "{}", "webhook": "https://example.org/done"},
        {"task": "segment", "track": "false", "sample": "scene", "threshold": "0.2", "annotate": "1"},
    ],
)
def test_what_a_job_keeps_is_the_same_request(query: dict[str, str]) -> None:
    """Kept as JSON and read again it is equal, and so short that it says only what was asked."""
    request = VideoRequest.from_query(query)
    assert VideoRequest.of(request.as_json()) == request
    assert set(request.as_json()) <= {*VideoRequest.model_fields}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({}, "task is missing"),
        ({"task": "dance"}, "task: "),
        ({"task": "detect", "fps": "0"}, "fps: "),
        ({"task": "detect", "fps": "5", "sample": "key"}, "fps goes with sample=every"),
        ({"task": "detect", "speed": "5"}, "no parameter 'speed'"),
        ({"task": "detect", "track": "perhaps"}, "track is not JSON"),
        ({"task": "detect", "track": '{"lost": 1}'}, "track.lost: "),
        ({"task": "detect", "counts": "{}"}, "ask for track too"),
        ({"task": "depth", "track": "true"}, "nothing can be tracked with task=depth"),
        ({"task": "classify-video", "fps": "5"}, "window_s and overlap say which"),
        ({"task": "classify-video", "sample": "event"}, "window_s and overlap say which"),
        ({"task": "classify-video", "track": "true"}, "nothing can be tracked with task=classify-video"),
        ({"task": "classify-video", "overlap": "1"}, "overlap: "),
        ({"task": "classify-video", "window_s": "long"}, "window_s: "),
        ({"task": "classify", "window_s": "2"}, "task=classify looks at single frames"),
        ({"task": "detect", "annotate": "perhaps"}, "annotate is true or false"),
        ({"task": "detect", "window": "33"}, "window: "),
        ({"task": "detect", "window": "1.5"}, "window is a whole number"),
        ({"task": "detect", "window": "inf"}, "window is a whole number"),
        ({"task": "detect", "sampling": "5", "fps": "1"}, "sampling is a JSON object"),
    ],
)
def test_what_makes_no_sense_is_told(query: dict[str, str], told: str) -> None:
    """A query that cannot be done is refused with the name of what is wrong."""
    with pytest.raises(ServiceError) as refused:
        VideoRequest.from_query(query)
    assert refused.value.kind is ErrorKind.INVALID_PARAMETERS
    assert told in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"task": "detect", "speed": 5},
        {"task": "detect", "window": "8"},
        {"task": "detect", "annotate": "yes"},
        {"task": "detect", "parameters": {"score_threshold": 2}},
        {"task": "detect", "model": 5},
        {"task": "detect", "model": b"yolox"},
    ],
)
def test_a_body_is_taken_as_it_is(body: dict[str, Any]) -> None:
    """In JSON nothing is guessed: unknown names and wrong types are refused."""
    with pytest.raises(ServiceError) as refused:
        VideoRequest.of(body)
    assert refused.value.kind is ErrorKind.INVALID_PARAMETERS
