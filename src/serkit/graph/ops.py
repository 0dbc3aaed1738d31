"""What all stages of a graph share: arithmetic on values, constants, slices, percentiles."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir
from onnx_ir import Value as Value
from onnxscript import OpBuilder

#: Adds operators to a graph: `op.Add(x, y)`.
Op = OpBuilder

#: Longer than every axis, as the end of a slice.
END = 2**62


@contextmanager
def arithmetic(op: Op) -> Iterator[None]:
    """Let `+`, `-`, `*` and `/` between values add operators to the graph of `op`."""
    before = ir.set_value_magic_handler(op)
    try:
        yield
    finally:
        ir.set_value_magic_handler(before)


def constant(op: Op, kind: str, array: np.ndarray) -> Value:
    """Return an array as a value of the graph, where equal arrays of a kind are stored once."""
    name = f"{kind}_{hashlib.sha256(array.tobytes()).hexdigest()[:8]}"
    root = op.builder.root
    if name not in root.graph.initializers:
        return root.initializer(ir.tensor(array, name=name), name=name, qualify=False)
    return root.graph.initializers[name]


def cosines(op: Op, rows: int, columns: int, period: int) -> Value:
    """Return cos(2 pi row column / period): (rows, columns)."""
    return _waves(op, "cosine", np.cos(_angles(period)), rows, columns)


def sines(op: Op, rows: int, columns: int, period: int) -> Value:
    """Return sin(2 pi row column / period): (rows, columns)."""
    return _waves(op, "sine", np.sin(_angles(period)), rows, columns)


def _angles(period: int) -> np.ndarray:
    return 2 * np.pi * np.arange(period) / period


def _waves(op: Op, name: str, wave: np.ndarray, rows: int, columns: int) -> Value:
    """Look the matrix up in one period, because the file would be several times as large with the matrix inside.

    It depends on no input, so that onnxruntime computes it when it loads the graph.
    """
    row = constant(op, "rows", np.arange(rows, dtype=np.int64)[:, None])
    column = constant(op, "columns", np.arange(columns, dtype=np.int64)[None])
    return op.Gather(constant(op, name, wave.astype(np.float32)), op.Mod(op.Mul(row, column), wave.size))


def length(op: Op, value: Value, axis: int) -> Value:
    """Return the length of an axis, counted from 0: int64 (1,)."""
    return op.Shape(value, start=axis, end=axis + 1)


def part(op: Op, value: Value, start: Value | int, end: Value | int, axis: int, step: int = 1) -> Value:
    """Return the slice `start:end:step` of an axis; limits are numbers or int64 (1,)."""
    first, last = (limit if isinstance(limit, Value) else op.Constant(value_ints=[limit]) for limit in (start, end))
    return op.Slice(value, first, last, [axis], [step])


def mean(op: Op, value: Value, axis: int) -> Value:
    """Return the mean over an axis, which remains with length 1."""
    return op.ReduceMean(value, [axis])


def spread(op: Op, rows: Value) -> tuple[Value, Value]:
    """Return rows without their mean, and their standard deviation (rows, 1)."""
    centered = rows - mean(op, rows, 1)
    return centered, op.Sqrt(mean(op, centered * centered, 1))


def highest(op: Op, value: Value, axis: int) -> Value:
    """Return the maximum over an axis, which remains with length 1."""
    return op.ReduceMax(value, [axis])


def to_float(op: Op, value: Value) -> Value:
    """Cast to float32."""
    return op.Cast(value, to=ir.DataType.FLOAT)


def percentiles(op: Op, rows: Value, percents: Sequence[float]) -> Value:
    """Return percentiles of each row, linear between neighbors as in `np.percentile`: (rows, percents)."""
    count = length(op, rows, 1)
    ascending, _ = op.TopK(rows, count, axis=1, largest=0, _outputs=2)
    last = count - 1
    place = to_float(op, last) * op.Constant(value_floats=[percent / 100 for percent in percents])
    below = op.Cast(op.Floor(place), to=ir.DataType.INT64)
    above = op.Min(below + 1, last)
    low, high = op.Gather(ascending, below, axis=1), op.Gather(ascending, above, axis=1)
    return low + (high - low) * (place - op.Floor(place))
