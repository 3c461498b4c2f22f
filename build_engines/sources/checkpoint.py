"""Where `build_engines.checkpoint` was; it is read by heads too."""

from build_engines.checkpoint import StateDict, load, read

__all__ = ["StateDict", "load", "read"]
