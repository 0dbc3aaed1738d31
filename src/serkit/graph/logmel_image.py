"""Log-mel spectrogram as an image; see `serkit.features.logmel_image`."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from serkit.features.logmel_image import INFERNO_RED, LogmelImage
from serkit.graph import log_mel
from serkit.graph.ops import Op, Value, constant, highest, length, part, to_float


def logmel_image(op: Op, feature: LogmelImage, signal: Value) -> Value:
    """Draw a signal (samples,): (1, rows, columns)."""
    image = part(op, _levels(op, feature, signal), -1, -(2**62), 0, -1)
    if feature.colour == "inferno_red":
        steps = op.Min(image * float(len(INFERNO_RED)), float(len(INFERNO_RED) - 1))
        reds = constant(op, "inferno_red", INFERNO_RED / np.float32(255))
        image = op.Gather(reds, op.Cast(steps, to=ir.DataType.INT64))
    rows, columns = feature.size
    # Pillow resizes the rows first.
    narrow = op.MatMul(image, op.Transpose(_weights(op, feature.resize, length(op, image, 1), columns), perm=[1, 0]))
    drawn = op.MatMul(_weights(op, feature.resize, length(op, image, 0), rows), narrow)
    return op.Unsqueeze(op.Clip(drawn, 0.0, 1.0), [0])


def _levels(op: Op, feature: LogmelImage, signal: Value) -> Value:
    """Return levels from 0 to 1: (bands, frames)."""
    power = log_mel.log_mel(op, feature.mel(), signal)
    peak = highest(op, highest(op, power, 0), 1)
    relative = power / op.Where(op.Greater(peak, 0.0), peak, 1.0)
    decibels = op.Log(op.Max(relative, 10 ** (-feature.top_db / 10))) * (10 / math.log(10))
    return op.Clip(decibels / feature.top_db + 1.0, 0.0, 1.0)


def _weights(op: Op, resize: str, before: Value, after: int) -> Value:
    """Return the weight of each of `before` pixels, int64 (1,), in each of `after`: (after, before)."""
    middles = constant(op, "middles", (np.arange(after, dtype=np.float32) + 0.5)[:, None])
    scale = to_float(op, before) / float(after)
    place = op.Unsqueeze(to_float(op, op.Range(0, op.Squeeze(before), 1)), [0])
    if resize == "nearest":
        return to_float(op, op.Equal(place, op.Floor(middles * scale)))
    if resize == "bilinear":
        last = to_float(op, before) - 1.0
        center = op.Min(op.Max(middles * scale - 0.5, 0.0), last)
        width = op.Constant(value_floats=[1.0])
    else:
        # Pillow's triangle, which is as wide as the reduction.
        center, width = middles * scale - 0.5, op.Max(scale, 1.0)
    triangle = op.Relu(1.0 - op.Abs(place - center) / width)
    return triangle / op.ReduceSum(triangle, [1])
