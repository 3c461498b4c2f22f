"""Threads that give way."""

import os
import sys
import threading

import pytest

from service.priority import patient_threads


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_patient_threads_have_a_lower_priority() -> None:
    """What runs there is nicer than the rest of the process, which stays as it was."""

    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    with patient_threads(2, "patient", 10) as threads:
        assert {threads.submit(niceness).result() for _ in range(4)} == {max(before, 10)}
    assert niceness() == before
