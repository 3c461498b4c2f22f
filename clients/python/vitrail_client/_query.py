"""A call's model and parameters as REST's query has them."""

from typing import Any

from vitrail_client._call import Call


def given(call: Call) -> dict[str, Any]:
    """The model and the parameters that the caller has set."""
    parameters = {name: value for name, value in call.parameters.items() if value is not None}
    return parameters if call.model is None else parameters | {"model": call.model}


def query_of(call: Call) -> dict[str, str]:
    """The same as text."""
    return {name: _text(value) for name, value in given(call).items()}


def fits_query(call: Call) -> bool:
    """Whether the query can say it: no item of a list has a comma, which would tear it apart."""
    lists = (value for value in call.parameters.values() if isinstance(value, list | tuple))
    return not any("," in str(item) for value in lists for item in value)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
