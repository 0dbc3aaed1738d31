"""Levels of harmonics and of formants, relative to each other."""

from __future__ import annotations

import numpy as np

#: Level in dB where there is no voice.
SILENT = -201.0

# A formant's level is that of the highest harmonic within 20 % of its frequency.
_WIDTH = 0.2
_LEAST = 1e-9


def levels(magnitude: np.ndarray, pitch: np.ndarray, formants: np.ndarray, rate: int) -> np.ndarray:
    """Compare the harmonics of voiced frames.

    As in the reference, H1-H2 and H1-A3 begin at the second harmonic, twice the fundamental frequency.

    Args:
        magnitude: magnitude spectra (frames, bins), transform length 2 * (bins - 1).
        pitch: fundamental frequency in Hz (frames,), above 0.
        formants: frequencies of the lowest three formants in Hz (frames, 3); 0 for none.
        rate: sampling rate in Hz.

    Returns:
        float64 (5, frames) in dB: H1-H2, H1-A3, and the levels of the formants relative to the fundamental (0 for a
        formant without a harmonic).
    """
    bins = magnitude.shape[1]
    wide = (1 - _WIDTH) * formants, (1 + _WIDTH) * formants
    count = max(3, int((wide[1] / pitch[:, None]).max(initial=0)))
    frequency = pitch[:, None] * np.arange(1, count + 1)
    place = np.rint(frequency * (2 * (bins - 1) / rate)).astype(np.int64)
    exists = place < bins - 2
    place = np.clip(place, 1, bins - 2)
    frames = np.arange(len(magnitude))[:, None]
    while True:
        before, top, after = (magnitude[frames, place + step] for step in (-1, 0, 1))
        move = np.where(before > after, -1, 1) * (np.maximum(before, after) > top)
        climbed = np.clip(place + move, 1, bins - 2)
        if np.array_equal(climbed, place):
            break
        place = climbed
    bend = before - 2 * top + after
    rise = np.divide((before - after) ** 2, -8 * bend, out=np.zeros_like(top), where=(bend < 0) & (top >= before))
    heights = 20 * np.log10(np.maximum(np.where(exists, top + rise, 0), _LEAST))
    fundamental = 20 * np.log10(np.maximum(top[:, 0], _LEAST))
    near = (frequency[:, None] >= wide[0][..., None]) & (frequency[:, None] <= wide[1][..., None]) & exists[:, None]
    loudest = np.where(near, heights[:, None], -np.inf).max(axis=2)
    found = near.any(axis=2)
    relative = np.where(found, loudest - fundamental[:, None], 0)
    third = np.where(found[:, 2], loudest[:, 2], fundamental)
    return np.stack((heights[:, 1] - heights[:, 2], heights[:, 1] - third, *relative.T))
