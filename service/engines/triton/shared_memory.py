"""Images that travel to a Triton on the same machine through system shared memory instead of a message.

Only inputs do. A slot may be used again as soon as its call has ended: had the caller left, Triton could at worst read
another caller's image into an answer that nobody waits for. An output that Triton still writes after the caller has
left would land in the next caller's answer, so outputs come as messages; they are small by contract.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from contract.preprocess import Pixels


class ImageSlots:
    """Slots in one region of shared memory, each for the largest batch of one version."""

    def __init__(self, shape: tuple[int, ...], largest: int, slots: int) -> None:
        self.name = f"vitrail-{os.getpid()}-{secrets.token_hex(4)}"
        self._shape = (largest, *shape)
        self._stride = int(np.prod(self._shape))
        self.size = self._stride * slots
        self._memory = SharedMemory(self.name, create=True, size=self.size)
        self._free = list(range(slots))
        self._closed = False

    @property
    def free(self) -> int:
        """Slots that nobody uses."""
        return len(self._free)

    @contextmanager
    def holding(self, images: Sequence[Pixels]) -> Iterator[int | None]:
        """Copy a batch into a slot and give its offset in bytes; None where every slot is taken."""
        if not self._free:
            yield None
            return
        slot = self._free.pop()
        offset = slot * self._stride
        try:
            view: Pixels = np.ndarray(self._shape, np.uint8, self._memory.buf, offset)
            np.stack(images, out=view[: len(images)])
            # The region cannot be closed while an array looks into it.
            del view
            yield offset
        finally:
            self._free.append(slot)

    def close(self) -> None:
        """Free the memory; Triton keeps its own mapping until it is told to forget it."""
        if not self._closed:
            self._closed = True
            self._memory.close()
            self._memory.unlink()
