"""What a caller wants of a live source: what is done with a video, less what only files have."""

from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from contract.tasks.table import TASKS
from service.video.live_address import MAX_LENGTH, checked_address, shown_address
from service.video.sampling import SamplingParameters
from service.video.video_request import VideoRequest

FIELDS: Final = ("url", "task", "model", "parameters", "fps", "sampling", "track", "reidentify", "counts")
"""What a stream's request may say."""


class LiveRequest(VideoRequest):
    """What is done with a live source; unknown names are refused."""

    url: Annotated[str, AfterValidator(checked_address)] = Field(
        max_length=MAX_LENGTH, description="The source: rtsp://, rtsps://, http:// or https://."
    )
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = Field(
        default=None, description="At most so many frames a second are processed: short for sampling.fps."
    )

    @model_validator(mode="after")
    def _is_for_streams(self) -> Self:
        for name in sorted(self.model_fields_set - set(FIELDS)):
            raise ValueError(f"{name} goes with video files, not with live streams")
        if TASKS[self.task].clips:
            raise ValueError(f"task={self.task} is not answered for live streams")
        if self.fps is not None and self.sampling.fps is not None:
            raise ValueError("fps stands there twice")
        self.sampled()
        return self

    def sampled(self) -> SamplingParameters:
        """Which frames are processed, `fps` included. Raises ValueError where they do not go together."""
        if self.fps is None:
            return self.sampling
        return SamplingParameters.model_validate({**self.sampling.model_dump(exclude_none=True), "fps": self.fps})

    def as_shown(self) -> dict[str, Any]:
        """What everybody may see of it: `as_json`, the address without its secrets."""
        return {**self.as_json(), "url": shown_address(self.url)}
