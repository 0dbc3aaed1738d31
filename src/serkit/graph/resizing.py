"""Resizing of images as matrix products, because Pillow's filters are wider than those of ONNX's own `Resize`."""

from __future__ import annotations

import numpy as np

from serkit.graph.ops import Op, Value, constant, length, to_float


def resized(op: Op, image: Value, rows: int, columns: int, resize: str = "antialias") -> Value:
    """Return an image (any, any) in another size: (rows, columns). Pillow resizes the rows first."""
    across = weights(op, resize, length(op, image, 1), columns)
    narrow = op.MatMul(image, op.Transpose(across, perm=[1, 0]))
    return op.MatMul(weights(op, resize, length(op, image, 0), rows), narrow)


def weights(op: Op, resize: str, before: Value, after: int) -> Value:
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
