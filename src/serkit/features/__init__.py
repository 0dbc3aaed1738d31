"""Features: NumPy only, one per file, the same code in training and in recognition.

A feature is a frozen dataclass whose fields are its configuration. To add one, write its file and add a
line to `FEATURES`.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from serkit.errors import UserError
from serkit.registry import Registry

FEATURES = Registry(
    "feature",
    {
        "chroma_square": "serkit.features.square:ChromaSquare",
        "egemaps": "serkit.features.egemaps:Egemaps",
        "egemaps_descriptors": "serkit.features.egemaps_descriptors:EgemapsDescriptors",
        "f0_egg": "serkit.features.f0_egg:F0Egg",
        "f0_robust": "serkit.features.f0_robust:F0Robust",
        "gemaps": "serkit.features.egemaps:Gemaps",
        "is09": "serkit.features.is09:Is09",
        "is09_descriptors": "serkit.features.is09_descriptors:Is09Descriptors",
        "log_mel": "serkit.features.log_mel:LogMel",
        "log_mel_functionals": "serkit.features.log_mel_functionals:LogMelFunctionals",
        "logmel_image": "serkit.features.logmel_image:LogmelImage",
        "mel_square": "serkit.features.square:MelSquare",
        "mfcc": "serkit.features.mfcc:Mfcc",
        "mfcc_square": "serkit.features.square:MfccSquare",
        "onnx": "serkit.features.onnx:Onnx",
        "speech_functionals": "serkit.features.speech_functionals:SpeechFunctionals",
        "speech_log_mel": "serkit.features.speech_log_mel:SpeechLogMel",
        "transformers": "serkit.features.transformers:Transformers",
        "waveform": "serkit.features.waveform:Waveform",
        "stft_magnitude": "serkit.features.stft_magnitude:StftMagnitude",
    },
    "serkit.features",
)

# Maximum samples to transform for a second of sound; at 16 kHz, each may be in up to 524 frames.
_MOST_SAMPLES = 1 << 23

# Maximum size of a bank of mel filters.
_MOST_FILTERS = 1 << 24


@runtime_checkable
class Feature(Protocol):
    """A feature: `(samples,)` float32 at `rate` Hz -> float32 array of `shape` (None for time).

    A feature of only a part of the signal has a method `interval`: samples -> start and end of the part in s.
    `version` increases whenever the same configuration gives other numbers. It is part of every key in the
    store and of every bundle.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    @property
    def rate(self) -> int: ...

    @property
    def shape(self) -> tuple[int | None, ...]: ...

    def __call__(self, signal: np.ndarray) -> np.ndarray: ...


def build(name: str, **options: Any) -> Feature:
    """Build a feature from its name and configuration.

    Args:
        name: a key of `FEATURES`.
        options: fields of the feature. `version`, if `config` has written it, is checked against the code.

    Raises:
        UserError: a name or option is unknown, a value is invalid, or the feature has another version.
    """
    kind = FEATURES.find(name)
    version = options.pop("version", kind.version)
    if version != kind.version:
        raise UserError(f"feature '{name}' version {version} is required; this serkit computes version {kind.version}")
    feature: Feature = FEATURES.make(name, options)
    _check_size(feature)
    return feature


def rebuild(name: str, **options: Any) -> Feature:
    """Build a feature from a configuration that a stranger may have written, such as a bundle's.

    Only its fields count: an option that is no field, such as a path, is refused. Otherwise as `build`.
    """
    kind = FEATURES.find(name)
    fields = {field.name for field in dataclasses.fields(kind)}
    for option in options:
        if option in inspect.signature(kind).parameters and option not in fields:
            raise UserError(f"option '{option}' of feature '{name}' is for training only; a bundle cannot have it")
    return build(name, **options)


def _check_size(feature: Any) -> None:
    """Reject options that are valid individually but require too much memory together."""
    length, hop = getattr(feature, "fft", getattr(feature, "length", 1)), getattr(feature, "hop", feature.rate)
    if feature.rate * length > _MOST_SAMPLES * hop:
        least = -(-feature.rate * length // _MOST_SAMPLES)
        raise UserError(f"{feature.name}: hop must be at least {least} for frames of {length} samples, got {hop}")
    bands = getattr(feature, "bands", 1)
    if length * bands > _MOST_FILTERS:
        most = _MOST_FILTERS // length
        raise UserError(f"{feature.name}: bands must be at most {most} for frames of {length} samples, got {bands}")


def interval(feature: Feature, signal: np.ndarray) -> tuple[float, float]:
    """Return start and end, in s, of the part of a signal that a feature covers."""
    shown = getattr(feature, "interval", None)
    return shown(signal) if shown else (0.0, len(signal) / feature.rate)


def config(feature: Feature) -> dict[str, Any]:
    """Return the full configuration of a feature, such that `build(**config(f))` equals `f`."""
    fields = dataclasses.asdict(feature)  # type: ignore[call-overload]
    return {"name": feature.name, "version": feature.version, **fields}
