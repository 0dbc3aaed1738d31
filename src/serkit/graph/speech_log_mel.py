"""Log-mel spectrogram of the spoken part; see `serkit.features.speech_log_mel`."""

from __future__ import annotations

from serkit.features.speech_log_mel import SpeechLogMel
from serkit.graph import log_mel
from serkit.graph.ops import Op, Value, highest, part, percentiles, to_float


def speech_log_mel(op: Op, feature: SpeechLogMel, signal: Value) -> Value:
    """Return the levels of the spoken part of a signal (samples,): (bands, frames)."""
    levels, _ = spoken(op, feature, signal)
    return relative(op, op.Transpose(levels, perm=[1, 0]), feature.range)


def spoken(op: Op, feature: SpeechLogMel, signal: Value) -> tuple[Value, Value]:
    """Return levels (frames, bands) in dB and power spectra (frames, bins) of the spoken part."""
    plain = feature.log_mel()
    power = log_mel.power(op, plain, signal)
    mel = log_mel.mel(op, plain, power)
    energy = op.ReduceSum(op.Max(mel, plain.floor), [1])
    loud = to_float(op, op.Greater(energy, highest(op, energy, 0) * 10 ** (-feature.trim / 10)))
    first = op.Reshape(op.ArgMax(loud, axis=0), [1])
    last = op.Reshape(op.ArgMax(loud, axis=0, select_last_index=1), [1])
    start, end = op.Max(first - feature.margin, [0]), last + (1 + feature.margin)
    return log_mel.levels(op, plain, part(op, mel, start, end, 0)), part(op, power, start, end, 0)


def relative(op: Op, levels: Value, range: float) -> Value:
    """Return levels (bands, frames) relative to the loud frames, at least -`range`."""
    loud = percentiles(op, highest(op, levels, 0), (95,))
    return op.Max(levels - loud, -range)
