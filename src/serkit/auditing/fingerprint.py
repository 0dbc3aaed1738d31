"""Fingerprints of recordings, to find copies even after changes.

There are two steps, because the hard case is an actor who says a sentence twice in nearly the same way:

1. A *print* records, every 32 ms, which bands rise relative to their neighbors. Gain, filters and codecs do not change
   it. Products of spectra compare all pairs at all offsets, in some microseconds each; few pairs remain. Most of
   these are copies; some are repetitions by actors who keep rhythm and melody.
2. The *waveforms* of the remaining pairs are flattened in spectrum and cross-correlated. A copy keeps the phase of its
   original and gives a peak over its whole length, which no speaker can repeat.

Sources: differences of band energies along time and frequency as in Haitsma and Kalker, "A highly robust audio
fingerprinting system", ISMIR 2002, here as real numbers instead of bits; the flattened correlation is that of Knapp
and Carter, "The generalized correlation method for estimation of time delay", IEEE Trans. ASSP 24:320 (1976).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from serkit.features.log_mel import LogMel

#: Sampling rate of prints and compared waveforms in Hz, and the telephone band, which every copy keeps.
RATE = 8000
LOW, HIGH = 300.0, 3300.0

#: Prints with an agreement above this are compared as waveforms. Chosen on EMO-DB: prints of different speakers agree
#: up to 0.29, those of Opus copies at 7 kbit/s by 0.67 or more.
SIMILAR = 0.5

#: Waveforms with an agreement above this are one recording. Chosen on EMO-DB: two takes of one sentence by one speaker
#: agree up to 0.13, Opus copies at 7 kbit/s by 0.38 or more.
COHERENT = 0.25

#: Common speeds of training copies (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015). Only
#: these are searched, because the waveforms have nothing in common if the speed is off by a hundredth.
SPEEDS = (0.9, 1.1)

#: Minimum speech in s that two recordings must have in common.
SHORTEST = 0.3

# Long prints are compared in pieces of 4.1 s, every 2 s, so that one piece contains any excerpt of 2 s.
_PIECE = 128
# Maximum number of pieces on each side whose products are in memory.
_BLOCK = 64, 1024
# Width in Hz over which a waveform's spectrum is flattened, and the level below which it is not changed. Codecs and
# telephones leave gaps, which would otherwise be filled with rounding noise.
_SMOOTHING = 100.0
_GAP = 1e-5


@dataclass(frozen=True)
class Fingerprint:
    """The print of a recording, (bands, frames): which bands rise relative to the next higher one, and how clearly.

    A frame's values are between -1 and 1, and its norm is below 1; without changes, the norm is near 0.
    `serkit.features` does not list it, because nothing is learned from it, but the store keeps it like any other
    feature.

    Args:
        rate: sampling rate of the signal in Hz. Another rate than `RATE` gives the print of the recording played
            slower or faster: 8800 that of a recording slowed down by 1.1.
    """

    name: ClassVar[str] = "fingerprint"
    version: ClassVar[int] = 1
    rate: int = RATE

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (_bands().bands - 1, None)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the print of a float32 signal (samples,): float32 (bands, frames)."""
        energy = _bands()(signal)
        # Relative to the band's own mean, so that a filter cancels. The 1 suppresses quieter sound, mostly noise.
        level = np.log1p(energy / (energy.mean(axis=1, keepdims=True) + 1e-12))
        slope = level[:-1] - level[1:]
        # Over two frames; with the window of 128 ms, half a frame of offset between two copies costs little.
        change = np.pad(slope, ((0, 0), (0, 2)), mode="edge")[:, 2:] - slope
        norm = np.linalg.norm(change, axis=0)
        # All frames have the same weight, so that one shout does not decide.
        values: np.ndarray = (change / (norm + np.sqrt(np.mean(norm**2)) + 1e-12)).astype(np.float32)
        return values


@functools.cache
def _bands() -> LogMel:
    return LogMel(
        rate=RATE, fft=1024, length=1024, hop=256, bands=17, low=LOW, high=HIGH, level="linear", norm=None, center=True
    )


