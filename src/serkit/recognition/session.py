"""Load a network in onnxruntime, and check it against the bundle's description."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.features import Feature
from serkit.recognition import onnx_file
from serkit.recognition.bundle import Bundle, BundleError

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


def open_session(bundle: Bundle, features: dict[str, Feature], threads: int) -> onnxruntime.InferenceSession:
    """Load a bundle's network and compare it with the bundle's description.

    Args:
        bundle: bundle whose `model.onnx` is loaded.
        features: features by name of the input.
        threads: number of processor threads for the network.

    Raises:
        BundleError: onnxruntime cannot load it, it has forbidden content, or names, types or shapes differ.
    """
    _check_skeleton(bundle.model_path)
    session = _load(bundle.model_path, threads)
    _check_inputs(bundle.model_path, features, session)
    _check_output(bundle, session)
    return session


def reason(error: Exception) -> str:
    """Return the first line of onnxruntime's message without its numbers: `Protobuf parsing failed`."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line).rstrip(".")


def _check_skeleton(path: Path) -> None:
    """Reject a network that reads other files, may never end, or is larger than its file."""
    try:
        skeleton = onnx_file.read(path)
    except ValueError as error:
        raise BundleError(f"{path}: onnxruntime cannot load it ({error})") from None
    if skeleton.external:
        raise BundleError(f"{path}: has weights in another file; save it with all weights inside")
    if skeleton.functions:  # they may call each other and grow exponentially
        raise BundleError(f"{path}: defines functions; save it with inlined functions")
    if endless := sorted(skeleton.operators & _ENDLESS):
        raise BundleError(f"{path}: has the operator {endless[0]}, which may never end")


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


def _load(path: Path, threads: int) -> onnxruntime.InferenceSession:
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
        raise BundleError(f"{path}: onnxruntime cannot load it ({reason(error)})") from None
    return session


def _check_inputs(path: Path, features: dict[str, Feature], session: onnxruntime.InferenceSession) -> None:
    inputs = {entry.name: entry for entry in session.get_inputs()}
    if inputs.keys() != features.keys():
        raise BundleError(f"{path}: its inputs are {_listed(inputs)}, but bundle.json has {_listed(features)}")
    for name, feature in features.items():
        shape = inputs[name].shape
        wanted = ("batch", *("time" if size is None else size for size in feature.shape))
        if inputs[name].type != "tensor(float)" or not _fits(shape, (None, *feature.shape)):
            raise BundleError(
                f"{path}: input '{name}' is {inputs[name].type} {_sizes(shape)}; feature '{feature.name}' "
                f"gives tensor(float) {_sizes(wanted)}"
            )


def _check_output(bundle: Bundle, session: onnxruntime.InferenceSession) -> None:
    path = bundle.model_path
    outputs = {entry.name: entry for entry in session.get_outputs()}
    if list(outputs) != [bundle.output]:
        raise BundleError(f"{path}: its only output must be '{bundle.output}', got {_listed(outputs)}")
    output, count = outputs[bundle.output], len(bundle.outputs)
    if output.type != "tensor(float)" or not _fits(output.shape, (None, count)):
        raise BundleError(
            f"{path}: output '{bundle.output}' is {output.type} {_sizes(output.shape)}; "
            f"{count} {'numbers' if bundle.numbers else 'labels'} require tensor(float) {_sizes(('batch', count))}"
        )


def _fits(shape: Sequence[int | str | None], wanted: Sequence[int | None]) -> bool:
    """Return whether a network's shape fits the required one. None requires an open size; an open size fits all."""
    return len(shape) == len(wanted) and all(
        not isinstance(size, int) or size == other for size, other in zip(shape, wanted, strict=True)
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _sizes(shape: Iterable[int | str | None]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
