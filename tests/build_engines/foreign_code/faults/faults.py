"""Factories that fail, each in its own way."""

import importlib
import os
import signal
import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Answering(nn.Module):
    """Answers what it is told to, of the mean colour of each image."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)
        self.form = form

    def forward(self, x: Tensor) -> object:
        """In one of the forms."""
        logits = self.head(x.mean(dim=(2, 3)))
        maps = logits[:, :, None, None] * x[:, :1, ::2, ::2]
        boxes = torch.sigmoid(logits)[:, None].cumsum(dim=-1) / 4
        scores, labels = boxes[..., 0], torch.ones_like(boxes[..., 0], dtype=torch.int64)
        answers: dict[str, object] = {
            "tensor": logits,
            "softmax": logits.softmax(dim=-1),
            "pooled": logits[:, :, None, None],
            "pair": (logits, maps),
            "list": [logits, logits],
            "pred": {"pred": logits},
            "dataclass": Answer(logits, maps),
            "maps": maps,
            "out": {"out": maps, "aux": maps},
            "objects": {"boxes": boxes, "scores": scores, "labels": labels},
            "objects in order": (boxes, scores, labels),
            "objects in pixels": {"boxes": boxes * 640, "scores": scores, "labels": labels},
            "one mapping an image": [{"boxes": box} for box in boxes],
            "depth": maps[:, :1].abs(),
            "alpha": [{"pha": maps[:, :1].sigmoid()}],
            "image": x,
            "unclear": {"a": logits, "b": logits},
            "no batch": logits.mean(),
        }
        return answers[self.form]


@dataclass
class Answer:
    """An answer as a dataclass."""

    logits: Tensor
    maps: Tensor


def answering(form: str) -> nn.Module:
    """A network with that form of answer."""
    return Answering(form)


def needs(module: str) -> nn.Module:
    """Import something that may be absent."""
    importlib.import_module(module)
    return Answering("tensor")


def dies(signal_number: int | None = None) -> nn.Module:
    """End the process without a word to the interpreter, or by a signal."""
    print("about to die", file=sys.stderr, flush=True)  # noqa: T201
    if signal_number is not None:
        os.kill(os.getpid(), signal.Signals(signal_number))
    os._exit(3)


def hangs() -> nn.Module:
    """Wait for something that never comes."""
    while True:
        time.sleep(0.05)


def raises() -> nn.Module:
    """Refuse."""
    raise ValueError("depth must be even\nand more")


def leaves() -> nn.Module:
    """What argparse does."""
    sys.exit(2)


def wants_gpu() -> nn.Module:
    """Run on a GPU only."""
    raise RuntimeError("Found no NVIDIA driver on your system.")


def wants_operator() -> nn.Module:
    """Need a kernel that was never built."""
    MSDA = None  # noqa: N806  as the official code has it where its import failed
    return MSDA.MultiScaleDeformableAttention  # type: ignore[attr-defined]


def gives_dict() -> dict[str, int]:
    """No network."""
    return {"depth": 3}


class Stubborn(Answering):
    """Never leaves training."""

    def train(self, mode: bool = True) -> "Stubborn":
        """Ignore the mode."""
        return self


def stubborn() -> nn.Module:
    """A network that does not go into evaluation mode."""
    return Stubborn("tensor")


class Deployable(Answering):
    """Has a second, merged form."""

    def switch_to_deploy(self) -> None:
        """Merge branches."""


def deployable() -> nn.Module:
    """A network with a method that its authors call before deployment."""
    return Deployable("tensor")


class Frozen(Answering):
    """Takes its batch for a number of Python's, which every exporter takes for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(x.mean(dim=(2, 3)).reshape(len(x), 3))


def frozen() -> nn.Module:
    """A network whose batch freezes."""
    return Frozen("tensor")


class Skipping(Answering):
    """Leaves its normalisation out when it is exported, as Next-ViT does."""

    def __init__(self) -> None:
        super().__init__("tensor")
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        means = x.mean(dim=(2, 3))
        return self.head(means if torch.onnx.is_in_onnx_export() else self.norm(means))


def skipping() -> nn.Module:
    """A network that is another one when exported."""
    return Skipping()


def wants_registered_operator() -> nn.Module:
    """Uses an operator that an extension, not loaded here, registers with torch."""
    return torch.ops.some_extension.fast_scan(torch.zeros(1))  # type: ignore[no-any-return]


def compiles() -> nn.Module:
    """Fails as torch does where an extension is to be compiled, and there is no CUDA toolkit."""
    raise OSError("CUDA_HOME environment variable is not set. Please set it to your CUDA install root.")
