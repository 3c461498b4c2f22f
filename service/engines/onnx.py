"""ONNX Runtime within this process."""

import asyncio
import logging
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import onnxruntime as ort

from contract.card import ModelCard
from contract.preprocess import Pixels
from contract.tensors import TensorSpec
from service.engines.base import Inferred
from service.errors import deadline_exceeded, engine_unavailable

_FAILED = tuple(
    kind
    for kind in vars(ort.capi.onnxruntime_pybind11_state).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
)
"""ONNX Runtime's errors, which have no ancestor of their own."""

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

_log = logging.getLogger("vitrail.engines")


class UnusableModel(Exception):
    """A model file that cannot be loaded, or is not what its card says."""


class OnnxEngine:
    """One session, run from several threads with one thread each.

    On few cores, callers side by side with one thread each give about half as much throughput again as one caller
    with all threads, and cost less CPU; a session may be run from several threads at once.

    ``executor`` runs it in traffic, ``until_traffic`` before; until then each run gives back the memory that it took,
    for a version is proved with batches of all sizes, and many never meet the largest. With ``use_gpu`` the model runs
    on a CUDA GPU, if this ONNX Runtime has the provider and finds one.
    """

    def __init__(
        self,
        card: ModelCard,
        path: Path,
        executor: Executor,
        concurrency: int,
        max_batch_size: int | None = None,
        *,
        use_gpu: bool = False,
        until_traffic: Executor | None = None,
    ) -> None:
        self._name = card.name
        self._batch_sizes = tuple(size for size in card.batch_sizes if size <= (max_batch_size or card.max_batch_size))
        self._executor = until_traffic or executor
        self._executor_in_traffic = executor
        self._concurrency = concurrency
        self._options: ort.RunOptions | None = _giving_back() if until_traffic else None
        self._session = _open_on_gpu(path) if use_gpu and CUDA in ort.get_available_providers() else _open(path, [CPU])
        _check(card, self._session)
        self._input = card.input.name
        self._outputs = [output.name for output in card.outputs]

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The certified batch sizes, up to the limit that was set."""
        return self._batch_sizes

    @property
    def concurrency(self) -> int:
        """How many batches run at the same time."""
        return self._concurrency

    @property
    def healthy(self) -> bool:
        """Always: it is in this process."""
        return True

    @property
    def provider(self) -> str:
        """ONNX Runtime's provider that the model runs on; what that one cannot run goes to the CPU's."""
        return str(self._session.get_providers()[0])

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """Run one batch; see `Engine.infer`."""
        del flow  # Nothing waits here that could be put in another order.
        if len(images) not in self._batch_sizes:
            raise ValueError(f"{self._name} is not certified for batches of {len(images)}")
        arrived = time.monotonic()
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, images, arrived, deadline)

    def take_traffic(self) -> None:
        """Run where callers wait from now on."""
        self._executor, self._options = self._executor_in_traffic, None

    async def close(self) -> None:
        """Nothing is pending here; the session goes with its last reference."""

    def _run(self, images: Sequence[Pixels], arrived: float, deadline: float | None) -> list[Inferred]:
        begun = time.monotonic()
        if deadline is not None and begun > deadline:
            raise deadline_exceeded("the deadline passed while the request waited for the engine")
        batch = images[0][None] if len(images) == 1 else np.stack(images)
        try:
            tensors = self._session.run(self._outputs, {self._input: batch}, self._options)
        except _FAILED as error:
            raise engine_unavailable(f"the engine of {self._name} failed on a batch of {len(images)}") from error
        compute_s = time.monotonic() - begun
        return [
            Inferred(dict(zip(self._outputs, item, strict=True)), begun - arrived, compute_s, len(images))
            for item in zip(*tensors, strict=True)
        ]


def _open_on_gpu(path: Path) -> ort.InferenceSession:
    """A session on the GPU; on the CPU, with a warning, where there is a provider and nothing that it could run on."""
    # NVIDIA's libraries may have come as Python packages, where nobody looks for them otherwise.
    ort.preload_dlls()
    # The certificate was given in whole single precision, and the search for the quickest way is made at every batch
    # size anew: it would fall to the first callers.
    options = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    try:
        return _open(path, [(CUDA, options), CPU])
    except UnusableModel as error:
        _log.warning("no GPU can be used, so the CPU is: %s", error)
        return _open(path, [CPU])


def _open(path: Path, providers: Sequence[str | tuple[str, dict[str, str]]]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Position tables of large windows, folded as the model is loaded, are gigabytes that nobody asked for.
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(2**24))
    try:
        # Its own way out of a failure is to go on with other providers, and to say so on the standard output only.
        return ort.InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)
    except _FAILED as error:
        # Callers see this message, and the service's paths are not their business.
        reason = str(error).partition("\n")[0].replace(str(path), path.name).replace(str(path.parent), "")
        raise UnusableModel(f"ONNX Runtime cannot load {path.name}: {reason}") from error


def _giving_back() -> ort.RunOptions:
    """Of runs that leave nothing in the session's arena, which else keeps what its largest run took."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _check(card: ModelCard, session: ort.InferenceSession) -> None:
    """UnusableModel unless the session's inputs and outputs are those of the card."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or not _matches(card.input, inputs[0]):
        raise UnusableModel(f"the model's inputs {[value.name for value in inputs]} are not the card's {card.input}")
    outputs = {value.name: value for value in session.get_outputs()}
    for wanted in card.outputs:
        if wanted.name not in outputs or not _matches(wanted, outputs[wanted.name]):
            raise UnusableModel(f"the model has no output like the card's {wanted}")


def _matches(wanted: TensorSpec, value: ort.NodeArg) -> bool:
    sizes = value.shape[1:]
    return (
        wanted.name == value.name
        and value.type == wanted.dtype.onnx
        and len(sizes) == len(wanted.shape)
        and all(size == want for size, want in zip(sizes, wanted.shape, strict=True) if isinstance(size, int))
    )
