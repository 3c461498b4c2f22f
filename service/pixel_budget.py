"""The pixels that the images of one request may have together: many small files can be much work."""

import threading

from contract.image import ImageTooLarge


class PixelBudget:
    """Of one request; shared by the workers that decode its images.

    An image counts once it is decoded, so that no more than one in each worker is decoded beyond the budget. A request
    whose images have more pixels together is always refused, whichever of them comes first.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = self._left = pixels
        self._lock = threading.Lock()

    def spend(self, pixels: int) -> None:
        """Count an image's pixels, or look with none; ImageTooLarge once the budget is overdrawn."""
        with self._lock:
            self._left -= pixels
            overdrawn = self._left < 0
        if overdrawn:
            raise ImageTooLarge(
                f"up to here the images of this request have more than {self._pixels:,} pixels together; send fewer in "
                "one request"
            )
