"""The feature `onnx`: any encoder, frozen, in training and in recognition; and what a stranger's bundle cannot do."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from serkit import UserError, cli, features
from serkit.features.onnx import Onnx
from serkit.recognition import Bundle, load
from serkit.recognition.bundle import BundleError, Input, encoder_name

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROWS, KERNEL, HOP = 6, 400, 160


def make_encoder(path, seed=0, mask=False, external=False, size=ROWS):
    """An encoder of one convolution: (batch, samples) -> (batch, frames, rows), and its mean (batch, rows)."""
    weights = np.random.default_rng(seed).normal(0, 0.1, (size, 1, KERNEL)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["samples", "axis"], ["signal"]),
        helper.make_node("Conv", ["signal", "weights"], ["rows"], strides=[HOP]),
        helper.make_node("Transpose", ["rows"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["frames"], ["vector"], axes=[1], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "samples"])]
    if mask:
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.INT64, ["batch", "samples"]))
    outputs = [
        helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", "frames", size]),
        helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", size]),
    ]
    tensors = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "axis")]
    graph = helper.make_graph(nodes, "encoder", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if external:
        onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        path.write_bytes(model.SerializeToString())
    return weights[:, 0]


@pytest.fixture
def encoder(tmp_path):
    path = tmp_path / "encoder.onnx"
    return path, make_encoder(path)


def by_hand(weights, signal):
    frames = np.lib.stride_tricks.sliding_window_view(signal, KERNEL)[::HOP]
    return frames @ weights.T


SIGNAL = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)


def test_frames_and_their_statistics(encoder):
    path, weights = encoder
    frames = by_hand(weights, SIGNAL)
    found = {
        pooling: features.build("onnx", path=str(path), pooling=pooling, hop=HOP)
        for pooling in ("none", "mean", "mean_std", "max")
    }
    assert found["none"](SIGNAL) == pytest.approx(frames.T, abs=1e-5)
    assert found["mean"](SIGNAL) == pytest.approx(frames.mean(0), abs=1e-5)
    assert found["mean_std"](SIGNAL) == pytest.approx(np.concatenate([frames.mean(0), frames.std(0)]), abs=1e-5)
    assert found["max"](SIGNAL) == pytest.approx(frames.max(0), abs=1e-5)
    assert [one.shape for one in found.values()] == [(ROWS, None), (ROWS,), (2 * ROWS,), (ROWS,)]
    assert found["mean_std"].columns[:2] == ["mean_0", "mean_1"] and found["mean_std"].columns[-1] == "std_5"
    vector = features.build("onnx", path=str(path), output="vector")
    assert vector(SIGNAL) == pytest.approx(frames.mean(0), abs=1e-5)
    standard = features.build("onnx", path=str(path), standardize=True)
    assert standard(3 * SIGNAL + 1) == pytest.approx(
        by_hand(weights, (SIGNAL - SIGNAL.mean()) / SIGNAL.std()).mean(0), abs=1e-4
    )


def test_long_and_short_signals(encoder, tmp_path):
    path, weights = encoder
    feature = features.build("onnx", path=str(path), pooling="none", chunk=1.0)
    long = np.tile(SIGNAL, 3)[:40000]
    pieces = [by_hand(weights, piece) for piece in np.array_split(long, 3)]
    assert feature(long) == pytest.approx(np.concatenate(pieces).T, abs=1e-5)
    mean = features.build("onnx", path=str(path), chunk=1.0)
    assert mean(long) == pytest.approx(np.concatenate(pieces).mean(0), abs=1e-5)
    assert mean(SIGNAL[:1]).shape == (ROWS,)
    make_encoder(tmp_path / "masked.onnx", mask=True)
    assert features.build("onnx", path=str(tmp_path / "masked.onnx"))(SIGNAL).shape == (ROWS,)


def test_the_place_is_no_part_of_the_configuration(encoder, tmp_path, monkeypatch):
    path, _ = encoder
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    feature = features.build("onnx", path=str(path))
    config = features.config(feature)
    assert config["sha256"] == sha256 and config["size"] == ROWS
    assert str(path) not in json.dumps(config) and "path" not in config
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(path, shelf / "mine.onnx")
    monkeypatch.setenv("SERKIT_ENCODERS", str(shelf))
    assert features.build("onnx", model="mine") == feature
    again = features.build(**config)
    assert again == feature
    with pytest.raises(UserError, match=f"SHA-256 {sha256} is missing"):
        again(SIGNAL)
    shutil.move(shelf / "mine.onnx", shelf / f"{sha256}.onnx")
    assert again(SIGNAL) == pytest.approx(feature(SIGNAL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give path, model or sha256"),
        ({"path": "none.onnx"}, "none.onnx: cannot be read"),
        ({"model": "none"}, r"unknown encoder 'none'"),
        ({"path": "a", "model": "b"}, "give one"),
        ({"sha256": "../../etc/passwd"}, "must be 64 hexadecimal digits"),
        ({"pooling": "median"}, "unknown pooling 'median'"),
        ({"output": "logits"}, "unknown output of .* 'logits'. Available: frames, vector"),
        ({"output": "vector", "pooling": "none"}, r"must have shape \(batch, frames, size\)"),
        ({"sha256": "0" * 64}, "its SHA-256 begins with .*, but 00000000 is required"),
        ({"size": 7}, r"must have shape \(1, frames, 7\)"),
    ],
)
def test_mistakes(encoder, options, message):
    given = (
        options
        if {"path", "model"} & options.keys() or not options or "../" in str(options)
        else {"path": str(encoder[0]), **options}
    )
    with pytest.raises(UserError, match=message):
        features.build("onnx", **given)(SIGNAL)


def test_external_data_is_refused_also_in_a_file_of_ones_own(tmp_path):
    make_encoder(tmp_path / "external.onnx", external=True)
    with pytest.raises(UserError, match="has weights in another file"):
        features.build("onnx", path=str(tmp_path / "external.onnx"))
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match="onnxruntime cannot load it"):
        features.build("onnx", path=str(tmp_path / "broken.onnx"))


@pytest.fixture
def save(encoder, tmp_path, description):
    """Save a bundle whose only input is the mean of an encoder, with the encoder in it or not."""

    def write(name, inside=True, **options):
        feature = features.build("onnx", path=str(encoder[0]))
        config = {**features.config(feature), **options}
        made = description(inputs=[Input(name="vector", feature=config)])
        return made.save(tmp_path / name, network(), "# Mine\n", encoders=[feature] if inside else [])

    return write


def network():
    nodes = [
        helper.make_node("MatMul", ["vector", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    weights = np.random.default_rng(0).normal(0, 3, (ROWS, 4)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", ROWS])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def test_a_bundle_holds_its_encoder_or_names_its_hash(save, encoder, tmp_path, monkeypatch):
    whole = save("whole")
    (tmp_path / "encoder.onnx").rename(tmp_path / "moved.onnx")
    answer = load(whole.folder).predict_signal(SIGNAL, 16000)
    sha256 = whole.inputs[0].feature.model_dump()["sha256"]
    assert (whole.folder / encoder_name(sha256)).is_file()
    (tmp_path / "moved.onnx").rename(tmp_path / "encoder.onnx")
    named = save("named", inside=False).folder
    with pytest.raises(BundleError, match=f"the encoder with SHA-256 {sha256} is missing: put its file into a folder"):
        load(named)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    shutil.copy(encoder[0], shelf / f"{sha256}.onnx")
    monkeypatch.setenv("SERKIT_ENCODERS", str(shelf))
    assert load(named).predict_signal(SIGNAL, 16000).probabilities == answer.probabilities


def change(bundle, **options):
    path = bundle.folder / "bundle.json"
    content = json.loads(path.read_text())
    content["inputs"][0]["feature"] |= options
    path.write_text(json.dumps(content))


def test_a_strangers_bundle_opens_nothing_outside_its_folder(save, encoder, tmp_path):
    secret = tmp_path / "secret.onnx"
    make_encoder(secret, seed=9)
    sha_of_secret = hashlib.sha256(secret.read_bytes()).hexdigest()
    for number, option in enumerate(({"path": str(secret)}, {"path": "../secret.onnx"}, {"model": "secret"})):
        bundle = save(f"path-{number}")
        change(bundle, **option)
        with pytest.raises(BundleError, match=f"option '{next(iter(option))}' of feature 'onnx' is for training only"):
            load(bundle.folder)
    bundle = save("traversal")
    change(bundle, sha256="../../secret")
    with pytest.raises(BundleError, match="must be 64 hexadecimal digits"):
        load(bundle.folder)
    bundle = save("link")
    place = bundle.folder / encoder_name(bundle.inputs[0].feature.model_dump()["sha256"])
    place.unlink()
    place.symlink_to(encoder[0])
    with pytest.raises(BundleError, match="must be a regular file, is a link"):
        load(bundle.folder)
    bundle = save("swapped")
    shutil.copy(secret, bundle.folder / place.name)
    with pytest.raises(BundleError, match="its SHA-256 begins with"):
        load(bundle.folder)
    # Its own hash, but with weights elsewhere.
    external = tmp_path / "external"
    external.mkdir()
    make_encoder(external / "e.onnx", external=True)
    sha256 = hashlib.sha256((external / "e.onnx").read_bytes()).hexdigest()
    bundle = save("weights-elsewhere")
    change(bundle, sha256=sha256)
    shutil.copy(external / "e.onnx", bundle.folder / encoder_name(sha256))
    with pytest.raises(BundleError, match="has weights in another file"):
        load(bundle.folder)
    assert sha_of_secret != sha256


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_pipe_does_not_block(save):
    bundle = save("pipe")
    place = bundle.folder / encoder_name(bundle.inputs[0].feature.model_dump()["sha256"])
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(BundleError, match="is a pipe"):
        Bundle.load(bundle.folder)


SYSTEM = """
[system]
name = "encoded"
[data]
items = { seconds = 2.0, tail = "keep" }
[views.vector]
feature = { name = "onnx", path = "PATH", pooling = "mean_std" }
normalise = "band"
[[stages]]
name = "linear"
view = "vector"
network = { name = "linear" }
method = { name = "supervised" }
trainer = { epochs = 2 }
"""


def test_train_and_export_with_a_cached_encoder(encoder, synthetic, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "encoded.toml").write_text(SYSTEM.replace("PATH", encoder[0].as_posix()))
    options = ["--corpus", f"synthetic={synthetic.folder}", "--jobs", "1", "--threads", "1"]
    assert cli.run(["train", str(tmp_path / "encoded.toml"), *options, "--out", str(tmp_path / "run")]) == 0
    assert cli.run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "mine"), "--recordings", "3"]) == 0
    # The same encoder elsewhere: everything is in the store.
    shutil.move(encoder[0], tmp_path / "other.onnx")
    (tmp_path / "encoded.toml").write_text(SYSTEM.replace("PATH", (tmp_path / "other.onnx").as_posix()))
    monkeypatch.setattr(Onnx, "__call__", lambda self, signal: pytest.fail("computed again"))
    assert cli.run(["train", str(tmp_path / "encoded.toml"), *options, "--out", str(tmp_path / "again")]) == 0
    monkeypatch.undo()
    recording = synthetic.utterances[0].path
    assert load(tmp_path / "mine").predict_file(recording).label
    assert str(tmp_path) not in (tmp_path / "mine" / "bundle.json").read_text()


def test_an_encoder_of_transformers(tmp_path):
    """A small random wav2vec 2.0, exported by the example: parity for any length."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    try:
        from export_encoder import export
    finally:
        sys.path.pop(0)
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[4] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        attn_implementation="eager",
    )
    model = transformers.Wav2Vec2Model(config).eval()
    export(model, tmp_path / "small.onnx")
    feature = features.build("onnx", path=str(tmp_path / "small.onnx"), pooling="none")
    for length in (1600, 16000, 23457):
        signal = np.resize(SIGNAL, length)
        with torch.inference_mode():
            expected = model(torch.from_numpy(signal)[None]).last_hidden_state[0].T.numpy()
        assert feature(signal) == pytest.approx(expected, abs=1e-4)
