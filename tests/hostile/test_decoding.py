"""Every hostile file through the decoder: pixels within the limits, or one of two errors; soon, and without memory."""

import os
import subprocess
import sys

import numpy as np
import pytest

from contract.image import DecodeLimits, ImageTooLarge, InvalidImage, decode
from tests.hostile.bombs import bombs
from tests.hostile.corpus import SMALL
from tests.hostile.malformed import malformed
from tests.hostile.polyglots import polyglots

LIMITS = DecodeLimits(max_pixels=SMALL.pixels)
BOMBS = dict(bombs(SMALL))


def outcome(data: bytes, *, trimap: bool = False) -> str:
    """What the decoder says; anything else is raised."""
    try:
        pixels = decode(data, LIMITS, trimap=trimap)
    except (InvalidImage, ImageTooLarge) as error:
        return f"{type(error).__name__}: {error}"
    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 4 if trimap else 3)
    assert pixels.shape[0] * pixels.shape[1] <= LIMITS.max_pixels
    return "pixels"


@pytest.mark.parametrize("trimap", [False, True], ids=["colours", "trimap"])
def test_malformed_files_are_decoded_or_refused(trimap: bool) -> None:
    """A file that is cut, lies or contradicts itself is decoded within the limits, or refused in plain words."""
    for name, make in malformed():
        told = outcome(make(), trimap=trimap)

        assert "/" not in told, name
        assert "0x" not in told, name


def test_polyglots_are_pictures_or_refused() -> None:
    """A file that is a picture and something else is the picture; one that is only something else is refused."""
    told = {name: outcome(make()) for name, make in polyglots()}

    assert all(told[name] == "pixels" for name in told if name.startswith(("jpeg and", "png and", "gif and")))
    assert all("pixels" not in told[name] for name in ("svg", "pdf", "zip bomb", "heic", "html before a picture"))


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_decoded_or_refused(name: str) -> None:
    """A small file that asks for much is decoded within the limits, or refused."""
    outcome(BOMBS[name]())


def test_giants_are_refused() -> None:
    """Whatever format tells of a picture beyond the limits, it is refused."""
    giants = {name: outcome(make()) for name, make in BOMBS.items() if name.startswith("giant")}

    assert not [name for name, told in giants.items() if told == "pixels"]


_MEASURE = """
import sys
from contract.image import DecodeLimits, ImageTooLarge, InvalidImage, decode
from tests.contract.image_files import every_format
from tests.hostile.bombs import bombs
from tests.hostile.corpus import SMALL
from tests.hostile.malformed import malformed

def high_water_kb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

def attempt(data):
    try:
        decode(data, DecodeLimits(max_pixels=SMALL.pixels))
    except (InvalidImage, ImageTooLarge):
        pass

for data in [*every_format().values(), *(make() for _, make in malformed())]:
    attempt(data)
for name, make in bombs(SMALL):
    data = make()
    # The high-water mark begins anew, at what is resident now.
    open("/proc/self/clear_refs", "w").write("5")
    before = high_water_kb()
    attempt(data)
    print(high_water_kb() - before, name, sep="\\t")
remembered = [module for name, module in sys.modules.items() if name.startswith("PIL.")]
print(sum(len(getattr(module, "__warningregistry__", {})) for module in remembered), "remarks", sep="\\t")
"""


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    """By how many kB each bomb lets a process grow that has decoded all else before; and the remarks that it keeps."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run([sys.executable, "-c", _MEASURE], capture_output=True, check=True, env=environment, text=True)
    return {name: int(number) for number, name in (line.split("\t") for line in run.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark of memory is Linux's")
def test_no_bomb_takes_more_memory_than_its_picture(measured: dict[str, int]) -> None:
    """No bomb lets the process grow by more than a picture of the largest allowed size may, and some text."""
    assert BOMBS.keys() <= measured.keys()
    assert {name: kb for name, kb in measured.items() if kb > 100_000} == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark of memory is Linux's")
def test_no_file_leaves_a_remark_behind(measured: dict[str, int]) -> None:
    """Warnings about files, whose words are the sender's, are not kept to be told only once."""
    assert measured["remarks"] <= 3
