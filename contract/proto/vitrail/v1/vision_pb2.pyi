from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Picture(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PICTURE_NONE: _ClassVar[Picture]
    PICTURE_PNG: _ClassVar[Picture]
    PICTURE_JPEG: _ClassVar[Picture]

class MaskFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MASK_FORMAT_UNSPECIFIED: _ClassVar[MaskFormat]
    MASK_FORMAT_RLE: _ClassVar[MaskFormat]
    MASK_FORMAT_POLYGON: _ClassVar[MaskFormat]
    MASK_FORMAT_PNG: _ClassVar[MaskFormat]
    MASK_FORMAT_PALETTE: _ClassVar[MaskFormat]
    MASK_FORMAT_BITS: _ClassVar[MaskFormat]
    MASK_FORMAT_NONE: _ClassVar[MaskFormat]

class MapEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MAP_ENCODING_UNSPECIFIED: _ClassVar[MapEncoding]
    MAP_ENCODING_PNG: _ClassVar[MapEncoding]
    MAP_ENCODING_NPY: _ClassVar[MapEncoding]
PICTURE_NONE: Picture
PICTURE_PNG: Picture
PICTURE_JPEG: Picture
MASK_FORMAT_UNSPECIFIED: MaskFormat
MASK_FORMAT_RLE: MaskFormat
MASK_FORMAT_POLYGON: MaskFormat
MASK_FORMAT_PNG: MaskFormat
MASK_FORMAT_PALETTE: MaskFormat
MASK_FORMAT_BITS: MaskFormat
MASK_FORMAT_NONE: MaskFormat
MAP_ENCODING_UNSPECIFIED: MapEncoding
MAP_ENCODING_PNG: MapEncoding
MAP_ENCODING_NPY: MapEncoding

class ClassifyRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: ClassifyParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[ClassifyParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class DetectRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: DetectParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[DetectParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class SegmentRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: SegmentParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[SegmentParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: EmbedParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[EmbedParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class RegionsRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: RegionsParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[RegionsParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class DepthRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: MapParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[MapParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class MatteRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: MapParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[MapParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class KeypointsRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: KeypointsParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[KeypointsParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class RestoreRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: MapParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[MapParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("model", "images", "parameters", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedScalarFieldContainer[bytes]
    parameters: ExplainParameters
    picture: Picture
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[bytes]] = ..., parameters: _Optional[_Union[ExplainParameters, _Mapping]] = ..., picture: _Optional[_Union[Picture, str]] = ...) -> None: ...

class ClassifyParameters(_message.Message):
    __slots__ = ("top_k", "score_threshold")
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    top_k: int
    score_threshold: float
    def __init__(self, top_k: _Optional[int] = ..., score_threshold: _Optional[float] = ...) -> None: ...

class DetectParameters(_message.Message):
    __slots__ = ("score_threshold", "max_objects", "labels")
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    score_threshold: float
    max_objects: int
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, score_threshold: _Optional[float] = ..., max_objects: _Optional[int] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class SegmentParameters(_message.Message):
    __slots__ = ("score_threshold", "mask_format", "labels", "mask_tolerance", "mask_crop", "max_bytes")
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MASK_FORMAT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MASK_TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    MASK_CROP_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    score_threshold: float
    mask_format: MaskFormat
    labels: _containers.RepeatedScalarFieldContainer[str]
    mask_tolerance: float
    mask_crop: bool
    max_bytes: int
    def __init__(self, score_threshold: _Optional[float] = ..., mask_format: _Optional[_Union[MaskFormat, str]] = ..., labels: _Optional[_Iterable[str]] = ..., mask_tolerance: _Optional[float] = ..., mask_crop: _Optional[bool] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class EmbedParameters(_message.Message):
    __slots__ = ("normalize",)
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    normalize: bool
    def __init__(self, normalize: _Optional[bool] = ...) -> None: ...

class RegionsParameters(_message.Message):
    __slots__ = ("score_threshold", "max_regions")
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_REGIONS_FIELD_NUMBER: _ClassVar[int]
    score_threshold: float
    max_regions: int
    def __init__(self, score_threshold: _Optional[float] = ..., max_regions: _Optional[int] = ...) -> None: ...

class KeypointsParameters(_message.Message):
    __slots__ = ("score_threshold", "max_people")
    SCORE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_PEOPLE_FIELD_NUMBER: _ClassVar[int]
    score_threshold: float
    max_people: int
    def __init__(self, score_threshold: _Optional[float] = ..., max_people: _Optional[int] = ...) -> None: ...

class MapParameters(_message.Message):
    __slots__ = ("encoding",)
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    encoding: MapEncoding
    def __init__(self, encoding: _Optional[_Union[MapEncoding, str]] = ...) -> None: ...

class ExplainParameters(_message.Message):
    __slots__ = ("encoding",)
    CLASS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    encoding: MapEncoding
    def __init__(self, encoding: _Optional[_Union[MapEncoding, str]] = ..., **kwargs) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[ClassifyResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[ClassifyResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class DetectResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[DetectResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[DetectResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class SegmentResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[SegmentResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[SegmentResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[EmbedResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[EmbedResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class RegionsResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[RegionsResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[RegionsResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class DepthResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[DepthResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[DepthResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class MatteResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[MatteResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[MatteResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class KeypointsResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[KeypointsResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[KeypointsResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class RestoreResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[RestoreResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[RestoreResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("model", "results", "timings_ms", "request_id", "picture")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    model: ModelUsed
    results: _containers.RepeatedCompositeFieldContainer[ExplainResult]
    timings_ms: Timings
    request_id: str
    picture: bytes
    def __init__(self, model: _Optional[_Union[ModelUsed, _Mapping]] = ..., results: _Optional[_Iterable[_Union[ExplainResult, _Mapping]]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., request_id: _Optional[str] = ..., picture: _Optional[bytes] = ...) -> None: ...

class ModelUsed(_message.Message):
    __slots__ = ("name", "version", "alias", "degraded")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    alias: str
    degraded: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., alias: _Optional[str] = ..., degraded: _Optional[str] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode", "total")
    FETCH_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESS_FIELD_NUMBER: _ClassVar[int]
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    fetch: float
    decode: float
    preprocess: float
    queue: float
    compute: float
    postprocess: float
    encode: float
    total: float
    def __init__(self, fetch: _Optional[float] = ..., decode: _Optional[float] = ..., preprocess: _Optional[float] = ..., queue: _Optional[float] = ..., compute: _Optional[float] = ..., postprocess: _Optional[float] = ..., encode: _Optional[float] = ..., total: _Optional[float] = ...) -> None: ...

class ImageSize(_message.Message):
    __slots__ = ("width", "height")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x1", "y1", "x2", "y2")
    X1_FIELD_NUMBER: _ClassVar[int]
    Y1_FIELD_NUMBER: _ClassVar[int]
    X2_FIELD_NUMBER: _ClassVar[int]
    Y2_FIELD_NUMBER: _ClassVar[int]
    x1: float
    y1: float
    x2: float
    y2: float
    def __init__(self, x1: _Optional[float] = ..., y1: _Optional[float] = ..., x2: _Optional[float] = ..., y2: _Optional[float] = ...) -> None: ...

class ClassifyResult(_message.Message):
    __slots__ = ("image", "classes")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    classes: _containers.RepeatedCompositeFieldContainer[ClassScore]
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., classes: _Optional[_Iterable[_Union[ClassScore, _Mapping]]] = ...) -> None: ...

class ClassScore(_message.Message):
    __slots__ = ("label", "index", "score")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    label: str
    index: int
    score: float
    def __init__(self, label: _Optional[str] = ..., index: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class DetectResult(_message.Message):
    __slots__ = ("image", "objects")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    objects: _containers.RepeatedCompositeFieldContainer[DetectedObject]
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., objects: _Optional[_Iterable[_Union[DetectedObject, _Mapping]]] = ...) -> None: ...

class DetectedObject(_message.Message):
    __slots__ = ("label", "index", "score", "box", "track_id")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    label: str
    index: int
    score: float
    box: Box
    track_id: int
    def __init__(self, label: _Optional[str] = ..., index: _Optional[int] = ..., score: _Optional[float] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., track_id: _Optional[int] = ...) -> None: ...

class SegmentResult(_message.Message):
    __slots__ = ("image", "segments", "palette")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    PALETTE_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    palette: MaskPicture
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., palette: _Optional[_Union[MaskPicture, _Mapping]] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("label", "index", "score", "area", "box", "mask", "track_id")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    label: str
    index: int
    score: float
    area: int
    box: Box
    mask: Mask
    track_id: int
    def __init__(self, label: _Optional[str] = ..., index: _Optional[int] = ..., score: _Optional[float] = ..., area: _Optional[int] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., mask: _Optional[_Union[Mask, _Mapping]] = ..., track_id: _Optional[int] = ...) -> None: ...

class Mask(_message.Message):
    __slots__ = ("rle", "polygon", "png", "bits", "palette")
    RLE_FIELD_NUMBER: _ClassVar[int]
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    PNG_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    PALETTE_FIELD_NUMBER: _ClassVar[int]
    rle: MaskRunLengths
    polygon: MaskPolygon
    png: MaskPicture
    bits: MaskBits
    palette: int
    def __init__(self, rle: _Optional[_Union[MaskRunLengths, _Mapping]] = ..., polygon: _Optional[_Union[MaskPolygon, _Mapping]] = ..., png: _Optional[_Union[MaskPicture, _Mapping]] = ..., bits: _Optional[_Union[MaskBits, _Mapping]] = ..., palette: _Optional[int] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class MaskRunLengths(_message.Message):
    __slots__ = ("height", "width", "counts", "origin")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    counts: str
    origin: Point
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., counts: _Optional[str] = ..., origin: _Optional[_Union[Point, _Mapping]] = ...) -> None: ...

class MaskPolygon(_message.Message):
    __slots__ = ("outlines", "tolerance")
    OUTLINES_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    outlines: _containers.RepeatedCompositeFieldContainer[Outline]
    tolerance: float
    def __init__(self, outlines: _Optional[_Iterable[_Union[Outline, _Mapping]]] = ..., tolerance: _Optional[float] = ...) -> None: ...

class Outline(_message.Message):
    __slots__ = ("coordinates",)
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    coordinates: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, coordinates: _Optional[_Iterable[float]] = ...) -> None: ...

class MaskPicture(_message.Message):
    __slots__ = ("data", "origin")
    DATA_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    origin: Point
    def __init__(self, data: _Optional[bytes] = ..., origin: _Optional[_Union[Point, _Mapping]] = ...) -> None: ...

class MaskBits(_message.Message):
    __slots__ = ("height", "width", "data", "origin")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    data: bytes
    origin: Point
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., data: _Optional[bytes] = ..., origin: _Optional[_Union[Point, _Mapping]] = ...) -> None: ...

class EmbedResult(_message.Message):
    __slots__ = ("image", "embedding", "dimension")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    embedding: _containers.RepeatedScalarFieldContainer[float]
    dimension: int
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., embedding: _Optional[_Iterable[float]] = ..., dimension: _Optional[int] = ...) -> None: ...

class RegionsResult(_message.Message):
    __slots__ = ("image", "regions")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    regions: _containers.RepeatedCompositeFieldContainer[Region]
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., regions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("score", "polygon", "box")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    POLYGON_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    score: float
    polygon: Outline
    box: Box
    def __init__(self, score: _Optional[float] = ..., polygon: _Optional[_Union[Outline, _Mapping]] = ..., box: _Optional[_Union[Box, _Mapping]] = ...) -> None: ...

class DenseMap(_message.Message):
    __slots__ = ("format", "data", "min", "max")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    format: str
    data: bytes
    min: float
    max: float
    def __init__(self, format: _Optional[str] = ..., data: _Optional[bytes] = ..., min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class DepthResult(_message.Message):
    __slots__ = ("image", "map", "quantity")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    map: DenseMap
    quantity: str
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., map: _Optional[_Union[DenseMap, _Mapping]] = ..., quantity: _Optional[str] = ...) -> None: ...

class MatteResult(_message.Message):
    __slots__ = ("image", "map")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    map: DenseMap
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., map: _Optional[_Union[DenseMap, _Mapping]] = ...) -> None: ...

class KeypointsResult(_message.Message):
    __slots__ = ("image", "people")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    people: _containers.RepeatedCompositeFieldContainer[Person]
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., people: _Optional[_Iterable[_Union[Person, _Mapping]]] = ...) -> None: ...

class Person(_message.Message):
    __slots__ = ("score", "box", "keypoints", "track_id")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    KEYPOINTS_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    score: float
    box: Box
    keypoints: _containers.RepeatedCompositeFieldContainer[Keypoint]
    track_id: int
    def __init__(self, score: _Optional[float] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., keypoints: _Optional[_Iterable[_Union[Keypoint, _Mapping]]] = ..., track_id: _Optional[int] = ...) -> None: ...

class Keypoint(_message.Message):
    __slots__ = ("name", "x", "y", "score")
    NAME_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    name: str
    x: float
    y: float
    score: float
    def __init__(self, name: _Optional[str] = ..., x: _Optional[float] = ..., y: _Optional[float] = ..., score: _Optional[float] = ...) -> None: ...

class RestoreResult(_message.Message):
    __slots__ = ("image", "map")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    map: DenseMap
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., map: _Optional[_Union[DenseMap, _Mapping]] = ...) -> None: ...

class ExplainResult(_message.Message):
    __slots__ = ("image", "map", "method")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CLASS_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    image: ImageSize
    map: DenseMap
    method: str
    def __init__(self, image: _Optional[_Union[ImageSize, _Mapping]] = ..., map: _Optional[_Union[DenseMap, _Mapping]] = ..., method: _Optional[str] = ..., **kwargs) -> None: ...

class StreamFramesRequest(_message.Message):
    __slots__ = ("start", "frame")
    START_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    start: StreamStart
    frame: Frame
    def __init__(self, start: _Optional[_Union[StreamStart, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ("model", "classify", "detect", "segment", "embed", "regions", "depth", "matte", "keypoints", "restore", "explain")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    DETECT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    EMBED_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    MATTE_FIELD_NUMBER: _ClassVar[int]
    KEYPOINTS_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    model: str
    classify: ClassifyParameters
    detect: DetectParameters
    segment: SegmentParameters
    embed: EmbedParameters
    regions: RegionsParameters
    depth: MapParameters
    matte: MapParameters
    keypoints: KeypointsParameters
    restore: MapParameters
    explain: ExplainParameters
    def __init__(self, model: _Optional[str] = ..., classify: _Optional[_Union[ClassifyParameters, _Mapping]] = ..., detect: _Optional[_Union[DetectParameters, _Mapping]] = ..., segment: _Optional[_Union[SegmentParameters, _Mapping]] = ..., embed: _Optional[_Union[EmbedParameters, _Mapping]] = ..., regions: _Optional[_Union[RegionsParameters, _Mapping]] = ..., depth: _Optional[_Union[MapParameters, _Mapping]] = ..., matte: _Optional[_Union[MapParameters, _Mapping]] = ..., keypoints: _Optional[_Union[KeypointsParameters, _Mapping]] = ..., restore: _Optional[_Union[MapParameters, _Mapping]] = ..., explain: _Optional[_Union[ExplainParameters, _Mapping]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("image", "id")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    id: int
    def __init__(self, image: _Optional[bytes] = ..., id: _Optional[int] = ...) -> None: ...

class StreamFramesResponse(_message.Message):
    __slots__ = ("id", "model", "timings_ms", "error", "classify", "detect", "segment", "embed", "regions", "depth", "matte", "keypoints", "restore", "explain")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_MS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    DETECT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    EMBED_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    MATTE_FIELD_NUMBER: _ClassVar[int]
    KEYPOINTS_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    id: int
    model: ModelUsed
    timings_ms: Timings
    error: FrameError
    classify: ClassifyResult
    detect: DetectResult
    segment: SegmentResult
    embed: EmbedResult
    regions: RegionsResult
    depth: DepthResult
    matte: MatteResult
    keypoints: KeypointsResult
    restore: RestoreResult
    explain: ExplainResult
    def __init__(self, id: _Optional[int] = ..., model: _Optional[_Union[ModelUsed, _Mapping]] = ..., timings_ms: _Optional[_Union[Timings, _Mapping]] = ..., error: _Optional[_Union[FrameError, _Mapping]] = ..., classify: _Optional[_Union[ClassifyResult, _Mapping]] = ..., detect: _Optional[_Union[DetectResult, _Mapping]] = ..., segment: _Optional[_Union[SegmentResult, _Mapping]] = ..., embed: _Optional[_Union[EmbedResult, _Mapping]] = ..., regions: _Optional[_Union[RegionsResult, _Mapping]] = ..., depth: _Optional[_Union[DepthResult, _Mapping]] = ..., matte: _Optional[_Union[MatteResult, _Mapping]] = ..., keypoints: _Optional[_Union[KeypointsResult, _Mapping]] = ..., restore: _Optional[_Union[RestoreResult, _Mapping]] = ..., explain: _Optional[_Union[ExplainResult, _Mapping]] = ...) -> None: ...

class FrameError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
