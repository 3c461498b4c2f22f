"""Branches that only training needs are folded, and the certificate holds against the network with them."""

from pathlib import Path

import pytest
import timm
import torch

from build_engines import export, random_weights
from build_engines.optimize.model import reparameterise
from build_engines.verify import VerificationFailed, verify
from tests.build_engines.orders import Classifier, an_artifact


def branched() -> torch.nn.Module:
    """A small network of timm whose blocks have parallel branches."""
    network = timm.create_model("mobileone_s0", num_classes=7).eval()
    random_weights.fill(network)
    random_weights.settle(network, (2, 3, 64, 64))
    return network


def test_branches_are_folded(tmp_path: Path) -> None:
    """The folded network is smaller and answers as the one with branches does; that one stays for reference."""
    network = branched()
    folded = reparameterise.STEP(an_artifact(tmp_path, network))
    pixels = random_weights.pictures((2, 3, 64, 64))
    with torch.inference_mode():
        torch.testing.assert_close(folded.network(pixels), network(pixels), rtol=1e-3, atol=1e-3)
    assert folded.reference is network
    assert "parameters became" in folded.notes[-1]


def test_a_network_without_branches_stays(tmp_path: Path) -> None:
    """Where nothing can be folded the artifact is the same."""
    artifact = an_artifact(tmp_path)
    assert reparameterise.STEP(artifact) is artifact


def test_the_reference_is_what_the_certificate_compares_with(tmp_path: Path) -> None:
    """A reference that answers otherwise than the network that was compiled is found."""
    artifact = export.by("torch.export")(an_artifact(tmp_path))
    other = Classifier(width=16).eval()
    assert verify(artifact).certificate.passed
    with pytest.raises(VerificationFailed, match="differs from its source"):
        verify(artifact.having(reference=other))
