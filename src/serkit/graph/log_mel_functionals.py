"""Statistics of the log-mel spectrogram; see `serkit.features.log_mel_functionals`."""

from __future__ import annotations

from serkit.features.log_mel_functionals import LogMelFunctionals
from serkit.graph.log_mel import log_mel
from serkit.graph.ops import END, Op, Value, mean, part, percentiles, spread


def log_mel_functionals(op: Op, feature: LogMelFunctionals, signal: Value) -> Value:
    """Return the vector of a signal (samples,): (size,)."""
    levels = log_mel(op, feature.log_mel(), signal)
    # Of a single frame the change is 0: its difference from itself.
    later = op.Concat(part(op, levels, 1, END, 1), part(op, levels, -1, END, 1), axis=1)
    steps = op.Max(op.Shape(levels, start=1, end=2) - 1, [1])
    change = part(op, later - levels, 0, steps, 1)
    ends = op.Transpose(percentiles(op, levels, (10, 90)), perm=[1, 0])
    values = (mean(op, levels, 1), spread(op, levels)[1], ends, spread(op, change)[1])
    return op.Concat(*(op.Reshape(value, [-1]) for value in values), axis=0)
