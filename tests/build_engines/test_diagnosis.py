"""A certificate that is refused comes with the module that is at fault."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from torch import nn

from build_engines import export
from build_engines.artifact import Artifact, BuildFailure, Exporter
from build_engines.diagnosis import Diagnosis, diagnose
from build_engines.verify import VerificationFailed, verify
from tests.build_engines import planted_bugs
from tests.build_engines.orders import UNEVEN, an_artifact

LAST = "network.blocks.1.last"


def exported(root: Path, network: nn.Module, exporter: Exporter = "torch.export") -> Artifact:
    """The network's graph as an exporter makes it."""
    return export.export(an_artifact(root, network), exporter)


def diagnosis_of(artifact: Artifact, size: int) -> Diagnosis:
    """What is said of this batch size."""
    network = artifact.network
    compiled = export.compiled(artifact, network)
    return diagnose(network, compiled, artifact.model, artifact.samples, size, UNEVEN)


def refused(artifact: Artifact) -> VerificationFailed:
    """The certificate's refusal."""
    with pytest.raises(VerificationFailed) as failure:
        verify(artifact)
    return failure.value


@pytest.mark.parametrize("size", [1, 2])
def test_a_frozen_batch_is_named(size: int, tmp_path: Path) -> None:
    """Where the tracer wrote its own batch into a Reshape, the node, its module and the constant are named."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.FrozenBatch()), "tracer")
    assert refused(artifact).batch_size == 1
    found = diagnosis_of(artifact, size)
    assert found.first_module == LAST
    assert "the graph does not run" in found.explanation
    assert f"ONNX Runtime stops at Reshape {found.first_value.removesuffix('_output_0')}" in found.explanation
    assert "to the constant shape [3, 8, -1]" in found.explanation
    assert "planted_bugs.py" in found.explanation


@pytest.mark.parametrize("size", [1, 2])
def test_a_frozen_batch_that_breaks_later_is_named(size: int, tmp_path: Path) -> None:
    """A token repeated for the traced batch makes another shape at batch 1 and stops the graph at batch 2."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.FrozenToken()), "tracer")
    assert refused(artifact).batch_size == 1
    found = diagnosis_of(artifact, size)
    assert found.first_module == LAST
    assert ("another shape" in found.explanation) == (size == 1)
    assert ("stops at Add" in found.explanation) == (size == 2)


@pytest.mark.parametrize("bug", [planted_bugs.Dropout, planted_bugs.Noise])
def test_a_restless_module_is_named(bug: type[nn.Module], tmp_path: Path) -> None:
    """Dropout left on, or random numbers drawn, are found in the source itself, with the module that draws them."""
    artifact = exported(tmp_path, planted_bugs.Network(bug()))
    assert "differently twice" in str(refused(artifact))
    found = diagnosis_of(artifact, 2)
    assert (found.first_module, found.first_value) == (LAST, None)
    assert "differently twice" in found.explanation


@pytest.mark.parametrize("exporter", ["torch.export", "tracer"])
def test_a_doubled_normalisation_is_named(exporter: Exporter, tmp_path: Path) -> None:
    """A network that normalises once more when it is exported parts in the module that does so."""
    artifact = exported(tmp_path, planted_bugs.Network(first=planted_bugs.NormalisedAgainOnExport()), exporter)
    refused(artifact)
    found = diagnosis_of(artifact, 1)
    assert found.first_module == "network.first"
    assert found.relative_error > 0.1
    assert (", from build_engines/planted_bugs.py:" in found.explanation) == (exporter == "torch.export")


def test_a_wrong_normalisation_around_the_network_is_told(tmp_path: Path) -> None:
    """Where the compiled module itself normalises otherwise than the entry says, that is said, and no module blamed."""
    artifact = exported(tmp_path, planted_bugs.Network())
    other = UNEVEN.model_copy(update={"channels": "rgb"})
    compiled = export.compiled(artifact.having(normalisation=other), artifact.network)
    found = diagnose(artifact.network, compiled, artifact.model, artifact.samples, 2, UNEVEN)
    assert found.first_module == ""
    assert "other pixels than its normalisation says" in found.explanation


