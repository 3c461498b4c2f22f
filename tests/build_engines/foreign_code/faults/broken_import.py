"""Asks an installed package for something that it does not have."""

from torch import no_such_thing  # noqa: F401
