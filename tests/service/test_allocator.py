"""The C library's allocator, in a process of its own: what is set cannot be taken back."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is told on Linux only")

_MB = 1 << 20
_TOLD = """
import os
import psutil
from service.allocator import give_back_freed_memory, keep_freed_memory

def resident():
    return psutil.Process().memory_info().rss

assert keep_freed_memory(2)
blocks = [os.urandom(1 << 20) for _ in range(160)]
last, full = blocks[-1], resident()
blocks.clear()
kept = resident()
assert give_back_freed_memory()
print(full, kept, resident())
"""


@pytest.fixture(scope="module")
def resident() -> tuple[int, ...]:
    """Bytes: with 160 MB in use, with them freed, and with them given back."""
    told = subprocess.run([sys.executable, "-c", _TOLD], check=True, capture_output=True, text=True, timeout=60)
    return tuple(map(int, told.stdout.split()))


def test_freed_memory_is_kept(resident: tuple[int, ...]) -> None:
    """What is free below something that is used stays with the process, for the next image."""
    full, kept, _ = resident
    assert full - kept < 16 * _MB


def test_freed_memory_can_be_given_back(resident: tuple[int, ...]) -> None:
    """After large work the system gets it, though something at the heap's end is still used."""
    _, kept, given_back = resident
    assert kept - given_back > 140 * _MB
