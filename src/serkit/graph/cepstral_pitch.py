"""Voicing and pitch of each frame; see `serkit.features.cepstral_pitch`."""

from __future__ import annotations

import numpy as np

from serkit.features.cepstral_pitch import HIGHEST, PEAK_HEIGHT
from serkit.graph.ops import Op, Value, constant, cosines, highest, mean, part, to_float


def voicing_and_pitch(op: Op, power: Value, rate: int, fft: int) -> tuple[Value, Value]:
    """Return voicing (frames, 1), and pitch (frames, 1) in Hz, of power spectra (frames, fft // 2 + 1)."""
    shortest, longest = int(rate / HIGHEST), fft // 2 - 1
    correlation = op.Abs(_cosine_transform(op, power, fft))
    candidates = part(op, correlation, shortest - 1, longest, 1) * to_float(
        op, _peaks(op, correlation, shortest - 1, longest)
    )
    height = op.Max(highest(op, candidates, 1), part(op, correlation, longest, longest + 1, 1))
    # Without a peak 0 / 1 is 0.
    voicing = height / op.Where(op.Greater(height, 0.0), part(op, correlation, 0, 1, 1), 1.0)

    cepstrum = _cosine_transform(op, _log1p(op, power), fft)
    threshold = (
        highest(op, part(op, cepstrum, shortest, longest + 1, 1), 1) + mean(op, op.Abs(cepstrum), 1)
    ) * PEAK_HEIGHT
    above = op.Greater(part(op, cepstrum, shortest + 1, longest, 1), threshold)
    high = to_float(op, op.And(_peaks(op, cepstrum, shortest + 1, longest), above))
    lag = to_float(op, op.ArgMax(high, axis=1) + (shortest + 1))
    found = highest(op, high, 1)
    return voicing, found * float(rate) / lag


def _log1p(op: Op, value: Value) -> Value:
    """Return log(1 + value), precise for values far below 1, where 1 + value rounds.

    Source: Kahan's correction of the rounded sum (Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1).
    """
    total = value + 1.0
    excess = total - 1.0
    lost = op.Equal(excess, 0.0)
    return op.Where(lost, value, op.Log(total) * value / op.Where(lost, 1.0, excess))


def _cosine_transform(op: Op, spectra: Value, fft: int) -> Value:
    """Return the inverse Fourier transform of real spectra: (frames, fft // 2), lags from 0."""
    bins = fft // 2 + 1
    # Each bin counts twice, for its negative frequency, except the first and the last.
    weights = np.full((1, bins), 2 / fft, dtype=np.float32)
    weights[:, [0, -1]] /= 2
    return op.MatMul(spectra * constant(op, "mirrored", weights), cosines(op, bins, fft // 2, fft))


def _peaks(op: Op, values: Value, first: int, last: int) -> Value:
    """Return which values from lag `first` to before `last` are higher than both neighbors."""
    inner = part(op, values, first, last, 1)
    rises = op.Greater(inner, part(op, values, first - 1, last - 1, 1))
    return op.And(rises, op.Greater(inner, part(op, values, first + 1, last + 1, 1)))
