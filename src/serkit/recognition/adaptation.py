"""Adaptation to a voice or a channel without labels.

The mean of a voice's features is moved towards the mean of the training material, so that the network receives the
voice's own deviations. How far depends on the material:

- Little material says little about a voice: the share grows with the square of its duration, and is a half at `ENOUGH`
  seconds.
- A network that learned from voices as they are takes part of that deviation for emotion; its bundle may limit the
  share (`Adaptation.strength`).
- One-sided material says as much about an emotion as about a voice. Its answers are alike: as long as `variety` is low,
  nothing is removed.
- With minutes of material, any spread of the answers beyond that of a speaker in one emotion is enough: `PLENTY`.

The rule was chosen on acted corpora (docs/adaptation.md). Only the mean is moved; moving the deviation changed nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from serkit.recognition.bundle import Adaptation

#: Duration in s at which half of a voice's deviation is removed.
ENOUGH = 15.0

#: Duration in s from which a spread of the answers suffices.
PLENTY = 80.0

# Variety of the answers to one-sided material, and to varied material.
_ALIKE, _VARIOUS = 0.1, 0.3

# Keeps the variety of certain, equal answers from being 0 / 0; in nats.
_CERTAIN = 0.05

# Position between the spread of one emotion and of all emotions from which material counts as varied.
_VARIED = 0.6

# Floor of probabilities, so that one certain answer does not make the spread.
_LOWEST = 1e-4


def spread(answers: np.ndarray) -> float:
    """Return how much answers differ: the variance of their log-probabilities (n - 1), averaged over the labels.

    Args:
        answers: probabilities, (n, labels).

    Returns:
        0 for fewer than two answers.
    """
    if len(answers) < 2:
        return 0.0
    return float(np.log(np.maximum(answers, _LOWEST)).var(axis=0, ddof=1).mean())


def variety(answers: np.ndarray) -> float:
    """Return how much of the mean answer's uncertainty comes from differences between the answers, from 0.

    It is the mutual information of answer and label, with n / (n - 1) for its bias, as a share of the entropy of the
    mean answer. Other than `spread`, it does not grow with the network's confidence.

    Args:
        answers: probabilities, (n, labels).

    Returns:
        0 for fewer than two answers.
    """
    return _variety(len(answers), answers.sum(axis=0), float(sum(map(_entropy, answers))))


def _variety(count: int, total: np.ndarray, entropies: float) -> float:
    """Return the `variety` from the sums of answers and of their entropies."""
    if count < 2:
        return 0.0
    whole = _entropy(total / count)
    return (whole - entropies / count) / (whole + _CERTAIN) * count / (count - 1)


def _entropy(answer: np.ndarray) -> float:
    """Return the entropy of probabilities in nats."""
    answer = answer.astype(np.float64)
    return float(-(answer * np.log(np.maximum(answer, 1e-9))).sum())


def _normalized(logarithms: np.ndarray) -> np.ndarray:
    """Return the probabilities whose logarithms these are, up to a constant."""
    powers = np.exp(logarithms - logarithms.max())
    probabilities: np.ndarray = powers / powers.sum()
    return probabilities


class Voice:
    """What was heard of one voice: sums over its windows, of constant size. It holds no sound.

    Args:
        adaptation: statistics of the training material.
    """

    def __init__(self, adaptation: Adaptation) -> None:
        self._adaptation = adaptation
        self._population = {name: np.array(mean) for name, mean in adaptation.means.items()}
        self._sums = {name: np.zeros(len(mean)) for name, mean in self._population.items()}
        self._count = 0
        self._logarithms = self._squares = self._answers = np.zeros(1)
        self._entropies = 0.0
        #: Duration of the material in s.
        self.seconds = 0.0

    def copy(self) -> Voice:
        """Return a voice that can hear more without changing this one."""
        return copy.deepcopy(self)

    def add(
        self, features: Mapping[str, np.ndarray], answer: np.ndarray, seconds: float, flattened: float = 1.0
    ) -> None:
        """Add a window.

        Args:
            features: by input of the network, (rows,) or (rows, time).
            answer: probabilities (labels,) of the recognizer that is not adapted.
            seconds: duration of what the window adds to the material.
            flattened: factor by which calibration has raised the temperature, because the window is short.
        """
        for name, total in self._sums.items():
            array = features[name]
            total += seconds * array.reshape(len(total), -1).mean(axis=1, dtype=np.float64)
        plain = _normalized(flattened * np.log(np.maximum(answer, 1e-12)).astype(np.float64))
        logarithms = np.log(np.maximum(plain, _LOWEST))
        self._logarithms = self._logarithms + logarithms
        self._squares = self._squares + logarithms**2
        # Calibration for corpora never met makes all answers alike.
        sharp = _normalized(self._adaptation.temperature * logarithms)
        self._answers = self._answers + sharp
        self._entropies += _entropy(sharp)
        self._count += 1
        self.seconds += seconds

    @property
    def share(self) -> float:
        """Share of the voice's deviation from the training material that is removed, from 0 to 1."""
        narrow, wide = self._adaptation.narrow, self._adaptation.wide
        enough = self.seconds**2 / (self.seconds**2 + ENOUGH**2)
        plenty = self.seconds**4 / (self.seconds**4 + PLENTY**4)
        various = (_variety(self._count, self._answers, self._entropies) - _ALIKE) / (_VARIOUS - _ALIKE)
        spread = (self._spread() - narrow) / (_VARIED * (wide - narrow))
        shares = np.clip([various, spread], 0, 1) * (enough, plenty)
        return self._adaptation.strength * float(shares.max())

    def shift(self) -> dict[str, np.ndarray]:
        """Return what is subtracted from the features: float32 (rows,) by input of the network."""
        if not self.seconds:
            return {}
        return {
            name: (self.share * (total / self.seconds - self._population[name])).astype(np.float32)
            for name, total in self._sums.items()
        }

    def _spread(self) -> float:
        """Return the `spread` of the answers."""
        if self._count < 2:
            return 0.0
        variance = (self._squares - self._logarithms**2 / self._count) / (self._count - 1)
        return float(np.maximum(variance, 0).mean())


def shifted(features: Sequence[np.ndarray], names: Sequence[str], shift: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Subtract a shift from features, (rows,) or (rows, time), in the order of the names; others stay as they are."""
    return [
        array - shift[name].reshape(-1, *[1] * (array.ndim - 1)) if name in shift else array
        for name, array in zip(names, features, strict=True)
    ]
