"""Short-time Fourier magnitude; see `serkit.features.stft_magnitude`."""

from __future__ import annotations

from serkit.features import spectrum as shared
from serkit.features.stft_magnitude import StftMagnitude
from serkit.graph import spectrum
from serkit.graph.ops import Op, Value, part


def stft_magnitude(op: Op, feature: StftMagnitude, signal: Value) -> Value:
    """Return the magnitudes of a signal (samples,), in the feature's shape."""
    taper = shared.window(feature.window, feature.length, feature.fft)
    if feature.spectrum_scale:
        taper = taper / taper.sum()
    magnitude = op.Sqrt(spectrum.power(op, signal, taper, feature.hop, feature.center))
    if feature.size is None:
        return op.Transpose(magnitude, perm=[1, 0])
    rows, columns = feature.size
    padded = op.Pad(magnitude, [0, 0, rows, columns])
    return op.Unsqueeze(part(op, part(op, padded, 0, rows, 0), 0, columns, 1), [0])
