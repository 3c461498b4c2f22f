"""Write what the client can take from the service: types and methods from its OpenAPI document, and the messages.

Run in the project's own environment (``make client-types``), not in that of the client's users. The types are written
by datamodel-code-generator. It has no template for methods with overloads, so `_methods` writes those.
"""  # noqa: INP001 - a script, no part of the package

import json
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Any

from datamodel_code_generator import generate
from datamodel_code_generator.enums import DataModelType, InputFileType
from datamodel_code_generator.format import PythonVersion

from contract.proto.generate import generate as generate_messages
from service.app import Application
from service.settings import Settings

HERE = Path(__file__).parent
PACKAGE = HERE / "vitrail_client"
_CONFIGURATION = HERE.parents[1] / "pyproject.toml"
_LINE = 120
_SCHEMAS = "#/components/schemas/"
_JOBS = ("VideoAnswer", "VideosAnswer", "StreamAnswer", "StreamsAnswer")
"""What the routes of videos and live streams answer with."""
_NOTE = "# Written by clients/python/generate.py (make client-types) from the service's OpenAPI document.\n"


@dataclass(frozen=True, slots=True)
class TaskRoute:
    """A task as the document describes it."""

    name: str
    summary: str
    result: str
    """Name of the result's schema."""
    parameters: list[dict[str, Any]]

    @property
    def parameters_type(self) -> str:
        """Name of the parameters' type."""
        return f"{self.name.capitalize()}Parameters"


def write(out: Path) -> None:
    """Write ``schemas.py``, ``_tasks.py`` and ``proto/`` into a folder."""
    document = _document()
    tasks = _tasks(document)
    _write_types(document, tasks, out / "schemas.py")
    (out / "_tasks.py").write_text(_methods(tasks, _video_tasks(document), _binary_fields(document)))
    with tempfile.TemporaryDirectory() as folder:
        generate_messages(Path(folder))
        for file in (Path(folder) / "vitrail" / "v1").iterdir():
            (out / "proto" / file.name).write_bytes(file.read_bytes())
    files = [str(out / name) for name in ("schemas.py", "_tasks.py")]
    # Its arguments are this script's own.
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "--config", _CONFIGURATION, *files], check=True)  # noqa: S603


def _document() -> dict[str, Any]:
    """The OpenAPI document of this very checkout."""
    with tempfile.TemporaryDirectory() as folder:
        application = Application(Settings(repository=Path(folder), threads=1))
        try:
            return application.asgi.openapi()
        finally:
            application.abandon()


