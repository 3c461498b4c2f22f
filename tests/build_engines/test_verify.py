"""Verification finds what is wrong with an engine, and certifies what is right with it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from build_engines import export
from build_engines.artifact import Artifact
from build_engines.catalog.entry import Normalisation
from build_engines.verify import EngineRunner, VerificationFailed, normalise, replay, verify
from contract.preprocess import Floats
from tests.build_engines.orders import CLASSES, SIDE, UNEVEN, Classifier, an_artifact


class Frozen(Classifier):
    """Decides by a value, which torch.export refuses, and reshapes by a number that the tracer takes as it stands."""

    def forward(self, pixels: Tensor) -> Tensor:
        logits = super().forward(pixels)
        if float(logits.abs().sum()) < 0:
            return logits
        return logits.reshape(int(pixels.shape[0]), CLASSES)


class Restless(Classifier):
    """Drops features in evaluation too."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(functional.dropout(pixels, 0.5, training=True))


class Broken(Classifier):
    """Divides by zero."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) / 0.0


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An honest classifier and its engine."""
    return export.by("torch.export")(an_artifact(tmp_path_factory.mktemp("repository")))


def with_output(artifact: Artifact, nodes: list[onnx.NodeProto], **constants: Any) -> Artifact:
    """The artifact with an engine whose answer goes through ``nodes``, from "honest" to "probabilities"."""
    model = onnx.ModelProto()
    model.CopyFrom(artifact.model)
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            node.output[index] = "honest" if name == "probabilities" else name
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items())
    return artifact.having(model=model)


def test_an_honest_engine_is_certified(exported: Artifact) -> None:
    """Every size up to the entry's largest is checked on pictures and on noise, passes, and is offered."""
    verified = verify(exported)
    assert verified.batch_sizes == (1, 2, 3, 4)
    checked = {(check.batch_size, check.inputs) for check in verified.certificate.checks}
    assert checked == {(size, "images") for size in (1, 2, 3, 4)} | {(size, "noise") for size in (1, 2, 4)}
    assert all(check.passed and check.max_relative_error < 1e-4 for check in verified.certificate.checks)
    assert verified.certificate.trace_batch_size == 3
    assert verified.certificate.reference.startswith("torch ")


def test_a_frozen_batch_is_refused(tmp_path: Path) -> None:
    """A network that the tracer freezes at its own batch size fails at the others, whatever the exporter said."""
    artifact = export.export(an_artifact(tmp_path, Frozen()), "tracer")
    with pytest.raises(VerificationFailed, match=r"differs from its source at batch sizes \[1, 2, 4\]"):
        verify(artifact)


def test_a_restless_source_is_refused(exported: Artifact) -> None:
    """A source that answers the same image differently twice cannot be compared with anything."""
    with pytest.raises(VerificationFailed, match="differently twice"):
        verify(exported.having(network=Restless().eval()))


def test_a_source_without_numbers_is_refused(exported: Artifact) -> None:
    """A source that answers NaN is told apart from a restless one."""
    with pytest.raises(VerificationFailed, match="NaN"):
        verify(exported.having(network=Broken().eval()))


