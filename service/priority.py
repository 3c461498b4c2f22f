"""Threads that give way to those that callers wait for."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

COPIES, LOADING = 19, 10
"""Niceness of what compares versions, and of what loads them: where callers take all there is, it still goes on."""

WORKING = 4
"""Of what decodes images and videos and runs models: the event loop, which in a crowd refuses most requests, is first.

Where both are equal and take all processors, the loop falls behind, and those who are admitted wait for it too."""


def patient_threads(count: int, name: str, niceness: int) -> ThreadPoolExecutor:
    """Threads of a lower priority, where the system has priorities of threads, as Linux does."""
    return ThreadPoolExecutor(count, name, initializer=partial(_give_way, niceness))


def _give_way(niceness: int) -> None:
    if hasattr(os, "setpriority"):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(niceness, os.getpriority(os.PRIO_PROCESS, thread)))
