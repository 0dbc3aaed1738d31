"""Cutting a stream of samples into windows, in memory that does not grow with its length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from serkit import audio
from serkit.windowing import Windowing


def windows(
    path: audio.Recording, windowing: Windowing, rate: int | None = None, channel: int | None = None
) -> Iterator[np.ndarray]:
    """Read a recording window by window.

    Args:
        path: the recording.
        windowing: how it is cut; without `seconds` the one window is the whole recording, in memory.
        rate: wanted sampling rate in Hz; None keeps the file's.
        channel: channel from 0; None mixes all channels down.

    Yields:
        float32 (samples,): what cutting the whole recording at that rate gives.
    """
    info = audio.info(path)
    samples = (block for block, _ in audio.blocks(path, rate, channel))
    yield from cut(samples, rate or info.rate, info.duration, windowing)


def cut(blocks: Iterable[np.ndarray], rate: int, duration: float, windowing: Windowing) -> Iterator[np.ndarray]:
    """Cut a stream as `windowing.windows(duration)` says.

    Args:
        blocks: float32 arrays (samples,) that follow each other.
        rate: of the samples, in Hz.
        duration: of the recording in s. If clearly less comes, the recording is as long as what came.
        windowing: how it is cut.

    Yields:
        float32 (samples,) per window, at least one sample, padded as the windowing says.
    """
    if windowing.seconds is None:
        whole = np.concatenate(list(blocks))
        if len(whole):
            yield whole
        return
    seconds, hop = windowing.seconds, windowing.hop or windowing.seconds
    kept = np.empty(0, dtype=np.float32)
    begin = 0  # position of kept[0] in the recording
    done = 0
    for block in blocks:
        kept = np.concatenate([kept, block])
        end = begin + len(kept)
        # A window that ends within a sample of what has come may turn out to be the recording's last:
        # whether it is whole is then for `windowing` to decide.
        while (stop := round((done * hop + seconds) * rate)) + 1 < end:
            yield windowing.fit(kept[round(done * hop * rate) - begin : stop - begin], rate)
            done += 1
            if windowing.tail == "first":
                return
        # Still needed: all from the next window on, and what tail = "last" may reach back to.
        needed = min(round(done * hop * rate), end - math.ceil(seconds * rate) - 1)
        kept = kept[max(0, needed - begin) :]
        begin = end - len(kept)
    end = begin + len(kept)
    if end < duration * rate - 1:
        duration = end / rate
    for first, last in windowing.windows(duration)[done:]:
        # The resampler may give a sample more than duration * rate: it belongs to the last window.
        stop = end if round(last * rate) >= round(duration * rate) else round(last * rate)
        # Of a tail of a fraction of a sample nothing is left after rounding.
        if stop > (start := round(first * rate)):
            yield windowing.fit(kept[start - begin : stop - begin], rate)
