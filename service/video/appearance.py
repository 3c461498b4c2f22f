"""How things look, as vectors: crops of frames through a model of the task embed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contract.preprocess import Pixels
from contract.task import Task
from service.inference import Inference
from service.video.patient_inference import Patience, PatientInference
from service.video.reidentify import Vectors

_PARAMETERS = {"normalize": True, "encoding": "base64"}


class ModelAppearance:
    """Asks an embed model, like `PatientInference` and in the turns of the same flow; see `reidentify.Appearance`."""

    def __init__(
        self,
        inference: Inference,
        model: str | None,
        patience: Patience,
        *,
        request_id: str,
        flow: object,
        places: asyncio.Semaphore,
        changed: Callable[[str], None],
    ) -> None:
        """``changed`` hears that another version answers from now on: its vectors mean something else."""
        self._asking = PatientInference(
            inference, Task.EMBED, model, _PARAMETERS, patience, request_id, changed, flow=flow, places=places
        )

    async def __call__(self, crops: Sequence[Pixels]) -> Vectors:
        """Crops uint8 [h, w, 3] → vectors f32 [N, D] of length 1, all of one version.

        Raises:
            ServiceError: as `PatientInference.ask`.
        """
        while True:
            version = await self._asking.version()
            results: list[Any] = await asyncio.gather(*map(self._asking.ask, crops))
            if await self._asking.version() is version:
                return np.stack([np.frombuffer(result["embedding"], "<f4") for result in results])
