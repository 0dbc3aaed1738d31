"""Statistics of the spoken part: cepstrum, voicing, pitch, modulation; see `serkit.features.speech_functionals`."""

from __future__ import annotations

import itertools
import math

import numpy as np

from serkit.features.mfcc import cosines as cosine_transform
from serkit.features.speech_functionals import (
    LOUD,
    MIDDLE,
    MODULATION_EDGES,
    MODULATION_FRAMES,
    STILL,
    VOICE_STEP,
    VOICED,
    SpeechFunctionals,
)
from serkit.graph import cepstral_pitch
from serkit.graph.ops import (
    END,
    Op,
    Value,
    constant,
    cosines,
    highest,
    length,
    mean,
    part,
    percentiles,
    sines,
    spread,
    to_float,
)
from serkit.graph.speech_log_mel import relative, spoken


def speech_functionals(op: Op, feature: SpeechFunctionals, signal: Value) -> Value:
    """Return the vector of a signal (samples,): (size,)."""
    absolute, power = spoken(op, feature, signal)
    levels = relative(op, op.Transpose(absolute, perm=[1, 0]), feature.range)
    basis = cosine_transform(feature.bands, feature.coefficients, 0.0).T
    cepstrum = op.MatMul(constant(op, "dct", basis), levels)
    voicing, pitch = _voice(op, feature, part(op, power, 0, END, 0, VOICE_STEP))
    contours = [statistics(op, contour) for contour in (cepstrum, voicing, pitch)]
    values = [*contours, _modulation(op, feature, levels)]
    return op.Concat(*(op.Reshape(value, [-1]) for value in values), axis=0)


def _voice(op: Op, feature: SpeechFunctionals, power: Value) -> tuple[Value, Value]:
    """Return the voicing of each frame (1, frames), and the pitch of the voiced frames in semitones (1, frames)."""
    loud = percentiles(op, op.Transpose(highest(op, power, 1), perm=[1, 0]), (95,))
    scale = LOUD / op.Where(op.Greater(loud, 0.0), loud, 1.0)
    voicing, pitch = cepstral_pitch.voicing_and_pitch(op, power * scale, feature.rate, feature.fft)
    voiced = op.And(op.GreaterOrEqual(voicing, VOICED), op.Greater(pitch, 0.0))
    chosen = op.Compress(pitch, op.Reshape(voiced, [-1]), axis=0)
    semitones = op.Log(chosen / MIDDLE) * (12 / math.log(2))
    # Without a voiced frame there is one of 0 semitones, all of whose statistics are 0.
    missing = op.Max(1 - length(op, semitones, 0), [0])
    filled = op.Concat(semitones, op.Expand(op.Constant(value_floats=[0.0]), op.Concat(missing, [1], axis=0)), axis=0)
    return op.Transpose(voicing, perm=[1, 0]), op.Transpose(filled, perm=[1, 0])


def _modulation(op: Op, feature: SpeechFunctionals, levels: Value) -> Value:
    """Return the modulation spectrum of levels (bands, frames): (groups, bands of modulation)."""
    groups = feature.groups
    level = op.ReduceMean(op.Reshape(levels, [groups, feature.bands // groups, -1]), [1], keepdims=0)
    folded = _fold(op, level - mean(op, level, 1), groups)
    frequency = np.fft.rfftfreq(MODULATION_FRAMES, feature.hop / feature.rate)
    # Of the transform only what the bands hold.
    bins = int((frequency < MODULATION_EDGES[-1]).sum())
    real = op.MatMul(folded, cosines(op, MODULATION_FRAMES, bins, MODULATION_FRAMES))
    imaginary = op.MatMul(folded, sines(op, MODULATION_FRAMES, bins, MODULATION_FRAMES))
    power = (real * real + imaginary * imaginary) / to_float(op, length(op, levels, 1))
    inside = [
        (frequency[:bins] >= low) & (frequency[:bins] < high) for low, high in itertools.pairwise(MODULATION_EDGES)
    ]
    bands = np.stack([one / one.sum() for one in inside], axis=1).astype(np.float32)
    return op.Log(op.MatMul(power, constant(op, "modulation", bands)) + 1e-3)


def _fold(op: Op, rows: Value, count: int) -> Value:
    """Add up stretches of `MODULATION_FRAMES` frames: (count, any) to (count, frames)."""
    missing = op.Mod(0 - length(op, rows, 1), MODULATION_FRAMES)
    padded = op.Pad(rows, op.Concat([0, 0, 0], missing, axis=0))
    return op.ReduceSum(op.Reshape(padded, [count, -1, MODULATION_FRAMES]), [1], keepdims=0)


def statistics(op: Op, contours: Value) -> Value:
    """Return the `STATISTICS` of contours (contours, frames), at least one frame: (contours, statistics)."""
    frames = length(op, contours, 1)
    slope = _difference(op, contours)
    centered, deviation = spread(op, contours)
    standard = centered / op.Max(deviation, STILL)
    square = standard * standard
    third = (frames + 2) / 3
    begin = (frames - third) / 2
    first = mean(op, part(op, contours, 0, third, 1), 1)
    last = mean(op, part(op, contours, frames - third, END, 1), 1)
    middle = mean(op, part(op, contours, begin, begin + third, 1), 1)
    return op.Concat(
        mean(op, contours, 1),
        deviation,
        percentiles(op, contours, (5, 25, 50, 75, 95)),
        mean(op, square * standard, 1),
        mean(op, square * square, 1),
        spread(op, slope)[1],
        spread(op, _difference(op, slope))[1],
        mean(op, op.Relu(slope), 1),
        last - first,
        middle - (first + last) / 2.0,
        axis=1,
    )


def _difference(op: Op, rows: Value) -> Value:
    """Return the difference of each frame from the one before, 0 for the first."""
    before = op.Concat(part(op, rows, 0, 1, 1), part(op, rows, 0, -1, 1), axis=1)
    return rows - before
