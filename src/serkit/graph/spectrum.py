"""Power spectra as matrix products; see `serkit.features.spectrum`."""

from __future__ import annotations

import numpy as np

from serkit.graph.ops import END, Op, Value, constant, cosines, length, part, sines


def power(op: Op, signal: Value, taper: np.ndarray, hop: int, center: bool, remove_offset: bool = False) -> Value:
    """Return the power spectra of all frames of a signal (samples,): (frames, fft // 2 + 1).

    Each frame is folded around its middle: the even half gives the real part, the odd half the imaginary part. Two
    products of half the size take half the time of one, and a quarter of that of ONNX's own `DFT`. Arguments are those
    of `features.spectrum.spectra`.
    """
    fft, middle = len(taper), len(taper) // 2
    reach = int(np.abs(np.flatnonzero(taper) - middle).max())
    support = np.pad(taper, (0, 1))[middle - reach : middle + reach + 1]
    return folded_power(op, frames(op, signal, support, hop, fft, center, remove_offset), reach, fft)


def folded_power(op: Op, tapered: Value, reach: int, fft: int) -> Value:
    """Return the power spectra of tapered frames (frames, 2 * reach + 1), whose middle is at `reach`."""
    before = part(op, tapered, reach, -END, 1, -1)
    after = part(op, tapered, reach, 2 * reach + 1, 1)
    # The middle itself is in both halves.
    halves = constant(op, "halves", np.where(np.arange(reach + 1) == 0, 0.5, 1.0)[None].astype(np.float32))
    bins = fft // 2 + 1
    real = op.MatMul((after + before) * halves, cosines(op, reach + 1, bins, fft))
    imaginary = op.MatMul(after - before, sines(op, reach + 1, bins, fft))
    return real * real + imaginary * imaginary


def frames(
    op: Op, signal: Value, support: np.ndarray, hop: int, fft: int, center: bool, remove_offset: bool = False
) -> Value:
    """Return the tapered middle of each frame: (frames, support).

    Args:
        signal: float32 (samples,).
        support: the taper where it is not zero, around the middle of the frame.
        hop, center, remove_offset: as in `power`.
        fft: samples of a whole frame.
    """
    width = len(support)
    begin = (fft // 2 if center else 0) - (fft // 2 - width // 2)
    padded = op.Max(length(op, signal, 0) + (2 * (fft // 2) if center else 0), [fft])
    count = (padded - fft) / hop + 1
    # Frames overlap: a frame is a row of `blocks` neighboring blocks of `hop` samples.
    blocks = -(-width // hop)
    beyond = "edge" if remove_offset else "constant"
    filled = op.Pad(signal, [max(0, begin), max(0, -begin) + blocks * hop], mode=beyond)
    rows = op.Reshape(part(op, part(op, filled, max(0, -begin), END, 0), 0, (count + (blocks - 1)) * hop, 0), [-1, hop])
    beside = [part(op, rows, number, count + number, 0) for number in range(blocks)]
    joined = beside[0] if blocks == 1 else op.Concat(*beside, axis=1)
    whole = part(op, joined, 0, width, 1)
    if remove_offset:
        inside = (support != 0)[:, None] / np.float32(np.count_nonzero(support))
        whole = whole - part(op, whole, width // 2, width // 2 + 1, 1)
        whole = whole - op.MatMul(whole, constant(op, "inside", inside))
    return whole * constant(op, "taper", support[None].astype(np.float32))
