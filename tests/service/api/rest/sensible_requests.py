"""What no schema can demand: of well-formed requests at random, some get images that can be read and names that exist.

Without it schemathesis would hardly ever come past a model's name or an image's first bytes.
"""

import base64
import json
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonschema_rs import is_valid
from requests.structures import CaseInsensitiveDict
from schemathesis import Case
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation as Part
from schemathesis.transport.serialization import Binary

from contract.task import Task
from contract.tasks.table import TASKS
from service.api.rest.answers import JSON, MASKS
from service.api.rest.tensor_codec import HEADER
from service.registry.traffic import RESERVED
from tests.service.running import RED, picture
from tests.service.video.clips import every, write_clip
from tests.tiny_models import SIDE

MULTIPART = "multipart/form-data"
VIDEOS, STREAMS = "/v1/videos", "/v1/streams"
TASK_ROUTES = [f"/v1/{task}" for task in Task if not TASKS[task].clips]

_KNOWN = {"labels": "red,green", "class": "0"}
_PIXELS = bytes(range(SIDE * SIDE * 3))


class Sense:
    """Gives it, by turns, so that the same requests come out the same in every run."""

    def __init__(self) -> None:
        self._images = cycle([RED, picture(250, 60, 30, width=30, height=7), picture(99, 9, 9, width=1, height=1)])
        self._accepted = cycle([None, "image/png", None, MASKS, "image/jpeg", "text/html", "image/png;q=x, */*;q=0"])
        self._names = cycle(["colours", "spare", None, "colours"])
        self._numbers = cycle(["1", "2", None, "2"])
        with TemporaryDirectory() as folder:
            self._clip = write_clip(Path(folder) / "clip.mp4", every(3)).read_bytes()
        self._kept = cycle([True, False, False, False])

    def give(self, case: Case) -> Case:
        """Change what the document lets be anything; what breaks its rules stays as it is."""
        if holds(case, Part.PATH):
            known = {"name": next(self._names), "number": next(self._numbers)}
            change(case, Part.PATH, {key: known.get(key) or value for key, value in case.path_parameters.items()})
        if case.path in TASK_ROUTES:
            self._task(case)
        elif case.path == VIDEOS and case.method == "POST":
            self._video(case)
        elif case.path.endswith("/infer") and holds(case, Part.BODY) and holds(case, Part.HEADER):
            self._tensors(case)
        elif case.method == "PUT" and holds(case, Part.BODY):
            change(case, Part.BODY, self._wish(case.path, case.body))
        return case

    def _task(self, case: Case) -> None:
        if holds(case, Part.BODY):
            change(case, Part.BODY, self._with_images(case.body, case.media_type or ""))
        elif isinstance(case.body, dict) and case.media_type == MULTIPART:
            # Of its own images one is black: the tiny models know no answer to that.
            case.body = {name: self._bright(value) if name == "image" else value for name, value in case.body.items()}
        if holds(case, Part.QUERY):
            # What stands in the query goes before the same in the body, which then nobody would look at.
            beside = in_body(case)
            query = {name: value for name, value in case.query.items() if name not in beside}
            change(case, Part.QUERY, self._known(query))
        if holds(case, Part.HEADER):
            headers = dict(case.headers)
            if not next(self._kept):
                headers.pop("X-Request-Timeout-Ms", None)
            if (accepted := next(self._accepted)) and can_be(accepted, case):
                headers["Accept"] = accepted
            change(case, Part.HEADER, CaseInsensitiveDict(headers))

    def _with_images(self, body: Any, media_type: str) -> Any:
        if media_type == MULTIPART:
            return self._known({**body, "image": [Binary(next(self._images)) for _ in body["image"][:4]]})
        if media_type == JSON:
            images = [{"b64": base64.b64encode(next(self._images)).decode()} for _ in body["images"][:4]]
            return {**body, "images": images, "parameters": self._known(body.get("parameters", {}))}
        return Binary(next(self._images))

    def _video(self, case: Case) -> None:
        if holds(case, Part.BODY):
            change(case, Part.BODY, self._with_video(case.body, case.media_type or ""))
        if holds(case, Part.QUERY) and not next(self._kept):
            # What goes with every task.
            query = {name: value for name, value in case.query.items() if name in {"annotate", "window"}}
            change(case, Part.QUERY, {**query, "task": "classify"})

    def _with_video(self, body: Any, media_type: str) -> Any:
        if media_type == MULTIPART:
            return {"video": Binary(self._clip)}
        return body if media_type == JSON else Binary(self._clip)

    def _bright(self, images: Any) -> Any:
        given = images if isinstance(images, list) else []
        return [Binary(next(self._images)) if isinstance(image, Binary) else image for image in given] or images

    def _known(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters with labels that the model has, and most often without the name of a model."""
        kept = {name: value for name, value in parameters.items() if name != "model" or next(self._kept)}
        return kept | {name: value for name, value in _KNOWN.items() if name in kept}

    def _tensors(self, case: Case) -> None:
        """One image for the model's only input, in the document or behind it."""
        described: dict[str, Any] = {"name": "images", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3]}
        headers = {name: value for name, value in case.headers.items() if name.lower() != HEADER.lower()}
        if case.media_type == JSON:
            document = {"parameters": {}, "inputs": [described | {"data": [*_PIXELS]}], "outputs": []}
            change(case, Part.BODY, {**case.body, **document})
        else:
            described["parameters"] = {"binary_data_size": len(_PIXELS)}
            document = {"parameters": {"binary_data_output": next(self._kept)}, "inputs": [described]}
            head = json.dumps(document).encode()
            headers[HEADER] = str(len(head))
            change(case, Part.BODY, Binary(head + _PIXELS))
        change(case, Part.HEADER, CaseInsensitiveDict(headers))
        if holds(case, Part.PATH):
            # Of all names that have been told of, that of a model with such an input.
            change(case, Part.PATH, {**case.path_parameters, "name": "colours"})

    def _wish(self, path: str, body: Any) -> Any:
        if path.endswith("/traffic"):
            # Shares only for the alias that every model has: others would have to be made first.
            beside = {name: value for name, value in body.items() if name in RESERVED}
            return beside | ({"stable": max(1, body["stable"])} if "stable" in body else {})
        if next(self._kept):
            return body
        return {"model": "colours@stable"} if path.endswith("/default") else {"version": 1}


