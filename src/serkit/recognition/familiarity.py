"""How unlike the training recordings a sound is, from the inputs of the network.

A network answers every sound, most confidently often those that resemble nothing it has learned from. The distance is
the root mean square of the deviations of all rows of its inputs, averaged over time, from their means over the training
recordings, in standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from serkit.recognition.bundle import Familiar

# Limit of a deviation, so that no single row decides.
FARTHEST = 6.0

# Share of recordings that are held out and called familiar.
_SHARE = 0.99

# Fewest groups of recordings to hold out, and fewest recordings.
_FEWEST_GROUPS, _FEWEST = 3, 20

_SMALLEST_SCALE = 1e-6


class Distance:
    """Measures how far a sound is from the training recordings.

    Args:
        familiar: statistics of the training recordings.
    """

    def __init__(self, familiar: Familiar) -> None:
        self._names = list(familiar.means)
        self._means = np.concatenate([familiar.means[name] for name in self._names])
        self._scales = np.concatenate([familiar.scales[name] for name in self._names])

    def __call__(self, rows: Mapping[str, np.ndarray]) -> float:
        """Return the distance, 1 being typical, from the mean over time of each row, (rows,), by input."""
        values = np.concatenate([rows[name] for name in self._names])
        return float(_size((values - self._means) / self._scales))


def fit(
    whole: Mapping[str, np.ndarray],
    short: Mapping[str, np.ndarray],
    corpora: Sequence[str],
    speakers: Sequence[str | None],
) -> Familiar | None:
    """Fit the statistics and thresholds to training recordings.

    Corpora are held out one by one, or speakers if there are fewer than three corpora. A threshold is the distance that
    99 % of the recordings that are held out do not exceed.

    Args:
        whole: means over time of the rows of n recordings, (n, rows), by input of the network.
        short: the same of a window of each recording, as long as those of a timeline.
        corpora: corpus of each recording.
        speakers: speaker of each recording; None if unknown.

    Returns:
        None if there are too few recordings, corpora and speakers.
    """
    groups = np.array(corpora)
    if len(set(corpora)) < _FEWEST_GROUPS:
        groups = np.array([str(speaker or number) for number, speaker in enumerate(speakers)])
    names = list(whole)
    long, cut = (np.concatenate([table[name] for name in names], axis=1) for table in (whole, short))
    if len(long) < _FEWEST or len(np.unique(groups)) < _FEWEST_GROUPS:
        return None
    far, far_cut = np.empty(len(long)), np.empty(len(long))
    for group in np.unique(groups):
        held = groups == group
        mean, scale = _statistics(long[~held])
        far[held], far_cut[held] = (_size((values[held] - mean) / scale) for values in (long, cut))
    mean, scale = _statistics(long)
    ends = np.cumsum([whole[name].shape[1] for name in names])[:-1]
    return Familiar(
        means=dict(zip(names, (part.tolist() for part in np.split(mean, ends)), strict=True)),
        scales=dict(zip(names, (part.tolist() for part in np.split(scale, ends)), strict=True)),
        threshold=float(np.quantile(far, _SHARE)),
        window_threshold=float(np.quantile(far_cut, _SHARE)),
    )


def _statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column of (n, rows)."""
    return values.mean(axis=0), np.maximum(values.std(axis=0), _SMALLEST_SCALE)


def _size(deviations: np.ndarray) -> np.ndarray:
    """Return the root mean square of deviations (..., rows)."""
    size: np.ndarray = np.sqrt((np.clip(deviations, -FARTHEST, FARTHEST) ** 2).mean(axis=-1))
    return size
