"""Bundles from a stranger: none shows a file of the reader's machine, hangs, fills the memory, or lies unnoticed."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serkit import audio, load, onnx_file, onnx_session
from serkit.cli import run
from serkit.errors import UserError
from serkit.recognition import Recognizer, bundle
from serkit.recognition.bundle import Bundle, BundleError

onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")


@pytest.fixture
def folder(toy, tmp_path):
    """A whole bundle with weights, to be spoilt."""
    shutil.copytree(toy, tmp_path / "mine")
    (tmp_path / "mine" / "weights.safetensors").write_bytes(b"anything")
    return tmp_path / "mine"


@pytest.fixture
def recording(tmp_path, noise):
    noise(tmp_path / "take.wav", seconds=0.8)
    return tmp_path / "take.wav"


FILES = ("bundle.json", "CARD.md", "model.onnx", "weights.safetensors")


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def link_outside(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def link_nowhere(path):
    path.unlink()
    path.symlink_to("nowhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def listening(path):
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path has at most 108 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def nested(path):
    path.unlink()
    path.mkdir()


@posix
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("spoil", [link, link_outside, link_nowhere, pipe, device, listening, nested])
def test_every_file_is_a_file(folder, name, spoil, capsys, recording):
    spoil(folder / name)
    with pytest.raises(BundleError, match=rf"mine/{name}: must be a regular file, is a (link|pipe|socket|folder)"):
        Bundle.load(folder)
    assert run(["predict", "--model", str(folder), str(recording)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@posix
def test_a_card_that_is_a_link_is_not_published(folder, tmp_path):
    loaded = Bundle.load(folder)
    link_outside(folder / "CARD.md")
    with pytest.raises(BundleError, match="is a link; replace it with the file itself"):
        loaded.card()


@posix
def test_a_folder_may_be_reached_by_a_link(folder, tmp_path, recording):
    (tmp_path / "other").symlink_to(folder)
    assert load(tmp_path / "other")(recording) == load(folder)(recording)


@posix
def test_bundles_of_the_package_may_be_linked(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(bundle, "_OWN", folder.parent)
    link(folder / "model.onnx")
    assert Bundle.load(folder).card() == "# Toy\n"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_too_large(folder, name):
    with open(folder / name, "r+b") as file:
        file.truncate(bundle.SIZES[name] + 1)  # sparse: it takes no room
    with pytest.raises(BundleError, match=rf"{name}: is too large: \d+ bytes; the maximum is {bundle.SIZES[name]}"):
        Bundle.load(folder)


def described(folder, **changes):
    """Change keys of the description, given with `__` between key and key."""
    content = json.loads((folder / "bundle.json").read_text())
    for key, value in changes.items():
        place = content
        *parents, last = key.split("__")
        for parent in parents:
            place = place[int(parent) if isinstance(place, list) else parent]
        place[last] = value
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibration": {"temperature": float("inf"), "fitted_on": "x"}}, "calibration.temperature"),
        ({"calibration": {"temperature": float("nan"), "fitted_on": "x"}}, "calibration.temperature"),
        ({"calibration": {"temperature": -1, "fitted_on": "x"}}, "calibration.temperature"),
        ({"unsure": {"threshold": -0.1, "rule": "x"}}, "unsure.threshold"),
        ({"unsure": {"threshold": 3, "rule": "x"}}, "unsure.threshold"),
        ({"unsure": {"threshold": float("nan"), "rule": "x"}}, "unsure.threshold"),
        ({"unsure": {"threshold": 0.5, "rule": "x", "accuracy": 1.5}}, "unsure.accuracy"),
        ({"scores__0__value": float("inf")}, "scores.0.value"),
        ({"size__parameters": -1}, "size.parameters"),
        ({"model__file": "../model.onnx"}, "model.file"),
        ({"model__file": "/etc/passwd"}, "model.file"),
        ({"windowing__seconds": 1e308}, "windows of 1e"),
        ({"windowing__hop": 1e-9}, "windows of 1.0 s every 1e-09 s"),
        ({"windowing__minimum": float("inf")}, "minimum"),
        ({"inputs__0__feature__fft": 10**400}, "at most 64"),
        ({"inputs__0__feature__fft": 2**40}, "fft must be from 1 to 65536"),
        ({"inputs__0__feature__bands": 10**9}, "bands must be from 1 to 1024"),
        ({"inputs__0__feature__rate": 10**12}, "rate must be from 100 to 192000"),
        ({"inputs__0__feature__rate": 0}, "must"),
        ({"inputs__0__feature__hop": 0}, "hop"),
        ({"inputs__0__feature__fft": "x"}, "fft must be a whole number, got 'x'"),
        ({"windowing__seconds": 600, "inputs__0__feature__hop": 1}, "numbers a window"),
    ],
)
def test_descriptions(folder, changes, message):
    with pytest.raises(BundleError) as caught:
        Bundle.load(described(folder, **changes))
    assert message in str(caught.value) and str(caught.value).startswith(str(folder / "bundle.json"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "more than 64 deep"),
        (b'{"a":' * 100_000, "more than 64 deep"),
        (b'{"format": ' + b"[" * 70 + b"]" * 70 + b"}", "more than 64 deep"),
        (b'{"format": ' + b"9" * 5000 + b"}", "more than 64 bits"),
        (b'{"format": ' + b"9" * 30 + b"}", "at most 64"),
        (b'{"format": 1, "format": 1}', "key 'format' appears twice"),
        (b'{"format": 1\xff}', "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not JSON"),
        (b'{"format": NaN}', "key 'format' is nan"),
        (b"", "not JSON"),
        (b"null", "must hold an object, got a NoneType"),
    ],
)
def test_hostile_json(folder, content, message, capsys, recording):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    assert message in str(caught.value) and str(caught.value).startswith(str(folder / "bundle.json"))
    assert run(["predict", "--model", str(folder), str(recording)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_byte_order_mark_does_no_harm(folder):
    (folder / "bundle.json").write_bytes(b"\xef\xbb\xbf" + (folder / "bundle.json").read_bytes())
    assert Bundle.load(folder).name == "toy"


# --- networks


def save(folder, description, nodes, tensors=(), functions=(), **changes):
    """Make a bundle of a network whose input is `mel` and whose output `probabilities`."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("mel", FLOAT, ["batch", 64, "time"])],
        [helper.make_tensor_value_info("probabilities", FLOAT, ["batch", "labels"])],
        list(tensors),
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(one.domain, 1) for one in functions)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=list(functions))
    return description(**changes).save(folder, model.SerializeToString(), "# Hostile\n")


