"""Log-mel spectrogram as an image of fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from PIL import Image

from serkit.errors import UserError, unknown
from serkit.features.log_mel import LogMel
from serkit.features.spectrum import Bands, Decibels, Rate, Samples
from serkit.options import Between

_CHOICES = {"colour": ("level", "inferno_red"), "resize": ("antialias", "bilinear", "nearest")}

# Red values of the 256 colors of "inferno" (Smith and van der Walt, released under CC0 with matplotlib).
INFERNO_RED = np.frombuffer(
    bytes.fromhex(
        "000000010101020203040405060708090a0b0d0e0f101213141617191a1c1d1f2022242627292b2d2e30323435"
        "37393b3c3e4041434546484a4b4d4f5052535557585a5b5d5f6062636566686a6b6d6e7072737576787a7b7d7e"
        "808183858688898b8d8e909193959698999b9c9ea0a1a3a4a6a7a9abacaeafb1b2b4b5b7b8babbbdbebfc1c2c4"
        "c5c7c8c9cbcccdcfd0d1d2d4d5d6d7d9dadbdcdddedfe0e2e3e4e5e6e6e7e8e9eaebecededeeeff0f0f1f2f2f3"
        "f3f4f5f5f6f6f7f7f8f8f8f9f9f9fafafafafbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfafafafaf9f9f9f8f8"
        "f8f7f7f6f6f5f5f4f4f3f3f3f2f2f1f1f1f1f1f1f1f2f2f3f4f5f6f7f9fafc"
    ),
    dtype=np.uint8,
)


@dataclass(frozen=True)
class LogmelImage:
    """Levels relative to the recording's loudest point as brightness, shape (1, rows, columns), values 0 to 1.

    Row 0 is the highest mel band, as in a printed spectrogram; time runs along the columns. A signal of
    any length fills the whole width; to keep the time scale, cut or pad it first. 4 s at 16 kHz are 1001
    frames, which the default size shrinks by 7.8 (Kim & Lee 2024 define spectrum and size, but neither the
    meaning of brightness nor the resizing method).

    Args:
        rate: sampling rate in Hz.
        size: rows and columns of the image.
        bands: number of mel bands (HTK scale, filters of equal height) before resizing.
        fft: transform length in samples.
        length: length of the Hamming window in samples.
        hop: samples between frames.
        top_db: levels at least this many dB below the maximum are 0; the maximum is 1.
        colour: `level` for brightness proportional to the level; `inferno_red` for the red channel, in
            256 steps, of an image drawn with the color map "inferno".
        resize: `antialias` (bilinear over all frames in a column), `bilinear` (between the two nearest
            frames only) or `nearest`.
    """

    rate: Rate = 16000
    size: Annotated[tuple[int, int], Between(1, 2048)] = (128, 128)
    bands: Bands = 128
    fft: Samples = 1024
    length: Samples = 512
    hop: Samples = 64
    top_db: Decibels = 80.0
    colour: str = "level"
    resize: str = "antialias"

    name: ClassVar[str] = "logmel_image"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if isinstance(self.size, list):
            # TOML and JSON have no tuples; a list has no hash and never equals the default.
            object.__setattr__(self, "size", tuple(self.size))
        if not _is_size(self.size):
            raise ValueError(f"size must be rows and columns, e.g. [128, 128], got {self.size}")
        if self.top_db <= 0:
            raise UserError(f"logmel_image: top_db must be above 0, got {self.top_db:g}")
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise unknown(f"logmel_image {field}", getattr(self, field), allowed)
        self.mel()

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (1, *self.size)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Draw a float32 signal (samples,): float32 (1, rows, columns)."""
        image = self._levels(signal)[::-1]
        if self.colour == "inferno_red":
            steps = np.minimum(image * len(INFERNO_RED), len(INFERNO_RED) - 1).astype(np.uint8)
            image = INFERNO_RED[steps] / np.float32(255)
        resized = _RESIZE[self.resize](image, self.size)
        # Weighted means of values up to 1 may exceed 1 by a rounding error.
        return np.clip(resized, 0, 1, out=resized)[None]

    def mel(self) -> LogMel:
        """Return the mel spectrogram that the image shows."""
        shared = {field: getattr(self, field) for field in ("rate", "fft", "length", "hop", "bands")}
        return LogMel(**shared, window="hamming", level="linear")

    def _levels(self, signal: np.ndarray) -> np.ndarray:
        """Return levels from 0 (`top_db` below the maximum) to 1, float32 (bands, frames), lowest band first."""
        power = self.mel()(signal)
        peak = power.max()
        if peak == 0:
            # Digital silence has no maximum; it is black, like silence next to speech.
            return power
        # Divide before the logarithm, because an absolute floor would make quiet recordings brighter.
        power /= peak
        decibels = 10 * np.log10(np.maximum(power, np.float32(10 ** (-self.top_db / 10))))
        values: np.ndarray = np.clip(1 + decibels / np.float32(self.top_db), 0, 1)
        return values


def _is_size(size: object) -> bool:
    return isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)


def _antialias(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # In mode "F" Pillow keeps floats; it widens the triangle of its bilinear filter by the reduction factor.
    picture = Image.fromarray(np.ascontiguousarray(image, dtype=np.float32))
    return np.array(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def _bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    for axis, length in enumerate(size):
        last = image.shape[axis] - 1
        position = np.clip(_centres(image.shape[axis], length) - 0.5, 0, last)
        before = position.astype(int)
        weight = (position - before).astype(np.float32)
        # Broadcast along rows or along columns.
        weight = weight[:, None] if axis == 0 else weight
        lower, upper = image.take(before, axis), image.take(np.minimum(before + 1, last), axis)
        image = lower + weight * (upper - lower)
    return image


def _nearest(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = (_centres(*lengths).astype(int) for lengths in zip(image.shape, size, strict=True))
    values: np.ndarray = image[np.ix_(rows, columns)]
    return values


def _centres(before: int, after: int) -> np.ndarray:
    """Return the centers of `after` pixels along an edge of `before` pixels."""
    return (np.arange(after) + 0.5) * before / after


_RESIZE = {"antialias": _antialias, "bilinear": _bilinear, "nearest": _nearest}
