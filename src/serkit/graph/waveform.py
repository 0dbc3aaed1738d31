"""One ONNX file from samples to answers: windows, features, network, mean over the windows, threshold of sure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnxscript import GraphBuilder, version_converter

from serkit import audio
from serkit.atomic import write_bytes
from serkit.corpora import synthetic
from serkit.errors import UserError
from serkit.features import Feature
from serkit.graph import GRAPHS, Precision
from serkit.graph.ops import Op, Value, arithmetic, constant, highest, length, part
from serkit.graph.speechlike import probability
from serkit.graph.windows import fit, windows
from serkit.recognition import speechlike
from serkit.recognition.bundle import Bundle
from serkit.recognition.familiarity import FARTHEST
from serkit.recognition.recognizer import Recognizer

#: Name of the file in a bundle's folder.
WAVEFORM = "waveform.onnx"

#: Operators' version: the newest that onnxruntime-web and onnxruntime's builds for phones run without gaps.
OPSET = 20
_IR_VERSION = 10

#: Largest difference from the Python path that a file may have in a probability, or in a number as a share of its
#: range.
TOLERANCE = 1e-3

# Lengths in s on which a file is compared: shorter than a frame and a syllable, and several windows.
_LENGTHS = (0.01, 0.2, 1.0, 3.0, 20.0)


def check(bundle: Bundle) -> dict[str, Feature]:
    """Return the features of a bundle by input.

    Raises:
        UserError: a feature has no graph, or the inputs read several signals.
    """
    features = bundle.features()
    for entry in bundle.inputs:
        if entry.feature.name not in GRAPHS:
            raise UserError(
                f"bundle '{bundle.name}': input '{entry.name}' is the feature '{entry.feature.name}', which has no "
                f"graph; features with a graph: {', '.join(sorted(GRAPHS))}"
            )
    rates = sorted({feature.rate for feature in features.values()})
    if len(rates) > 1 or len({entry.channel for entry in bundle.inputs}) > 1:
        raise UserError(
            f"bundle '{bundle.name}': its inputs read several signals; a graph has one, at one rate (here {rates} Hz)"
        )
    return features


@dataclass(frozen=True)
class Written:
    """A file that was written.

    Args:
        size: its size in bytes.
        difference: its largest difference from `Recognizer`, in a probability or as a share of a number's range.
    """

    size: int
    difference: float


def write(bundle: Bundle, path: Path, precision: Precision = Precision.FLOAT32) -> Written:
    """Write the ONNX file of a bundle, from samples to answers, after a comparison with `Recognizer`.

    Raises:
        UserError: as for `check`; or the file, with its full precision, would give other answers than the bundle.
    """
    content = waveform(bundle, precision)
    difference = compare(bundle, content)
    if difference > TOLERANCE and precision is Precision.FLOAT32:
        raise UserError(
            f"bundle '{bundle.name}': its graph differs from Python by {difference:.2g} (limit: {TOLERANCE:g})"
        )
    write_bytes(path, content)
    return Written(len(content), difference)


def compare(bundle: Bundle, content: bytes) -> float:
    """Return the largest difference between the answers of a file and of `Recognizer`, on synthetic speech."""
    recognizer = Recognizer(bundle)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rate = next(iter(bundle.features().values())).rate
    manners = ("neutral", "anger", "sadness", "happiness")
    takes = [synthetic.utterance(1 + number % 2, 1, manner, 1, 0) for number, manner in enumerate(manners)]
    speech = audio.resample(np.concatenate([take.speech for take in takes]).astype(np.float32), takes[0].rate, rate)
    worst = 0.0
    for seconds in _LENGTHS:
        signal = np.resize(speech, math.ceil(seconds * rate))
        answer = recognizer.predict_signal(signal, rate)
        wanted = np.array([(answer.values or answer.probabilities)[name] for name in bundle.outputs])
        found = session.run([bundle.output], {"samples": signal[None]})[0][0]
        unit = np.array([number.high - number.low for number in bundle.numbers] or [1.0])
        worst = max(worst, float((np.abs(found - wanted) / unit).max()))
    return worst


def waveform(bundle: Bundle, precision: Precision = Precision.FLOAT32) -> bytes:
    """Return the ONNX file of a bundle, from samples to answers.

    Its input is `samples`, float32 (batch, samples), mono at the rate of the features, full scale 1.0, all recordings
    of a batch of one length. Its outputs are those of the bundle, `probabilities` (batch, labels) or `values` (batch,
    numbers); with labels also `sure`, bool (batch,), by the rules of `Recognizer`. The metadata holds `rate` in Hz and
    `outputs`, a JSON list of labels or numbers.

    Raises:
        UserError: as for `check`.
    """
    features = check(bundle)
    rate = next(iter(features.values())).rate
    graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name=bundle.name)
    builder = GraphBuilder(graph)
    op = builder.op
    samples = builder.input("samples", ir.DataType.FLOAT, ["batch", "samples"])
    with arithmetic(op):
        answers, peak, speech, rows = _recordings(op, bundle, features, samples, precision)
        if bundle.labels:
            answers = op.Clip(answers, 0.0, 1.0)
        builder.add_output(_shaped(answers, ir.DataType.FLOAT, ["batch", len(bundle.outputs)]), bundle.output)
        if bundle.labels:
            distance = _distance(op, bundle, rows)
            sure = _sure(op, bundle, rate, samples, answers, peak, speech, distance)
            builder.add_output(_shaped(sure, ir.DataType.BOOL, ["batch"]), "sure")
            builder.add_output(_shaped(speech, ir.DataType.FLOAT, ["batch"]), "speech")
            builder.add_output(_shaped(distance, ir.DataType.FLOAT, ["batch"]), "distance")
    _without_notes(graph)
    model = ir.Model(graph, ir_version=_IR_VERSION, producer_name="serkit", producer_version=bundle.serkit)
    model.metadata_props.update(_metadata(bundle, rate))
    content: bytes = ir.serde.serialize_model(model).SerializeToString()
    return content


def _recordings(
    op: Op, bundle: Bundle, features: dict[str, Feature], samples: Value, precision: Precision
) -> tuple[Value, Value, Value, Value]:
    """Return answers (batch, outputs), peaks (batch,), probabilities of speech (batch,) and means of the rows of the
    features (batch, rows) of recordings (batch, samples)."""
    rate = next(iter(features.values())).rate
    network = _load_network(op, bundle.model_path, precision)
    batch = length(op, samples, 0)
    start, end = windows(op, bundle.windowing, rate, length(op, samples, 1))
    # One row for each window of each recording.
    count = length(op, start, 0)
    item = op.Reshape(
        op.Expand(op.Unsqueeze(op.Range(0, op.Squeeze(batch), 1), [1]), op.Concat(batch, count, axis=0)), [-1]
    )
    starts, ends = op.Tile(start, batch), op.Tile(end, batch)

    def window(op: Op, item: Value, start: Value, end: Value) -> Sequence[Value]:
        # Names of the body and of the graph around it must differ.
        op.builder.push_module("window")
        with arithmetic(op):
            recording = op.Gather(samples, item, axis=0)
            heard = part(op, recording, op.Reshape(start, [1]), op.Reshape(end, [1]), 0)
            return _window(op, bundle, network, features, fit(op, bundle.windowing, rate, heard))

    body = op.builder.subgraph(
        window,
        [ir.val(name, ir.DataType.INT64, []) for name in ("item", "start", "end")],
        [
            ir.val("answer", ir.DataType.FLOAT, [len(bundle.outputs)]),
            ir.val("peak", ir.DataType.FLOAT, []),
            ir.val("speech", ir.DataType.FLOAT, []),
            ir.val("rows", ir.DataType.FLOAT, None),
        ],
        name="window",
    )
    answers, peaks, speech, rows = op.Scan(item, starts, ends, body=body, num_scan_inputs=3, _outputs=4)

    def by_recording(values: Value) -> Value:
        return op.Reshape(values, op.Concat(batch, count, [-1], axis=0))

    answer, means = (op.ReduceMean(by_recording(one), [1], keepdims=0) for one in (answers, rows))
    peak, spoken = (
        op.ReduceMax(by_recording(peaks), [1, 2], keepdims=0),
        op.ReduceMean(by_recording(speech), [1, 2], keepdims=0),
    )
    return answer, peak, spoken, means


def _window(op: Op, bundle: Bundle, network: ir.Graph, features: dict[str, Feature], signal: Value) -> Sequence[Value]:
    """Return answer (outputs,), peak (), probability of speech () and means of the rows of the features (rows,) of one
    window (samples,)."""
    arrays = {name: GRAPHS.find(one.name)(op, one, signal) for name, one in features.items()}
    arguments = [op.Unsqueeze(arrays[str(one.name)], [0]) for one in network.inputs]
    answer = op.builder.call_inline(ir.Function("serkit", "network", graph=network, attributes=[]), *arguments)
    peak = op.Squeeze(highest(op, op.Abs(signal), 0))
    rate = next(iter(features.values())).rate
    reads_speech = rate == 2 * speechlike.RATE and not any(entry.channel for entry in bundle.inputs)
    spoken = op.Squeeze(probability(op, signal)) if reads_speech and bundle.labels else op.Mul(peak, 0.0) + 1.0
    rows = [op.ReduceMean(op.Flatten(arrays[name], axis=1), [1], keepdims=0) for name in _familiar(bundle)]
    return op.Squeeze(answer, [0]), peak, spoken, op.Concat(*rows, axis=0) if rows else op.Unsqueeze(peak, [0])


def _familiar(bundle: Bundle) -> list[str]:
    return list(bundle.familiar.means) if bundle.familiar and bundle.labels else []


def _distance(op: Op, bundle: Bundle, rows: Value) -> Value:
    """Return the distance of row means (batch, rows) from those of the training recordings: (batch,)."""
    names, familiar = _familiar(bundle), bundle.familiar
    if not names or familiar is None:
        return op.ReduceSum(op.Mul(rows, 0.0), [1], keepdims=0)
    means, scales = (
        constant(op, "familiar", np.concatenate([table[name] for name in names]).astype(np.float32)[None])
        for table in (familiar.means, familiar.scales)
    )
    deviation = op.Clip((rows - means) / scales, -FARTHEST, FARTHEST)
    return op.Sqrt(op.ReduceMean(deviation * deviation, [1], keepdims=0))


def _load_network(op: Op, path: Path, precision: Precision) -> ir.Graph:
    """Load a network and move its weights to the graph of `op`, around the body that computes a window."""
    model = ir.load(path)
    if model.opset_imports[""] != OPSET:
        version_converter.convert_version(model, OPSET, fallback=True)
    network = model.graph
    weights = list(network.initializers.values())
    network.initializers.clear()
    for weight in weights:
        # Names of the front end exist already.
        weight.name = f"network.{weight.name}"
        array = weight.const_value.numpy() if weight.const_value is not None else np.empty(0)
        if precision is not Precision.FLOAT32 and array.dtype == np.float32 and array.ndim >= 2:
            weight.replace_all_uses_with(_rounded(op, str(weight.name), array, precision))
        else:
            op.builder.root.graph.register_initializer(weight)
    return network


def _rounded(op: Op, name: str, array: np.ndarray, precision: Precision) -> Value:
    """Return a weight as float32 from its stored form; for int8, each slice of the first axis has its own scale."""
    if precision is Precision.FLOAT16:
        return op.Cast(constant(op, name, array.astype(np.float16)), to=ir.DataType.FLOAT)
    scale = np.abs(array).max(axis=tuple(range(1, array.ndim))) / 127
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    steps = np.rint(array / scale.reshape(-1, *[1] * (array.ndim - 1))).astype(np.int8)
    return op.DequantizeLinear(constant(op, name, steps), constant(op, f"{name}.scale", scale), axis=0)


def _sure(
    op: Op,
    bundle: Bundle,
    rate: int,
    samples: Value,
    answers: Value,
    peak: Value,
    speech: Value,
    distance: Value,
) -> Value:
    """Return whether each answer is sure, by the rules of `recognition.model.Model.doubt`."""
    threshold = bundle.unsure.threshold if bundle.unsure else 0.0
    confident = op.GreaterOrEqual(op.ReduceMax(answers, [1], keepdims=0), threshold)
    audible = op.GreaterOrEqual(peak, audio.SILENCE_PEAK)
    long = op.GreaterOrEqual(length(op, samples, 1), [math.ceil(audio.SHORTEST * rate)])
    like = op.GreaterOrEqual(speech, speechlike.CERTAIN)
    near = op.LessOrEqual(distance, bundle.familiar.threshold if bundle.familiar else 0.0)
    return op.And(op.And(op.And(confident, audible), long), op.And(like, near))


def _shaped(value: Value, dtype: ir.DataType, shape: Sequence[int | str]) -> Value:
    value.dtype, value.shape = dtype, ir.Shape(shape)
    return value


def _without_notes(graph: ir.Graph) -> None:
    """Remove what the builder notes on each operator, which is as much text as the rest of the graph."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        node.metadata_props.clear()


def _metadata(bundle: Bundle, rate: int) -> dict[str, str]:
    """Return what a program needs beside the graph."""
    return {
        "name": bundle.name,
        "rate": str(rate),
        "outputs": json.dumps(list(bundle.outputs)),
        "license": bundle.licence,
        "model_sha256": bundle.model.sha256 if bundle.model else "",
    }
