"""What the service needs to be imported, and what it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_BARE = """
import importlib
import importlib.abc
import pkgutil
import sys

ABSENT = {"torch", "torchvision", "timm", "transformers", "onnx", "onnxscript", "build_engines"}


class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is absent here", name=name)


sys.meta_path.insert(0, Refuse())


def broken(name):
    raise


for package in ("contract", "service"):
    importlib.import_module(package)
    for module in pkgutil.walk_packages([package], package + ".", onerror=broken):
        importlib.import_module(module.name)
        print(module.name)
"""


def run(program: str) -> list[str]:
    """The lines that a program prints in an interpreter of its own; the test fails if it does."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_module_is_importable_without_the_builders_libraries() -> None:
    """In an environment without training libraries and builder, all of the contract and the service is there."""
    imported = run(_BARE)
    assert {"contract.tasks.table", "service.app", "service.drawing", "service.engines.onnx"} <= set(imported)


def test_the_guard_of_that_test_guards() -> None:
    """The program above fails as soon as one module asks for a training library."""
    with pytest.raises(AssertionError, match="torch is absent here"):
        run(_BARE + "import torch")


def test_the_application_starts_without_the_drawing_library() -> None:
    """Who wants no pictures and no tracks pays for none: the libraries for these are imported when first wanted."""
    loaded = run("import sys, service.app; print(*sys.modules, sep='\\n')")
    assert "service.inference" in loaded
    assert not {"supervision", "matplotlib", "scipy", "service.drawing"} & set(loaded)


@pytest.mark.parametrize("module", ["service.engines.onnx", "build_engines.onnx_session"])
def test_nobody_is_told(tmp_path: Path, module: str) -> None:
    """ONNX Runtime, which by default keeps a record for its makers and sends it, leaves nothing behind."""
    home = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment | home, check=True, timeout=120)
    assert list(tmp_path.rglob("*onnxruntime*")) == []
    assert not (tmp_path / "Microsoft").exists()
