"""A file or an address → an opened container; nothing else than that one file or address is ever read."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.container.core import Flags

_PROTOCOLS = {
    "rtsp": "rtsp,rtp,srtp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,srtp,udp,tcp,tls",
    "http": "http,tcp",
    "https": "https,http,tls,tcp",
}
"""What FFmpeg may use for an address, by its scheme."""

_REFUSED = frozenset({
    # Lists that name other files or addresses.
    "concat", "concatf", "dash", "hls", "imf", "sdp", "smoothstreaming", "vobsub", "webm_dash_manifest",
    # Devices, and what generates pictures from a description.
    "alsa", "fbdev", "kmsgrab", "lavfi", "oss", "video4linux2,v4l2", "x11grab",
    # Text and bytes without a header, which any file could pass for.
    "adf", "bin", "bitpacked", "data", "idf", "rawvideo", "tty", "v210", "v210x", "xbin",
    # Addresses in the disguise of containers.
    "rtp", "rtsp", "sap",
    # Still pictures: they belong to the image tasks.
    "alias_pix", "avif", "brender_pix", "ico", "image2", "image2pipe",
})  # fmt: skip
_ALLOWED = ",".join(sorted(n for n in av.formats_available if n not in _REFUSED and not n.endswith("_pipe")))
_GEN_PTS = cast("int", Flags.gen_pts.value)
_BUFFER_BYTES = 1 << 18


class InvalidVideo(ValueError):
    """Data that are no video, or one of which nothing can be decoded. The message is meant for the caller."""


class VideoTooLarge(ValueError):
    """A video whose frames are larger than allowed. The message is meant for the caller."""


class SourceUnavailable(ConnectionError):
    """An address that cannot be reached, or says nothing. The message is meant for the caller."""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How a video is read."""

    threads: int = 1
    """Threads of the decoder; 0 for one a core. Each thread holds a frame or two more."""
    hardware: str | None = None
    """FFmpeg's name of a device that decodes, e.g. ``cuda`` or ``vaapi``, with ``:`` and its number or path where
    there are more; software where the device or the codec is not supported."""
    key_frames_only: bool = False
    """Only frames that are stored whole are decoded, which is many times faster; they keep their numbers."""
    max_pixels: int = 50_000_000
    """Pixels of one frame, by its header; larger ones are refused before memory is spent."""
    open_timeout_s: float = 10.0
    """How long an address may take until its streams are known."""
    read_timeout_s: float = 10.0
    """How long an address may say nothing; also how soon at the latest an interruption is noticed then."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class Opened:
    """A container, and the file under it where there is one."""

    container: InputContainer
    file: FileIO | None = None

    def close(self) -> None:
        """Free both; harmless when repeated."""
        self.container.close()
        if self.file is not None:
            self.file.close()


def open_video(location: Path | str, options: VideoOptions) -> Opened:
    """Open a local file (a Path, always) or an address (a str with the scheme rtsp, rtsps, http or https).

    A file is handed to FFmpeg as bytes, without the right to open anything, so that a playlist in the disguise of a
    video reads nothing. By HTTP an address is not redirected, and playlists are refused there too. By RTSP FFmpeg
    follows a redirect, and has no option against it: who may answer as a camera may name another one.

    Raises:
        InvalidVideo: no file, no video, or an address of another scheme.
        SourceUnavailable: the address cannot be reached in time.
    """
    return _open_file(location, options) if isinstance(location, Path) else _open_address(location, options)


def _open_file(path: Path, options: VideoOptions) -> Opened:
    try:
        # Not to be held up by a pipe that nobody writes to.
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except OSError as error:
        raise InvalidVideo(f"the video cannot be opened: {error.strerror}") from error
    try:
        _check_regular(file)
        return Opened(_open_restricted(file, {"protocol_whitelist": "none"}, options), file)
    except av.error.FFmpegError as error:
        message = f"this is not a video that can be read: {_advice(error, file)}"
        file.close()
        raise InvalidVideo(message) from error
    except BaseException:
        file.close()
        raise


def _advice(error: av.error.FFmpegError, file: FileIO) -> str:
    """Why a file was not opened, and what its sender may have meant."""
    if isinstance(error, av.error.ArgumentError):
        # What a format that is refused ends with.
        return "pictures belong to the image tasks, and playlists are not followed"
    file.seek(4)
    if isinstance(error, av.error.InvalidDataError) and file.read(4) == b"ftyp":
        return f"{reason(error)}; was it cut short? An MP4 is read by its index, which may stand at its end"
    return reason(error)


def _check_regular(file: FileIO) -> None:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise InvalidVideo("the video is not a file")
    if not status.st_size:
        raise InvalidVideo("the video is empty")


def _open_address(url: str, options: VideoOptions) -> Opened:
    scheme = _scheme(url)
    if scheme not in _PROTOCOLS:
        raise InvalidVideo(f"an address begins with one of {', '.join(f'{name}://' for name in _PROTOCOLS)}")
    return Opened(_reach(url, scheme, options))


def _scheme(url: str) -> str:
    """The scheme of an address that has a host; empty for any other text."""
    with suppress(ValueError):
        if urlsplit(url).hostname:
            return urlsplit(url).scheme.lower()
    return ""


def _reach(url: str, scheme: str, options: VideoOptions) -> InputContainer:
    # A proxy of the environment would see addresses with passwords, and reach what the service itself does not.
    by_http = {"max_redirects": "0", "http_proxy": ""}
    by_scheme = {"rtsp_transport": options.rtsp_transport} if scheme.startswith("rtsp") else by_http
    try:
        return _open_restricted(url, {"protocol_whitelist": _PROTOCOLS[scheme], **by_scheme}, options)
    except (av.error.InvalidDataError, av.error.ArgumentError) as error:
        if scheme.startswith("rtsp"):
            # No container: so FFmpeg puts it where the line breaks before the source has described itself.
            raise SourceUnavailable("the source does not answer as RTSP demands, or has broken off") from error
        # The latter is what a container that is refused ends with.
        raise InvalidVideo(f"this is not a video that can be read: {reason(error)}") from error
    except av.error.ExitError as error:
        raise SourceUnavailable(f"the source said nothing for {options.open_timeout_s:g} s") from error
    except av.error.FFmpegError as error:
        raise SourceUnavailable(f"the source cannot be reached: {reason(error)}") from error


def _open_restricted(file: FileIO | str, restrictions: dict[str, str], options: VideoOptions) -> InputContainer:
    if options.hardware is not None:
        # A device that is absent makes opening fail, with the same errors as a bad video.
        with suppress(av.error.FFmpegError):
            return _open_with(file, restrictions, options, _hardware(options.hardware))
        if isinstance(file, FileIO):
            file.seek(0)
    return _open_with(file, restrictions, options, None)


def _open_with(
    file: FileIO | str, restrictions: dict[str, str], options: VideoOptions, hardware: HWAccel | None
) -> InputContainer:
    is_file = isinstance(file, FileIO)
    container = av.open(
        file,
        "r",
        # Of the codecs that FFmpeg tries while it looks for the streams.
        options={"max_pixels": str(options.max_pixels)},
        container_options={"format_whitelist": _ALLOWED if is_file else f"{_ALLOWED},rtsp", **restrictions},
        metadata_errors="replace",
        buffer_size=_BUFFER_BYTES,
        timeout=None if is_file else (options.open_timeout_s, options.read_timeout_s),
        hwaccel=hardware,
    )
    # Stamps that FFmpeg makes up for AVI are out of order; those that are missing are mended later, in the open.
    container.flags &= ~_GEN_PTS
    return container


def _hardware(name: str) -> HWAccel:
    kind, _, device = name.partition(":")
    return HWAccel(kind, device or None, allow_software_fallback=True)


def reason(error: av.error.FFmpegError | OSError) -> str:
    """What FFmpeg says, without the path or address (which may hold a password)."""
    return error.strerror or "its data make no sense"