def holds(case: Case, part: Part) -> bool:
    """Whether a part of a request is there, and breaks no rule on purpose."""
    given = case.get_container(part)
    return given is not None and given is not NOT_SET and case.meta is not None and not case.meta.is_negative_at(part)


def breaks_nothing(case: Case) -> bool:
    """Whether a form that was to break its rules keeps to them as it is sent.

    Of null and of empty lists nothing is sent, and all else is sent as text. schemathesis knows that as well, but not
    of forms with files.
    """
    if case.media_type != MULTIPART or not isinstance(case.body, dict) or holds(case, Part.BODY):
        return False
    form = case.operation.get_body_for_media_type(MULTIPART)
    assert form is not None
    sent = {name: value for name, value in case.body.items() if value not in (None, [], {})}
    images = sent.get("image")
    if not isinstance(images, list) or not all(isinstance(image, Binary) for image in images):
        return False
    parts = [[(name, reading) for reading in _readings(value)] for name, value in sent.items() if name != "image"]
    plain = {"image": [""]}
    return all(any(is_valid(form.raw_schema, plain | {name: part}) for name, part in readings) for readings in parts)


def _readings(value: Any) -> list[Any]:
    """What a text in a form may be read as."""
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        return [text, json.loads(text)]
    except ValueError:
        return [text]


def change(case: Case, part: Part, value: Any) -> None:
    """Replace a part of a request by one that keeps to the rules as well."""
    meta = case.meta
    assert meta is not None
    setattr(case, part.container_name, value)
    # It would be judged again, and bytes be found to be no string.
    meta.clear_dirty(part)


def in_body(case: Case) -> set[str]:
    """Names of the parameters in a request's body, a form's or JSON's."""
    given = case.body if isinstance(case.body, dict) else {}
    within = given.get("parameters")
    return {*given, *(within if isinstance(within, dict) else ())}


def can_be(accepted: str, case: Case) -> bool:
    """Whether an answer can be of that type: there is one picture of one image, and masks as bits in no other form."""
    given = case.body if isinstance(case.body, dict) and holds(case, Part.BODY) else {}
    if accepted == MASKS:
        return "mask_format" not in {*case.query, *in_body(case)}
    images = given.get("images", given.get("image", [RED]))
    return len(images) == 1 or not accepted.startswith("image/")
