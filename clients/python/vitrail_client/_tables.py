"""Results as tables for people."""

from typing import Any

from rich.table import Table
from rich.text import Text

from vitrail_client._call import Answer


def result_table(title: str, answer: Answer[Any]) -> Table:
    """The answer for one image: a row for each thing found, or for each field where there is no list of things."""
    model, (result,) = answer["model"], answer["results"]
    size = result["image"]
    caption = f"{model['name']}:{model['version']}, {answer['timings_ms']['total']:.1f} ms"
    table = Table(title=Text(f"{title} ({size['width']} x {size['height']})"), caption=Text(caption))
    things = next((value for value in result.values() if _is_list_of_things(value)), None)
    if things is None:
        return _fields(table, result)
    columns = list(dict.fromkeys(name for thing in things for name in thing))
    for name in columns or ["nothing found"]:
        table.add_column(name)
    for thing in things:
        table.add_row(*(_cell(thing.get(name)) for name in columns))
    return table


def models_table(models: list[dict[str, Any]]) -> Table:
    """A row for each version."""
    table = Table("model", "task", "version", "state", "licence")
    for model in models:
        for version in model["versions"]:
            cells = (model["name"], model.get("task"), version["version"], version["state"], model.get("licence"))
            table.add_row(*map(_cell, cells))
    return table


def _is_list_of_things(value: object) -> bool:
    return isinstance(value, list) and (not value or isinstance(value[0], dict))


def _fields(table: Table, result: dict[str, Any]) -> Table:
    table.show_header = False
    table.add_column()
    table.add_column()
    for name, value in result.items():
        if name != "image":
            table.add_row(name, _cell(value))
    return table


def _cell(value: Any) -> Text:
    return Text(_words(value))


def _words(value: Any) -> str:
    """A value in few words: numbers shortened, bytes and long lists by their size."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return _words_of_dict(value)
    if isinstance(value, list):
        return _words_of_list(value)
    return "" if value is None else str(value)


def _words_of_dict(value: dict[str, Any]) -> str:
    match value:
        case {"x1": x1, "y1": y1, "x2": x2, "y2": y2}:
            return f"{x1:.0f}, {y1:.0f} to {x2:.0f}, {y2:.0f}"
        case {"format": form, "data": data, "min": low, "max": high}:
            return f"{form} of {_words(data)}, {_words(low)} to {_words(high)}"
        case {"label": label, "score": score}:
            return f"{label} ({_words(score)})"
        case _:
            return str(value.get("format", ""))


def _words_of_list(value: list[Any]) -> str:
    if value and isinstance(value[0], dict):
        return ", ".join(f"{point['name']} {point['x']:.0f}, {point['y']:.0f}" for point in value)
    return f"{len(value)} points" if value and isinstance(value[0], list) else f"{len(value)} numbers"
