"""Descriptors of the INTERSPEECH 2009 Emotion Challenge; see `serkit.features.is09_descriptors`."""

from __future__ import annotations

import numpy as np

from serkit.features.is09_descriptors import (
    BANDS,
    COEFFICIENTS,
    LIFTER,
    PREEMPHASIS,
    Is09Descriptors,
    filters,
    frame_length,
    window,
)
from serkit.features.mfcc import cosines as cosine_transform
from serkit.graph import cepstral_pitch, spectrum
from serkit.graph.ops import END, Op, Value, constant, part, to_float


def is09_descriptors(op: Op, feature: Is09Descriptors, signal: Value) -> Value:
    """Return the contours of a signal (samples,): (32, frames)."""
    smooth = _moving_average(op, _raw(op, feature, signal))
    return op.Concat(part(op, smooth, 0, -2, 1), _slope(op, smooth), axis=0)


def _raw(op: Op, feature: Is09Descriptors, signal: Value) -> Value:
    """Return the 16 descriptors before smoothing: (16, frames)."""
    rate, length = feature.rate, frame_length(feature.rate)
    fft = 1 << (length - 1).bit_length()
    plain = spectrum.frames(op, signal, np.ones(length), feature.hop, length, center=False)
    # The first sample of a frame counts as its own predecessor.
    before = op.Concat(part(op, plain, 0, 1, 1), part(op, plain, 0, -1, 1), axis=1)
    windowed = (plain - before * PREEMPHASIS) * constant(op, "taper", window(rate)[None])
    reach = -(-length // 2)
    power = spectrum.folded_power(op, op.Pad(windowed, [0, 0, 0, 2 * reach + 1 - length]), reach, fft)
    energy = op.Sqrt(op.ReduceSum(windowed * windowed, [1]) / float(length))
    mel = op.Log(op.Max(op.MatMul(op.Sqrt(power), constant(op, "is09", filters(rate, fft))), 1.0))
    basis = cosine_transform(BANDS, COEFFICIENTS + 1, LIFTER)[:, 1:]
    cepstrum = op.MatMul(mel, constant(op, "dct", basis))
    voicing, pitch = cepstral_pitch.voicing_and_pitch(op, power, rate, fft)
    contour = cepstral_pitch.contour(op, voicing, pitch)
    columns = op.Concat(energy, cepstrum, _zero_crossing_rate(op, plain, length), voicing, contour, axis=1)
    return op.Transpose(columns, perm=[1, 0])


def _zero_crossing_rate(op: Op, frames: Value, length: int) -> Value:
    """Return the changes of sign per sample of each frame: (frames, 1)."""
    sign = op.Sign(frames)
    before, current, after = part(op, sign, 0, -2, 1), part(op, sign, 1, -1, 1), part(op, sign, 2, END, 1)
    change = op.Less(before * current, 0.0)
    rest = op.And(op.Equal(current, 0.0), op.LessOrEqual(before * after, 0.0))
    return op.ReduceSum(to_float(op, op.Or(change, rest)), [1]) / float(length)


def _moving_average(op: Op, raw: Value) -> Value:
    """Average over three frames, and add two frames for the slope at the end."""
    padded = op.Pad(raw, [0, 1, 0, 3], mode="edge")
    return (part(op, padded, 0, -2, 1) + part(op, padded, 1, -1, 1) + part(op, padded, 2, END, 1)) / 3.0


def _slope(op: Op, smooth: Value) -> Value:
    """Return the slope per frame over five frames, without the last two frames of `smooth`."""
    padded = op.Pad(smooth, [0, 2, 0, 0], mode="edge")
    near = part(op, padded, 3, -1, 1) - part(op, padded, 1, -3, 1)
    far = part(op, padded, 4, END, 1) - part(op, padded, 0, -4, 1)
    return (near + far * 2.0) / 10.0
