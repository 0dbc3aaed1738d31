"""Log-mel spectrogram as an image; see `serkit.features.logmel_image`."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from serkit.features.logmel_image import INFERNO_RED, LogmelImage
from serkit.graph import log_mel
from serkit.graph.ops import END, Op, Value, constant, highest, part
from serkit.graph.resizing import resized


def logmel_image(op: Op, feature: LogmelImage, signal: Value) -> Value:
    """Draw a signal (samples,): (1, rows, columns)."""
    image = part(op, _levels(op, feature, signal), -1, -END, 0, -1)
    if feature.colour == "inferno_red":
        steps = op.Min(image * float(len(INFERNO_RED)), float(len(INFERNO_RED) - 1))
        reds = constant(op, "inferno_red", INFERNO_RED / np.float32(255))
        image = op.Gather(reds, op.Cast(steps, to=ir.DataType.INT64))
    drawn = resized(op, image, *feature.size, feature.resize)
    return op.Unsqueeze(op.Clip(drawn, 0.0, 1.0), [0])


def _levels(op: Op, feature: LogmelImage, signal: Value) -> Value:
    """Return levels from 0 to 1: (bands, frames)."""
    power = log_mel.log_mel(op, feature.mel(), signal)
    peak = highest(op, highest(op, power, 0), 1)
    relative = power / op.Where(op.Greater(peak, 0.0), peak, 1.0)
    decibels = op.Log(op.Max(relative, 10 ** (-feature.top_db / 10))) * (10 / math.log(10))
    return op.Clip(decibels / feature.top_db + 1.0, 0.0, 1.0)
