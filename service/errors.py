"""What can go wrong, by kind. Transports turn kinds into status codes; messages are meant for the caller."""

from enum import StrEnum


class ErrorKind(StrEnum):
    """The kinds of error that a caller can meet; the same names stand in every transport."""

    INVALID_IMAGE = "invalid_image"
    INVALID_VIDEO = "invalid_video"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    TOO_LARGE = "too_large"
    INVALID_PARAMETERS = "invalid_parameters"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    MODEL_NOT_FOUND = "model_not_found"
    VERSION_NOT_READY = "version_not_ready"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    STORAGE_FULL = "storage_full"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    INTERNAL = "internal"


class ServiceError(Exception):
    """An error with a message for the caller, and for some kinds the seconds after which to try again."""

    def __init__(self, kind: ErrorKind, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s


def invalid_parameters(message: str) -> ServiceError:
    """The request asks for something that makes no sense."""
    return ServiceError(ErrorKind.INVALID_PARAMETERS, message)


def overloaded(message: str) -> ServiceError:
    """There is more work than can be taken; the caller should come back."""
    return ServiceError(ErrorKind.OVERLOADED, message, retry_after_s=1)


def deadline_exceeded(message: str) -> ServiceError:
    """The caller's deadline passed, or the caller was too slow."""
    return ServiceError(ErrorKind.DEADLINE_EXCEEDED, message)


def engine_unavailable(message: str) -> ServiceError:
    """The engine cannot answer now."""
    return ServiceError(ErrorKind.ENGINE_UNAVAILABLE, message, retry_after_s=1)


def unforeseen() -> ServiceError:
    """An error that nobody foresaw, as its caller may see it: the log gets it all."""
    return ServiceError(ErrorKind.INTERNAL, "the service made a mistake; its log tells more under this request's id")
