"""Graphs of single features, and speech to run them on."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from onnxscript import GraphBuilder

from serkit import audio
from serkit.corpora import synthetic
from serkit.graph.ops import arithmetic


@pytest.fixture(scope="session")
def speech():
    """20 s of synthetic speech at 16 kHz: float32 (samples,)."""
    manners = ("neutral", "anger", "sadness", "happiness")
    takes = [synthetic.utterance(1 + number % 2, 1 + number % 3, manner, 1, 0) for number, manner in enumerate(manners)]
    joined = np.concatenate([take.speech for take in takes]).astype(np.float32)
    return np.resize(audio.resample(joined, takes[0].rate, 16000), 20 * 16000)


@pytest.fixture(scope="session")
def session_of():
    """A session of a graph that a function builds, given `op` and a value for each input."""

    def build(function, outputs=1, **inputs):
        graph = ir.Graph([], [], nodes=[], opset_imports={"": 20}, name="test")
        builder = GraphBuilder(graph)
        values = [builder.input(name, *kind) for name, kind in inputs.items()]
        with arithmetic(builder.op):
            found = function(builder.op, *values)
        for number, value in enumerate([found] if outputs == 1 else found):
            builder.add_output(builder.op.Identity(value), f"output{number}")
        model = ir.serde.serialize_model(ir.Model(graph, ir_version=10))
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    return build
