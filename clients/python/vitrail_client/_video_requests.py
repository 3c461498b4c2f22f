"""What is asked of a service's video jobs, as requests; and what stands in the answers."""

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import quote
from uuid import uuid4

import httpx

from vitrail_client._connection import Request, json_with
from vitrail_client._errors import VitrailError
from vitrail_client.schemas import JobState, VideoAnswer, VideosAnswer

Sample: TypeAlias = Literal["every", "key", "scene", "event"]
"""Which frames are processed: all, key frames, the first of each scene, or those that differ from the last one."""

OVER = frozenset({"done", "failed", "cancelled"})
"""The states that a job stays in."""

_PATH = "/v1/videos"


def submission(asked: Mapping[str, Any], parameters: Mapping[str, Any], idempotency_key: str | None) -> Request:
    """A new job, but for the video itself. A key is made where there is none: another try makes no second job."""
    values = {name: value for name, value in asked.items() if value is not None}
    if given := named(parameters):
        values["parameters"] = given
    headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
    return {"method": "POST", "url": _PATH, "params": {n: _text(v) for n, v in values.items()}, "headers": headers}


def named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A task's parameters by the service's names: ``class`` for ``class_``; None is the default."""
    return {name.removesuffix("_"): value for name, value in parameters.items() if value is not None}


def with_body(request: Request, body: Request) -> Request:
    """Both, and the headers of both."""
    return {**request, **body, "headers": request["headers"] | body.get("headers", {})}


def status_of(job_id: str) -> Request:
    """How a job stands."""
    return {"method": "GET", "url": _path_of(job_id)}


def page_of(limit: int, before: str | None, state: JobState | None) -> Request:
    """Some jobs."""
    asked = {"limit": str(limit), "before": before, "state": state}
    return {"method": "GET", "url": _PATH, "params": {n: value for n, value in asked.items() if value is not None}}


def results_of(job_id: str, from_frame: int) -> Request:
    """Lines from a frame on."""
    return {"method": "GET", "url": f"{_path_of(job_id)}/results", "params": {"from_frame": from_frame}}


def annotated_of(job_id: str) -> Request:
    """The annotated video."""
    return {"method": "GET", "url": f"{_path_of(job_id)}/annotated.mp4"}


def cancellation(job_id: str) -> Request:
    """The end of a job's work."""
    return {"method": "POST", "url": f"{_path_of(job_id)}:cancel"}


def removal(job_id: str) -> Request:
    """The end of all of a job."""
    return {"method": "DELETE", "url": _path_of(job_id)}


def job_in(response: httpx.Response) -> VideoAnswer:
    """A job as the service describes it."""
    job: VideoAnswer = json_with(response, "id", "state")
    return job


def jobs_in(response: httpx.Response) -> VideosAnswer:
    """Some of them."""
    jobs: VideosAnswer = json_with(response, "videos", "next")
    return jobs


def still_runs(job: VideoAnswer, waited_s: float) -> VitrailError:
    """Somebody has waited long enough."""
    return VitrailError(
        f"video job {job['id']} is still {job['state']} after {waited_s:.3g} s", code="deadline_exceeded"
    )


def _path_of(job_id: str) -> str:
    return f"{_PATH}/{quote(job_id, safe='')}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
