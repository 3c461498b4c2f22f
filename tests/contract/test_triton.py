"""config.pbtxt: what is written stands the test of Triton's own schema, and is read back the same."""

from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from contract.card import ModelCard, Platform
from contract.tensors import DType, TensorSpec
from contract.triton import TritonConfig, from_config, to_config
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
    sizes = draw(st.sets(st.integers(2, 128), max_size=5))
    return a_card(
        name=draw(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,40}", fullmatch=True)),
        platform=draw(st.sampled_from(Platform)),
        preprocess=a_spec(height=draw(st.integers(1, 2000)), width=draw(st.integers(1, 2000))),
        outputs=tuple(draw(st.lists(tensors, min_size=1, max_size=5, unique_by=lambda tensor: tensor.name))),
        batch_sizes=(1, *sorted(sizes)),
    )


def as_triton(card: ModelCard) -> Any:
    """The configuration as Triton's own schema reads it; it raises for an unknown field."""
    return text_format.Parse(to_config(card), model_config_pb2.ModelConfig())


@given(cards())
def test_configurations_are_read_back(card: ModelCard) -> None:
    """What is read from a written configuration is what the card says."""
    assert from_config(to_config(card)) == TritonConfig.of(card)


@given(cards())
def test_triton_reads_what_the_card_says(card: ModelCard) -> None:
    """Triton's schema takes the text, and finds every field of the card in it."""
    config = as_triton(card)

    assert (config.name, config.max_batch_size) == (card.name, card.max_batch_size)
    assert (config.platform or config.backend) == card.platform
    for ours, theirs in zip((card.input, *card.outputs), (*config.input, *config.output), strict=True):
        assert (theirs.name, tuple(theirs.dims)) == (ours.name, ours.shape)
        assert model_config_pb2.DataType.Name(theirs.data_type) == ours.dtype.triton
    assert tuple(config.dynamic_batching.preferred_batch_size) == card.batch_sizes[1:]
    assert config.version_policy.HasField("all")


def test_tuned_models_prefer_what_tuning_chose() -> None:
    """The batch sizes that tuning chose go before all that are offered; one image is no batch to wait for."""

    def preferred(*sizes: int) -> list[int]:
        card = a_card(batch_sizes=(1, 2, 4), tuning=a_tuning(preferred_batch_sizes=sizes))
        return list(as_triton(card).dynamic_batching.preferred_batch_size)

    assert (preferred(4), preferred(1, 2), preferred(1), preferred()) == ([4], [2], [], [2, 4])


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
