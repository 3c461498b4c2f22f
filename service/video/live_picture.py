"""The last frame of a live stream with its findings drawn in."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from contract.preprocess import Pixels
from contract.task import Task
from contract.tasks.definition import InvalidParameter
from service.errors import invalid_parameters


@dataclass(slots=True, eq=False)
class LivePicture:
    """A frame that a model has seen."""

    task: Task
    pixels: Pixels
    """RGB uint8 [H, W, 3]."""
    result: Mapping[str, Any] | None
    """None where the model made nonsense of it."""
    _drawing: asyncio.Future[bytes] | None = field(default=None, init=False)

    async def drawn(self, workers: Executor) -> bytes:
        """As a JPEG: drawn once by a worker, however many ask. Raises as `jpeg` does."""
        if self._drawing is None:
            self._drawing = asyncio.get_running_loop().run_in_executor(workers, self.jpeg)
        # Who leaves does not take it from the others.
        return await asyncio.shield(self._drawing)

    def jpeg(self) -> bytes:
        """As a JPEG; takes a while, for a worker. Raises ServiceError (invalid_parameters) where it is too long."""
        # Drawing is rare and its library large: it is imported when first wanted.
        from service.drawing import draw, encode_picture  # noqa: PLC0415

        drawn = self.pixels if self.result is None else draw(self.task, self.pixels, self.result)
        try:
            return encode_picture(drawn, "image/jpeg")
        except InvalidParameter as error:
            raise invalid_parameters(str(error)) from error
