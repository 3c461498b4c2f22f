"""Versions for a Triton without ONNX Runtime: the twin stands beside the ONNX file, and the configuration names it."""

import ast
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from build_engines.artifact import StepFailed
from build_engines.pipeline import build
from build_engines.triton_twin import TWIN
from contract.card import Platform
from contract.repository import CONFIG
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import an_order


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that was built for Triton's Python backend."""
    order = an_order(tmp_path_factory.mktemp("twins"), platform=Platform.PYTHON)
    path = build(order, Silent()).path
    assert path is not None
    return path


def test_the_twin_stands_beside_the_onnx_file(version: Path) -> None:
    """Triton's Python backend finds its file, the file finds the model, and the card says so."""
    assert (version / TWIN.name).read_bytes() == TWIN.read_bytes()
    assert (version / "model.onnx").is_file()
    assert '"platform": "python"' in (version / "card.json").read_text()


def test_the_configuration_names_the_backend(version: Path) -> None:
    """Triton's own schema reads a configuration for the Python backend."""
    config = text_format.Parse((version.parent / CONFIG).read_text(), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.platform) == ("small", "python", "")


def test_versions_of_one_model_share_their_platform(version: Path) -> None:
    """A second version for another platform is refused, because Triton has one configuration for both."""
    with pytest.raises(StepFailed, match="share their platform") as refused:
        build(an_order(version.parent.parent), Silent())
    assert refused.value.remedy == "give --platform python, or this one another --name"


def test_the_twin_needs_nothing_of_the_project() -> None:
    """Triton imports the file where none of this project is installed."""
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(TWIN.read_text()))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "triton_python_backend_utils"}
