"""Short-time spectra and mel filters, shared by several features."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np

from serkit.options import Between

# Ranges of the options, which `features.build` checks. Options also come from bundles, so none may require more memory
# than a machine has.

#: Sampling rate in Hz.
Rate = Annotated[int, Between(100, 192_000)]
#: Length of a transform, window or hop, in samples.
Samples = Annotated[int, Between(1, 1 << 16)]
#: Number of bands, or of cepstral coefficients.
Bands = Annotated[int, Between(1, 1024)]
#: Frequency in Hz.
Hertz = Annotated[float, Between(0, 96_000)]
#: Range of levels in dB. Its powers of 10 are normal numbers of 32 bits.
Decibels = Annotated[float, Between(1e-3, 300)]
#: Rows and columns of an image.
Side = Annotated[int, Between(1, 2048)]
#: Share from 0 to 1.
Share = Annotated[float, Between(0, 1)]

#: Frames per transform, which fit the processor's fastest cache.
CHUNK = 32

#: Names of the windows.
WINDOWS = ("hann", "hamming", "rectangular")

# Multiply-adds up to which OpenBLAS stays on the calling thread. Above, it wakes threads for a product that takes
# microseconds, which made a log-mel spectrogram 50 times slower on a busy machine.
_SINGLE_THREAD_PRODUCT = 1 << 19


@functools.lru_cache(maxsize=32)
def window(name: str, length: int, fft: int) -> np.ndarray:
    """Return a periodic window of `length` samples, centered in `fft` samples with zeros around it.

    Returns:
        float32 array of shape (fft,).
    """
    phase = 2 * np.pi * np.arange(length) / length
    shapes = (0.5 - 0.5 * np.cos(phase), 0.54 - 0.46 * np.cos(phase), np.ones(length))
    shape = dict(zip(WINDOWS, shapes, strict=True))[name]
    left = (fft - length) // 2
    return np.pad(shape, (left, fft - length - left)).astype(np.float32)


def spectra(
    signal: np.ndarray, taper: np.ndarray, hop: int, center: bool, remove_offset: bool = False
) -> Iterator[tuple[slice, np.ndarray]]:
    """Transform a signal chunk by chunk.

    Args:
        signal: float32 (samples,).
        taper: window of the transform's length, (fft,).
        hop: samples between frames.
        center: whether frame t is centered on sample t * hop, with zeros beyond the ends; otherwise it
            begins there, and only whole frames count (a signal shorter than one is zero-padded to one).
        remove_offset: whether to remove the mean of each frame, as Kaldi does. The first and the last sample then
            repeat beyond the ends, where zeros would be a step.

    Yields:
        The slice of the frames, and their complex64 spectra (frames, fft // 2 + 1).
    """
    fft = len(taper)
    # Nothing repeats beyond a signal without samples.
    beyond: Literal["edge", "constant"] = "edge" if remove_offset and len(signal) else "constant"
    # A Hann window of one sample is 0 everywhere.
    inside = (taper != 0) / np.float32(max(1, int(np.count_nonzero(taper))))
    if center:
        signal = np.pad(signal, fft // 2, beyond)
    if len(signal) < fft:
        signal = np.pad(signal, (0, fft - len(signal)), beyond)
    frames = np.lib.stride_tricks.sliding_window_view(signal, fft)[::hop]
    for begin in range(0, len(frames), CHUNK):
        chunk = frames[begin : begin + CHUNK]
        if remove_offset:
            # First the middle sample, so that nothing is left of a constant, not even its rounding.
            chunk = chunk - chunk[:, fft // 2, None]
            chunk -= (chunk @ inside)[:, None]
        yield slice(begin, begin + len(chunk)), np.fft.rfft(chunk * taper)


def frame_count(samples: int, fft: int, hop: int, center: bool) -> int:
    """Return the number of frames that `spectra` yields for a signal."""
    padded = samples + 2 * (fft // 2) if center else samples
    return 1 + max(0, padded - fft) // hop


@functools.lru_cache(maxsize=32)
def mel_filters(rate: int, fft: int, bands: int, low: float, high: float, scale: str, norm: str | None) -> np.ndarray:
    """Return triangular filters, equally spaced on a mel scale.

    Sources: `htk`: 2595 log10(1 + f / 700), O'Shaughnessy 1987; `slaney`: linear below 1 kHz and
    logarithmic above, Slaney's Auditory Toolbox 1998. `norm = "slaney"` gives every filter the same area.

    Returns:
        float32 array of shape (fft // 2 + 1, bands).
    """
    edges = _mel_to_hz(np.linspace(_hz_to_mel(low, scale), _hz_to_mel(high, scale), bands + 2), scale)
    frequencies = np.arange(fft // 2 + 1) * rate / fft
    rising = (frequencies[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequencies[:, None]) / np.diff(edges)[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    if norm == "slaney":
        filters *= 2 / (edges[2:] - edges[:-2])
    values: np.ndarray = filters.astype(np.float32)
    return values


def apply_filters(energy: np.ndarray, filters: np.ndarray, out: np.ndarray) -> None:
    """Multiply spectra (frames, bins) by filters (bins, bands) into `out` (frames, bands), on one thread."""
    rows = max(1, _SINGLE_THREAD_PRODUCT // filters.size)
    for begin in range(0, len(energy), rows):
        np.matmul(energy[begin : begin + rows], filters, out=out[begin : begin + rows])


# Slaney's scale: 200/3 Hz per mel up to 1 kHz (15 mel), then 27 mel for each factor of 6.4.
_SLANEY_STEP = 200 / 3
_SLANEY_KNEE = 15.0
_SLANEY_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(frequency: float, scale: str) -> float:
    if scale == "htk":
        return float(2595 * np.log10(1 + frequency / 700))
    if frequency < 1000:
        return frequency / _SLANEY_STEP
    return float(_SLANEY_KNEE + np.log(frequency / 1000) / _SLANEY_LOG_STEP)


def _mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above = 1000 * np.exp(_SLANEY_LOG_STEP * (np.maximum(mel, _SLANEY_KNEE) - _SLANEY_KNEE))
    return np.where(mel < _SLANEY_KNEE, mel * _SLANEY_STEP, above)
