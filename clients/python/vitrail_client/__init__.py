"""A client of Vitrail: `Client` and `AsyncClient`, over REST or gRPC by their address, with equal results."""

from vitrail_client._call import Answer, FrameAnswer
from vitrail_client._client import AsyncClient, Client
from vitrail_client._errors import VitrailError
from vitrail_client._images import Image
from vitrail_client._tasks import Task

__all__ = ["Answer", "AsyncClient", "Client", "FrameAnswer", "Image", "Task", "VitrailError"]
