"""The windows of a graph are those of Python, to the sample."""

import itertools

import numpy as np
import onnx_ir as ir
import pytest

from serkit.graph.windows import fit, windows
from serkit.recognition.windows import cut
from serkit.windowing import TAILS, Windowing

RATE = 16000
LENGTHS = (1, 100, 15_999, 16_000, 16_001, 23_999, 24_000, 24_002, 31_999, 32_000, 33_333, 40_000, 47_900, 100_003)
KINDS = [
    Windowing(),
    *(
        Windowing(seconds, hop, tail, minimum)
        for tail, (seconds, hop) in itertools.product(TAILS, [(1.0, None), (1.0, 0.5), (0.7, 0.33)])
        for minimum in (0.0, 0.4)
    ),
]


@pytest.mark.parametrize("windowing", KINDS, ids=str)
def test_windows_are_those_of_python(windowing, session_of):
    def build(op, samples):
        return windows(op, windowing, RATE, samples)

    session = session_of(build, outputs=2, samples=(ir.DataType.INT64, [1]))
    for length in LENGTHS:
        signal = np.arange(1, length + 1, dtype=np.float32)
        wanted = list(cut([signal], RATE, length / RATE, windowing))
        starts, ends = session.run(None, {"samples": np.array([length])})
        found = [windowing.fit(signal[start:end], RATE) for start, end in zip(starts, ends, strict=True)]
        assert [(one[0], one[-1], len(one)) for one in found] == [(one[0], one[-1], len(one)) for one in wanted]


@pytest.mark.parametrize("tail", TAILS)
def test_a_short_window_is_padded_as_in_python(tail, session_of):
    windowing = Windowing(1.0, tail=tail)
    session = session_of(lambda op, one: fit(op, windowing, RATE, one), one=(ir.DataType.FLOAT, ["samples"]))
    signal = np.ones(1000, np.float32)
    assert session.run(None, {"one": signal})[0].tolist() == windowing.fit(signal, RATE).tolist()
