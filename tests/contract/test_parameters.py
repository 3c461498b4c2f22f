"""Parameters: what a caller may ask is told to the caller."""

import pytest

from contract.task import Task
from contract.tasks.table import TASKS


@pytest.mark.parametrize("task", Task)
def test_every_parameter_is_described(task: Task) -> None:
    """The schema of a task's parameters says of each what it does."""
    properties = TASKS[task].parameters.model_json_schema()["properties"]
    assert [name for name, field in properties.items() if not field.get("description")] == []


@pytest.mark.parametrize("task", Task)
def test_what_a_picture_needs_may_be_asked(task: Task) -> None:
    """The parameters that a task changes for a picture are parameters of the task."""
    parameters = TASKS[task].parameters()
    asked = parameters.model_dump(by_alias=True) | parameters.for_picture()
    assert TASKS[task].parameters.model_validate(asked)
