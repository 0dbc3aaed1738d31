"""Cut a stream of samples into windows in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from serkit import audio
from serkit.recognition import timing
from serkit.windowing import Windowing


def windows(
    path: audio.Recording,
    windowing: Windowing,
    rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[np.ndarray]:
    """Read a recording or an interval of it window by window.

    Args:
        path: the recording.
        windowing: rules of the windows; without `seconds`, the only window is the whole recording, in memory.
        rate: sampling rate of the result in Hz; None keeps the file's rate.
        channel: channel, counted from 0; None: mean of all channels.
        start: start of the interval in s; None: start of the recording.
        end: end of the interval in s; None: end of the recording.

    Yields:
        float32 (samples,), equal to the windows of the whole recording, or of the interval, at that rate.
    """
    info = audio.info(path)
    first, last = audio.interval(path, info, start, end)
    samples = (block for block, _ in timing.each("decode", audio.blocks(path, rate, channel, start, end)))
    yield from cut(samples, rate or info.rate, (last - first) / info.rate, windowing)


def cut(blocks: Iterable[np.ndarray], rate: int, duration: float, windowing: Windowing) -> Iterator[np.ndarray]:
    """Cut a stream into the windows of `windowing.windows(duration)`.

    Args:
        blocks: consecutive float32 arrays (samples,).
        rate: sampling rate in Hz.
        duration: length of the recording in s. If clearly less arrives, that is the length.
        windowing: rules of the windows.

    Yields:
        float32 (samples,) per window, at least one sample, padded by the rules of the windowing.
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
        # A window that ends within a sample of the received sound may be the recording's last;
        # `windowing` then decides whether it is complete.
        while (stop := round((done * hop + seconds) * rate)) + 1 < end:
            yield windowing.fit(kept[round(done * hop * rate) - begin : stop - begin], rate)
            done += 1
            if windowing.tail == "first":
                return
        # Still needed: everything from the next window on, and the samples that tail = "last" may reach.
        needed = min(round(done * hop * rate), end - math.ceil(seconds * rate) - 1)
        kept = kept[max(0, needed - begin) :]
        begin = end - len(kept)
    end = begin + len(kept)
    if end < duration * rate - 1:
        duration = end / rate
    for first, last in windowing.windows(duration)[done:]:
        # The resampler may return one sample more than duration * rate; it belongs to the last window.
        stop = end if round(last * rate) >= round(duration * rate) else round(last * rate)
        # A tail of a fraction of a sample is empty after rounding.
        if stop > (start := round(first * rate)):
            yield windowing.fit(kept[start - begin : stop - begin], rate)