def constant(values, name="values"):
    return numpy_helper.from_array(np.asarray(values), name)


#: One row of values for each window, whatever is heard.
ROWS = [
    helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1, 2], keepdims=0),
    helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    helper.make_node("Unsqueeze", ["nothing", "axis"], ["column"]),
    helper.make_node("Add", ["column", "values"], ["probabilities"]),
]


def saying(folder, description, values):
    tensors = [constant(np.float32(values)), constant(np.float32(0), "zero"), constant([1], "axis")]
    return save(folder, description, ROWS, tensors)


@pytest.mark.parametrize("values", [(3.0, -2.0, 0, 0), (0, 0, 1.1, -0.1), (0.5, 0.5, -0.5, 0.5)])
def test_what_is_no_probability(tmp_path, description, recording, values, capsys):
    made = saying(tmp_path / "mine", description, values)
    recognizer = Recognizer(made)
    shown = next(float(value) for value in values if not 0 <= value <= 1)
    with pytest.raises(BundleError, match=rf"mine/model\.onnx: probabilities of .* must be 0 to 1, got {shown}$"):
        recognizer(recording)
    for ask in (lambda: recognizer.predict_signal(*audio.read(recording)), lambda: recognizer.timeline(recording)):
        with pytest.raises(BundleError, match="must be 0 to 1, got "):
            ask()
    stream = recognizer.stream(16000)
    with pytest.raises(BundleError, match="must be 0 to 1, got "):
        stream.push(audio.read(recording)[0])
        stream.finish()
    assert run(["predict", "--model", str(tmp_path / "mine"), str(recording)]) == 2
    assert "must be 0 to 1, got " in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number(tmp_path, description, recording, value):
    with pytest.raises(BundleError, match="do not add up to 1"):
        Recognizer(saying(tmp_path / "mine", description, [value, 0, 0, 1]))(recording)


def test_rounding_is_forgiven_and_not_shown(tmp_path, description, recording):
    answer = Recognizer(saying(tmp_path / "mine", description, [1.0004, -0.0004, 0, 0]))(recording)
    assert answer.confidence == 1.0 and min(answer.probabilities.values()) == 0.0


def outside(place):
    tensor = onnx.TensorProto(name="values", data_type=FLOAT, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", place), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("place", ["weights.safetensors", "../secret", "/etc/passwd", "pipe"])
@pytest.mark.parametrize("where", ["initializer", "constant", "inner graph", "sparse"])
def test_weights_in_other_files(tmp_path, description, place, where):
    tensors = [constant(np.float32(0), "zero"), constant([1], "axis")]
    nodes, tensor = list(ROWS), outside(place)
    if where == "initializer":
        tensors.append(tensor)
    elif where == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["values"], value=tensor))
    elif where == "sparse":
        sparse = onnx.SparseTensorProto(values=tensor, indices=constant([0]), dims=[4])
        nodes.insert(0, helper.make_node("Constant", [], ["values"], sparse_value=sparse))
    else:
        inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("values", FLOAT, [4])], [tensor])
        tensors.append(constant(True, "yes"))
        nodes.insert(0, helper.make_node("If", ["yes"], ["values"], then_branch=inner, else_branch=inner))
    with pytest.raises(BundleError, match=r"model\.onnx: has weights in another file"):
        Recognizer(save(tmp_path / "mine", description, nodes, tensors))


