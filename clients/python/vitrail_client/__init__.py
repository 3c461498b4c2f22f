"""A client of Vitrail: `Client` and `AsyncClient`, over REST or gRPC by their address, with equal results."""

from vitrail_client._call import Answer, FrameAnswer
from vitrail_client._client import AsyncClient, Client
from vitrail_client._errors import VitrailError
from vitrail_client._images import Image
from vitrail_client._ndjson import Line
from vitrail_client._streams import AsyncStreams, Streams
from vitrail_client._tasks import Task, VideoTask
from vitrail_client._video_file import Video
from vitrail_client._videos import AsyncVideos, Videos

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncStreams",
    "AsyncVideos",
    "Client",
    "FrameAnswer",
    "Image",
    "Line",
    "Streams",
    "Task",
    "Video",
    "VideoTask",
    "Videos",
    "VitrailError",
]
