"""The last frame of a live stream with its findings drawn in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.preprocess import Pixels
from contract.task import Task
from contract.tasks.definition import InvalidParameter
from service.errors import invalid_parameters


@dataclass(frozen=True, slots=True)
class LivePicture:
    """A frame that a model has seen."""

    task: Task
    pixels: Pixels
    """RGB uint8 [H, W, 3]."""
    result: Mapping[str, Any] | None
    """None where the model made nonsense of it."""

    def jpeg(self) -> bytes:
        """As a JPEG; takes a while, for a worker. Raises ServiceError (invalid_parameters) where it is too long."""
        # Drawing is rare and its library large: it is imported when first wanted.
        from service.drawing import draw, encode_picture  # noqa: PLC0415

        drawn = self.pixels if self.result is None else draw(self.task, self.pixels, self.result)
        try:
            return encode_picture(drawn, "image/jpeg")
        except InvalidParameter as error:
            raise invalid_parameters(str(error)) from error