def test_a_loop_that_never_ends(tmp_path, description):
    going, on = (helper.make_tensor_value_info(name, onnx.TensorProto.BOOL, []) for name in ("going", "on"))
    now, then = (helper.make_tensor_value_info(name, FLOAT, [4]) for name in ("now", "then"))
    count = helper.make_tensor_value_info("count", onnx.TensorProto.INT64, [])
    steps = [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Identity", ["now"], ["then"])]
    inner = helper.make_graph(steps, "body", [count, going, now], [on, then])
    nodes = [helper.make_node("Loop", ["", "yes", "start"], ["values"], body=inner), *ROWS]
    tensors = [constant(True, "yes"), constant(np.zeros(4, np.float32), "start"), constant(np.float32(0), "zero")]
    with pytest.raises(BundleError, match=r"model\.onnx: has the operator Loop, which may never end"):
        Recognizer(save(tmp_path / "mine", description, nodes, [*tensors, constant([1], "axis")]))


def test_functions_that_call_each_other(tmp_path, description):
    opset = [helper.make_opsetid("", 17)]
    twice = helper.make_function("own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], opset)
    nodes = [helper.make_node("Twice", ["mel"], ["probabilities"], domain="own")]
    with pytest.raises(BundleError, match="defines functions"):
        Recognizer(save(tmp_path / "mine", description, nodes, functions=[twice]))


def test_an_operator_nobody_knows(tmp_path, description):
    nodes = [helper.make_node("Anything", ["mel"], ["probabilities"], domain="stranger")]
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime cannot load it") as caught:
        Recognizer(save(tmp_path / "mine", description, nodes))
    assert "\n" not in str(caught.value)


#: Each window becomes as many as 64,000 times 1,000 numbers for each of its frames.
HUGE = [
    helper.make_node("Shape", ["mel"], ["size"]),
    helper.make_node("Mul", ["size", "times"], ["shape"]),
    helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1, 2], keepdims=1),
    helper.make_node("Expand", ["mean", "shape"], ["wide"]),
    helper.make_node("ReduceMean", ["wide"], ["probabilities"], axes=[1], keepdims=0),
]


def test_an_output_larger_than_the_memory(tmp_path, description, recording):
    """20 GB from a network of some hundred bytes: refused, and not asked for."""
    made = save(tmp_path / "mine", description, HUGE, [constant(np.array([1, 1000, 1000]), "times")])
    program = f"from serkit import load; load({str(made.folder)!r})({str(recording)!r})"
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30)),
    )
    assert "AudioError" in found.stderr and "the network fails on it" in found.stderr


def test_a_constant_larger_than_the_memory(tmp_path, description, recording):
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["values"], keepdims=0),
        *ROWS,
    ]
    tensors = [constant([60_000, 100_000], "shape"), constant(np.float32(0), "zero"), constant([1], "axis")]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError):  # while it is loaded, or when it runs
        Recognizer(save(tmp_path / "mine", description, nodes, tensors))(recording)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_an_output_of_another_size_than_it_says(tmp_path, description, recording):
    nodes = [helper.make_node("ReduceMean", ["mel"], ["probabilities"], axes=[1], keepdims=0)]
    with pytest.raises(BundleError, match=r"its output must have shape \(1, 4\), got \(1, 81\)"):
        Recognizer(save(tmp_path / "mine", description, nodes))(recording)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", b"\x80" * 12])
def test_what_is_no_protobuf(tmp_path, description, content):
    made = description().save(tmp_path / "mine", content, "# None\n")
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime cannot load it"):
        Recognizer(made)


def test_a_file_of_countless_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_MOST_FIELDS", 1000)
    (tmp_path / "many.onnx").write_bytes(b"\x08\x01" * 1001)
    with pytest.raises(ValueError, match="more than 1000 parts"):
        onnx_file.read(tmp_path / "many.onnx")


def test_the_skeleton_of_a_network():
    path = Path(bundle.__file__).parents[1] / "bundles" / "emodb" / "model.onnx"
    model = onnx.load(path)
    found = onnx_file.read(path)
    assert found.operators == {node.op_type for node in model.graph.node}
    assert not found.functions and not found.external


def test_memory_is_bounded_once(toy):
    load("toy")
    onnx_session._bound_memory()
    assert onnx_session._bound_memory.cache_info().misses == 1
