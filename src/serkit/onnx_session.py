"""Load a network in onnxruntime. It may come from a stranger: it can read no other file, and its memory is limited."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit import onnx_file
from serkit.errors import UserError

if TYPE_CHECKING:
    import onnxruntime

#: Maximum memory in bytes of all networks of a process, for weights and computation.
MEMORY = 8 << 30

# Operators that may never end. serkit's networks do not use them.
_ENDLESS = frozenset({"Loop"})


@functools.cache
def _runtime() -> Any:
    """Import onnxruntime when the first network is opened; most commands and all help texts open none."""
    import onnxruntime

    # On Windows, the variable set in `serkit/__init__.py` has no effect: events go to the system's own tracing.
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def reason(error: Exception) -> str:
    """Return the first line of onnxruntime's message without its numbers: `Protobuf parsing failed`."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line).rstrip(".")


def _check_skeleton(path: Path) -> None:
    """Reject a network that reads other files, may never end, or is larger than its file."""
    try:
        skeleton = onnx_file.read(path)
    except ValueError as error:
        raise UserError(f"{path}: onnxruntime cannot load it ({error})") from None
    if skeleton.external:
        raise UserError(f"{path}: has weights in another file; save it with all weights inside")
    if skeleton.functions:  # they may call each other and grow exponentially
        raise UserError(f"{path}: defines functions; save it with inlined functions")
    if endless := sorted(skeleton.operators & _ENDLESS):
        raise UserError(f"{path}: has the operator {endless[0]}, which may never end")


@functools.cache
def _bound_memory() -> None:
    """Limit all networks of the process to one arena of `MEMORY` bytes.

    A few bytes of a network can request more memory than exists, which would end the process.
    """
    onnxruntime = _runtime()
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    default = -1
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(MEMORY, default, default, default))


def load(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load a network.

    Args:
        path: its ONNX file.
        threads: number of processor threads.

    Raises:
        UserError: onnxruntime cannot load it, or it has forbidden content.
    """
    _check_skeleton(path)
    options = _runtime().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # Threads that spin while they wait take the processor from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Recordings differ in length; memory planned for one shape does not fit others and accumulates.
    options.enable_mem_pattern = False
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        session: onnxruntime.InferenceSession = _runtime().InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors have no common base class
        raise UserError(f"{path}: onnxruntime cannot load it ({reason(error)})") from None
    return session
