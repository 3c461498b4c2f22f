"""Libraries that not everybody needs."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports: ModuleNotFoundError says how to get what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: pip install 'vitrail-client[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
