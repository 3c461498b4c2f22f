"""Waits when it is imported."""

import time

while True:
    time.sleep(0.05)
