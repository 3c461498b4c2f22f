"""Answers the builder's requests, one after the other, until the builder hangs up."""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from build_engines import checkpoint, export, figures, random_weights
from build_engines.artifact import BuildFailure, Exporter, Weights, WeightsOrigin, known
from build_engines.catalog.entry import Entry, ExternalSource, Normalisation, PyramidHead
from build_engines.explain.step import NAMES, explanation_of
from build_engines.messages import Array, Message, receive, send
from build_engines.own_code import factory, headed, preparation
from build_engines.own_code.blame import Blame
from build_engines.own_code.outputs import fit
from build_engines.torchvision_operators import declare_missing
from contract.preprocess import PreprocessSpec

TORCHVISION_OPERATORS = declare_missing()
"""Kept as long as the process lives: the user's code may import torchvision, or a timm that does."""

Answer = tuple[Message, Sequence[Array]]

_BATCH = 4
_ORPHAN_CHECK_S = 1.0


class Server:
    """One network of one user's code."""

    def __init__(self) -> None:
        self._entry: Entry | None = None
        self._source: ExternalSource | None = None
        self._network: nn.Module | None = None
        self._weights: Weights = "random"
        self._fitted: nn.Module | None = None
        self._reference: nn.Module | None = None
        self._spec: PreprocessSpec | None = None

    def load(self, request: Message) -> Answer:
        """Import the factory, call it, and load the weights: ``random``, a file's path, or what the factory loads."""
        self._entry = Entry.model_validate(request["entry"])
        if not isinstance(self._entry.source, ExternalSource):
            raise TypeError("only own code runs in this process")
        self._source, given = self._entry.source, request["weights"]
        weights = self._weights = given if given in {"random", "pretrained"} else Path(given)
        call = factory.find(self._source)
        made = factory.call(call, self._source)
        network, notes = made.network, list(made.notes)
        if weights == "random":
            random_weights.fill(network)
        elif weights == "pretrained":
            factory.require_own_weights(call, self._source, network)
        elif isinstance(weights, Path) and not (self._entry.head and headed.has_backbone(weights)):
            checkpoint.load(network, checkpoint.read(weights), weights.name, "by_name")
        network.float().cpu().eval()
        _require_evaluation(network)
        self._network = network
        stated = preparation.stated(call.module, network)
        warnings = list(factory.unused_preparations(network))
        framework = f"torch {torch.__version__}"
        return {"stated": stated, "notes": notes, "warnings": warnings, "framework": framework}, ()

    def prepare(self, request: Message) -> Answer:
        """See what the network answers at this size, make the task's tensors of it, and count."""
        spec = self._spec = PreprocessSpec.model_validate(request["preprocess"])
        network, entry, source = known(self._network), known(self._entry), known(self._source)
        shape = spec.input_shape
        pixels = (_BATCH, *shape[:-3], shape[-1], *shape[-3:-1])
        if request["settle"]:
            random_weights.settle(network, pixels)
        facts: Message
        with Blame(source, f"the network does not run at {spec.height} x {spec.width}"):
            if isinstance(entry.head, PyramidHead):
                origin = WeightsOrigin(**request["origin"])
                self._fitted, joined = headed.join(network, entry, self._weights, spec, origin)
                facts = {"names": joined.output_names, "notes": (), "classes": entry.head.classes}
                facts |= {"origin": asdict(known(joined.origin)), "warnings": joined.warnings}
            else:
                fitted = fit(network, entry.task, random_weights.pictures(pixels))
                self._fitted = fitted.module.eval()
                facts = {"names": fitted.names, "notes": fitted.notes, "classes": fitted.classes}
            counted = figures.of_network(known(self._fitted), spec)
            self._reference = self._fitted
            if request["explain"]:
                facts |= self._explain(spec, facts["notes"])
        return facts | {"figures": counted.model_dump(mode="json")}, ()

    def _explain(self, spec: PreprocessSpec, notes: Sequence[str]) -> Message:
        """Have the network explain its answers, and hold that against automatic differentiation."""
        found = explanation_of(known(self._fitted), spec)
        self._fitted, self._reference = found.network, found.by_autograd
        return {"names": NAMES, "notes": (*notes, found.note), "task_settings": found.task_settings}

    def export(self, request: Message) -> Answer:
        """The compiled model's ONNX form, as bytes in one array uint8."""
        entry, spec, exporter = known(self._entry), known(self._spec), request["exporter"]
        compiled = export.Compiled(
            known(self._fitted),
            Normalisation.model_validate(request["normalisation"]),
            entry.task,
            multi_label=entry.multi_label,
            channels=spec.input_shape[-1],
        ).eval()
        names = tuple(request["names"])
        way: Exporter = "tracer" if exporter == "tracer" else "torch.export"
        with Blame(known(self._source), f"{exporter} cannot express the network"):
            model = export.to_onnx(compiled, spec, names, way)
        return {}, [np.frombuffer(model.SerializeToString(), np.uint8)]

    def run(self, pixels: Array) -> Answer:
        """Normalised pixels → the task's tensors."""
        with torch.inference_mode(), Blame(known(self._source), "the network does not run"):
            outputs = known(self._reference)(torch.from_numpy(pixels))
        return {}, [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]

    def answer(self, request: Message, arrays: Sequence[Array]) -> Answer:
        """What a request asks for; BuildFailure where the code cannot give it."""
        ways: dict[str, Callable[[], Answer]] = {
            "load": lambda: self.load(request),
            "prepare": lambda: self.prepare(request),
            "export": lambda: self.export(request),
            "run": lambda: self.run(arrays[0]),
        }
        return ways[request["do"]]()


def serve(connection: "Connection[Any, Any]") -> None:
    """Answer until the builder hangs up."""
    server = Server()
    while True:
        try:
            request, arrays = receive(connection)
        except (EOFError, OSError):
            return
        try:
            message, results = server.answer(request, arrays)
        except BuildFailure as failure:
            message, results = {"reason": failure.reason, "remedy": failure.remedy}, ()
        send(connection, message, results)


def main() -> None:
    """Serve on the file descriptor that the builder passes as the only argument."""
    descriptor = int(sys.argv.pop())
    os.set_inheritable(descriptor, False)
    faulthandler.enable()
    # A process that hangs is asked where, before it is ended.
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(Connection(descriptor))


def _end_with(parent: int) -> None:
    """Leave when the builder has gone without a word: code that hangs would never see the end of the connection."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_S)
    os._exit(1)


def _require_evaluation(network: nn.Module) -> None:
    if training := [name or "the network itself" for name, module in network.named_modules() if module.training]:
        raise BuildFailure(
            f"parts of the network are in training mode in spite of eval(): {', '.join(training[:3])}",
            "make its train() and eval() reach all modules",
        )
