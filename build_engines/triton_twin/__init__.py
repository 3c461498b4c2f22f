"""What Triton's Python backend runs where it has no ONNX Runtime of its own."""

from pathlib import Path

TWIN = Path(__file__).with_name("model.py")
"""The file to put beside a version's ``model.onnx``; only Triton can import it."""