def test_doubled_normalisation_is_refused(exported: Artifact) -> None:
    """An engine that normalises twice, as a graph with its own normalisation would, is found at every size."""

    class Twice(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            again = [(pixels[:, i] - UNEVEN.mean[i]) / UNEVEN.std[i] for i in range(3)]
            return exported.network(torch.stack(again, dim=1))

    doubled = export.export(exported.having(network=Twice().eval())).model
    with pytest.raises(VerificationFailed, match=r"batch sizes \[1, 2, 3, 4\]"):
        verify(exported.having(model=doubled))


def test_swapped_channels_are_refused(exported: Artifact) -> None:
    """An engine that takes the channels in the other order is found."""
    other = Normalisation(mean=UNEVEN.mean, std=UNEVEN.std, channels="rgb")
    model = export.export(exported.having(normalisation=other)).model
    with pytest.raises(VerificationFailed, match=r"batch sizes \[1, 2, 3, 4\]"):
        verify(exported.having(model=model))


def reversing_at(size: int) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Nodes that give each slot its neighbour's answer, in batches of that size only."""
    back = helper.make_node("ReverseSequence", ["honest", "lengths"], ["turned"], batch_axis=1, time_axis=0)
    nodes = [
        helper.make_node("Shape", ["honest"], ["count"], start=0, end=1),
        helper.make_node("Expand", ["count", "classes"], ["lengths"]),
        back,
        helper.make_node("Equal", ["count", "size"], ["chosen"]),
        helper.make_node("Where", ["chosen", "turned", "honest"], ["probabilities"]),
    ]
    return nodes, {"classes": np.int64([CLASSES]), "size": np.int64([size])}


def test_a_size_with_mixed_slots_is_not_offered(exported: Artifact) -> None:
    """Where slots are mixed at batch 2 only, that size alone is withheld, and the builder is told why."""
    nodes, constants = reversing_at(2)
    verified = verify(with_output(exported, nodes, **constants))
    assert verified.batch_sizes == (1, 3, 4)
    assert "batch sizes [2] are not offered" in verified.warnings[-1]
    assert {check.batch_size for check in verified.certificate.checks if not check.passed} == {2}
    assert len(verified.golden["probabilities"]) == 1


def test_mixed_slots_at_the_traced_size_are_found(exported: Artifact) -> None:
    """The size that the exporter saw is checked like the others."""
    nodes, constants = reversing_at(3)
    assert verify(with_output(exported, nodes, **constants)).batch_sizes == (1, 2, 4)


@pytest.mark.parametrize(("factor", "passes"), [(1.0005, True), (1.002, False)])
def test_the_tolerance_is_one_in_a_thousand(factor: float, passes: bool, exported: Artifact) -> None:
    """A deviation within the tolerance passes and one beyond it does not."""
    scaled = [helper.make_node("Mul", ["honest", "factor"], ["probabilities"])]
    artifact = with_output(exported, scaled, factor=np.float32(factor))
    if passes:
        assert verify(artifact).batch_sizes == (1, 2, 3, 4)
    else:
        with pytest.raises(VerificationFailed):
            verify(artifact)


def test_an_engine_without_numbers_is_refused(exported: Artifact) -> None:
    """NaN is no answer, and the certificate's error stays a number."""
    void = [helper.make_node("Mul", ["honest", "nan"], ["probabilities"])]
    with pytest.raises(VerificationFailed, match="is not numbers"):
        verify(with_output(exported, void, nan=np.float32(np.nan)))


def test_an_engine_that_does_not_open_is_refused(exported: Artifact) -> None:
    """A graph that the runtime rejects fails the step with the runtime's reason."""
    strange = [helper.make_node("NoSuchOperator", ["honest"], ["probabilities"])]
    with pytest.raises(VerificationFailed, match="cannot open the model"):
        verify(with_output(exported, strange))


def test_replay_tells_a_changed_file(exported: Artifact, built: Artifact, tmp_path: Path) -> None:
    """The file on the disk must give the golden answers; one that answers otherwise, or is cut off, is refused."""
    card, path = built.order.repository.read_card("small", 1), tmp_path / "model.onnx"
    path.write_bytes(exported.model.SerializeToString())
    images = exported.samples[:2]
    golden = EngineRunner(path).run(images)
    replay(path, card, images, golden)
    with pytest.raises(VerificationFailed, match="otherwise"):
        replay(path, card, images[::-1].copy(), golden)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(VerificationFailed, match="does not run"):
        replay(path, card, images, golden)


@pytest.mark.parametrize("normalisation", [UNEVEN, Normalisation(mean=UNEVEN.mean, std=UNEVEN.std)])
def test_normalisation_in_the_graph_is_exact(normalisation: Normalisation, exported: Artifact) -> None:
    """What the graph does to pixels is what NumPy in double precision says, for each channel and every byte."""
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    images = np.stack([values, values.T, values[::-1]], axis=-1)[None]
    seen: list[Floats] = []

    class Listening(Classifier):
        def forward(self, pixels: Tensor) -> Tensor:
            seen.append(pixels.numpy().copy())
            return super().forward(pixels)

    export.Compiled(Listening().eval(), normalisation, exported.order.entry.task).eval()(torch.from_numpy(images))
    ordered = images[..., ::-1] if normalisation.channels == "bgr" else images
    oracle = (ordered / 255 - np.array(normalisation.mean)) / np.array(normalisation.std)
    np.testing.assert_allclose(seen[0], oracle.transpose(0, 3, 1, 2), atol=1e-5)
    np.testing.assert_allclose(normalise(images, normalisation), oracle.transpose(0, 3, 1, 2), atol=1e-5)


def test_the_engine_keeps_its_input_bytes(exported: Artifact) -> None:
    """The compiled model takes uint8 pixels, height, width and channels last, and any batch."""
    (argument,) = exported.model.graph.input
    dimensions = argument.type.tensor_type.shape.dim
    assert argument.type.tensor_type.elem_type == TensorProto.UINT8
    assert [dimension.dim_value for dimension in dimensions][1:] == [SIDE, SIDE, 3]
    assert dimensions[0].dim_param
