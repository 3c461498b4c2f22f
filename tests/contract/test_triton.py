"""config.pbtxt: what is written stands the test of Triton's own schema, and is read back the same."""

from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from contract.card import ModelCard, Platform
from contract.tensors import DType, TensorSpec
from contract.triton import TritonConfig, TritonServing, from_config, to_config, unbroken_batch_size
from tests.cards import a_card, a_spec, a_tuning

tensors = st.builds(
    TensorSpec,
    name=st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True),
    dtype=st.sampled_from(DType),
    shape=st.lists(st.integers(1, 5000) | st.just(-1), min_size=1, max_size=4).map(tuple),
)


@st.composite
def cards(draw: st.DrawFn) -> ModelCard:
    """Cards that differ in all that Triton is told."""
    sizes = {*range(2, draw(st.integers(1, 9))), *draw(st.sets(st.integers(2, 128), max_size=5))}
    return a_card(
        name=draw(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,40}", fullmatch=True)),
        platform=draw(st.sampled_from(Platform)),
        preprocess=a_spec(height=draw(st.integers(1, 2000)), width=draw(st.integers(1, 2000))),
        outputs=tuple(draw(st.lists(tensors, min_size=1, max_size=5, unique_by=lambda tensor: tensor.name))),
        batch_sizes=(1, *sorted(sizes)),
    )


def as_triton(card: ModelCard, **serving: Any) -> Any:
    """The configuration as Triton's own schema reads it; it raises for an unknown field."""
    return text_format.Parse(to_config(card, TritonServing(**serving)), model_config_pb2.ModelConfig())


@given(cards())
def test_configurations_are_read_back(card: ModelCard) -> None:
    """What is read from a written configuration is what the card says."""
    assert from_config(to_config(card)) == TritonConfig.of(card)


@given(cards())
def test_triton_reads_what_the_card_says(card: ModelCard) -> None:
    """Triton's schema takes the text, and finds every field of the card in it."""
    config = as_triton(card)

    assert (config.name, config.max_batch_size) == (card.name, unbroken_batch_size(card))
    assert (config.platform or config.backend) == card.platform
    for ours, theirs in zip((card.input, *card.outputs), (*config.input, *config.output), strict=True):
        assert (theirs.name, tuple(theirs.dims)) == (ours.name, ours.shape)
        assert model_config_pb2.DataType.Name(theirs.data_type) == ours.dtype.triton
    assert list(config.dynamic_batching.preferred_batch_size) == list(range(2, config.max_batch_size + 1))
    assert config.version_policy.HasField("all")


@given(cards())
def test_no_uncertified_batch_can_form(card: ModelCard) -> None:
    """Triton may form every size up to the largest, so all of these are certified, and the next one is not."""
    largest = as_triton(card).max_batch_size
    assert {*range(1, largest + 1)} <= {*card.batch_sizes}
    assert largest + 1 not in card.batch_sizes


def test_tuned_models_prefer_what_tuning_chose() -> None:
    """The batch sizes that tuning chose go before the others; not one image, and none that may not be formed."""

    def preferred(*sizes: int) -> list[int]:
        card = a_card(batch_sizes=(1, 2, 3, 4, 8), tuning=a_tuning(preferred_batch_sizes=sizes))
        return list(as_triton(card).dynamic_batching.preferred_batch_size)

    assert (preferred(4), preferred(1, 2), preferred(1)) == ([4], [2], [])
    assert (preferred(4, 8), preferred()) == ([4], [2, 3, 4])


def test_queues_are_bounded_and_deadlines_hold_in_them() -> None:
    """A request brings its own time-out; what waits too long, or beyond the queue's size, is refused."""
    batching = as_triton(a_card(), max_queue=17).dynamic_batching
    policy = batching.default_queue_policy
    assert (policy.max_queue_size, policy.allow_timeout_override) == (17, True)
    assert policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT
    assert (policy.default_timeout_microseconds, batching.max_queue_delay_microseconds) == (0, 0)
    assert not as_triton(a_card(), max_queue=None).dynamic_batching.HasField("default_queue_policy")


@pytest.mark.parametrize(
    ("platform", "on_gpu", "kind"),
    [
        (Platform.ONNX, None, "KIND_CPU"),
        (Platform.PYTHON, None, "KIND_CPU"),
        (Platform.TENSORRT, None, "KIND_GPU"),
        (Platform.ONNX, True, "KIND_GPU"),
    ],
)
def test_instances_sit_where_they_can_run(platform: Platform, on_gpu: bool | None, kind: str) -> None:
    """A plan runs on a GPU; the others run on the processor unless told otherwise."""
    (group,) = as_triton(a_card(platform=platform), instances=3, on_gpu=on_gpu).instance_group
    assert (group.count, model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind)) == (3, kind)


@pytest.mark.parametrize(("limit", "sizes"), [(None, [1, 3]), (2, [1, 2]), (1, [1]), (9, [1, 3])])
def test_versions_are_warmed_up_before_traffic(limit: int | None, sizes: list[int]) -> None:
    """Noise goes through the smallest and the largest batch that may be formed, whole, before a version is ready."""
    card = a_card(batch_sizes=(1, 2, 3))
    config = as_triton(card, max_batch_size=limit)
    assert [warm_up.batch_size for warm_up in config.model_warmup] == sizes
    for warm_up in config.model_warmup:
        sample = warm_up.inputs[card.input.name]
        assert (tuple(sample.dims), sample.random_data) == (card.input.shape, True)
        assert model_config_pb2.DataType.Name(sample.data_type) == card.input.dtype.triton
    assert config.max_batch_size == sizes[-1]


def test_versions_can_be_named() -> None:
    """Where versions are named, these and no others are to be loaded."""
    assert list(as_triton(a_card(), versions=(2, 5)).version_policy.specific.versions) == [2, 5]


def test_the_python_backend_is_a_backend() -> None:
    """Triton knows Python by its backend; the others by their platform."""
    assert as_triton(a_card(platform=Platform.PYTHON)).backend == "python"
    assert as_triton(a_card(platform=Platform.TENSORRT)).platform == "tensorrt_plan"


@pytest.mark.parametrize("lost", ["name:", "platform:", "max_batch_size:", "input [", "output ["])
def test_an_incomplete_configuration_is_refused(lost: str) -> None:
    """A text that lacks a field is not read as if it had it."""
    text = "\n".join(line for line in to_config(a_card()).splitlines() if not line.startswith(lost))

    with pytest.raises(ValueError, match=r"not a config.pbtxt"):
        from_config(text)
