"""What can go wrong: one error, and its kind as the service names it."""

RETRIED = frozenset({"rate_limited", "overloaded", "engine_unavailable", "unreachable"})
"""Kinds that may pass by themselves."""


class VitrailError(Exception):
    """There is no answer; the message says why, and what to do.

    ``code`` is the service's kind of error, whichever the transport: ``invalid_image``, ``invalid_video``,
    ``unsupported_media_type``, ``too_large``, ``invalid_parameters``, ``unauthenticated``, ``forbidden``,
    ``model_not_found``, ``version_not_ready``, ``not_found``, ``conflict``, ``rate_limited``, ``overloaded``,
    ``storage_full``, ``deadline_exceeded``, ``cancelled``, ``engine_unavailable`` or ``internal``. The client adds
    ``unreachable`` where nobody answers at the address, ``unexpected_answer`` where what answers is no Vitrail service,
    and ``unsupported`` for what this address's transport cannot do.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int | str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        """HTTP's status as a number, or gRPC's by name; None where no answer came."""
        self.request_id = request_id
        """Under this id the service's log tells more."""
        self.retry_after_s = retry_after_s
        """Seconds after which the service asks to be tried again."""

    def __str__(self) -> str:
        """The message, and the request's id for the service's log."""
        return f"{self.message} (request {self.request_id})" if self.request_id else self.message


def deadline_exceeded(timeout_s: float) -> VitrailError:
    """No answer came in time."""
    return VitrailError(f"there was no answer within {timeout_s:.3g} s", code="deadline_exceeded")


def unreachable(url: str, reason: object) -> VitrailError:
    """Nobody answers at the address."""
    return VitrailError(f"no service answers at {url}: {reason}", code="unreachable")
