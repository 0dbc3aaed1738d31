"""A picture of a recording and its F0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from serkit.reports.plots import INK, TRAINING, save

# A row of the picture shows this many seconds, or more if the recording would need more rows.
_ROW, _ROWS = 10.0, 8
# Width and height of a row in inches; a recording of less than a row has a smaller width.
_WIDTH, _NARROWEST, _HEIGHT = 12.0, 6.0, 3.4
# With more points than pixels in a row, the waveform is drawn as an envelope.
_POINTS = 2400


def draw(path: Path, title: str, signal: np.ndarray, rate: int, times: np.ndarray, f0: np.ndarray) -> None:
    """Draw a waveform, and F0 over time below it, as PNG. A long recording is broken into rows, like text.

    Args:
        path: path of the picture.
        title: title of the picture.
        signal: float32 (samples,).
        rate: sampling rate in Hz.
        times: times of the values of F0 in s, shape (frames,).
        f0: F0 in Hz, 0 if unvoiced, shape (frames,).
    """
    duration = len(signal) / rate
    seconds = max(min(_ROW, duration), duration / _ROWS)
    rows = max(1, round(duration / seconds + 0.499))
    voiced = f0[f0 > 0]
    heights = (0.9 * voiced.min(), 1.1 * voiced.max()) if len(voiced) else (0.0, 1.0)
    loudest = float(np.abs(signal).max()) or 1.0

    def paint(figure: Any) -> None:
        panels = figure.subplots(2 * rows, 1, height_ratios=(1, 2) * rows)
        for row in range(rows):
            wave, pitch = panels[2 * row : 2 * row + 2]
            begin, end = row * seconds, (row + 1) * seconds
            piece = signal[round(begin * rate) : round(end * rate)]
            step = max(1, len(piece) // _POINTS)
            bars = piece[: len(piece) // step * step].reshape(-1, step)
            moments = begin + np.arange(len(bars)) * step / rate
            wave.fill_between(moments, bars.min(axis=1), bars.max(axis=1), color=INK, linewidth=0.3)
            wave.set(ylabel="amplitude", xlim=(begin, end), ylim=(-1.05 * loudest, 1.05 * loudest))
            wave.tick_params(labelbottom=False)
            here = (times >= begin) & (times < end)
            pitch.plot(times[here], np.where(f0 > 0, f0, np.nan)[here], ".-", color=TRAINING, markersize=3, linewidth=1)
            pitch.set(ylabel="F0 (Hz)", xlim=(begin, end), ylim=heights)
            pitch.grid(alpha=0.3)
        panels[0].set_title(title)
        panels[-1].set_xlabel("time (s)")
        figure.align_ylabels()

    width = max(_NARROWEST, _WIDTH * min(1.0, duration / _ROW))
    save(path, width, max(4.5, _HEIGHT * rows), paint)
