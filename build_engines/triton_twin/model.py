"""The Python-backend twin of an ONNX version: it opens the ``model.onnx`` beside it, and answers as it would.

Triton imports this file within its own process; it knows nothing of the rest of the project, and stands in a version's
folder as it is. NVIDIA's image has an ``onnxruntime`` backend, which is quicker; this is for a Triton without one.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

# ONNX Runtime reports its use to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]  # comes with the backend


class TritonPythonModel:
    """One instance: a session with one thread, as the embedded engine runs it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session; whatever it raises, Triton gives as the reason why the version does not load."""
        config = json.loads(args["model_config"])
        self._input: str = config["input"][0]["name"]
        self._outputs: list[str] = [output["name"] for output in config["output"]]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(2**24))
        path = Path(__file__).with_name("model.onnx")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run the requests that Triton has gathered as one batch; as many responses as requests, in their order."""
        # By DLPack, for `as_numpy` of a Triton older than NumPy 2 gives wrong values there, without a word.
        batches = [np.from_dlpack(pb_utils.get_input_tensor_by_name(request, self._input)) for request in requests]
        try:
            outputs = self._session.run(self._outputs, {self._input: _joined(batches)})
        # ONNX Runtime's errors have no ancestor of their own, and one that left this method would end as another's.
        except Exception as error:  # noqa: BLE001
            failed = pb_utils.TritonError(f"the model failed: {error}")
            return [pb_utils.InferenceResponse(error=failed) for _ in requests]
        responses, begin = [], 0
        for batch in batches:
            end = begin + len(batch)
            tensors = [
                pb_utils.Tensor.from_dlpack(name, np.ascontiguousarray(values[begin:end]))
                for name, values in zip(self._outputs, outputs, strict=True)
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
            begin = end
        return responses


def _joined(batches: list[Any]) -> Any:
    """Uint8 [b,…] of each request → uint8 [B,…]; a lone one is not copied."""
    return batches[0] if len(batches) == 1 else np.concatenate(batches)
