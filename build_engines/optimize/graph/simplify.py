"""Fold constants, drop what does nothing, fuse what onnxslim knows how to fuse."""

import onnx
import onnxslim

from build_engines import graph_constants
from build_engines.artifact import Artifact, BuildFailure, Step, known

_LARGEST_FILE = 2**31 - 1
_LARGEST_FOLDED = 2**24
"""Bytes. A table of relative positions of a few kilobytes is gathered to hundreds of megabytes in large windows; that
belongs into memory when the model runs, and not into its file."""


def simplify(artifact: Artifact) -> Artifact:
    """Simplify the graph and check that it is still valid ONNX in one file; BuildFailure if not."""
    model = onnxslim.slim(known(artifact.model), size_threshold=_LARGEST_FOLDED)
    if artifact.order.explain:
        # Gradients go through the same weights as the forward pass, and each has its own copy of them.
        graph_constants.share(model)
    if model.ByteSize() > _LARGEST_FILE:
        raise BuildFailure("the model is larger than 2 GB, which one ONNX file cannot hold", "choose a smaller model")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildFailure(f"the simplified graph is not valid: {error}", "report it with the model's name") from error
    return artifact.having(model=model)


STEP = Step("simplify", simplify, requires=("model",), ensures=("model",))
