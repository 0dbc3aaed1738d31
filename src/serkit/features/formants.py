"""Formants from the roots of a linear predictor, as in the eGeMAPS reference.

Three details of the reference matter, and were found by comparison with its output: the frame, centered in the
transform, is resampled to 11 kHz from its lowest 110 bins only, and cut after 20 ms, which loses its last 30 %; and the
roots are those of 1 minus, not plus, the predictor's polynomial. Its formants are therefore broad, and not those of a
phonetician's program.
"""

from __future__ import annotations

import numpy as np

#: Formants that are returned.
COUNT = 3

_RATE = 11000
_ORDER = 11
_LOWEST = 50.0


def formants(spectra: np.ndarray, length: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the formants of frames.

    Args:
        spectra: complex spectra of windowed frames (frames, bins), transform length 2 * (bins - 1).
        length: samples of a frame.
        rate: sampling rate in Hz.

    Returns:
        Frequency and bandwidth in Hz of the lowest formants, both (frames, `COUNT`); 0 for none.
    """
    predictor = -_predictor(_resampled(spectra, length, rate))
    companion = np.zeros((len(spectra), _ORDER, _ORDER))
    companion[:, np.arange(1, _ORDER), np.arange(_ORDER - 1)] = 1
    companion[:, 0] = -predictor
    roots = np.linalg.eigvals(companion)
    frequency = np.angle(roots) * (_RATE / 2 / np.pi)
    used = (roots.imag > 0) & (frequency > _LOWEST) & (frequency < _RATE / 2 - _LOWEST)
    order = np.argsort(np.where(used, frequency, np.inf), axis=1)[:, :COUNT]
    used, frequency, roots = (np.take_along_axis(values, order, axis=1) for values in (used, frequency, roots))
    radius = np.where(used, np.abs(roots), 1)
    return np.where(used, frequency, 0), -np.log(radius) * (_RATE / np.pi)


def _resampled(spectra: np.ndarray, length: int, rate: int) -> np.ndarray:
    """Return the first 20 ms of frames at 11 kHz: (frames, samples)."""
    fft = 2 * (spectra.shape[1] - 1)
    samples = round(length / rate * _RATE)
    bins = min(samples // 2, spectra.shape[1])
    shift = np.exp(-2j * np.pi * np.arange(bins) * ((fft - length) // 2) / fft)
    shift[0] = 2
    values: np.ndarray = np.fft.irfft(spectra[:, :bins] * shift, round(fft * _RATE / rate))[:, :samples]
    return values


def _predictor(frames: np.ndarray) -> np.ndarray:
    """Return the coefficients of a linear predictor by Levinson's recursion: (frames, order), 0 for silence."""
    samples = frames.shape[1]
    correlation = np.stack(
        [np.einsum("ts,ts->t", frames[:, : samples - lag], frames[:, lag:]) for lag in range(_ORDER + 1)], axis=1
    ).astype(np.float64)
    error = correlation[:, 0].copy()
    polynomial = np.zeros((len(frames), _ORDER + 1))
    polynomial[:, 0] = 1
    for order in range(1, _ORDER + 1):
        inner = np.einsum("to,to->t", polynomial[:, :order], correlation[:, order:0:-1])
        reflection = -np.divide(inner, error, out=np.zeros_like(error), where=error > 0)
        polynomial[:, : order + 1] += reflection[:, None] * polynomial[:, order::-1]
        error *= 1 - reflection**2
    return polynomial[:, 1:]
