"""What pydantic finds wrong, in one line that a person can act on."""

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """Where the first thing is wrong, and what; never the value, which may be anything and of any length."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = "there is no such name here" if first["type"] == "extra_forbidden" else first["msg"]
    what = what.removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
