"""Load a network in onnxruntime, and check it against the bundle's description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from serkit import onnx_session
from serkit.errors import UserError
from serkit.features import Feature
from serkit.features.onnx import Onnx
from serkit.recognition.bundle import Bundle, BundleError

if TYPE_CHECKING:
    import onnxruntime


def open_session(bundle: Bundle, features: dict[str, Feature], threads: int) -> onnxruntime.InferenceSession:
    """Load a bundle's network and compare it with the bundle's description.

    Args:
        bundle: bundle whose `model.onnx` is loaded.
        features: features by name of the input.
        threads: number of processor threads for the network.

    Raises:
        BundleError: onnxruntime cannot load it, it has forbidden content, or names, types or shapes differ.
    """
    try:
        for feature in features.values():
            if isinstance(feature, Onnx):
                feature.check()
        session = onnx_session.load(bundle.model_path, threads)
    except UserError as error:
        raise BundleError(str(error)) from None
    _check_inputs(bundle.model_path, features, session)
    _check_output(bundle, session)
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
