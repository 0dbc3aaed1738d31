"""Voicing and pitch of each frame; see `serkit.features.cepstral_pitch`."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from serkit.features.cepstral_pitch import HIGHEST, JUMP, JUMP_WEIGHT, PEAK_HEIGHT, VOICED, WEIGHT
from serkit.graph.ops import Op, Value, arithmetic, constant, cosines, highest, mean, part, to_float


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


def contour(op: Op, voicing: Value, pitch: Value) -> Value:
    """Smooth the pitch of a whole recording: voicing and pitch (frames, 1) to (frames, 1) in Hz, 0 if unvoiced."""
    raw = op.Where(op.GreaterOrEqual(voicing, VOICED), pitch, 0.0)

    def repair(op: Op, mean: Value, value: Value) -> tuple[Value, Value]:
        """Replace an octave error by the running mean of the preceding pitch."""
        op.builder.push_module("contour")
        with arithmetic(op):
            known = op.Where(op.Greater(mean, 0.0), mean, value)
            jump = op.Greater(op.Abs(value - known), known * JUMP)
            followed = known + op.Where(jump, JUMP_WEIGHT, WEIGHT) * (value - known)
            voiced = op.Greater(value, 0.0)
            return op.Where(voiced, followed, mean), op.Where(voiced, op.Where(jump, known, value), 0.0)

    body = op.builder.subgraph(
        repair,
        [ir.val(name, ir.DataType.FLOAT, [1]) for name in ("mean", "value")],
        [ir.val(name, ir.DataType.FLOAT, [1]) for name in ("next", "repaired")],
        name="repair",
    )
    _, repaired = op.Scan(op.Constant(value_floats=[0.0]), raw, body=body, num_scan_inputs=1, _outputs=2)
    before = part(op, op.Pad(repaired, [2, 0, 0, 0]), 0, -2, 0)
    current = part(op, op.Pad(repaired, [1, 0, 0, 0]), 0, -1, 0)
    alone = op.Where(op.Greater(repaired, 0.0), current, 0.0)
    smooth = op.Where(op.Greater(before, 0.0), (before + current) / 2.0, alone)
    return op.Where(op.Greater(current, 0.0), smooth, 0.0)


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
