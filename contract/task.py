"""The tasks that a model can carry out; a route, a card and a metric label all use these names."""

from enum import StrEnum


class Task(StrEnum):
    """What a model answers about an image."""

    CLASSIFY = "classify"
    DETECT = "detect"
    SEGMENT = "segment"
    EMBED = "embed"
    REGIONS = "regions"
    DEPTH = "depth"
    MATTE = "matte"
    KEYPOINTS = "keypoints"
    RESTORE = "restore"
    CLASSIFY_VIDEO = "classify-video"
    EXPLAIN = "explain"
    """Asked of a model for classify: no card has it."""