def _tasks(document: dict[str, Any]) -> list[TaskRoute]:
    """The routes that answer with one result an image."""
    found = []
    for path, methods in document["paths"].items():
        ok = methods.get("post", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
        response = document["components"]["schemas"].get(_name_of(ok.get("schema", {})), {})
        if "results" not in response.get("properties", {}):
            continue
        query = [p for p in methods["post"]["parameters"] if p["in"] == "query" and p["name"] != "model"]
        result = _name_of(response["properties"]["results"]["items"])
        found.append(TaskRoute(path.rsplit("/", 1)[1], methods["post"]["summary"], result, query))
    return found


def _video_tasks(document: dict[str, Any]) -> list[str]:
    """The tasks that are answered for videos."""
    asked = document["paths"]["/v1/videos"]["post"]["parameters"]
    names: list[str] = next(parameter for parameter in asked if parameter["name"] == "task")["schema"]["enum"]
    return names


def _name_of(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).removeprefix(_SCHEMAS)


def _write_types(document: dict[str, Any], tasks: list[TaskRoute], out: Path) -> None:
    """The types of the results and of the parameters, as TypedDicts."""
    every = document["components"]["schemas"]
    wanted: dict[str, Any] = {}
    for name in ("ModelUsed", *(task.result for task in tasks), *(name for name in _JOBS if name in every)):
        _collect(name, every, wanted)
    for task in tasks:
        wanted[task.parameters_type] = _parameters_schema(task)
    source = {"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": {}, "components": {"schemas": wanted}}
    generate(
        json.dumps(source),
        input_file_type=InputFileType.OpenAPI,
        output=out,
        output_model_type=DataModelType.TypingTypedDict,
        target_python_version=PythonVersion.PY_311,
        custom_file_header=f'{_NOTE}# ruff: noqa: D212, E501\n"""The types of results and parameters."""',
        use_schema_description=True,
        use_field_description=True,
        use_single_line_docstring=True,
        formatters=[],
    )


def _collect(name: str, every: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Take a schema and all that it refers to."""
    if name in wanted:
        return
    wanted[name] = _as_plain_text(_with_bytes(every[name]))
    for found in _references(every[name]):
        _collect(found, every, wanted)


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item)]
    if not isinstance(schema, dict):
        return []
    own = [_name_of(schema)] if "$ref" in schema else []
    return own + [name for item in schema.values() for name in _references(item)]


def _with_bytes(schema: Any) -> Any:
    """The schema with bytes where the document has base64: the client decodes it."""
    if isinstance(schema, list):
        return [_with_bytes(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("contentEncoding") == "base64":
        rest = {key: value for key, value in schema.items() if key not in ("contentEncoding", "type")}
        return {"type": "string", "format": "binary", **rest}
    return {key: _with_bytes(value) for key, value in schema.items()}


def _as_plain_text(schema: Any) -> Any:
    """The schema with text where the document has moments: the client leaves them as JSON has them."""
    if isinstance(schema, list):
        return [_as_plain_text(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _as_plain_text(value) for key, value in schema.items() if (key, value) != ("format", "date-time")}


def _binary_fields(document: dict[str, Any]) -> list[str]:
    """Names of the fields that are base64 in JSON."""
    return sorted(
        {
            name
            for schema in document["components"]["schemas"].values()
            for name, field in schema.get("properties", {}).items()
            if '"contentEncoding": "base64"' in json.dumps(field)
        }
    )


def _parameters_schema(task: TaskRoute) -> dict[str, Any]:
    properties = {}
    for parameter in task.parameters:
        schema = {k: v for k, v in parameter["schema"].items() if k not in ("title", "default", "description")}
        forms = [form for form in schema.get("anyOf", [schema]) if form.get("type") != "null"]
        either = {"anyOf": [*forms, {"type": "null"}], "description": _explain(parameter)}
        properties[_python_name(parameter["name"])] = either
    description = f"What a caller may ask of {task.name}; None is the default."
    return {"type": "object", "description": description, "properties": properties}


def _explain(parameter: dict[str, Any]) -> str:
    """The description, and the default where there is one."""
    schema = parameter["schema"]
    words = (parameter.get("description") or schema.get("description") or "").strip()
    # In Python a list is a list.
    words = words.replace(", separated by commas", "")
    default = schema.get("default")
    return words if default is None else f"{words} Default: {json.dumps(default)}.".strip()


def _explained(parameter: dict[str, Any]) -> list[str]:
    """A parameter's lines in a docstring."""
    text = f"{_python_name(parameter['name'])}: {_explain(parameter)}"
    return textwrap.wrap(text, _LINE, initial_indent=" " * 16, subsequent_indent=" " * 20)


def _python_name(name: str) -> str:
    return f"{name}_" if iskeyword(name) else name


def _methods(tasks: list[TaskRoute], video_tasks: list[str], binary: list[str]) -> str:
    """The module of the tasks' methods, twice: plain and asynchronous."""
    types = sorted({task.result for task in tasks} | {task.parameters_type for task in tasks})
    head = [
        _NOTE,
        '"""The tasks as methods, plain and asynchronous."""\n',
        "from typing import Any, Literal, TypeVar, Unpack, overload\n",
        "from vitrail_client._images import Image",
        f"from vitrail_client.schemas import ({', '.join(types)},)\n",
        f"Task = Literal[{', '.join(repr(task.name) for task in tasks)}]",
        f"VideoTask = Literal[{', '.join(map(repr, video_tasks))}]",
        f"BINARY = frozenset(({', '.join(map(repr, binary))},))",
        '"""Fields that are base64 in JSON, and bytes in results."""\n',
        '_Image = TypeVar("_Image", bound=Image)\n',
    ]
    return "\n".join([*head, *_class("Tasks", "", tasks), *_class("AsyncTasks", "async ", tasks)])


def _class(name: str, prefix: str, tasks: list[TaskRoute]) -> list[str]:
    lines = [
        f"class {name}:",
        '    """One method a task: one image in, one result out; a list in, a list out."""\n',
        f"    {prefix}def _ask(",
        "        self, task: Task, image: Any, model: str | None, timeout_s: float | None, parameters: Any",
        "    ) -> Any:",
        "        raise NotImplementedError\n",
    ]
    for task in tasks:
        lines += _method(task, prefix)
    return lines


def _method(task: TaskRoute, prefix: str) -> list[str]:
    one, several = task.result, f"list[{task.result}]"
    rest = f"*, model: str | None = None, timeout_s: float | None = None, **parameters: Unpack[{task.parameters_type}]"
    call = f'self._ask("{task.name}", image, model, timeout_s, parameters)'
    return [
        "    @overload",
        f"    {prefix}def {task.name}(self, image: Image, {rest}) -> {one}: ...",
        "    @overload",
        f"    {prefix}def {task.name}(self, image: list[_Image], {rest}) -> {several}: ...",
        f"    {prefix}def {task.name}(self, image: Image | list[_Image], {rest}) -> {one} | {several}:",
        f'        """{task.summary}.',
        "",
        "        Args:",
        "            image: One image, or a list of them.",
        "            model: name, name@alias or name:version; without it the task's default.",
        "            timeout_s: Seconds to wait in all; without it the client's.",
        "            **parameters: See the type.",
        *(line for parameter in task.parameters for line in _explained(parameter)),
        "",
        "        Raises:",
        "            VitrailError: There is no answer.",
        '        """',
        f"        answer: {one} | {several} = {'await ' if prefix else ''}{call}",
        "        return answer\n",
    ]


if __name__ == "__main__":
    write(PACKAGE)
