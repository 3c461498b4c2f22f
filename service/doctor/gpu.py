"""The GPUs of this machine, as NVIDIA's own tool tells of them: it needs no library of Python."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

_PATIENCE_S = 8.0
_DRIVER = Path("/proc/driver/nvidia/version")
_COLUMNS = ("--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU."""

    name: str
    compute_capability: str
    """E.g. ``9.0``."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """All that this process may use, and their driver."""

    found: tuple[Gpu, ...] = ()
    driver: str = ""
    """The driver's own version, e.g. ``580.95.05``."""
    cuda: str = ""
    """The newest CUDA that the driver serves, e.g. ``13.0``."""
    reason: str = ""
    """Why there is none."""


def read_gpus(tool: str = "nvidia-smi") -> Gpus:
    """Ask the tool, if it is there; it is where a driver is, and where a container was given a GPU."""
    path = shutil.which(tool)
    if path is None:
        if _DRIVER.exists():
            return Gpus(reason="the machine has NVIDIA's driver, but this container was given no GPU")
        return Gpus(reason="nvidia-smi is not there")
    try:
        rows = _asked(path, *_COLUMNS)
        about = _asked(path, "-q", "-x")
    except (OSError, subprocess.SubprocessError) as error:
        return Gpus(reason=f"nvidia-smi fails: {' '.join(str(error).split())}")
    return parse(rows, about)


def parse(rows: str, about: str) -> Gpus:
    """From the tool's lines (name, compute capability, driver) and its XML."""
    cells = [[cell.strip() for cell in row.split(",")] for row in rows.splitlines() if row.count(",") == 2]
    if not cells:
        return Gpus(reason="nvidia-smi lists none")
    return Gpus(tuple(Gpu(name, capability) for name, capability, _ in cells), cells[0][2], _cuda(about))


def _cuda(about: str) -> str:
    try:
        # What the driver's tool says of itself is no stranger's document.
        return ET.fromstring(about).findtext("cuda_version", "")  # noqa: S314
    except ET.ParseError:
        return ""


def _asked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)  # noqa: S603
    return done.stdout
