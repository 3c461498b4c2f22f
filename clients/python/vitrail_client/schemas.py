# Written by clients/python/generate.py (make client-types) from the service's OpenAPI document.
# ruff: noqa: D212, E501
"""The types of results and parameters."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class ModelUsed(TypedDict):
    """The version that answered."""

    name: str
    version: str
    alias: NotRequired[str | None]
    degraded: NotRequired[str | None]
    """What answered in its stead while Triton was away: embedded."""


class ImageSize(TypedDict):
    """Size in pixels of the image as sent, after EXIF rotation."""

    width: int
    height: int


class ClassScore(TypedDict):
    """A class and its probability."""

    label: str
    index: int
    score: float


class Box(TypedDict):
    """A box in pixels of the image as sent."""

    x1: float
    y1: float
    x2: float
    y2: float


class RleMask(TypedDict):
    """
    A mask as COCO's compressed run lengths, column by column; ``size`` is [height, width].

    ``origin`` is there where the mask was cut to its box: the place [x, y] of its upper left pixel in the image.
    """

    format: Literal["rle"]
    size: list[int]
    counts: str
    origin: NotRequired[list[int]]


class PolygonMask(TypedDict):
    """
    Outlines of a mask, each a list of [x, y] in image pixels; a hole is an outline within another (even-odd).

    They differ from the mask's own by ``tolerance`` pixels at most. Specks of one or two pixels have none.
    """

    format: Literal["polygon"]
    tolerance: float
    points: list[list[list[float]]]


class PngMask(TypedDict):
    """A mask as a grey PNG (0 outside, 255 inside); ``origin`` as of run lengths."""

    format: Literal["png"]
    data: bytes
    origin: NotRequired[list[int]]


class PaletteMask(TypedDict):
    """The pixels of the answer's palette that have this value, less those that an earlier segment covers."""

    format: Literal["palette"]
    value: int


class BitsMask(TypedDict):
    """
    A mask with one bit a pixel, row by row, the most significant bit first, each row from a new byte on.

    ``size`` is [height, width]; ``origin`` as of run lengths. It is what NumPy's ``packbits`` makes along axis 1.
    """

    format: Literal["bits"]
    size: list[int]
    origin: NotRequired[list[int]]
    data: bytes


class Palette(TypedDict):
    """All masks of an answer as one PNG with a palette: a pixel's value tells its segment, 0 none."""

    format: Literal["png"]
    data: bytes


class EmbedResult(TypedDict):
    """The vector, as a list of numbers or as the bytes of little-endian float32."""

    image: ImageSize
    embedding: list[float] | bytes
    dimension: int


class Region(TypedDict):
    """One region; ``polygon`` is a list of [x, y] in image pixels, ``box`` the upright box around it."""

    score: float
    polygon: list[list[float]]
    box: Box


Quantity: TypeAlias = Literal["metres", "depth", "inverse_depth"]
"""What a depth model's numbers mean."""


class DenseMap(TypedDict):
    """
    A map or a picture as a file.

    In a PNG, black stands for the value ``min`` and white for ``max``, evenly between; in an NPY the values stand
    themselves, and none lies outside ``min`` and ``max``.
    """

    format: Literal["png", "npy"]
    data: bytes
    min: float
    max: float


class MatteResult(TypedDict):
    """The share of the foreground in every pixel of the image as sent, 0…1; 0 where the network did not look."""

    image: ImageSize
    map: DenseMap


class Keypoint(TypedDict):
    """One key point in pixels of the image as sent."""

    name: str
    x: float
    y: float
    score: float


class RestoreResult(TypedDict):
    """
    The restored picture: what the network saw of the image as sent, enlarged by the network's own factor.

    An image larger than the network's input was shrunk before and is enlarged again after: it loses detail.
    """

    image: ImageSize
    map: DenseMap


ExplanationMethod: TypeAlias = Literal["cam", "grad-cam", "legrad"]
"""How a model's heat maps come about."""


JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
"""Where a job stands."""


class FrameCounts(TypedDict):
    """Frames of a video."""

    total: int | None
    """As the file claims."""
    done: int
    """That are behind the work, those without a result included."""
    processed: int
    """Results that a model gave."""
    carried: int
    """Results taken over from the frame before."""


