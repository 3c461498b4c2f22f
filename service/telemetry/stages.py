"""The stages of a request, in which all of its time in the service goes."""

from dataclasses import dataclass

STAGES = ("fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode")
"""The stages of a request, in order; together they are its whole time in the service."""


@dataclass(slots=True)
class Stages:
    """Seconds that a request has spent in each stage."""

    fetch: float = 0.0
    decode: float = 0.0
    preprocess: float = 0.0
    queue: float = 0.0
    compute: float = 0.0
    postprocess: float = 0.0
    encode: float = 0.0

    @property
    def seconds(self) -> tuple[float, ...]:
        """As many as `STAGES`, in their order."""
        return (
            self.fetch,
            self.decode,
            self.preprocess,
            self.queue,
            self.compute,
            self.postprocess,
            self.encode,
        )

    def as_milliseconds(self) -> dict[str, float]:
        """By stage, with their sum as ``total``."""
        seconds = self.seconds
        times = {stage: round(value * 1e3, 3) for stage, value in zip(STAGES, seconds, strict=True)}
        times["total"] = round(sum(seconds) * 1e3, 3)
        return times

    def as_server_timing(self) -> str:
        """By stage, as the header ``Server-Timing`` has them."""
        return ", ".join(f"{stage};dur={value * 1e3:.3f}" for stage, value in zip(STAGES, self.seconds, strict=True))
