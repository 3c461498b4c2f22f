"""Hostile bodies of requests: what stands around an image, rather than the image."""

import base64
import json
from collections.abc import Iterator

from tests.contract.image_files import a_picture, encoded

JSON, FORM = "application/json", "multipart/form-data; boundary=edge"
_PICTURE = encoded(a_picture(), "PNG")
_B64 = base64.b64encode(_PICTURE).decode()


def as_json(image: bytes) -> bytes:
    """The JSON form of a request with one image."""
    return b'{"images":[{"b64":"' + base64.b64encode(image) + b'"}]}'


def part(data: bytes, disposition: bytes = b'form-data; name="image"; filename="x"') -> bytes:
    """One part of a multipart body, as `FORM` separates them."""
    return b"--edge\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + data + b"\r\n"


def as_form(image: bytes) -> bytes:
    """The multipart form of a request with one image."""
    return part(image) + _END


_END = b"--edge--\r\n"


def hostile_bodies(size: int) -> Iterator[tuple[str, str, bytes]]:
    """Name, content type and body; ``size`` is that of the long ones, in bytes."""
    for name, text in _base64().items():
        yield f"base64, {name}", JSON, b'{"images":[{"b64":' + text + b"}]}"
    for name, body in _json(size).items():
        yield f"json, {name}", JSON, body
    for name, body in _forms(size).items():
        yield f"multipart, {name}", FORM, body
    for name, content_type in _BOUNDARIES.items():
        yield f"multipart, {name}", content_type, as_form(_PICTURE)


def _base64() -> dict[str, bytes]:
    texts = {
        "not a letter of it": "!!!!",
        "line breaks": "\n".join(_B64),
        "without its padding": _B64.rstrip("=") + "A",
        "padding in the middle": _B64[:8] + "==" + _B64[8:],
        "only padding": "====",
        "empty": "",
        "url letters": "_-_-" * 20,
        "not ASCII": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 8,
        "null": "AAAA\0AAA",
        "data url of nothing": "data:image/png;base64,",
        "data url without a comma": "data:image/png;base64",
        "data url of another kind": "data:text/html,<script>alert(1)</script>",
        "base64 of base64": base64.b64encode(_B64.encode()).decode(),
    }
    numbers = {"a number": b"1", "a list": b"[]", "null": b"null", "a lone surrogate": b'"\\ud800"'}
    return {name: json.dumps(text).encode() for name, text in texts.items()} | numbers