Task: TypeAlias = Literal[
    "classify",
    "detect",
    "segment",
    "embed",
    "regions",
    "depth",
    "matte",
    "keypoints",
    "restore",
    "classify-video",
    "explain",
]
"""What a model answers about an image."""


class VideoInput(TypedDict):
    """The file as it came."""

    name: str | None
    bytes: int


ErrorKind: TypeAlias = Literal[
    "invalid_image",
    "invalid_video",
    "unsupported_media_type",
    "too_large",
    "invalid_parameters",
    "unauthenticated",
    "forbidden",
    "model_not_found",
    "version_not_ready",
    "not_found",
    "conflict",
    "rate_limited",
    "overloaded",
    "storage_full",
    "deadline_exceeded",
    "cancelled",
    "engine_unavailable",
    "internal",
]
"""The kinds of error that a caller can meet; the same names stand in every transport."""


class VideoLinks(TypedDict):
    """Paths; ``annotated`` only where it was asked for."""

    self: str
    results: str
    annotated: NotRequired[str]


LiveState: TypeAlias = Literal["connecting", "running", "reconnecting", "ended", "failed"]
"""Where a stream stands."""


class StreamModel(TypedDict):
    """The version that answers."""

    name: str
    version: str


class StreamSource(TypedDict):
    """What the source says of itself."""

    codec: str
    width: int
    height: int
    frame_rate: float | None


class StreamFrames(TypedDict):
    """Frames of a stream; those that sampling leaves out are received, and nothing else."""

    received: int
    processed: int
    carried: int
    dropped: int


class StreamError(TypedDict):
    """What is wrong; while a stream connects or runs, only for the moment."""

    code: str
    detail: str


class StreamLinks(TypedDict):
    """Where to go on."""

    self: str
    results: str
    picture: str


class ClassifyParameters(TypedDict):
    """What a caller may ask of classify; None is the default."""

    top_k: NotRequired[int | None]
    """At most this many classes. Default: 5."""
    score_threshold: NotRequired[float | None]
    """Only classes at least this probable. Default: 0.0."""


class DetectParameters(TypedDict):
    """What a caller may ask of detect; None is the default."""

    score_threshold: NotRequired[float | None]
    """Default: the model card's."""
    max_objects: NotRequired[int | None]
    """At most this many objects, best first. Default: 100."""
    labels: NotRequired[list[str] | None]
    """Only these labels."""


class SegmentParameters(TypedDict):
    """What a caller may ask of segment; None is the default."""

    score_threshold: NotRequired[float | None]
    """Default: the model card's. Semantic segments have no score."""
    mask_format: NotRequired[Literal["rle", "polygon", "png", "palette", "bits", "none"] | None]
    """rle: COCO's compressed run lengths; polygon: outlines; png: a grey picture a segment; palette: one picture for all; bits: one bit a pixel; none: boxes and areas only. Default: "rle"."""
    mask_tolerance: NotRequired[float | None]
    """Pixels by which a polygon may differ from the mask's outline; 0 gives every point of it. Default: 1.0."""
    mask_crop: NotRequired[bool | None]
    """Cut rle, png and bits to the segment's box: size is then the box's, and origin [x, y] tells where it lies. Polygons and palettes ignore it. Default: false."""
    max_bytes: NotRequired[int | None]
    """Of all masks of an image together, as they stand in JSON (base64, no spaces; of a palette its picture too). Where the form asked for is larger, the whole answer takes the first that fits: rle, polygons of a tolerance of at least 1, 2, 4, 8, 16 pixels, no masks."""
    labels: NotRequired[list[str] | None]
    """Only these labels."""


class EmbedParameters(TypedDict):
    """What a caller may ask of embed; None is the default."""

    normalize: NotRequired[bool | None]
    """Scale the vector to length 1, so that a dot product is the cosine. Default: true."""
    encoding: NotRequired[Literal["json", "base64"] | None]
    """base64: little-endian float32, about a third of the size. Default: "json"."""


class RegionsParameters(TypedDict):
    """What a caller may ask of regions; None is the default."""

    score_threshold: NotRequired[float | None]
    """Default: the model card's."""
    max_regions: NotRequired[int | None]
    """At most this many regions, best first. Default: 1000."""


class DepthParameters(TypedDict):
    """What a caller may ask of depth; None is the default."""

    encoding: NotRequired[Literal["png", "npy"] | None]
    """png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png"."""


