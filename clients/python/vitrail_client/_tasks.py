# Written by clients/python/generate.py (make client-types) from the service's OpenAPI document.

"""The tasks as methods, plain and asynchronous."""

from typing import Any, Literal, TypeVar, Unpack, overload

from vitrail_client._images import Image
from vitrail_client.schemas import (
    ClassifyParameters,
    ClassifyResult,
    DepthParameters,
    DepthResult,
    DetectParameters,
    DetectResult,
    EmbedParameters,
    EmbedResult,
    ExplainParameters,
    ExplainResult,
    KeypointsParameters,
    KeypointsResult,
    MatteParameters,
    MatteResult,
    RegionsParameters,
    RegionsResult,
    RestoreParameters,
    RestoreResult,
    SegmentParameters,
    SegmentResult,
)

Task = Literal["classify", "detect", "segment", "embed", "regions", "depth", "matte", "keypoints", "restore", "explain"]
VideoTask = Literal[
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
BINARY = frozenset(
    (
        "data",
        "embedding",
    )
)
"""Fields that are base64 in JSON, and bytes in results."""

_Image = TypeVar("_Image", bound=Image)


class Tasks:
    """One method a task: one image in, one result out; a list in, a list out."""

    def _ask(self, task: Task, image: Any, model: str | None, timeout_s: float | None, parameters: Any) -> Any:
        raise NotImplementedError

    @overload
    def classify(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ClassifyParameters],
    ) -> ClassifyResult: ...
    @overload
    def classify(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ClassifyParameters],
    ) -> list[ClassifyResult]: ...
    def classify(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ClassifyParameters],
    ) -> ClassifyResult | list[ClassifyResult]:
        """Classify images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                top_k: At most this many classes. Default: 5.
                score_threshold: Only classes at least this probable. Default: 0.0.

        Raises:
            VitrailError: There is no answer.
        """
        answer: ClassifyResult | list[ClassifyResult] = self._ask("classify", image, model, timeout_s, parameters)
        return answer

    @overload
    def detect(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DetectParameters],
    ) -> DetectResult: ...
    @overload
    def detect(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DetectParameters],
    ) -> list[DetectResult]: ...
    def detect(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DetectParameters],
    ) -> DetectResult | list[DetectResult]:
        """Detect objects.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's.
                max_objects: At most this many objects, best first. Default: 100.
                labels: Only these labels.

        Raises:
            VitrailError: There is no answer.
        """
        answer: DetectResult | list[DetectResult] = self._ask("detect", image, model, timeout_s, parameters)
        return answer

    @overload
    def segment(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[SegmentParameters],
    ) -> SegmentResult: ...
    @overload
    def segment(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[SegmentParameters],
    ) -> list[SegmentResult]: ...
    def segment(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[SegmentParameters],
    ) -> SegmentResult | list[SegmentResult]:
        """Segment images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's. Semantic segments have no score.
                mask_format: rle: COCO's compressed run lengths; polygon: outlines; png: a grey picture a segment;
                    palette: one picture for all; bits: one bit a pixel; none: boxes and areas only. Default: "rle".
                mask_tolerance: Pixels by which a polygon may differ from the mask's outline; 0 gives every point of it.
                    Default: 1.0.
                mask_crop: Cut rle, png and bits to the segment's box: size is then the box's, and origin [x, y] tells
                    where it lies. Polygons and palettes ignore it. Default: false.
                max_bytes: Of all masks of an image together, as they stand in JSON (base64, no spaces; of a palette its
                    picture too). Where the form asked for is larger, the whole answer takes the first that fits: rle,
                    polygons of a tolerance of at least 1, 2, 4, 8, 16 pixels, no masks.
                labels: Only these labels.

        Raises:
            VitrailError: There is no answer.
        """
        answer: SegmentResult | list[SegmentResult] = self._ask("segment", image, model, timeout_s, parameters)
        return answer

    @overload
    def embed(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[EmbedParameters],
    ) -> EmbedResult: ...
    @overload
    def embed(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[EmbedParameters],
    ) -> list[EmbedResult]: ...
    def embed(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[EmbedParameters],
    ) -> EmbedResult | list[EmbedResult]:
        """Embed images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                normalize: Scale the vector to length 1, so that a dot product is the cosine. Default: true.
                encoding: base64: little-endian float32, about a third of the size. Default: "json".

        Raises:
            VitrailError: There is no answer.
        """
        answer: EmbedResult | list[EmbedResult] = self._ask("embed", image, model, timeout_s, parameters)
        return answer

    @overload
    def regions(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RegionsParameters],
    ) -> RegionsResult: ...
    @overload
    def regions(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RegionsParameters],
    ) -> list[RegionsResult]: ...
    def regions(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RegionsParameters],
    ) -> RegionsResult | list[RegionsResult]:
        """Find regions.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's.
                max_regions: At most this many regions, best first. Default: 1000.

        Raises:
            VitrailError: There is no answer.
        """
        answer: RegionsResult | list[RegionsResult] = self._ask("regions", image, model, timeout_s, parameters)
        return answer

    @overload
    def depth(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DepthParameters],
    ) -> DepthResult: ...
    @overload
    def depth(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DepthParameters],
    ) -> list[DepthResult]: ...
    def depth(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DepthParameters],
    ) -> DepthResult | list[DepthResult]:
        """Estimate the depth of every pixel.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".

        Raises:
            VitrailError: There is no answer.
        """
        answer: DepthResult | list[DepthResult] = self._ask("depth", image, model, timeout_s, parameters)
        return answer

    @overload
    def matte(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[MatteParameters],
    ) -> MatteResult: ...
    @overload
    def matte(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[MatteParameters],
    ) -> list[MatteResult]: ...
    def matte(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[MatteParameters],
    ) -> MatteResult | list[MatteResult]:
        """Separate the foreground, hair by hair.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".

        Raises:
            VitrailError: There is no answer.
        """
        answer: MatteResult | list[MatteResult] = self._ask("matte", image, model, timeout_s, parameters)
        return answer

    @overload
    def keypoints(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[KeypointsParameters],
    ) -> KeypointsResult: ...
    @overload
    def keypoints(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[KeypointsParameters],
    ) -> list[KeypointsResult]: ...
    def keypoints(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[KeypointsParameters],
    ) -> KeypointsResult | list[KeypointsResult]:
        """Find people's joints.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's.
                max_people: At most this many people, best first. Default: 100.

        Raises:
            VitrailError: There is no answer.
        """
        answer: KeypointsResult | list[KeypointsResult] = self._ask("keypoints", image, model, timeout_s, parameters)
        return answer

    @overload
    def restore(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RestoreParameters],
    ) -> RestoreResult: ...
    @overload
    def restore(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RestoreParameters],
    ) -> list[RestoreResult]: ...
    def restore(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RestoreParameters],
    ) -> RestoreResult | list[RestoreResult]:
        """Restore or enlarge images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".

        Raises:
            VitrailError: There is no answer.
        """
        answer: RestoreResult | list[RestoreResult] = self._ask("restore", image, model, timeout_s, parameters)
        return answer

    @overload
    def explain(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ExplainParameters],
    ) -> ExplainResult: ...
    @overload
    def explain(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ExplainParameters],
    ) -> list[ExplainResult]: ...
    def explain(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ExplainParameters],
    ) -> ExplainResult | list[ExplainResult]:
        """Show which part of an image speaks for a class.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".
                class_: A class by its number or its label, among the most probable few. Default: the most probable.

        Raises:
            VitrailError: There is no answer.
        """
        answer: ExplainResult | list[ExplainResult] = self._ask("explain", image, model, timeout_s, parameters)
        return answer


