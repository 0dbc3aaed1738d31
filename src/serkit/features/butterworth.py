"""Zero-phase Butterworth high-pass filter by FFT."""

from __future__ import annotations

import numpy as np

#: Length of the transforms. A recording is filtered in blocks that fit the processor's cache.
LONGEST = 1 << 17

# Margin around a block, in periods of the corner frequency. The slowest pole of order 8 falls by
# exp(-2 pi sin(pi / 16)) per period: to 5e-14 after 25 periods.
_PERIODS = 25

# Maximum margin around a block, in samples. Lower corners would need more than fits in memory.
_LONGEST_MARGIN = 1 << 20


def lowest(rate: int) -> float:
    """Return the lowest corner in Hz that `high_pass` accepts at a sampling rate."""
    return _PERIODS * rate / _LONGEST_MARGIN


def high_pass(signal: np.ndarray, rate: int, corner: float, order: int) -> np.ndarray:
    """Filter forward and backward, without delay; the gain is 1 / (1 + (corner / f)^(2 order)).

    The signal is extended by its point reflection, so that a slope at an end does not become a step.

    Args:
        signal: float32 (samples,).
        rate: sampling rate in Hz.
        corner: frequency in Hz at which the gain is 1/2 (-6 dB).
        order: order of the filter, which is applied twice, 1 to 8.

    Returns:
        float32 (samples,).
    """
    margin = round(_PERIODS * rate / corner)
    extended = _reflect(signal, margin)
    longest = max(LONGEST, 1 << (4 * margin).bit_length())
    length = min(longest, 1 << (len(extended) - 1).bit_length())
    power = (np.fft.rfftfreq(length, 1 / rate) / corner) ** (2 * order)
    gain = (power / (1 + power)).astype(np.float32)
    filtered = np.empty(len(signal), dtype=np.float32)
    size = length - 2 * margin
    for begin in range(0, len(signal), size):
        block = np.fft.irfft(np.fft.rfft(extended[begin : begin + length], length) * gain, length)
        part = filtered[begin : begin + size]
        part[:] = block[margin : margin + len(part)]
    return filtered


def _reflect(signal: np.ndarray, margin: int) -> np.ndarray:
    """Add `margin` samples to each side: the signal rotated about its end samples, then its last value."""
    inside = min(margin, len(signal) - 1)
    before = 2 * signal[0] - signal[inside:0:-1]
    after = 2 * signal[-1] - signal[-2 : -2 - inside : -1]
    rest = (margin - inside, margin - inside)
    return np.pad(np.concatenate((before, signal, after)), rest, mode="edge")
