"""A torch network → ONNX, with the normalisation before it and the task's last step after it inside the graph."""

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from build_engines.artifact import INPUT_NAME, Artifact, BuildFailure, Step, known
from build_engines.catalog.entry import Normalisation
from contract.task import Task

OPSET = 20
TRACE_BATCH_SIZE = 3
"""Neither 1, which exporters take for a constant, nor a size at which a frozen batch would go unnoticed."""


class Compiled(nn.Module):
    """What is exported: pixels uint8 [B,H,W,3] in RGB → the task's tensors."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation, task: Task) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.reverse_channels = normalisation.channels == "bgr"
        mean, std = (
            torch.tensor(values).reshape(1, 3, 1, 1) * 255 for values in (normalisation.mean, normalisation.std)
        )
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / std)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Cast, turn to NCHW, normalise, run, finish."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        if self.reverse_channels:
            pixels = pixels.flip(1)
        outputs = self.network((pixels - self.mean) * self.scale)
        if self.task is Task.CLASSIFY:
            outputs = torch.softmax(outputs, dim=-1)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def export(artifact: Artifact) -> Artifact:
    """Export with a dynamic batch: by torch.export, or, where that cannot, by the older tracer, which is noted."""
    if not isinstance(artifact.network, nn.Module):
        raise TypeError("only torch networks are exported")
    spec = known(artifact.preprocess)
    compiled = Compiled(artifact.network, known(artifact.normalisation), artifact.order.entry.task).eval()
    images = torch.zeros(TRACE_BATCH_SIZE, spec.height, spec.width, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # Both exporters warn about their own innards; what matters is verified afterwards.
        warnings.simplefilter("ignore")
        notes: tuple[str, ...] = ()
        try:
            model = _by_export(compiled, images, artifact.output_names)
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            cause = _first_line(error)
            model = _by_tracing(compiled, images, artifact.output_names, cause)
            notes = (f"Exported by the tracer, because torch.export could not: {cause}",)
    return artifact.having(model=model, trace_batch_size=TRACE_BATCH_SIZE, notes=artifact.notes + notes)


STEP = Step(
    "export",
    export,
    requires=("network", "output_names", "preprocess", "normalisation"),
    ensures=("model", "trace_batch_size"),
)


def _by_export(compiled: Compiled, images: Tensor, names: tuple[str, ...]) -> onnx.ModelProto:
    program = torch.onnx.export(
        compiled,
        (images,),
        dynamo=True,
        input_names=[INPUT_NAME],
        output_names=list(names),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        opset_version=OPSET,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    return program.model_proto


def _by_tracing(compiled: Compiled, images: Tensor, names: tuple[str, ...], first_cause: str) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traced.onnx"
        try:
            torch.onnx.export(
                compiled,
                (images,),
                path,
                dynamo=False,
                input_names=[INPUT_NAME],
                output_names=list(names),
                dynamic_axes={name: {0: "batch"} for name in (INPUT_NAME, *names)},
                opset_version=OPSET,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            raise BuildFailure(
                f"neither exporter can express the network: {first_cause}; {_first_line(error)}",
                "the network's code must be changed, or another architecture chosen",
            ) from error
        return onnx.load(path)


def _first_line(error: Exception) -> str:
    """What an exporter says, without its pages of advice."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {(str(cause).strip().splitlines() or [''])[0]}"
