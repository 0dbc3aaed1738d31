"""Check the sound that callers pass in, and convert it to float32 with full scale 1.0."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from serkit import audio
from serkit.errors import UserError

#: Maximum sampling rate in Hz, the maximum of a 32-bit header.
HIGHEST_RATE = 2**31 - 1

#: Floats beyond this, 18 dB above full scale, are most likely integers. A decoder exceeds full scale by less.
INTEGERS = 8.0


def check_recording(path: Any) -> None:
    """Raise UserError if a value is neither a path nor `audio.InMemory`; the message names the right call."""
    if isinstance(path, (str, os.PathLike, audio.InMemory)):
        return
    if isinstance(path, (bytes, bytearray, memoryview)):
        advice = "the content of a file goes into serkit.audio.InMemory(content)"
    elif hasattr(path, "read"):
        advice = "an open file goes into serkit.audio.InMemory(file.read())"
    elif hasattr(path, "__array__"):
        advice = "samples are recognized by predict_signal(samples, rate), over time by timeline_signal"
    else:
        advice = "several paths are recognized by predict_files, over time by timelines"
    raise UserError(f"a recording must be a path, got {type(path).__name__}; {advice}")


def as_samples(signal: Any) -> np.ndarray:
    """Check samples, and convert them to float32 (samples, channels) with full scale 1.0."""
    signal = as_array("signal", signal)
    if signal.ndim not in (1, 2):
        raise UserError(f"signal must have shape (samples,) or (samples, channels), got {signal.shape}")
    if signal.size == 0:
        raise UserError(f"signal has no samples (shape {signal.shape})")
    if signal.ndim == 2 and signal.shape[1] > signal.shape[0]:
        raise UserError(f"signal of shape {signal.shape} has more channels than samples; transpose it: signal.T")
    return full_scale("signal", signal).reshape(len(signal), -1)


def as_array(name: str, signal: Any) -> np.ndarray:
    """Convert samples (an array, a tensor, a list) to an array.

    Raises:
        UserError: the value is a file or its content, or NumPy cannot convert it; the message begins with `name`.
    """
    if isinstance(signal, (str, bytes, bytearray, os.PathLike, audio.InMemory)) or hasattr(signal, "read"):
        raise UserError(
            f"{name}: samples must be an array, got {type(signal).__name__}; a file is recognized by "
            "predict_file(path), its content by predict_file(serkit.audio.InMemory(content))"
        )
    try:
        return np.asarray(signal)
    except Exception as error:  # each array library has its own errors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{name}: NumPy cannot read samples from {type(signal).__name__} ({reason})") from None


def warn_of_integers(name: str) -> None:
    """Warn of a sample beyond `INTEGERS`."""
    audio.warn(
        f"{name}: samples beyond {INTEGERS:g} times full scale, like integers stored as floats; divide them by the "
        "full scale of the integers (32768 for 16 bits)"
    )


def full_scale(name: str, signal: np.ndarray) -> np.ndarray:
    """Convert floats, or integers of up to 32 bits, to float32 with full scale 1.0.

    Raises:
        UserError: the samples have another type, are non-finite, or are beyond `audio.LOUDEST`; the message begins with
            `name`.
    """
    kind, bits = signal.dtype.kind, 8 * signal.dtype.itemsize
    if kind in "iu" and bits <= 32:
        half = 2.0 ** (bits - 1)
        signal = (signal - (half if kind == "u" else 0.0)) / half
    elif kind != "f":
        raise UserError(
            f"{name}: samples must be floats with full scale 1.0 or integers of up to 32 bits, got {signal.dtype}"
        )
    if not np.isfinite(signal).all():
        raise UserError(f"{name}: not a number or infinite at sample {int(np.argmin(np.isfinite(signal)))}")
    if (peak := float(max(signal.max(initial=0.0), -signal.min(initial=0.0)))) > audio.LOUDEST:
        raise UserError(f"{name}: a sample of {peak:.3g} times full scale; floats must have full scale 1.0")
    return signal.astype(np.float32, copy=False)
