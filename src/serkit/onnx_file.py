"""Inspect an ONNX file before onnxruntime opens it, because a bundle may come from a stranger.

Only the skeleton is read, in protobuf's wire format: the operators and the location of weights. Weights are skipped, so
it takes milliseconds and needs no library except NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: Fields of each kind of message that lead to operators and weights, with the kind of their content (onnx.proto).
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}

_OPERATOR = ("node", 4)
_PLACES = (("tensor", 13), ("tensor", 14))  # marks and location of weights outside the file

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Maximum number of fields. A network of 100,000 operators has fewer; reading this many takes seconds.
_MOST_FIELDS = 1 << 22


@dataclass
class Skeleton:
    """Skeleton of a network.

    Args:
        operators: distinct names of the operators.
        functions: whether the file defines functions.
        external: whether weights are in other files.
    """

    operators: set[str] = field(default_factory=set)
    functions: bool = False
    external: bool = False


def read(path: Path) -> Skeleton:
    """Read the skeleton of an ONNX file.

    Raises:
        ValueError: the file is not protobuf, or has too many parts.
    """
    found, fields = Skeleton(), 0
    # No recursion, because graphs contain nodes and nodes contain graphs.
    waiting = [("model", np.memmap(path, np.uint8, "r").data)]
    while waiting:
        kind, message = waiting.pop()
        found.functions |= kind == "function"
        for number, content in _fields(message):
            fields += 1
            if fields > _MOST_FIELDS:
                raise ValueError(f"has more than {_MOST_FIELDS} parts")
            inner = _INSIDE[kind].get(number)
            if inner is not None and isinstance(content, memoryview):
                waiting.append((inner, content))
            elif (kind, number) == _OPERATOR and isinstance(content, memoryview):
                found.operators.add(str(content, "utf-8", "replace"))
            elif (kind, number) in _PLACES:
                found.external |= content != 0
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the number and content of each field of a protobuf message."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"not protobuf: field of kind {kind}")
        if place + length > len(message):
            raise ValueError("not protobuf: ends within a field")
        yield number, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number at an offset, with seven bits per byte, and the offset after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("not protobuf: ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("not protobuf: number without end")
