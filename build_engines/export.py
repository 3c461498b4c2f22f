"""A torch network → ONNX, with the normalisation before it and the task's last step after it inside the graph."""

import io
import tempfile
import textwrap
import warnings
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from build_engines import nms_operator
from build_engines.artifact import INPUT_NAME, Artifact, BuildFailure, Exporter, Step, known
from build_engines.catalog.entry import Normalisation
from build_engines.graph_network import GraphNetwork
from contract.preprocess import PreprocessSpec
from contract.task import Task

OPSET = 20
TRACE_BATCH_SIZE = 3
"""Neither 1, which exporters take for a constant, nor a size at which a frozen batch would go unnoticed."""

_LONGEST_REASON = 300
_CLASSIFIERS = {Task.CLASSIFY, Task.CLASSIFY_VIDEO}
# Tracing runs the network's own Python code on stand-ins for numbers; it may stumble over them in any of these ways.
_REFUSALS = (
    torch.onnx.OnnxExporterError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Compiled(nn.Module):
    """What is exported: pixels uint8 [B,H,W,3] in RGB (a clip's [B,T,H,W,3]) → the task's tensors.

    A fourth channel, a trimap, becomes 0…1 and is not normalised.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        task: Task,
        *,
        multi_label: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.network = network
        self.classifies = task in _CLASSIFIERS
        self.multi_label = multi_label
        self.reverse_channels = normalisation.channels == "bgr"
        if self.reverse_channels and channels != 3:
            raise ValueError("a trimap goes with RGB only")
        untouched = channels - 3
        mean = torch.tensor((*normalisation.mean, *(0.0,) * untouched)).reshape(1, channels, 1, 1) * 255
        std = torch.tensor((*normalisation.std, *(1.0,) * untouched)).reshape(1, channels, 1, 1) * 255
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / std)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Cast, turn to channels first, normalise, run, finish."""
        pixels = images.transpose(-1, -2).transpose(-2, -3).to(torch.float32)
        if self.reverse_channels:
            pixels = pixels.flip(-3)
        outputs = self.network((pixels - self.mean) * self.scale)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if self.classifies:
            logits, *rest = outputs
            outputs = (torch.sigmoid(logits) if self.multi_label else torch.softmax(logits, dim=-1), *rest)
        return outputs


def by(exporter: Exporter) -> Step:
    """The step that exports in this way."""
    return Step(
        "export",
        partial(export, exporter=exporter),
        requires=("network", "output_names", "preprocess", "normalisation"),
        ensures=("model", "exporter", "trace_batch_size"),
    )


def export(artifact: Artifact, exporter: Exporter = "torch.export") -> Artifact:
    """Export with a dynamic batch; BuildFailure with the exporter's first words if it cannot express the network."""
    network = artifact.network
    if isinstance(network, nn.Module):
        model = to_onnx(compiled(artifact, network), known(artifact.preprocess), artifact.output_names, exporter)
    elif network is None or isinstance(network, GraphNetwork):
        raise TypeError("only torch networks are exported")
    else:
        model = network.export(exporter, artifact)
    return artifact.having(model=model, exporter=exporter, trace_batch_size=TRACE_BATCH_SIZE)


def compiled(artifact: Artifact, network: nn.Module) -> Compiled:
    """The network between its ends, in evaluation mode."""
    entry = artifact.order.entry
    channels = known(artifact.preprocess).input_shape[-1]
    return Compiled(
        network, known(artifact.normalisation), entry.task, multi_label=entry.multi_label, channels=channels
    ).eval()


def to_onnx(
    module: nn.Module, spec: PreprocessSpec, names: tuple[str, ...], exporter: Exporter = "torch.export"
) -> onnx.ModelProto:
    """The ONNX form of a module that takes uint8 [B, *spec.input_shape]; BuildFailure where the exporter refuses."""
    images = torch.zeros(TRACE_BATCH_SIZE, *spec.input_shape, dtype=torch.uint8)
    way = _by_export if exporter == "torch.export" else _by_tracing
    try:
        # Both exporters warn about their own innards and print graphs; what matters is verified afterwards.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.inference_mode():
            warnings.simplefilter("ignore")
            return way(module, images, names)
    except _REFUSALS as error:
        raise BuildFailure(
            f"{exporter} cannot express the network: {_first_line(error)}",
            "the network's code must be changed there, or another architecture chosen",
        ) from error


def _by_export(module: nn.Module, images: Tensor, names: tuple[str, ...]) -> onnx.ModelProto:
    program = torch.onnx.export(
        module,
        (images,),
        dynamo=True,
        input_names=[INPUT_NAME],
        output_names=list(names),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        opset_version=OPSET,
        custom_translation_table=nms_operator.TRANSLATIONS,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    return program.model_proto


def _by_tracing(module: nn.Module, images: Tensor, names: tuple[str, ...]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            module,
            (images,),
            path,
            dynamo=False,
            input_names=[INPUT_NAME],
            output_names=list(names),
            dynamic_axes={name: {0: "batch"} for name in (INPUT_NAME, *names)},
            opset_version=OPSET,
        )
        return onnx.load(path)


def _first_line(error: Exception) -> str:
    """What an exporter says, without its pages of advice."""
    cause = error.__cause__ or error
    said = (str(cause).strip().splitlines() or [""])[0]
    return f"{type(cause).__name__}: {textwrap.shorten(said, _LONGEST_REASON)}"