class AsyncTasks:
    """One method a task: one image in, one result out; a list in, a list out."""

    async def _ask(self, task: Task, image: Any, model: str | None, timeout_s: float | None, parameters: Any) -> Any:
        raise NotImplementedError

    @overload
    async def classify(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ClassifyParameters],
    ) -> ClassifyResult: ...
    @overload
    async def classify(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ClassifyParameters],
    ) -> list[ClassifyResult]: ...
    async def classify(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ClassifyParameters],
    ) -> ClassifyResult | list[ClassifyResult]:
        """Classify images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                top_k: At most this many classes. Default: 5.
                score_threshold: Only classes at least this probable. Default: 0.0.

        Raises:
            VitrailError: There is no answer.
        """
        answer: ClassifyResult | list[ClassifyResult] = await self._ask("classify", image, model, timeout_s, parameters)
        return answer

    @overload
    async def detect(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DetectParameters],
    ) -> DetectResult: ...
    @overload
    async def detect(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DetectParameters],
    ) -> list[DetectResult]: ...
    async def detect(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DetectParameters],
    ) -> DetectResult | list[DetectResult]:
        """Detect objects.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's.
                max_objects: At most this many objects, best first. Default: 100.
                labels: Only these labels.

        Raises:
            VitrailError: There is no answer.
        """
        answer: DetectResult | list[DetectResult] = await self._ask("detect", image, model, timeout_s, parameters)
        return answer

    @overload
    async def segment(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[SegmentParameters],
    ) -> SegmentResult: ...
    @overload
    async def segment(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[SegmentParameters],
    ) -> list[SegmentResult]: ...
    async def segment(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[SegmentParameters],
    ) -> SegmentResult | list[SegmentResult]:
        """Segment images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's. Semantic segments have no score.
                mask_format: rle: COCO's compressed run lengths; polygon: outlines; png: a grey picture a segment;
                    palette: one picture for all; bits: one bit a pixel; none: boxes and areas only. Default: "rle".
                mask_tolerance: Pixels by which a polygon may differ from the mask's outline; 0 gives every point of it.
                    Default: 1.0.
                mask_crop: Cut rle, png and bits to the segment's box: size is then the box's, and origin [x, y] tells
                    where it lies. Polygons and palettes ignore it. Default: false.
                max_bytes: Of all masks of an image together, as they stand in JSON (base64, no spaces; of a palette its
                    picture too). Where the form asked for is larger, the whole answer takes the first that fits: rle,
                    polygons of a tolerance of at least 1, 2, 4, 8, 16 pixels, no masks.
                labels: Only these labels.

        Raises:
            VitrailError: There is no answer.
        """
        answer: SegmentResult | list[SegmentResult] = await self._ask("segment", image, model, timeout_s, parameters)
        return answer

    @overload
    async def embed(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[EmbedParameters],
    ) -> EmbedResult: ...
    @overload
    async def embed(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[EmbedParameters],
    ) -> list[EmbedResult]: ...
    async def embed(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[EmbedParameters],
    ) -> EmbedResult | list[EmbedResult]:
        """Embed images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                normalize: Scale the vector to length 1, so that a dot product is the cosine. Default: true.
                encoding: base64: little-endian float32, about a third of the size. Default: "json".

        Raises:
            VitrailError: There is no answer.
        """
        answer: EmbedResult | list[EmbedResult] = await self._ask("embed", image, model, timeout_s, parameters)
        return answer

    @overload
    async def regions(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RegionsParameters],
    ) -> RegionsResult: ...
    @overload
    async def regions(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RegionsParameters],
    ) -> list[RegionsResult]: ...
    async def regions(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RegionsParameters],
    ) -> RegionsResult | list[RegionsResult]:
        """Find regions.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's.
                max_regions: At most this many regions, best first. Default: 1000.

        Raises:
            VitrailError: There is no answer.
        """
        answer: RegionsResult | list[RegionsResult] = await self._ask("regions", image, model, timeout_s, parameters)
        return answer

    @overload
    async def depth(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DepthParameters],
    ) -> DepthResult: ...
    @overload
    async def depth(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DepthParameters],
    ) -> list[DepthResult]: ...
    async def depth(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[DepthParameters],
    ) -> DepthResult | list[DepthResult]:
        """Estimate the depth of every pixel.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".

        Raises:
            VitrailError: There is no answer.
        """
        answer: DepthResult | list[DepthResult] = await self._ask("depth", image, model, timeout_s, parameters)
        return answer

    @overload
    async def matte(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[MatteParameters],
    ) -> MatteResult: ...
    @overload
    async def matte(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[MatteParameters],
    ) -> list[MatteResult]: ...
    async def matte(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[MatteParameters],
    ) -> MatteResult | list[MatteResult]:
        """Separate the foreground, hair by hair.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".

        Raises:
            VitrailError: There is no answer.
        """
        answer: MatteResult | list[MatteResult] = await self._ask("matte", image, model, timeout_s, parameters)
        return answer

    @overload
    async def keypoints(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[KeypointsParameters],
    ) -> KeypointsResult: ...
    @overload
    async def keypoints(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[KeypointsParameters],
    ) -> list[KeypointsResult]: ...
    async def keypoints(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[KeypointsParameters],
    ) -> KeypointsResult | list[KeypointsResult]:
        """Find people's joints.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                score_threshold: Default: the model card's.
                max_people: At most this many people, best first. Default: 100.

        Raises:
            VitrailError: There is no answer.
        """
        answer: KeypointsResult | list[KeypointsResult] = await self._ask(
            "keypoints", image, model, timeout_s, parameters
        )
        return answer

    @overload
    async def restore(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RestoreParameters],
    ) -> RestoreResult: ...
    @overload
    async def restore(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RestoreParameters],
    ) -> list[RestoreResult]: ...
    async def restore(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[RestoreParameters],
    ) -> RestoreResult | list[RestoreResult]:
        """Restore or enlarge images.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".

        Raises:
            VitrailError: There is no answer.
        """
        answer: RestoreResult | list[RestoreResult] = await self._ask("restore", image, model, timeout_s, parameters)
        return answer

    @overload
    async def explain(
        self,
        image: Image,
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ExplainParameters],
    ) -> ExplainResult: ...
    @overload
    async def explain(
        self,
        image: list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ExplainParameters],
    ) -> list[ExplainResult]: ...
    async def explain(
        self,
        image: Image | list[_Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Unpack[ExplainParameters],
    ) -> ExplainResult | list[ExplainResult]:
        """Show which part of an image speaks for a class.

        Args:
            image: One image, or a list of them.
            model: name, name@alias or name:version; without it the task's default.
            timeout_s: Seconds to wait in all; without it the client's.
            **parameters: See the type.
                encoding: png: a picture; npy: the numbers themselves, as numpy.save writes them. Default: "png".
                class_: A class by its number or its label, among the most probable few. Default: the most probable.

        Raises:
            VitrailError: There is no answer.
        """
        answer: ExplainResult | list[ExplainResult] = await self._ask("explain", image, model, timeout_s, parameters)
        return answer
