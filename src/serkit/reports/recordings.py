"""Recordings inside a page: sound, picture, and a model's attention."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import soundfile

from serkit import audio, features

#: Maximum duration in s; only the beginning of a longer recording is included.
LONGEST = 12.0

#: Width and height of the drawing of `attention_path`.
WIDTH, HEIGHT = 1000, 100

# Sampling rate in Hz and libsndfile's compression of the sound: 40 to 48 kbit/s. Speech is clear, and 3 s take 24 KB.
_RATE, _COMPRESSION = 16000, 0.75
# Range of levels in the picture, in dB below the loudest.
_RANGE = 70.0


def sound(signal: np.ndarray, rate: int) -> str:
    """Return a recording as a data URL with MP3, which every browser plays.

    Args:
        signal: float32 (samples,).
        rate: sampling rate in Hz.
    """
    file = io.BytesIO()
    heard = np.clip(audio.resample(_beginning(signal, rate), rate, _RATE), -1, 1)
    soundfile.write(file, heard, _RATE, format="MP3", compression_level=_COMPRESSION, bitrate_mode="CONSTANT")
    return _address("audio/mpeg", file.getvalue())


def picture(signal: np.ndarray, rate: int) -> str:
    """Return the log-mel spectrogram of a recording as a data URL of an image, with a pixel for each frame and band.

    Args:
        signal: float32 (samples,).
        rate: sampling rate in Hz.
    """
    from matplotlib import colormaps
    from PIL import Image

    feature = features.build("log_mel")
    levels = feature(audio.resample(_beginning(signal, rate), rate, feature.rate))
    shades = np.clip(1 + (levels - levels.max()) / _RANGE, 0, 1)
    # The lowest band is at the bottom.
    image = Image.fromarray(np.ascontiguousarray(np.rint(255 * shades[::-1])).astype(np.uint8), mode="L")
    image.putpalette((255 * colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, format="png", optimize=True)
    return _address("image/png", file.getvalue())


def shown(signal: np.ndarray, rate: int) -> float:
    """Return the included duration of a recording, in s."""
    return min(len(signal) / rate, LONGEST)


def attention_path(attention: Sequence[tuple[np.ndarray, np.ndarray]], seconds: float, highest: float) -> str:
    """Return an SVG path with an area for each window; `WIDTH` is the shown duration, and `HEIGHT` is `highest`.

    Args:
        attention: for each window, the edges of its moments in s, and their shares.
        seconds: shown duration in s.
        highest: share at the top.
    """
    areas = []
    for edges, shares in attention:
        x = np.clip(edges / seconds, 0, 1) * WIDTH
        y = HEIGHT * (1 - np.minimum(shares / highest, 1))
        steps = [f"V{top:.1f}H{right:.1f}" for top, right, left in zip(y, x[1:], x, strict=False) if right > left]
        if steps:
            areas.append(f"M{x[0]:.1f} {HEIGHT}{''.join(steps)}V{HEIGHT}Z")
    return "".join(areas)


def _beginning(signal: np.ndarray, rate: int) -> np.ndarray:
    return signal[: round(LONGEST * rate)]


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