def test_an_oversensitive_network_is_told(tmp_path: Path) -> None:
    """Where rounding alone changes the answer, no module of the graph is blamed, but the network's scale."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.Amplifier()))
    refused(artifact)
    found = diagnosis_of(artifact, 1)
    assert (found.first_module, found.first_value) == ("network", None)
    assert "its weights are out of scale" in found.explanation


def test_a_wrong_slot_at_one_size_is_named(tmp_path: Path) -> None:
    """A module that swaps the images of a batch of three costs that size alone, and is named for it."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.WrongSlotAtThree()), "tracer")
    assert verify(artifact).batch_sizes == (1, 2, 4)
    found = diagnosis_of(artifact, 3)
    assert found.first_module == LAST
    assert "mixes the images of a batch" in found.explanation


def test_batch_statistics_are_named(tmp_path: Path) -> None:
    """A normalisation by the batch's own statistics answers an image otherwise in company."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.BatchStatistics()))
    assert refused(artifact).batch_size == 2
    found = diagnosis_of(artifact, 2)
    assert found.first_module == LAST
    assert found.output == "probabilities"
    assert "mixes the images of a batch" in found.explanation


def test_another_way_in_company_is_named(tmp_path: Path) -> None:
    """A module whose Python code decides by the batch size is named, though its parts are not called alike."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.OtherWayInCompany()), "tracer")
    refused(artifact)
    assert "mixes the images" in diagnosis_of(artifact, 2).explanation
    assert diagnosis_of(artifact, 2).first_module == LAST


@pytest.mark.parametrize("exporter", ["torch.export", "tracer"])
def test_a_module_left_out_is_named(exporter: Exporter, tmp_path: Path) -> None:
    """A part that is skipped on export, as Next-ViT's normalisations are, is named though it left no node."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.OtherBranchOnExport()), exporter)
    refused(artifact)
    found = diagnosis_of(artifact, 1)
    assert found.first_module == LAST
    assert "of which it has no node" in found.explanation


def test_nan_is_traced_to_its_module(tmp_path: Path) -> None:
    """The first module that makes NaN of numbers is named, not those that pass it on."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.DividesByZero()))
    assert "NaN" in str(refused(artifact))
    found = diagnosis_of(artifact, 2)
    assert found.first_module == LAST
    assert found.relative_error == float("inf")


@pytest.mark.parametrize("exporter", ["torch.export", "tracer"])
def test_the_second_of_two_outputs_is_examined(exporter: Exporter, tmp_path: Path) -> None:
    """A module that gives a tuple is judged by all of it; one that is called twice is passed over, and that is said."""
    artifact = exported(tmp_path, planted_bugs.Network(planted_bugs.Gated()), exporter)
    refused(artifact)
    found = diagnosis_of(artifact, 1)
    assert found.first_module == f"{LAST}.pair"
    assert found.explanation.endswith(f"called several times: {LAST}.pair.act")


@pytest.mark.parametrize("exporter", ["torch.export", "tracer"])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_spoilt_weight_is_found_in_its_block(block: int, exporter: Exporter, tmp_path: Path) -> None:
    """A weight changed in the graph alone is found where it is, though exporters fuse normalisations away."""
    artifact = exported(tmp_path, planted_bugs.Network(), exporter)
    nodes = [node for node in artifact.model.graph.node if node.op_type == "Conv"]
    spoil(artifact.model, nodes[1 + block].input[1])
    refused(artifact)
    assert diagnosis_of(artifact, 2).first_module.startswith(f"network.blocks.{block}.")


def spoil(model: onnx.ModelProto, name: str) -> None:
    """Scale an initializer."""
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.5), name))


def test_what_comes_after_the_export_is_told_apart(tmp_path: Path) -> None:
    """Where the exported graph is right, and only what was made of it is wrong, the network is not blamed."""
    artifact = exported(tmp_path, planted_bugs.Network())
    later = onnx.ModelProto()
    later.CopyFrom(artifact.model)
    later.graph.node[-1].output[0] = "honest"
    later.graph.node.append(helper.make_node("Neg", ["honest"], ["probabilities"]))
    size = refused(artifact.having(model=later)).batch_size
    found = diagnosis_of(artifact, size)
    assert (found.first_module, found.output) == (None, None)
    assert "comes after the export" in found.explanation


def test_a_network_for_one_batch_size_is_told(tmp_path: Path) -> None:
    """A network that does not run at the size at all fails with a reason, not with a traceback."""

    class One(nn.Module):
        def forward(self, features):  # noqa: ANN001, ANN202
            return features.reshape(1, *features.shape[1:])

    artifact = an_artifact(tmp_path, planted_bugs.Network(One()))
    with pytest.raises(BuildFailure, match="does not run on a batch of 2"):
        diagnosis_of(artifact.having(model=onnx.ModelProto()), 2)
