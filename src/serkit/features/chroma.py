"""Chromagrams: spectra folded into twelve pitch classes, tuned to the recording."""

from __future__ import annotations

import functools

import numpy as np

from serkit.features import spectrum

_CLASSES = 12

# Peaks for the tuning: from 150 to 4000 Hz, at least a tenth of their frame's maximum.
_LOWEST, _HIGHEST, _THRESHOLD = 150.0, 4000.0, 0.1

# Octaves are counted from A0. Their weights form a bell around the fifth, two octaves wide.
_A0 = 27.5
_MIDDLE, _WIDTH = 5.0, 2.0


def chromagram(power: np.ndarray, rate: int) -> np.ndarray:
    """Return the energy of the pitch classes, C first, with each frame divided by its maximum.

    Source: Ellis, Chroma feature analysis and synthesis, 2007, as in librosa's `chroma_stft`.

    Args:
        power: float32 (frames, fft // 2 + 1).
        rate: in Hz.

    Returns:
        float32 (12, frames).
    """
    fft = 2 * (power.shape[1] - 1)
    filters = chroma_filters(rate, fft, tuning(power, rate))
    chroma = np.empty((len(power), _CLASSES), dtype=np.float32)
    spectrum.apply_filters(power, filters, out=chroma)
    peak = chroma.max(axis=1, keepdims=True)
    return (chroma / np.where(peak < np.finfo(np.float32).tiny, 1, peak)).T


def tuning(power: np.ndarray, rate: int) -> float:
    """Return the deviation of strong spectral peaks from the semitones of A 440 Hz: -0.5 to 0.5, in steps of 0.01.

    A parabola through three bins of the power spectrum (frames, bins) gives the position of a peak.
    """
    fft = 2 * (power.shape[1] - 1)
    loud = np.where(power > _THRESHOLD * power.max(axis=1, keepdims=True), power, 0)
    left, middle, right = loud[:, :-2], loud[:, 1:-1], loud[:, 2:]
    frequency = np.arange(1, fft // 2) * rate / fft
    peaks = (middle > left) & (middle >= right) & (frequency >= _LOWEST) & (frequency < _HIGHEST)
    frames, bins = np.nonzero(peaks)
    left, middle, right = (power[frames, bins + step] for step in range(3))
    slope, bend = (right - left) / 2, left + right - 2 * middle
    # The parabola is only valid between the neighboring bins.
    inside = np.abs(slope) < np.abs(bend)
    shift = np.where(inside, -slope / np.where(inside, bend, 1), 0)
    height = middle + slope * shift / 2
    strong = height >= np.median(height) if len(height) else np.zeros(0, dtype=bool)
    pitches = ((bins + 1 + shift) * rate / fft)[strong]
    if not len(pitches):
        return 0.0
    rest = np.mod(_CLASSES * np.log2(pitches / _A0), 1)
    rest[rest >= 0.5] -= 1
    counts, edges = np.histogram(rest, np.linspace(-0.5, 0.5, 101))
    return float(edges[np.argmax(counts)])


@functools.lru_cache(maxsize=128)
def chroma_filters(rate: int, fft: int, offset: float) -> np.ndarray:
    """Return bells around the twelve pitch classes; each bin has norm 1 over the classes, weighted by its octave.

    Args:
        rate: in Hz.
        fft: transform length in samples.
        offset: tuning in semitones.

    Returns:
        float32 (fft // 2 + 1, 12).
    """
    frequencies = np.arange(1, fft) * rate / fft
    semitones = _CLASSES * np.log2(frequencies / (_A0 * 2 ** (offset / _CLASSES)))
    # 0 Hz has no pitch; it is placed an octave and a half below the first bin.
    semitones = np.concatenate([[semitones[0] - 1.5 * _CLASSES], semitones])
    widths = np.append(np.maximum(np.diff(semitones), 1), 1)
    distance = np.mod(semitones[:, None] - np.arange(_CLASSES) + _CLASSES / 2, _CLASSES) - _CLASSES / 2
    bells = np.exp(-0.5 * (2 * distance / widths[:, None]) ** 2)
    bells /= np.linalg.norm(bells, axis=1, keepdims=True)
    bells *= np.exp(-0.5 * ((semitones / _CLASSES - _MIDDLE) / _WIDTH) ** 2)[:, None]
    # Rotate from A to C.
    values: np.ndarray = np.roll(bells, -3, axis=1)[: fft // 2 + 1].astype(np.float32)
    return values
