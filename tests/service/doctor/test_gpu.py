"""GPUs, as nvidia-smi tells of them; here it is a script that says what the tool says."""

from pathlib import Path

import pytest

from service.doctor.gpu import Gpu, Gpus, parse, read_gpus

ROWS = "NVIDIA H200, 9.0, 580.95.05\nNVIDIA L4, 8.9, 580.95.05\n"
XML = "<?xml version='1.0'?><nvidia_smi_log><cuda_version>13.0</cuda_version></nvidia_smi_log>"
BOTH = Gpus((Gpu("NVIDIA H200", "9.0"), Gpu("NVIDIA L4", "8.9")), "580.95.05", "13.0")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program that answers both questions."""
    script = tmp_path / "smi"
    script.write_text(f"#!/bin/sh\ncase $1 in -q) echo \"{XML}\";; *) printf '{ROWS}';; esac\n")
    script.chmod(0o755)
    return script


def test_gpus_and_driver(tool: Path) -> None:
    """Names, compute capabilities, the driver and its CUDA are read from the tool."""
    assert read_gpus(str(tool)) == BOTH


def test_a_tool_that_fails(tmp_path: Path) -> None:
    """A driver that is out of order is a reason, not an error."""
    broken = tmp_path / "smi"
    broken.write_text("#!/bin/sh\nexit 9\n")
    broken.chmod(0o755)
    assert "exit status 9" in read_gpus(str(broken)).reason


def test_no_tool() -> None:
    """Without the tool there is no GPU, and the reason says so."""
    found = read_gpus("no-such-nvidia-smi")
    assert (found.found, bool(found.reason)) == ((), True)


@pytest.mark.parametrize("rows", ["", "No devices were found\n"])
def test_no_gpu(rows: str) -> None:
    """A tool that lists none has found none."""
    assert parse(rows, XML).reason == "nvidia-smi lists none"


def test_an_unreadable_document() -> None:
    """Where the CUDA cannot be read, the GPUs are known all the same."""
    assert parse(ROWS, "nonsense") == Gpus(BOTH.found, "580.95.05", "")
