"""Log-mel spectrogram; see `serkit.features.log_mel`."""

from __future__ import annotations

import math

from serkit.features import spectrum as shared
from serkit.features.log_mel import LogMel
from serkit.graph import spectrum
from serkit.graph.ops import Op, Value, constant


def log_mel(op: Op, feature: LogMel, signal: Value) -> Value:
    """Return the levels of a signal (samples,): (bands, frames)."""
    return op.Transpose(levels(op, feature, mel(op, feature, power(op, feature, signal))), perm=[1, 0])


def power(op: Op, feature: LogMel, signal: Value) -> Value:
    """Return the power spectra: (frames, bins)."""
    taper = shared.window(feature.window, feature.length, feature.fft)
    return spectrum.power(op, signal, taper, feature.hop, feature.center, feature.remove_offset)


def mel(op: Op, feature: LogMel, power: Value) -> Value:
    """Return the energies of the mel bands: (frames, bands)."""
    high = feature.high or feature.rate / 2
    layout = (feature.rate, feature.fft, feature.bands, feature.low, high, feature.scale, feature.norm)
    filters = constant(op, "mel", shared.mel_filters(*layout))
    energy = power if feature.power == 2 else op.Pow(power, feature.power / 2)
    return op.MatMul(energy, filters)


def levels(op: Op, feature: LogMel, mel: Value) -> Value:
    """Return the levels of energies, on the scale of the feature."""
    if feature.level == "linear":
        return mel
    natural = op.Log(op.Max(mel, feature.floor))
    return natural * (10 / math.log(10)) if feature.level == "db" else natural
