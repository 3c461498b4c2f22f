"""The gateway: requests in, typed answers out, over engines that a builder certified."""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
