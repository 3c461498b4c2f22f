"""What pydantic finds wrong, in one line."""

import pytest
from pydantic import BaseModel, ValidationError

from contract.validation import first_problem


class _Box(BaseModel):
    sides: list[int]


@pytest.mark.parametrize(("given", "where"), [({"sides": [1, "secret"]}, "sides.1: "), ({}, "sides: "), ("secret", "")])
def test_the_first_problem_says_where_and_never_the_value(given: object, where: str) -> None:
    """One line names the place, if there is one, and what is wrong; what was given is not repeated."""
    with pytest.raises(ValidationError) as error:
        _Box.model_validate(given)
    problem = first_problem(error.value)
    assert problem.startswith(where)
    assert len(problem) > len(where)
    assert "secret" not in problem
