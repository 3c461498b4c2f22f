"""Sessions of ONNX Runtime on the CPU, and the errors that they end in."""

from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _runtime

from build_engines.artifact import BuildFailure

ENGINE_ERRORS = (
    _runtime.EPFail,
    _runtime.Fail,
    _runtime.InvalidArgument,
    _runtime.InvalidGraph,
    _runtime.InvalidProtobuf,
    _runtime.NoSuchFile,
    _runtime.NotImplemented,
    _runtime.RuntimeException,
)
"""What opening and running raise; these have no ancestor of their own."""

_ERRORS, _FATAL = 3, 4
_FOLDING = {"optimization.constant_folding_max_output_size_in_bytes": str(2**24)}
"""As in the service: position tables of large windows, folded, are gigabytes that nobody asked for."""


def open_session(
    model: bytes | Path,
    *,
    threads: int = 0,
    spinning: bool = True,
    optimised: bool = True,
    quiet: bool = False,
    frugal: bool = False,
) -> Any:
    """A session for a serialised graph or a file; one of `ENGINE_ERRORS` if it cannot be had.

    Args:
        model: the graph.
        threads: for one operator; 0: as many as there are cores.
        spinning: whether idle threads wait for work busily, which the service's do not.
        optimised: whether nodes may be fused and folded.
        quiet: print nothing; otherwise what is wrong is printed besides being raised.
        frugal: give memory back after every run, which is slower; kept, it doubles whenever a larger batch comes.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Warnings are about optimisations that it declined.
    options.log_severity_level = _FATAL if quiet else _ERRORS
    options.enable_cpu_mem_arena = not frugal
    for key, value in _FOLDING.items():
        options.add_session_config_entry(key, value)
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def open_version(file: Path, *, threads: int, spinning: bool = True) -> Any:
    """A session for a version's file; BuildFailure if it cannot be loaded."""
    try:
        return open_session(file, threads=threads, spinning=spinning)
    except ENGINE_ERRORS as error:
        raise BuildFailure(f"ONNX Runtime cannot load {file.name}: {said(error)}", "build the model again") from error


def said(error: Exception) -> str:
    """The first line of an error, for the others are the runtime's own source files."""
    return str(error).strip().partition("\n")[0]
