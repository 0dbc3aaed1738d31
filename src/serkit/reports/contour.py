"""A picture of a recording with its F0 below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from serkit.reports.plots import INK, TRAINING, save

#: Inches per second of sound, between a least and a greatest width.
_SCALE, _LEAST, _GREATEST = 3.0, 6.0, 40.0
# More points than this are more than there are pixels: the waveform is drawn as an envelope.
_POINTS = 8000


def draw(path: Path, title: str, signal: np.ndarray, rate: int, times: np.ndarray, f0: np.ndarray) -> None:
    """Draw a waveform and below it F0 against time, as PNG.

    Args:
        path: of the picture.
        title: what it shows.
        signal: float32 (samples,).
        rate: of the signal in Hz.
        times: of the values of F0 in s, shape (frames,).
        f0: 0 where unvoiced, shape (frames,).
    """
    duration = len(signal) / rate

    def paint(figure: Any) -> None:
        wave, pitch = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
        step = max(1, len(signal) // _POINTS)
        bars = signal[: len(signal) // step * step].reshape(-1, step)
        moments = np.arange(len(bars)) * step / rate
        wave.fill_between(moments, bars.min(axis=1), bars.max(axis=1), color=INK, linewidth=0.3)
        wave.set(title=title, ylabel="amplitude", xlim=(0, duration))
        pitch.plot(times, np.where(f0 > 0, f0, np.nan), ".-", color=TRAINING, markersize=3, linewidth=1)
        pitch.set(xlabel="time (s)", ylabel="F0 (Hz)")
        pitch.grid(alpha=0.3)

    save(path, min(max(_LEAST, _SCALE * duration), _GREATEST), 4.5, paint)
