"""Pooling of an encoder's frames over the pieces of a signal, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

#: How frames become a vector; `none` keeps them.
POOLINGS = ("mean", "mean_std", "max", "none")

# A shorter signal is padded with zeros to this many s: convolutions at the start of encoders need some samples.
_SHORTEST = 0.1


def pieces(signal: np.ndarray, rate: int, chunk: float, standardize: bool) -> list[np.ndarray]:
    """Cut a float32 signal (samples,) into equal pieces of at most `chunk` s.

    Args:
        signal: the signal; a very short one is padded with zeros.
        rate: its rate in Hz.
        chunk: longest piece in s.
        standardize: whether the signal gets mean 0 and variance 1 first.
    """
    if standardize:
        signal = ((signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)).astype(np.float32)
    shortest = round(_SHORTEST * rate)
    if len(signal) < shortest:
        signal = np.pad(signal, (0, shortest - len(signal)))
    return np.array_split(signal, -(-len(signal) // round(chunk * rate)))


def pool(parts: Iterable[np.ndarray], pooling: str) -> np.ndarray:
    """Pool the frames of consecutive pieces.

    Args:
        parts: float32 (frames, ...) of each piece.
        pooling: one of `POOLINGS`.

    Returns:
        float32 (...), for `mean_std` (2, ...), for `none` (frames, ...).
    """
    if pooling == "none":
        return np.concatenate(list(parts))
    count: int = 0
    total = squares = np.zeros(1)
    highest = np.full(1, -np.inf)
    for frames in parts:
        count += len(frames)
        total = total + frames.sum(axis=0, dtype=np.float64)
        squares = squares + np.square(frames, dtype=np.float64).sum(axis=0)
        highest = np.maximum(highest, frames.max(axis=0))
    if pooling == "max":
        return highest.astype(np.float32)
    mean = total / count
    if pooling == "mean":
        values: np.ndarray = mean.astype(np.float32)
        return values
    return np.stack([mean, np.sqrt(np.maximum(squares / count - mean**2, 0))]).astype(np.float32)
