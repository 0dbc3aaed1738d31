"""A picture of a recording and its F0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from serkit.reports.plots import INK, TRAINING, save

#: Inches per second of sound, with minimum and maximum width.
_SCALE, _LEAST, _GREATEST = 3.0, 6.0, 40.0
# With more points than pixels, the waveform is drawn as an envelope.
_POINTS = 8000


def draw(path: Path, title: str, signal: np.ndarray, rate: int, times: np.ndarray, f0: np.ndarray) -> None:
    """Draw a waveform, and F0 over time below it, as PNG.

    Args:
        path: path of the picture.
        title: title of the picture.
        signal: float32 (samples,).
        rate: sampling rate in Hz.
        times: times of the values of F0 in s, shape (frames,).
        f0: F0 in Hz, 0 if unvoiced, shape (frames,).
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
