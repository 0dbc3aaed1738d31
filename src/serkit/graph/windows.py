"""Where the windows of a recording are; see `serkit.windowing` and `serkit.recognition.windows`."""

from __future__ import annotations

import onnx_ir as ir

from serkit.graph.ops import Op, Value, length
from serkit.windowing import NO_TAIL, Windowing


def windows(op: Op, windowing: Windowing, rate: int, samples: Value) -> tuple[Value, Value]:
    """Return the first sample of each window, and that after its last: int64 (windows,).

    Args:
        samples: length of the recording, int64 (1,).
    """
    if windowing.seconds is None:
        return op.Mul(samples, 0), samples
    seconds, hop = windowing.seconds, windowing.hop or windowing.seconds
    if windowing.tail == "first":
        return op.Mul(samples, 0), op.Min(samples, [round(seconds * rate)])
    duration = _double(op, samples) / _number(op, rate)
    # As in `Windowing.windows`, in double precision; a recording shorter than a window is one window.
    whole = op.Floor((duration - _number(op, seconds)) / _number(op, hop) + _number(op, 1e-6)) + _number(op, 1)
    whole = op.Max(whole, _number(op, 1))
    covered = (whole - _number(op, 1)) * _number(op, hop) + _number(op, seconds)
    rest = duration - whole * _number(op, hop)
    tail = op.Greater(duration - covered, _number(op, NO_TAIL))
    if windowing.tail == "drop":
        tail = op.And(tail, op.Less(duration, _number(op, 0)))
    elif windowing.tail in ("pad", "keep"):
        tail = op.And(tail, op.GreaterOrEqual(rest, _number(op, max(windowing.minimum, NO_TAIL))))
    count = op.Squeeze(_integer(op, whole) + _integer(op, tail))
    number = _double(op, op.Range(0, count, 1))
    start, end = number * _number(op, hop), number * _number(op, hop) + _number(op, seconds)
    if windowing.tail == "last":
        start = op.Where(op.GreaterOrEqual(number, whole), duration - _number(op, seconds), start)
    return _samples(op, start, rate), op.Min(_samples(op, end, rate), samples)


def fit(op: Op, windowing: Windowing, rate: int, window: Value) -> Value:
    """Pad a window (samples,) with zeros to the length that the network expects."""
    if windowing.seconds is None or windowing.tail == "keep":
        return window
    missing = op.Max(round(windowing.seconds * rate) - length(op, window, 0), [0])
    return op.Pad(window, op.Concat([0], missing, axis=0))


def _samples(op: Op, seconds: Value, rate: int) -> Value:
    """Round times to samples; halves to even, as Python does."""
    return _integer(op, op.Round(seconds * _number(op, rate)))


def _number(op: Op, value: float) -> Value:
    return op.Constant(value=ir.tensor([float(value)], dtype=ir.DataType.DOUBLE))


def _double(op: Op, value: Value) -> Value:
    return op.Cast(value, to=ir.DataType.DOUBLE)


def _integer(op: Op, value: Value) -> Value:
    return op.Cast(value, to=ir.DataType.INT64)
