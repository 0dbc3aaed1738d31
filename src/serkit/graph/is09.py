"""The 384 features of the INTERSPEECH 2009 Emotion Challenge; see `serkit.features.is09`."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from serkit.features.is09 import CEPSTRAL_ROUNDING, ROUNDING, Is09
from serkit.graph.is09_descriptors import is09_descriptors
from serkit.graph.ops import Op, Value, highest, length, mean, part, to_float


def is09(op: Op, feature: Is09, signal: Value) -> Value:
    """Return the vector of a signal (samples,): (384,)."""
    contours = is09_descriptors(op, feature.descriptors(), signal)
    # The reference omits the last two frames, whose slope is incomplete.
    used = op.Cast(part(op, contours, 0, op.Max(length(op, contours, 1) - 2, [1]), 1), to=ir.DataType.DOUBLE)
    return op.Reshape(to_float(op, _functionals(op, used, _rounding(op, feature, used))), [-1])


def _rounding(op: Op, feature: Is09, contours: Value) -> Value:
    """Return the rounding error of each contour (contours, frames): (contours, 1)."""
    names = feature.descriptors().columns
    fixed = ["mfcc" in name or name.startswith(("pcm_zcr", "F0")) for name in names]
    values = [CEPSTRAL_ROUNDING if "mfcc" in name else 0.0 for name in names]
    magnitude = highest(op, op.Abs(part(op, contours, 0, len(names) // 2, 0)), 1)
    relative = op.Concat(magnitude, magnitude, axis=0) * _number(op, ROUNDING)
    return op.Where(op.Constant(value=ir.tensor(np.array(fixed)[:, None])), _numbers(op, values), relative)


def _functionals(op: Op, contours: Value, rounding: Value) -> Value:
    """Return the `FUNCTIONALS` of contours (contours, frames): (contours, 12)."""
    frames = op.Cast(length(op, contours, 1), to=ir.DataType.DOUBLE)
    high, low = highest(op, contours, 1), op.ReduceMin(contours, [1])
    center = mean(op, contours, 1)
    centered = contours - center
    square = centered * centered
    variance = mean(op, square, 1)
    least = op.Max(variance, rounding * rounding)
    # A contour without any variation has no shape: 0 / 1.
    divisor = op.Where(op.Greater(least, _number(op, 0)), least, _number(op, 1))
    middle = (frames - _number(op, 1)) / _number(op, 2)
    time = op.Cast(op.Range(0, op.Squeeze(length(op, contours, 1)), 1), to=ir.DataType.DOUBLE) - middle
    moment = op.ReduceSum(time * time, [0])
    slope = op.ReduceSum(centered * time, [1]) / op.Where(op.Greater(moment, _number(op, 0)), moment, _number(op, 1))
    residual = centered - slope * time
    return op.Concat(
        high,
        low,
        high - low,
        _first(op, op.GreaterOrEqual(contours, high - rounding)),
        _first(op, op.LessOrEqual(contours, low + rounding)),
        center,
        slope,
        center - slope * middle,
        mean(op, residual * residual, 1),
        op.Sqrt(variance),
        mean(op, square * centered, 1) / (divisor * op.Sqrt(divisor)),
        mean(op, square * square, 1) / (divisor * divisor),
        axis=1,
    )


def _first(op: Op, found: Value) -> Value:
    """Return the place of the first true value of each row: (rows, 1)."""
    return op.Cast(op.ArgMax(to_float(op, found), axis=1), to=ir.DataType.DOUBLE)


def _number(op: Op, value: float) -> Value:
    return op.Constant(value=ir.tensor([float(value)], dtype=ir.DataType.DOUBLE))


def _numbers(op: Op, values: list[float]) -> Value:
    return op.Constant(value=ir.tensor(np.array(values)[:, None], dtype=ir.DataType.DOUBLE))
