"""Voicing and pitch from autocorrelation and cepstrum, smoothed as in the INTERSPEECH 2009 features.

The cepstrum gives the period, because it stays sharp where a strong formant misleads the autocorrelation. The height
of the autocorrelation gives the periodicity. Thresholds and weights were found by comparison with openSMILE's output.
"""

from __future__ import annotations

import numpy as np

#: Highest fundamental frequency in Hz.
HIGHEST = 500.0

#: Frames with a lower autocorrelation peak are unvoiced.
VOICED = 0.55

# Minimum height of a cepstral peak, as a share of the highest value plus the mean magnitude.
PEAK_HEIGHT = 0.6
# A pitch that deviates from the running mean by this share counts as an octave error. Just below
# 40 %, because exactly 40 % (lags in the ratio 3 to 5) is a jump in the reference.
JUMP = 0.4 - 1e-6
# Weight of a new pitch in the running mean. An octave error moves the mean less, but does move it, so that
# the mean follows a real jump after some frames.
WEIGHT, JUMP_WEIGHT = 0.3, 0.1


def voicing_and_pitch(power: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimate voicing and pitch of each frame separately.

    Args:
        power: power spectra (frames, bins) of real frames, transform length 2 * (bins - 1).
        rate: sampling rate in Hz.

    Returns:
        Voicing (frames,), from 0 to about 1: the highest peak of the autocorrelation relative to lag 0. Pitch
        (frames,) in Hz, from the first cepstral peak that is high enough; 0 without such a peak.
    """
    shortest = int(rate / HIGHEST)
    # Magnitude, because negative peaks of the autocorrelation count as well.
    correlation = np.abs(_cosine_transform(power))
    highest = (correlation[:, shortest - 1 : -1] * _peaks(correlation, shortest - 1)).max(axis=1)
    # As in the reference, the longest lag counts even if it is not a peak.
    highest = np.maximum(highest, correlation[:, -1])
    voicing = np.divide(highest, correlation[:, 0], out=np.zeros_like(highest), where=highest > 0)

    # Adding 1 to the power makes the cepstrum of silence 0 instead of the logarithm of rounding errors.
    cepstrum = _cosine_transform(np.log1p(power))
    threshold = PEAK_HEIGHT * (cepstrum[:, shortest:].max(axis=1) + np.abs(cepstrum).mean(axis=1))
    high = _peaks(cepstrum, shortest + 1) & (cepstrum[:, shortest + 1 : -1] > threshold[:, None])
    first = high.argmax(axis=1)
    found = high[np.arange(len(high)), first]
    # Same steps and precision as the reference, because the order of equal slopes of F0 depends on the last bit.
    period = (first + shortest + 1).astype(np.float32) * np.float32(1 / rate)
    return voicing, np.where(found, 1 / period, 0)


def contour(voicing: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Smooth the pitch of a whole recording; 0 if unvoiced.

    Octave errors are replaced by the running mean of the preceding pitch. A voiced frame without a voiced
    neighbor is dropped; other frames are averaged with the previous frame. As in the reference, the result is
    one frame late: frame t describes t - 1.

    Args:
        voicing: voicing of each frame (frames,).
        pitch: pitch of each frame (frames,) in Hz; 0 without pitch.

    Returns:
        float64 (frames,) in Hz.
    """
    repaired = np.where(voicing >= VOICED, pitch, 0).astype(np.float64)
    mean = 0.0
    for frame in np.flatnonzero(repaired):
        value = repaired[frame]
        mean = mean or value
        jump = abs(value - mean) > JUMP * mean
        if jump:
            repaired[frame] = mean
        mean += (JUMP_WEIGHT if jump else WEIGHT) * (value - mean)
    before, current, after = np.pad(repaired, (2, 0))[:-2], np.pad(repaired, (1, 0))[:-1], repaired
    smooth = np.where(before > 0, (before + current) / 2, np.where(after > 0, current, 0))
    return np.where(current > 0, smooth, 0)


def _cosine_transform(spectra: np.ndarray) -> np.ndarray:
    """Return the inverse Fourier transform of real spectra (frames, bins): lags from 0, without the longest."""
    # An explicit cast is faster than the one in irfft.
    return np.fft.irfft(spectra.astype(np.complex64))[:, : spectra.shape[1] - 1]


def _peaks(values: np.ndarray, first: int) -> np.ndarray:
    """Return which values from lag `first` to the second to last are higher than both neighbors."""
    rises = values[:, first:] > values[:, first - 1 : -1]
    falls = values[:, first:-1] > values[:, first + 1 :]
    return rises[:, :-1] & falls
