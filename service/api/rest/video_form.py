"""A form with one video in it, taken apart as it arrives."""

from collections.abc import AsyncGenerator
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import ServiceError, invalid_parameters

_PART = "video"
_MAX_FIELDS = 64
_MAX_FIELD_BYTES = 1 << 16
"""Of all fields together."""


class VideoForm:
    """A form with one video in it, behind its other fields: what is wanted is known before the video is read."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], boundary: bytes) -> None:
        """``chunks`` are the body; every step raises ServiceError (invalid_parameters) where the form is broken."""
        if not boundary:
            raise invalid_parameters("the multipart body's boundary is missing in its Content-Type")
        self.fields: dict[str, str] = {}
        """What stood before the video; complete after `begin`."""
        self.filename: str | None = None
        """The video's, as the caller gave it."""
        self._chunks = chunks
        self._pieces: list[bytes] = []
        """Of the video, not yet taken."""
        self._begun = self._within = self._ended = False
        self._header = self._value = self._disposition = b""
        self._field: str = ""
        self._content = bytearray()
        self._field_bytes = 0
        callbacks: Any = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise _broken(error) from error

    async def begin(self) -> None:
        """Read up to the video."""
        while not self._begun and await self._more():
            pass
        if not self._begun:
            raise invalid_parameters(f"the multipart body has no part named {_PART!r}")

    async def video(self) -> AsyncGenerator[bytes, None]:
        """The video, and then the end of the form."""
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if not await self._more():
                return

    async def _more(self) -> bool:
        """Take in what comes next; False at the end."""
        chunk = await anext(self._chunks, b"")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(error) from error
        if not chunk and not self._ended:
            raise invalid_parameters("the multipart body ends before its closing boundary")
        return bool(chunk)

    def _on_part_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = _text(options.get(b"name", b""))
        self._within = self._field == _PART
        if self._begun:
            raise invalid_parameters(f"behind the part {_PART!r} stands another; put parameters before it")
        if self._within:
            self._begun = True
            self.filename = _text(options.get(b"filename", b"")) or None
        elif b"filename" in options:
            raise invalid_parameters(f"the multipart body has a file that is not named {_PART!r}")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._within:
            self._pieces.append(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > _MAX_FIELD_BYTES:
            raise invalid_parameters(f"the form's fields have more than {_MAX_FIELD_BYTES:,} bytes")
        self._content += data[start:end]

    def _on_part_end(self) -> None:
        if not self._within:
            self.fields[self._field] = _text(bytes(self._content))
            self._content.clear()
            if len(self.fields) > _MAX_FIELDS:
                raise invalid_parameters(f"the form has more than {_MAX_FIELDS} fields")

    def _on_end(self) -> None:
        self._ended = True


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _broken(error: FormParserError) -> ServiceError:
    return invalid_parameters(f"the multipart body cannot be read: {error}")
