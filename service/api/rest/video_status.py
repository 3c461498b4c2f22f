"""How a video job looks to its caller."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from service.video.job import Job
from service.video.progress import JobStatus


def status_document(status: JobStatus) -> dict[str, Any]:
    """A job as JSON has it; see `VideoAnswer` for what each member means."""
    job = status.job
    return {
        "id": job.id,
        "state": job.state,
        "progress": status.progress,
        "frames": {
            "total": job.frames_total,
            "done": job.frames_done,
            "processed": job.frames_processed,
            "carried": job.frames_carried,
        },
        "fps": status.frames_per_s,
        "eta_s": status.eta_s,
        "task": job.request.get("task"),
        "request": _shown(job.request),
        "input": {"name": job.input_name, "bytes": job.input_bytes},
        "created": _moment(job.created_s),
        "started": _moment(job.started_s),
        "finished": _moment(job.finished_s),
        "summary": dict(job.summary),
        "problems": list(job.problems),
        "error": None if job.error_kind is None else {"code": job.error_kind, "detail": job.error_message},
        "links": links_of(job),
    }


def links_of(job: Job) -> dict[str, str]:
    """Where a job and what it made are found; paths, for only the caller knows under which name the service is."""
    own = f"/v1/videos/{job.id}"
    links = {"self": own, "results": f"{own}/results"}
    return links | {"annotated": f"{own}/annotated.mp4"} if job.request.get("annotate") else links


def _shown(request: Mapping[str, Any]) -> dict[str, Any]:
    """As kept, but of the webhook only where it is: its path may be its secret, and everybody may list jobs."""
    if "webhook" not in request:
        return dict(request)
    parts = urlsplit(request["webhook"])
    return {**request, "webhook": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/..."}


def _moment(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
