"""Where the sample weights, pictures and videos lie, for tests that need real ones."""

import os
from pathlib import Path

import pytest

ASSETS = Path(os.environ.get("VITRAIL_ASSETS", Path(__file__).parents[2] / "shared" / "assets"))

needs_assets = pytest.mark.skipif(not (ASSETS / "weights").is_dir(), reason="the folder with sample weights is absent")
"""Marks a test that reads from there."""
