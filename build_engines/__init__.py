"""The offline builder: a catalogue entry becomes a certified version in the model repository."""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