def similar(
    prints: Sequence[np.ndarray], others: Sequence[np.ndarray] | None = None, threshold: float = SIMILAR
) -> list[tuple[int, int]]:
    """Return the sorted pairs `(i, j)` of prints whose agreement at some offset exceeds `threshold`.

    Agreement is the largest cross-correlation divided by the energy of the shorter print: 1 for a copy or an excerpt.

    Args:
        prints: results of `Fingerprint`, each (bands, frames).
        others: prints of the same recordings at another speed, for the second of each pair; None: `prints`, i < j.
        threshold: 0 to 1.
    """
    first = _Pieces.of(prints)
    second = first if others is None else _Pieces.of(others)
    found: set[tuple[int, int]] = set()
    for rows, columns in _blocks(len(first.owners), len(second.owners), half=others is None):
        product = first.spectra[:, rows].conj() @ second.spectra[:, columns].transpose(0, 2, 1)
        peak = np.fft.irfft(product, 2 * _PIECE, axis=0).max(axis=0)
        alike = peak / np.minimum(first.energies[rows, None], second.energies[columns])
        for row, column in zip(*np.nonzero(alike > threshold), strict=True):
            pair = int(first.owners[rows][row]), int(second.owners[columns][column])
            if pair[0] != pair[1]:
                found.add(pair if others is not None else (min(pair), max(pair)))
    return sorted(found)


@dataclass(frozen=True)
class _Pieces:
    """Overlapping pieces of prints.

    Args:
        owners: print of each piece, (pieces,).
        energies: sum of squares of each piece, (pieces,).
        spectra: spectra of each band over time, (frequencies, pieces, bands); one matrix product per frequency.
    """

    owners: np.ndarray
    energies: np.ndarray
    spectra: np.ndarray

    @classmethod
    def of(cls, prints: Sequence[np.ndarray]) -> _Pieces:
        pieces, owners = _cut(prints)
        energies = np.maximum(np.square(pieces).sum(axis=(1, 2)), 1e-12)
        # Twice the length, so that a circular correlation covers all offsets.
        spectra = np.fft.rfft(pieces, 2 * _PIECE, axis=2).transpose(2, 0, 1)
        return cls(owners, energies, np.ascontiguousarray(spectra))


def _cut(prints: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cut prints into overlapping zero-padded pieces (pieces, bands, frames); also return the print of each piece."""
    cut = [
        (owner, values[:, begin : begin + _PIECE])
        for owner, values in enumerate(prints)
        for begin in range(0, max(1, values.shape[1] - _PIECE // 2), _PIECE // 2)
    ]
    # Anything would be a copy of a nearly empty recording.
    cut = [(owner, piece) for owner, piece in cut if piece.shape[1] * _bands().hop >= SHORTEST * RATE and piece.any()]
    pieces = np.zeros((len(cut), _bands().bands - 1, _PIECE), dtype=np.float32)
    for row, (_, piece) in enumerate(cut):
        pieces[row, :, : piece.shape[1]] = piece
    return pieces, np.array([owner for owner, _ in cut], dtype=int)


def _blocks(rows: int, columns: int, half: bool) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of rows and columns that cover every pair; `half` omits blocks left of the diagonal."""
    for top in range(0, rows, _BLOCK[0]):
        for left in range(top if half else 0, columns, _BLOCK[1]):
            yield slice(top, min(rows, top + _BLOCK[0])), slice(left, min(columns, left + _BLOCK[1]))


def flatten(signal: np.ndarray) -> np.ndarray:
    """Flatten the spectrum of a signal (samples,) at `RATE` in the telephone band, and remove the rest."""
    spectrum = np.fft.rfft(signal)
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    power = np.abs(spectrum) ** 2
    width = max(3, round(_SMOOTHING * len(signal) / RATE))
    smooth = np.convolve(power, np.ones(width) / width, "same")
    inside = (frequencies > LOW) & (frequencies < HIGH)
    gain = inside / np.sqrt(smooth + _GAP * smooth.max(initial=0.0) + 1e-20)
    return np.fft.irfft(spectrum * gain, len(signal))


def coherence(first: np.ndarray, second: np.ndarray) -> float:
    """Return the agreement of two flattened signals at their best offset, 0 to 1, independent of their sign.

    It is the correlation coefficient of their overlap.

    Args:
        first: result of `flatten`, (samples,).
        second: result of `flatten`, (samples,).
    """
    size = 1 << (len(first) + len(second)).bit_length()
    product = np.fft.rfft(first, size).conj() * np.fft.rfft(second, size)
    correlation = np.fft.irfft(product, size)
    lag = int(np.abs(correlation).argmax())
    lag -= size * (lag >= len(second))
    begin, end = max(0, -lag), min(len(first), len(second) - lag)
    if end - begin < SHORTEST * RATE:
        return 0.0
    a, b = first[begin:end], second[begin + lag : end + lag]
    return float(abs(a @ b) / np.sqrt((a @ a) * (b @ b) + 1e-20))
