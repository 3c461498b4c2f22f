"""The GPU of this machine, if there is one, and a plan that runs on it."""

import importlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self

import numpy as np

from build_engines.artifact import INPUT_NAME, BuildFailure, Tensors
from build_engines.compile import precision as precisions
from build_engines.compile.engines import Engine
from build_engines.compile.listening import Log, logger
from contract.preprocess import Pixels

_INSTALL = "install the extra of the engine (vitrail[gpu] or vitrail[rtx]) and NVIDIA's driver"


@dataclass(frozen=True, slots=True)
class NoGpu:
    """Why there is none."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a plan is bound to."""

    name: str
    driver: str
    """The newest CUDA that the driver serves, e.g. ``13.1``."""
    compute_capability: str
    """E.g. ``9.0``."""


@cache
def first_gpu() -> Gpu | NoGpu:
    """The machine's first GPU, asked once."""
    try:
        cuda = _cuda()
        _checked(cuda, cuda.cuInit(0))
        device = _checked(cuda, cuda.cuDeviceGet(0))
        name = _checked(cuda, cuda.cuDeviceGetName(128, device)).split(b"\0")[0].decode()
        driver = _checked(cuda, cuda.cuDriverGetVersion())
        attributes = cuda.CUdevice_attribute
        major, minor = (
            _checked(cuda, cuda.cuDeviceGetAttribute(attribute, device))
            for attribute in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
    except (BuildFailure, RuntimeError) as error:
        return NoGpu(str(error))
    return Gpu(name, f"{driver // 1000}.{driver % 1000 // 10}", f"{major}.{minor}")


class CannotLoad(BuildFailure):
    """This GPU, or the library on this machine, cannot load a plan; another may."""


class PlanRunner:
    """A plan on the GPU, with its own buffers; a context manager, which frees them."""

    def __init__(self, plan: bytes, engine: Engine, gpu: Gpu) -> None:
        """Load the plan; CannotLoad where this GPU or this library cannot."""
        self.name = f"{engine.name} {engine.version} on {gpu.name}"
        self._engine, self._cuda, self._log = engine, _cuda(), Log()
        self._undo = ExitStack()
        self._device = _checked(self._cuda, self._cuda.cuDeviceGet(0))
        context = _checked(self._cuda, self._cuda.cuDevicePrimaryCtxRetain(self._device))
        self._undo.callback(self._cuda.cuDevicePrimaryCtxRelease, self._device)
        _checked(self._cuda, self._cuda.cuCtxSetCurrent(context))
        self._runtime = engine.library.Runtime(logger(engine.library, self._log))
        # A version-compatible plan brings its own runtime, as code; this one was built here a moment ago.
        self._runtime.engine_host_code_allowed = True
        self._plan = self._runtime.deserialize_cuda_engine(plan)
        self._context: Any = None if self._plan is None else self._plan.create_execution_context()
        if self._context is None:
            self._undo.close()
            why = "; ".join(self._log.errors) or "it does not say why"
            raise CannotLoad(f"{engine.name} cannot load the plan on {gpu.name}: {why}", "build it on this machine")
        self._stream = _checked(self._cuda, self._cuda.cuStreamCreate(0))
        self._undo.callback(self._cuda.cuStreamDestroy, self._stream)
        self._buffers: dict[str, tuple[Any, int]] = {}
        self._undo.callback(self._free)

    def __enter__(self) -> Self:
        """Nothing more to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the GPU's memory back; context and engine go before the CUDA context that they live in."""
        self._context = self._plan = self._runtime = None
        self._undo.close()

    def layer_precisions(self) -> dict[str, int]:
        """How many of the finished engine's layers run in which precision; empty where the inspector does not tell."""
        return precisions.of_engine(self._engine.library, self._plan)

    def run(self, images: Pixels) -> Tensors:
        """The whole batch at once, with its way to the GPU and back; RuntimeError where the engine fails."""
        self.load(images)
        self.execute()
        return self.answers()

    def load(self, images: Pixels) -> None:
        """Bring a batch to the GPU and make room for its outputs."""
        pixels = np.ascontiguousarray(images)
        if not self._context.set_input_shape(INPUT_NAME, pixels.shape):
            raise RuntimeError(f"the plan does not take a batch of shape {pixels.shape}")
        place = self._room(INPUT_NAME, pixels.nbytes)
        _checked(self._cuda, self._cuda.cuMemcpyHtoD(place, pixels.ctypes.data, pixels.nbytes))
        for name in self._outputs():
            self._room(name, self._empty(name).nbytes)
        for name, (address, _) in self._buffers.items():
            self._context.set_tensor_address(name, int(address))

    def execute(self) -> None:
        """Run the loaded batch and wait for it."""
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError("; ".join(self._log.errors) or "the engine did not run, and does not say why")
        _checked(self._cuda, self._cuda.cuStreamSynchronize(self._stream))

    def answers(self) -> Tensors:
        """The outputs of the last run."""
        found = {}
        for name in self._outputs():
            values = self._empty(name)
            _checked(self._cuda, self._cuda.cuMemcpyDtoH(values.ctypes.data, self._buffers[name][0], values.nbytes))
            found[name] = values
        return found

    def _outputs(self) -> list[str]:
        names = [self._plan.get_tensor_name(index) for index in range(self._plan.num_io_tensors)]
        return [name for name in names if self._plan.get_tensor_mode(name).name == "OUTPUT"]

    def _empty(self, name: str) -> np.ndarray[Any, Any]:
        kind = self._engine.library.nptype(self._plan.get_tensor_dtype(name))
        return np.empty(tuple(self._context.get_tensor_shape(name)), kind)

    def _room(self, name: str, size: int) -> Any:
        """An address on the GPU with at least that many bytes."""
        if self._buffers.get(name, (None, 0))[1] < size:
            if name in self._buffers:
                _checked(self._cuda, self._cuda.cuMemFree(self._buffers.pop(name)[0]))
            self._buffers[name] = (_checked(self._cuda, self._cuda.cuMemAlloc(size)), size)
        return self._buffers[name][0]

    def _free(self) -> None:
        while self._buffers:
            self._cuda.cuMemFree(self._buffers.popitem()[1][0])


def _cuda() -> Any:
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        raise BuildFailure(f"CUDA's Python bindings do not load: {error}", _INSTALL) from error


def _checked(cuda: Any, answer: tuple[Any, ...]) -> Any:
    """What a call gave besides its status; RuntimeError for a status that is none of success."""
    status, *values = answer
    if status != cuda.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"CUDA says {getattr(status, 'name', status)}")
    return values[0] if values else None