def _json(size: int) -> dict[str, bytes]:
    good = '{"images":[{"b64":"' + _B64 + '"}],"parameters":%s}'

    def with_parameters(text: str) -> bytes:
        return good.replace("%s", text).encode()

    deep = "[" * (size // 2) + "]" * (size // 2)
    return {
        "deep lists": deep.encode(),
        "deep lists without end": b"[" * size,
        "deep objects": b'{"a":' * (size // 6),
        "deep parameters": with_parameters(deep),
        "parameters just not too deep": with_parameters('{"top_k":' + "[" * 1000 + "]" * 1000 + "}"),
        "many parameters": with_parameters(json.dumps({f"p{number}": 0 for number in range(size // 16)})),
        "long name of a parameter": with_parameters(json.dumps({"p" * size: 0})),
        "parameter of a lone surrogate": with_parameters('{"\\ud800":1}'),
        "parameter of no number": with_parameters('{"top_k":NaN}'),
        "parameter beyond all": with_parameters('{"top_k":1e999999}'),
        "parameter of many digits": with_parameters('{"top_k":' + "9" * 5000 + "}"),
        "parameter of another kind": with_parameters('{"top_k":{"$gt":0}}'),
        "parameter of dunder": with_parameters('{"__class__":1,"__proto__":{"top_k":1}}'),
        "model that is a path": with_parameters('{"model":"../../../../etc/passwd"}'),
        "model that is a null": with_parameters('{"model":"\\u0000"}'),
        "model that is an object": with_parameters('{"model":{}}'),
        "the same name twice": b'{"images":[],"images":[{"b64":"' + _B64.encode() + b'"}]}',
        "many images": b'{"images":[' + b",".join([b"{}"] * (size // 3)) + b"]}",
        "many empty images": b'{"images":[' + b",".join([b'{"b64":""}'] * 5000) + b"]}",
        "no image": b'{"images":[]}',
        "image of bytes and address": b'{"images":[{"b64":"AAAA","url":"http://127.0.0.1/"}]}',
        "image by address": b'{"images":[{"url":"http://169.254.169.254/latest/meta-data/"}]}',
        "image by file": b'{"images":[{"url":"file:///etc/passwd"}]}',
        "image of more than is known": b'{"images":[{"b64":"AAAA","more":1}]}',
        "letters outside": b'\xef\xbb\xbf{"images":[]}',
        "no UTF-8": b'{"images":"\xff\xfe"}',
        "UTF-16": '{"images":[]}'.encode("utf-16"),
        "nothing": b"",
        "a number": b"1" * 4000,
        "two values": b"{}{}",
        "comments": b'/* */{"images":[]}',
    }


def _forms(size: int) -> dict[str, bytes]:
    image = part(_PICTURE)
    field = b'form-data; name="top_k"'
    return {
        "nothing": b"",
        "only its end": _END,
        "no end": image,
        "end in the middle": image + _END + image,
        "another boundary": (image + _END).replace(b"edge", b"wedge"),
        "parts beyond number": image * 200 + _END,
        "fields beyond number": part(b"1", field) * 1000 + image + _END,
        "empty parts beyond number": b"--edge\r\n\r\n\r\n" * (size // 12) + _END,
        "a long field": part(b"9" * size, field) + image + _END,
        "a field that is no text": part(b"\xff\xfe\0", field) + image + _END,
        "a header without end": b"--edge\r\n" + b"X" * size,
        "a long header": b"--edge\r\nX: " + b"x" * size + b"\r\n\r\n" + _PICTURE + b"\r\n" + _END,
        "many headers": b"--edge\r\n" + b"X: x\r\n" * (size // 6) + b"\r\n" + _PICTURE + b"\r\n" + _END,
        "a header without colon": b"--edge\r\nContent-Disposition\r\n\r\nx\r\n" + _END,
        "no headers": b"--edge\r\n\r\n" + _PICTURE + b"\r\n" + _END,
        "a part without name": part(_PICTURE, b"form-data") + _END,
        "a file of another name": part(_PICTURE, b'form-data; name="../image"; filename="../../../etc/passwd"') + _END,
        "a name of quotes": part(_PICTURE, b'form-data; name="image"; filename="' + b'\\"' * 1000 + b'"') + _END,
        "a name without end": part(_PICTURE, b'form-data; name="image') + _END,
        "a name in no alphabet": part(_PICTURE, b'form-data; name="\xff\xfe"; filename="\xff"') + _END,
        "a name of percent signs": part(_PICTURE, b"form-data; name*=utf-16''%FF%FE; filename*=x''%ZZ") + _END,
        "names beyond number": part(_PICTURE, b"form-data" + b"; a=b" * (size // 5)) + _END,
        "an empty image": part(b"") + _END,
        "lines without return": (image + _END).replace(b"\r\n", b"\n"),
        "much before it": b"x" * size + b"\r\n" + image + _END,
        "much behind it": image + _END + b"x" * size,
        "almost the boundary": b"\r\n--edg" * (size // 7) + image + _END,
        "a form in a form": part(image + _END) + _END,
        "an image in base64": part(base64.b64encode(_PICTURE)) + _END,
    }


_BOUNDARIES = {
    "no boundary": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "a long boundary": "multipart/form-data; boundary=" + "e" * 4000,
    "a boundary of dashes": "multipart/form-data; boundary=------",
    "a boundary in no alphabet": "multipart/form-data; boundary=\xff\xfe",
    "a boundary twice": "multipart/form-data; boundary=edge; boundary=other",
    "a boundary in quotes": 'multipart/form-data; boundary="edge',
    "an alphabet that is none": "multipart/form-data; boundary=edge; charset=no-such",
}
