"""Routing: which version a caller means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.card import ModelCard, Supervision
from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.registry.routing import Selector, default_model, parse_selector
from tests.cards import a_card, a_provenance

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,127}", fullmatch=True)
ALIASES = st.from_regex(r"[a-z][a-z0-9_-]{0,63}", fullmatch=True)


@given(name=NAMES)
def test_a_bare_name_leaves_the_version_open(name: str) -> None:
    """A name alone names neither alias nor version."""
    assert parse_selector(name) == Selector(name, None, None)


@given(name=NAMES, alias=ALIASES)
def test_an_alias_follows_an_at(name: str, alias: str) -> None:
    """``name@alias`` is read back as it was written."""
    assert parse_selector(f"{name}@{alias}") == Selector(name, alias, None)


@given(name=NAMES, version=st.integers(1, 999_999_999))
def test_a_version_follows_a_colon(name: str, version: int) -> None:
    """``name:version`` is read back as it was written."""
    assert parse_selector(f"{name}:{version}") == Selector(name, None, version)


@given(text=st.text())
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    """Any text either is a selector that writes itself the same again, or is refused as a parameter."""
    try:
        found = parse_selector(text)
    except ServiceError as error:
        refused_as = error.kind
    else:
        assert text in {found.name, f"{found.name}@{found.alias}", f"{found.name}:{found.version}"}
        return
    assert refused_as is ErrorKind.INVALID_PARAMETERS


@pytest.mark.parametrize(
    "text", ["", "a:", "a@", ":1", "@stable", "a:0", "a:01", "a:-1", "a:1@stable", "A", "../a", "a\n", "a:\u0661"]
)
def test_odd_selectors_are_refused(text: str) -> None:
    """What is not of the three forms is refused."""
    with pytest.raises(ServiceError) as error:
        parse_selector(text)
    assert error.value.kind is ErrorKind.INVALID_PARAMETERS


def named(name: str, *, trained: bool = True, supervision: Supervision = Supervision.FULL) -> ModelCard:
    """A classifier's card."""
    return a_card(name=name, provenance=a_provenance(trained=trained, supervision=supervision))


def test_the_default_is_trained_then_supervised_then_first_by_name() -> None:
    """Each preference counts only where the one before it is equal."""
    untrained, weak = named("a", trained=False), named("b", supervision=Supervision.WEAK)
    cards = [untrained, weak, named("d"), named("c")]
    assert default_model(Task.CLASSIFY, cards) == "c"
    assert default_model(Task.CLASSIFY, cards[:2]) == "b"
    assert default_model(Task.CLASSIFY, cards[:1]) == "a"


def test_another_tasks_models_are_no_default() -> None:
    """Without a model for the task there is no default."""
    assert default_model(Task.EMBED, [named("a")]) is None


@given(order=st.permutations(["a", "b", "c", "d"]))
def test_the_default_does_not_depend_on_the_order(order: list[str]) -> None:
    """The same models give the same default, in whatever order they were loaded."""
    assert default_model(Task.CLASSIFY, map(named, order)) == "a"
