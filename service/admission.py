"""Who gets in: a permit for the images of a request, or a refusal at once. Without a permit nothing is decoded."""

import math
import time
from types import TracebackType

from service.admission_limit import AdaptiveLimit
from service.errors import ErrorKind, ServiceError, invalid_parameters, overloaded
from service.security.caller import Priority
from service.telemetry import Telemetry

_SHARES = {Priority.LOW: 0.5, Priority.NORMAL: 1.0, Priority.HIGH: 1.0}
_SHARES_RANKED = {Priority.LOW: 0.5, Priority.NORMAL: 0.9, Priority.HIGH: 1.0}
"""Of all permits, those that callers of a priority may take: the rest is kept for the ones above."""


class Admission:
    """Gives permits for images, at most as many as the limit says.

    Args:
        telemetry: is told of the images in flight, and of their limit.
        ceiling: images that are ever admitted at a time.
        max_images: so many a request may hold.
        limit: learns a lower limit than the ceiling while callers crowd; None leaves it at the ceiling.
        ranked: callers differ in priority, so that some permits are kept for the highest.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        ceiling: int,
        max_images: int,
        limit: AdaptiveLimit | None = None,
        *,
        ranked: bool = False,
    ) -> None:
        self._telemetry = telemetry
        self._ceiling = ceiling
        self._max_images = max_images
        self._adaptive = limit
        self._shares = _SHARES_RANKED if ranked else _SHARES
        self._in_flight = 0
        self._limit = 0
        self._allowed: dict[Priority, int] = {}
        self._most = {priority: math.ceil(share * ceiling) for priority, share in self._shares.items()}
        self._set(ceiling if limit is None else limit.value)

    @property
    def in_flight(self) -> int:
        """Images admitted and not yet answered."""
        return self._in_flight

    @property
    def limit(self) -> int:
        """So many images are admitted at this moment."""
        return self._limit

    @property
    def max_images(self) -> int:
        """So many a request may hold."""
        return self._max_images

    def require_room(self, priority: Priority) -> None:
        """ServiceError (overloaded) if not even one image would be admitted now; it takes no permit."""
        if self._in_flight >= self._allowed[priority]:
            raise self._no_room()

    def permit(self, images: int, priority: Priority = Priority.NORMAL) -> "Permit":
        """``with admission.permit(images):`` admits so many for as long as the block runs, or refuses at once.

        ServiceError: invalid_parameters for none, too_large for more than a request may hold, overloaded.
        """
        return Permit(self, images, priority)

    def _take(self, images: int, priority: Priority) -> None:
        if images == 0:
            raise invalid_parameters("the request holds no image")
        if images > self._max_images:
            raise ServiceError(
                ErrorKind.TOO_LARGE, f"the request holds {images} images; at most {self._max_images} are taken"
            )
        in_flight = self._in_flight
        # A request that is larger than what is left of the limit, however idle the service, would never get in: on its
        # way in it counts for half of the limit at most.
        counted = images if images == 1 else min(images, max(1, self._limit // 2))
        most = self._most[priority] if in_flight else self._ceiling
        if in_flight + counted > self._allowed[priority] or in_flight + images > most:
            raise self._no_room()
        if in_flight == 0 and self._adaptive is not None:
            self._adaptive.idle_until(time.monotonic())
            self._set(self._adaptive.value)
        self._in_flight = in_flight + images
        self._telemetry.in_flight.set(self._in_flight)

    def _give_back(self, images: int, *, answered: bool) -> None:
        in_flight, self._in_flight = self._in_flight, self._in_flight - images
        self._telemetry.in_flight.set(self._in_flight)
        adaptive = self._adaptive
        if adaptive is not None and adaptive.ended(images if answered else 0, in_flight, time.monotonic()):
            self._set(adaptive.value)

    def _no_room(self) -> ServiceError:
        return overloaded(f"{self._in_flight} images are being answered already; try again in a moment")

    def _set(self, limit: int) -> None:
        if limit != self._limit:
            self._limit = limit
            self._allowed = {priority: math.ceil(share * limit) for priority, share in self._shares.items()}
            self._telemetry.in_flight_limit.set(limit)


class Permit:
    """Some images' right to be worked on, within its ``with`` block; it can be used once at a time."""

    __slots__ = ("_admission", "_images", "_priority")

    def __init__(self, admission: Admission, images: int, priority: Priority) -> None:
        self._admission = admission
        self._images = images
        self._priority = priority

    def __enter__(self) -> None:
        self._admission._take(self._images, self._priority)  # noqa: SLF001 - the two are one

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What failed tells nothing of how quickly images are answered.
        self._admission._give_back(self._images, answered=kind is None)  # noqa: SLF001 - the two are one
