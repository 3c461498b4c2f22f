"""The card: strict, and the same after a round trip through JSON."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contract.card import CertificateCheck, Evaluation, ModelCard, Platform
from contract.task import Task
from contract.tasks.table import TASKS
from contract.tensors import DType
from tests.cards import A_TIME, a_card, a_certificate, a_plan, a_spec, a_tensor, a_tuning


@pytest.mark.parametrize("task", [task for task, definition in TASKS.items() if definition.output_sets])
def test_cards_survive_json(task: Task) -> None:
    """A card read back from its JSON is the same card."""
    card = a_card(task=task, task_settings={"score_threshold": 0.25}, description="an animal")

    assert ModelCard.model_validate_json(card.model_dump_json(indent=2)) == card


@pytest.mark.parametrize("place", ["", "preprocess", "provenance", "certificate", "input", "figures"])
def test_unknown_fields_are_refused(place: str) -> None:
    """A field that this schema does not know is refused, at every depth."""
    fields = json.loads(a_card().model_dump_json())
    (fields[place] if place else fields)["surprise"] = 1

    with pytest.raises(ValidationError, match="surprise"):
        ModelCard.model_validate_json(json.dumps(fields))


@pytest.mark.parametrize("field", ["name", "version", "task", "input", "outputs", "preprocess", "certificate"])
def test_missing_fields_are_refused(field: str) -> None:
    """A card without one of its essential fields is refused."""
    fields = json.loads(a_card().model_dump_json())
    del fields[field]

    with pytest.raises(ValidationError, match=field):
        ModelCard.model_validate_json(json.dumps(fields))


def test_another_schema_is_refused() -> None:
    """A card of a later schema is not read as if it were of this one."""
    with pytest.raises(ValidationError, match="card_schema"):
        a_card(card_schema=2)


@pytest.mark.parametrize("batch_sizes", [(2, 4), (1, 4, 2), (1, 1, 2), ()])
def test_batch_sizes_ascend_from_one(batch_sizes: tuple[int, ...]) -> None:
    """Batch sizes begin with 1 and ascend without repeats."""
    with pytest.raises(ValidationError, match="batch_sizes"):
        a_card(batch_sizes=batch_sizes, certificate=a_certificate((1, 2, 4)))


def test_uncertified_batch_sizes_are_refused() -> None:
    """A batch size that no check covers cannot be offered."""
    with pytest.raises(ValidationError, match=r"\[8\] are offered without a passed check"):
        a_card(batch_sizes=(1, 2, 8), certificate=a_certificate((1, 2, 4)))


def test_a_failed_check_outweighs_a_passed_one() -> None:
    """A batch size with any failed check cannot be offered, though another check of it passed."""
    failed = CertificateCheck(batch_size=2, inputs="noise", max_relative_error=1, agreement=0, passed=False)
    certificate = a_certificate(checks=(*a_certificate().checks, failed))

    with pytest.raises(ValidationError, match=r"\[2\] are offered"):
        a_card(certificate=certificate)
    assert a_card(batch_sizes=(1, 4), certificate=certificate).max_batch_size == 4


@pytest.mark.parametrize(
    "tensor", [a_tensor("images", 32, 32, 3), a_tensor("images", 3, 32, 32, dtype=DType.UINT8), a_tensor("images", 3)]
)
def test_the_input_takes_what_preprocessing_makes(tensor: Any) -> None:
    """An input of another type or shape than preprocessing makes is refused."""
    with pytest.raises(ValidationError, match="the input must be uint8"):
        a_card(input=tensor, preprocess=a_spec())


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a/b", ".hidden", "a b", "é", "a\n", "x" * 129])
def test_names_are_safe_in_paths_and_configurations(name: str) -> None:
    """A name that could lead out of a folder, or break a line, is refused."""
    with pytest.raises(ValidationError, match="name"):
        a_card(name=name)


def test_cards_cannot_be_changed() -> None:
    """A card is a value: assigning to a field raises."""
    with pytest.raises(ValidationError, match="frozen"):
        a_card().version = 2


def test_each_platform_has_its_file() -> None:
    """TensorRT's plan and ONNX files are named as Triton's backends look for them."""
    assert (Platform.TENSORRT.filename, Platform.ONNX.filename) == ("model.plan", "model.onnx")


def test_what_was_measured_survives_json() -> None:
    """Evaluation, tuning and plans are read back as they were written."""
    evaluation = Evaluation(metric="top1", value=0.75, dataset="imagenet-val", images=500, evaluated_at=A_TIME)
    plans = (a_plan(), a_plan(certified=True, certificate=a_certificate()))
    card = a_card(evaluation=(evaluation,), tuning=a_tuning(), plans=plans)

    assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_a_card_from_before_there_were_measurements_is_read() -> None:
    """A card without the fields that came later has none of what they hold."""
    fields = json.loads(a_card().model_dump_json())
    for later in ("evaluation", "tuning", "plans"):
        del fields[later]
    for later in ("frames", "trimap"):
        del fields["preprocess"][later]

    assert ModelCard.model_validate_json(json.dumps(fields)) == a_card()


@pytest.mark.parametrize("preferred", [(8,), (4, 2), (2, 2)])
def test_preferred_batch_sizes_are_offered_ones(preferred: tuple[int, ...]) -> None:
    """A batcher cannot be told to aim at a batch size that is not offered; sizes ascend."""
    with pytest.raises(ValidationError, match="preferred_batch_sizes"):
        a_card(tuning=a_tuning(preferred_batch_sizes=preferred))


def test_no_plan_is_certified_without_a_certificate() -> None:
    """A plan that says it is certified holds a certificate that says so, too."""
    for certificate in (None, a_certificate(passed=False)):
        with pytest.raises(ValidationError, match="without a passed certificate"):
            a_plan(certified=True, certificate=certificate)


@pytest.mark.parametrize("file", ["", "../up.plan", "a/b.plan", ".hidden", "a b"])
def test_a_plans_file_lies_in_its_versions_folder(file: str) -> None:
    """A plan's file is a plain name, which cannot lead out of the version's folder."""
    with pytest.raises(ValidationError, match="file"):
        a_plan(file=file)
