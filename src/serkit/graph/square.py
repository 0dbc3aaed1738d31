"""Spectral features as square images; see `serkit.features.square`. The chromagram has no graph."""

from __future__ import annotations

import math

from serkit.features.mfcc import cosines
from serkit.features.square import LEAST_AMPLITUDE, LEAST_POWER, MelSquare, MfccSquare
from serkit.graph import log_mel
from serkit.graph.ops import END, Op, Value, constant, highest, length, part, to_float
from serkit.graph.resizing import resized


def mel_square(op: Op, feature: MelSquare, signal: Value) -> Value:
    """Draw a signal (samples,): (1, size, size)."""
    trimmed, sounds = _prepared(op, feature, signal)
    values = log_mel.log_mel(op, feature.mel(feature.bands), trimmed)
    return _drawn(op, feature, _decibels(op, feature, values, LEAST_POWER) if feature.strict_units else values, sounds)


def mfcc_square(op: Op, feature: MfccSquare, signal: Value) -> Value:
    """Draw a signal (samples,): (1, size, size)."""
    trimmed, sounds = _prepared(op, feature, signal)
    levels = _logarithm(op, log_mel.log_mel(op, feature.mel(feature.bands), trimmed), LEAST_POWER)
    levels = op.Max(levels, _peak(op, levels) - 80.0)
    basis = cosines(feature.bands, feature.coefficients, 0.0).T
    return _drawn(op, feature, op.MatMul(constant(op, "dct", basis), levels), sounds)


def _prepared(op: Op, feature: MelSquare | MfccSquare, signal: Value) -> tuple[Value, Value]:
    """Return the emphasised signal without zeros at its ends, and whether anything is left: (1,)."""
    before = op.Pad(part(op, signal, 0, -1, 0), [1, 0])
    emphasised = signal - before * feature.preemphasis
    first, second = part(op, signal, 0, 1, 0), op.Slice(op.Concat(signal, signal, axis=0), [1], [2])
    # librosa's start of its filter, for more than one sample.
    added = op.Where(op.Greater(length(op, signal, 0), 1), first * 2.0 - second, 0.0)
    emphasised = op.Concat(part(op, emphasised, 0, 1, 0) + added, part(op, emphasised, 1, END, 0), axis=0)
    there = to_float(op, op.Not(op.Equal(emphasised, 0.0)))
    begin, end = op.ArgMax(there, axis=0), op.ArgMax(there, axis=0, select_last_index=1)
    return part(op, emphasised, begin, end + 1, 0), op.Greater(highest(op, there, 0), 0.0)


def _drawn(op: Op, feature: MelSquare | MfccSquare, values: Value, sounds: Value) -> Value:
    """Return the image of values (rows, frames); -1 where nothing sounds."""
    levels = values if feature.strict_units else _decibels(op, feature, values * values, LEAST_AMPLITUDE**2)
    rows = feature.bands if isinstance(feature, MelSquare) else feature.coefficients
    image = resized(op, resized(op, levels / feature.top_db, rows, rows), feature.size, feature.size)
    return op.Unsqueeze(op.Where(sounds, image, -1.0), [0])


def _decibels(op: Op, feature: MelSquare | MfccSquare, power: Value, floor: float) -> Value:
    """Return levels below the maximum, down to `-top_db`."""
    levels = _logarithm(op, power, floor)
    return op.Max(levels - _peak(op, levels), -feature.top_db)


def _logarithm(op: Op, power: Value, floor: float) -> Value:
    return op.Log(op.Max(power, floor)) * (10 / math.log(10))


def _peak(op: Op, levels: Value) -> Value:
    return highest(op, highest(op, levels, 0), 1)
