"""Files that are two things at once, or none of those that are read."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator

from tests.contract.image_files import a_picture, encoded, png_chunk
from tests.hostile.bombs import Make
from tests.hostile.files import box, jpeg, jpeg_with, png_with, segment

_HTML = b"<!doctype html><script>alert(document.domain)</script>"
_SCRIPT = b"/*=1;alert(1);/*"


def polyglots() -> Iterator[tuple[str, Make]]:
    """Files by name, each made when it is called for."""
    picture, gif, bmp = encoded(a_picture(), "PNG"), encoded(a_picture(), "GIF"), encoded(a_picture(), "BMP")
    archive = _zip({"index.html": _HTML})
    files = {
        "jpeg and html": jpeg_with(segment(0xFE, _HTML)),
        "jpeg and php": jpeg() + b"<?php system($_GET['c']); ?>",
        "jpeg and pdf": jpeg_with(segment(0xFE, b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n")),
        "jpeg and another jpeg": jpeg() + jpeg(),
        "png and zip": picture + archive,
        "png and html": png_with(png_chunk(b"tEXt", b"Comment\0" + _HTML)),
        "png and elf": picture + b"\x7fELF\2\1\1" + bytes(64),
        "gif and script": b"GIF89a" + gif[6:] + b"*/=1;alert(1)",
        "gif whose size is a script": b"GIF89a" + _SCRIPT + gif,
        "bmp and script": bmp[:6] + b"=1//" + bmp[10:],
        "tiff and zip": encoded(a_picture(), "TIFF") + archive,
        "webp and script": encoded(a_picture(), "WEBP") + b"//*/=1;alert(1)",
        "html before a picture": _HTML + picture,
        "zip of a picture": _zip({"picture.png": picture}),
        "zip bomb": _zip({"zeros": bytes(10_000_000)}),
        "gzip of a picture": gzip.compress(picture, mtime=0),
        "gzip bomb": gzip.compress(bytes(10_000_000), mtime=0),
        "tar of a picture": _tar(picture),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
        "svg that reads a file": b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>',
        "xml of a billion laughs": b"<!DOCTYPE l [<!ENTITY a 'ha'>" + b"<!ENTITY b '&a;&a;'>" * 50 + b"]><l>&b;</l>",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nsystemdict /quit get exec\n",
        "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "image magick's script": b"push graphic-context\nfill 'url(https://127.0.0.1/|ls)'\npop graphic-context\n",
        "icon": encoded(a_picture(), "ICO"),
        "apple icon": b"icns" + bytes(4) + b"ic07" + b"\xff" * 8,
        "targa": encoded(a_picture(), "TGA"),
        "photoshop": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x09\0\0\0\x09\0\x08\0\3" + bytes(40),
        "flic": bytes(4) + b"\x11\xaf" + bytes(200),
        "quicktime": box(b"ftyp", b"qt  " + bytes(4)) + box(b"mdat", bytes(99)),
        "mp4": box(b"ftyp", b"isom" + bytes(4)) + box(b"mdat", bytes(99)),
        "heic": box(b"ftyp", b"heic" + bytes(4) + b"mif1heic") + box(b"meta", bytes(99)),
        "windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(100),
        "java class": b"\xca\xfe\xba\xbe" + bytes(100),
        "pickle": b"cposix\nsystem\n(S'true'\ntR.",
        "shell script": b"#!/bin/sh\nrm -rf /\n",
        "null bytes": bytes(10_000),
        "one byte": b"\xff",
        "nothing": b"",
        "letters": b"P" * 10_000,
        "all bytes": bytes(range(256)) * 40,
    }
    for name, data in files.items():
        yield name, lambda data=data: data  # type: ignore[misc]


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("../../picture.png")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