class MatteParameters(TypedDict):
    """What a caller may ask of matte; None is the default."""

    encoding: NotRequired[Literal["png", "npy"] | None]
    """png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png"."""


class KeypointsParameters(TypedDict):
    """What a caller may ask of keypoints; None is the default."""

    score_threshold: NotRequired[float | None]
    """Default: the model card's."""
    max_people: NotRequired[int | None]
    """At most this many people, best first. Default: 100."""


class RestoreParameters(TypedDict):
    """What a caller may ask of restore; None is the default."""

    encoding: NotRequired[Literal["png", "npy"] | None]
    """png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png"."""


class ExplainParameters(TypedDict):
    """What a caller may ask of explain; None is the default."""

    encoding: NotRequired[Literal["png", "npy"] | None]
    """png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png"."""
    class_: NotRequired[int | str | None]
    """A class by its number or its label, among the most probable few. Default: the most probable."""


class ClassifyResult(TypedDict):
    """The most probable classes, best first."""

    image: ImageSize
    classes: list[ClassScore]


class DetectedObject(TypedDict):
    """One object."""

    label: str
    index: int
    score: float
    box: Box
    track_id: NotRequired[int]


class Segment(TypedDict):
    """One segment; ``area`` in pixels, ``box`` the smallest that holds the mask."""

    label: str
    index: int
    score: NotRequired[float]
    area: int
    box: Box
    mask: NotRequired[RleMask | PolygonMask | PngMask | PaletteMask | BitsMask]
    track_id: NotRequired[int]


class RegionsResult(TypedDict):
    """The regions, best first."""

    image: ImageSize
    regions: list[Region]


class DepthResult(TypedDict):
    """The depth of every pixel of the image as sent; outside of what the network saw it is ``min``."""

    image: ImageSize
    quantity: NotRequired[Quantity]
    map: DenseMap


class Person(TypedDict):
    """One person; the key points in the order of their names."""

    score: float
    box: Box
    keypoints: list[Keypoint]
    track_id: NotRequired[int]


ExplainResult = TypedDict(
    "ExplainResult",
    {
        "image": ImageSize,
        "class": ClassScore,
        "method": NotRequired[ExplanationMethod],
        "map": DenseMap,
    },
)


class VideoFailure(TypedDict):
    """Why a job failed."""

    code: ErrorKind
    detail: str | None


class StreamAnswer(TypedDict):
    """A live stream."""

    id: str
    state: LiveState
    url: str
    task: str
    model: StreamModel | None
    request: dict[str, Any]
    created: str
    source: StreamSource | None
    frames: StreamFrames
    fps: float
    lag_s: float | None
    connections: int
    last_frame_s_ago: float | None
    summary: dict[str, Any]
    error: StreamError | None
    links: StreamLinks


class StreamsAnswer(TypedDict):
    """All live streams."""

    streams: list[StreamAnswer]


class DetectResult(TypedDict):
    """The objects, best first."""

    image: ImageSize
    objects: list[DetectedObject]


class SegmentResult(TypedDict):
    """The segments: those with scores best first, classes largest first. One without a single pixel is left out."""

    image: ImageSize
    segments: list[Segment]
    palette: NotRequired[Palette]


class KeypointsResult(TypedDict):
    """The people, best first."""

    image: ImageSize
    people: list[Person]


class VideoAnswer(TypedDict):
    """How a video job stands."""

    id: str
    state: JobState
    progress: float | None
    """0 … 1; null where nobody can say."""
    frames: FrameCounts
    fps: float | None
    """Frames of the video done a second, of the last seconds."""
    eta_s: float | None
    """Seconds to its end at this speed."""
    task: Task
    request: dict[str, Any]
    """What was asked for."""
    input: VideoInput
    created: str
    started: str | None
    finished: str | None
    summary: dict[str, Any]
    """Of the whole video: the model, totals of counts, number of tracks."""
    problems: list[str]
    """What was wrong with the file and did not end the work."""
    error: VideoFailure | None
    links: VideoLinks


class VideosAnswer(TypedDict):
    """Some jobs, the newest first."""

    videos: list[VideoAnswer]
    next: str | None
    """To be given as `before` for those that follow; null at the end."""
