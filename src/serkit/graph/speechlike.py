"""Whether a window holds speech; see `serkit.recognition.speechlike`."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from serkit.graph import spectrum
from serkit.graph.ops import END, Op, Value, constant, cosines, highest, length, mean, part, to_float
from serkit.recognition import speechlike as shared


def probability(op: Op, window: Value) -> Value:
    """Return the probability that a window (samples,) at twice `RATE` holds speech: (1, 1)."""
    center, scale, hidden, bias, output, offset = (np.asarray(one, dtype=np.float32) for one in shared.weights())
    x = (measures(op, halved(op, window)) - constant(op, "speech", center[:, None])) / constant(
        op, "speech", scale[:, None]
    )
    x = op.Clip(x, -shared.FARTHEST, shared.FARTHEST)
    layer = op.Tanh(op.MatMul(constant(op, "speech", hidden), x) + constant(op, "speech", bias[:, None]))
    return op.Sigmoid(op.MatMul(constant(op, "speech", output[None]), layer) + float(offset))


def halved(op: Op, samples: Value) -> Value:
    """Return samples (samples,) at half their rate."""
    even, odd = part(op, samples, 0, END, 0, 2), part(op, samples, 1, END, 0, 2)
    half = len(shared.TAPS) // 2
    padded = op.Unsqueeze(op.Pad(odd, [half, 2 * half]), [0, 1])
    # The taps are symmetric, so that a convolution is a correlation.
    sums = op.Squeeze(op.Conv(padded, constant(op, "taps", shared.TAPS[None, None].astype(np.float32))), [0, 1])
    return even * float(shared.MIDDLE) + part(op, sums, 0, length(op, even, 0), 0)


def measures(op: Op, samples: Value) -> Value:
    """Return the `MEASURES` of a window (samples,) at `RATE`: (measures, 1)."""
    taper, own, filters, centers = shared.tables()
    size, hop, fft = shared.LENGTH, shared.HOP, shared.FFT
    missing = op.Max(size + 4 * hop - length(op, samples, 0), [0])
    filled = op.Pad(samples, op.Concat([0], missing, axis=0))
    tapered = spectrum.frames(op, filled, taper, hop, size, center=False)
    power = spectrum.folded_power(op, op.Pad(tapered, [0, 0, 0, 1]), size // 2, fft)
    band = op.MatMul(power, constant(op, "speech_bands", filters))
    total = op.ReduceSum(band, [1]) + 1e-12
    loud = _decibels(op, total)
    top = _quantile(op, loud, 0.95)
    active = op.Greater(loud, top - shared.RANGE)
    level = op.Max(loud, top - shared.RANGE)

    def take(rows: Value) -> Value:
        return op.Compress(rows, op.Reshape(active, [-1]), axis=0)

    periodicity, semitones = _pitch(op, power, own)
    voiced = op.And(active, op.Greater(periodicity, 0.55))
    least = highest(op, total, 0) * 10 ** (-(shared.RANGE + 20) / 10) + shared.FLOOR * 1e-3
    bands = _decibels(op, op.Max(band, least))
    smooth = _smooth(op, bands, 3)
    slow, fast = smooth - _smooth(op, bands, 25), bands - smooth
    shape, within, quick = (take(one - mean(op, one, 1)) for one in (slow, bands, fast))
    moved = _smooth(op, level, 3)
    swing = moved - _smooth(op, level, 25)
    share = band / total
    flatness = take(mean(op, op.Log(share + 1e-6), 1))
    centroid = take(op.MatMul(share, constant(op, "speech_centers", np.log(centers)[:, None].astype(np.float32))))
    fine = part(op, power, int(shared.LOWEST * fft / shared.RATE), int(shared.HIGHEST * fft / shared.RATE), 1)
    fine = fine / (op.ReduceSum(fine, [1]) + 1e-12)
    strongest = take(op.ReduceSum(op.TopK(fine, [6], axis=1, _outputs=2)[0], [1]))
    lines = take(op.Neg(op.ReduceSum(fine * op.Log(fine + 1e-9), [1])))
    heard, louds = take(periodicity), take(level)
    centered, deviation = _spread(op, level)
    together = _spread(op, mean(op, slow, 1))[1]
    apart = _spread(op, slow)[1]
    count = op.ReduceSum(to_float(op, active), [0])
    return op.Concat(
        count / to_float(op, length(op, level, 0)),
        op.ReduceSum(to_float(op, voiced), [0]) / op.Max(count, 1.0),
        mean(op, heard, 0),
        _spread(op, heard)[1],
        *_glides(op, semitones, voiced),
        op.Log(_spread(op, swing)[1] + 0.1),
        op.Log(_spread(op, level - moved)[1] + 0.1),
        op.Min(_crossings(op, swing), 15.0),
        op.Log(_rms(op, shape) + 0.1),
        op.Log(_rms(op, quick) + 0.1),
        _rms(op, shape) / (_rms(op, shape) + _rms(op, quick) + 0.05),
        op.Log(mean(op, _spread(op, within)[1], 1) + 0.1),
        mean(op, flatness, 0),
        _spread(op, flatness)[1],
        mean(op, strongest, 0),
        mean(op, op.Log(mean(op, take(share), 0) + 1e-6), 1),
        mean(op, centroid, 0),
        _spread(op, centroid)[1],
        _correlation(op, centroid, louds),
        _correlation(op, heard, louds),
        _correlation(op, heard, centroid),
        mean(op, centered * centered * centered, 0) / (deviation * deviation * deviation + 1.0),
        together * together / (mean(op, apart * apart, 1) + 0.1),
        mean(op, lines, 0),
        op.Log(op.Max(highest(op, _steps(op, level), 0), 0.0) + 1.0),
        axis=0,
    )


def _pitch(op: Op, power: Value, own: np.ndarray) -> tuple[Value, Value]:
    """Return periodicity, 0 to 1, and pitch in semitones of each frame: (frames, 1)."""
    fft, first, last = shared.FFT, shared.FIRST, shared.LAST
    sides = np.full((1, fft // 2 + 1), 2 / fft, dtype=np.float32)
    sides[:, [0, -1]] /= 2
    correlation = op.MatMul(power * constant(op, "mirrored", sides), cosines(op, fft // 2 + 1, fft // 2, fft))
    correlation = correlation / (part(op, correlation, 0, 1, 1) + 1e-12)
    lags = part(op, correlation, first, last, 1) / constant(op, "own", own[None].astype(np.float32))
    longer = constant(op, "longer", 0.0006 * np.arange(last - first, dtype=np.float32)[None])
    at = op.ArgMax(lags - longer, axis=1)
    periodicity = op.Clip(op.GatherElements(lags, at, axis=1), 0.0, 1.0)
    return periodicity, op.Log(float(shared.RATE) / to_float(op, at + first)) * (12 / math.log(2))


def _glides(op: Op, semitones: Value, voiced: Value) -> tuple[Value, Value, Value]:
    """Return spread, glides and jumps of the pitch of voiced frames: (1, 1) each, 0 with fewer than three frames."""
    flags = to_float(op, voiced)
    enough = to_float(op, op.Greater(op.ReduceSum(flags, [0]), 2.0))
    # One more frame, so that there is one; it counts only where `enough` is 0.
    tones = op.Compress(semitones, op.Reshape(voiced, [-1]), axis=0)
    missing = op.Max(1 - length(op, tones, 0), [0])
    tones = op.Concat(tones, op.Expand(op.Constant(value_floats=[0.0]), op.Concat(missing, [1], axis=0)), axis=0)
    extent = _quantile(op, tones, 0.8) - _quantile(op, tones, 0.2)
    pairs = part(op, flags, 1, END, 0) * part(op, flags, 0, -1, 0)
    steps = op.Abs(_steps(op, semitones))
    small = pairs * to_float(op, op.Less(steps, 3.0))
    glides = op.ReduceSum(small * steps, [0]) / op.Max(op.ReduceSum(small, [0]), 1.0)
    all_pairs = op.ReduceSum(pairs, [0])
    large = (all_pairs - op.ReduceSum(small, [0])) / op.Max(all_pairs, 1.0)
    jumps = op.Where(op.Greater(all_pairs, 0.0), large, 1.0)
    wide = op.Min(extent, 24.0)
    return wide * enough, glides * enough, jumps * enough


def _quantile(op: Op, column: Value, share: float) -> Value:
    """Return the value nearest to a quantile of a column (frames, 1): (1, 1)."""
    count = length(op, column, 0)
    ascending, _ = op.TopK(column, count, axis=0, largest=0, _outputs=2)
    at = op.Cast(op.Round(to_float(op, count - 1) * share), to=ir.DataType.INT64)
    return op.Gather(ascending, at, axis=0)


def _crossings(op: Op, swing: Value) -> Value:
    """Return the turns of the level per second: (1, 1)."""
    below = to_float(op, op.Less(swing, 0.0))
    turned = op.Not(op.Equal(_steps(op, below), 0.0))
    turns = op.And(turned, op.Greater(op.Abs(_steps(op, swing)), 0.3))
    seconds = to_float(op, length(op, swing, 0)) * (shared.HOP / shared.RATE)
    return op.ReduceSum(to_float(op, turns), [0]) / seconds


def _smooth(op: Op, rows: Value, width: int) -> Value:
    """Average rows (frames, columns) over frames; fewer at the ends."""
    columns = op.Unsqueeze(op.Transpose(rows, perm=[1, 0]), [0])
    sides = [width // 2, width // 2]
    averaged = op.AveragePool(columns, kernel_shape=[width], pads=sides, count_include_pad=0)
    return op.Transpose(op.Squeeze(averaged, [0]), perm=[1, 0])


def _spread(op: Op, rows: Value) -> tuple[Value, Value]:
    """Return columns (frames, columns) without their mean, and their standard deviation (1, columns)."""
    centered = rows - mean(op, rows, 0)
    return centered, op.Sqrt(mean(op, centered * centered, 0))


def _correlation(op: Op, one: Value, other: Value) -> Value:
    (first, wide), (second, wider) = _spread(op, one), _spread(op, other)
    return mean(op, first * second, 0) / (wide * wider + 1e-2)


def _rms(op: Op, rows: Value) -> Value:
    return op.Sqrt(op.ReduceMean(rows * rows, [0, 1]))


def _steps(op: Op, rows: Value) -> Value:
    return part(op, rows, 1, END, 0) - part(op, rows, 0, -1, 0)


def _decibels(op: Op, power: Value) -> Value:
    return op.Log(power) * (10 / math.log(10))
