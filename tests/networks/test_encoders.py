"""Checkpoints of transformers: as a frozen feature, as a network with unfrozen layers, and as a teacher."""

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from serkit import UserError, cli, features, networks  # noqa: E402
from serkit.networks.network import Batch  # noqa: E402
from serkit.recognition import load  # noqa: E402

SIGNAL = np.random.default_rng(1).normal(0, 0.1, 16000).astype(np.float32)
ARCHITECTURES = ["Wav2Vec2", "Hubert", "WavLM", "Data2VecAudio"]


def reference(folder, signal):
    """The hidden states of transformers itself, (layers, frames, size)."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return torch.stack(model(torch.from_numpy(signal)[None], output_hidden_states=True).hidden_states)[:, 0].numpy()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_hidden_states(checkpoints, name):
    folder = checkpoints(name)
    states = reference(folder, SIGNAL)
    assert states.shape == (3, 49, 8)
    for layer in (0, 1, -1):
        feature = features.build("transformers", path=str(folder), layer=layer)
        assert feature(SIGNAL) == pytest.approx(states[layer].mean(0), abs=1e-5)
    every = features.build("transformers", path=str(folder), all_layers=True)
    assert every.shape == (3, 8)
    assert every(SIGNAL) == pytest.approx(states.mean(1), abs=1e-5)
    frames = features.build("transformers", path=str(folder), pooling="none")
    assert frames(SIGNAL) == pytest.approx(states[-1].T, abs=1e-5)
    both = features.build("transformers", path=str(folder), pooling="mean_std")
    assert both(SIGNAL) == pytest.approx(np.concatenate([states[-1].mean(0), states[-1].std(0)]), abs=1e-5)
    assert both(SIGNAL[:3]).shape == both.shape == (16,)


def test_the_content_of_a_checkpoint_is_the_identity(checkpoints, tmp_path, monkeypatch):
    folder = checkpoints()
    copy = shutil.copytree(folder, tmp_path / "copy")
    feature = features.build("transformers", path=str(folder))
    assert features.config(feature) == features.config(features.build("transformers", path=str(copy)))
    assert "path" not in features.config(feature)
    before = networks.config("transformers", {"path": str(folder)})
    assert before["checkpoint"] == networks.config("transformers", {"path": str(copy)})["checkpoint"]
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    assert before["checkpoint"] != networks.config("transformers", {"path": str(copy)})["checkpoint"]
    with pytest.raises(UserError, match="is required"):
        features.build("transformers", path=str(copy), sha256=feature.sha256)
    monkeypatch.setenv("SERKIT_CHECKPOINT", str(folder))
    assert features.build("transformers") == feature


def test_mistakes(checkpoints, tmp_path, monkeypatch):
    monkeypatch.delenv("SERKIT_CHECKPOINT", raising=False)
    with pytest.raises(UserError, match="give path, or set SERKIT_CHECKPOINT"):
        features.build("transformers")
    with pytest.raises(UserError, match=r"facebook/x: is no folder with the config.json.*serkit downloads none"):
        features.build("transformers", path="facebook/x")
    folder = str(checkpoints())
    with pytest.raises(UserError, match="layer must be from -3 to 2, got 3"):
        features.build("transformers", path=folder, layer=3)
    with pytest.raises(UserError, match="all_layers requires pooling 'mean'"):
        features.build("transformers", path=folder, all_layers=True, pooling="max")
    with pytest.raises(UserError, match="unfrozen must be from -1 to 2"):
        make(folder, unfrozen=3)
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match="has no weights in safetensors"):
        features.build("transformers", path=str(pickled))
    (pickled / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match="transformers cannot load it"):
        make(str(pickled))


def make(folder, **options):
    return networks.build("transformers", {"waveform": (160, None)}, {"emotion": 4}, path=str(folder), **options)


def waveform(signal):
    return torch.from_numpy(features.build("waveform")(signal))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_gives_the_classifier_the_mean_of_the_frames(checkpoints, name):
    folder = checkpoints(name)
    states = reference(folder, SIGNAL)
    batch = Batch({"waveform": waveform(SIGNAL)[None]})
    last = make(folder).eval()
    assert last(batch).features[0].detach().numpy() == pytest.approx(states[-1].mean(0), abs=1e-5)
    weighted = make(folder, layers="weighted").eval()
    assert weighted(batch).features[0].detach().numpy() == pytest.approx(states.mean((0, 1)), abs=1e-5)


def test_frames_behind_the_end_change_nothing(checkpoints):
    network = make(checkpoints()).eval()
    lengths = (4800, 16000, 4800, 320)
    items = [waveform(SIGNAL[:length]) for length in lengths]
    padded = torch.stack([torch.nn.functional.pad(item, (0, 100 - item.shape[1])) for item in items])
    together = network(Batch({"waveform": padded}, {"waveform": torch.tensor([item.shape[1] for item in items])}))
    for index, item in enumerate(items):
        alone = network(Batch({"waveform": item[None]}))
        assert torch.allclose(together.features[index], alone.features[0], atol=1e-6)


@pytest.mark.parametrize(("unfrozen", "trained"), [(0, []), (1, ["encoder.layers.1."]), (-1, None)])
def test_only_the_top_is_trained(checkpoints, unfrozen, trained):
    network = make(checkpoints(), unfrozen=unfrozen, layers="weighted").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], lr=1.0)
    output = network(Batch({"waveform": torch.stack([waveform(SIGNAL), waveform(SIGNAL[::-1].copy())])}))
    (output.predictions["emotion"] ** 2).sum().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {"weights", "head.emotion.weight"} <= changed
    of_encoder = {name.removeprefix("encoder.") for name in changed if name.startswith("encoder.")}
    if trained is None:
        assert any(name.startswith("feature_extractor") for name in of_encoder)
    else:
        assert all(name.startswith(tuple(trained)) for name in of_encoder) and bool(of_encoder) == bool(trained)


SET = ["--jobs", "1", "--threads", "1", "--set", "stages.*.trainer.epochs=1", "--set", "stages.*.trainer.batch_size=16"]


@pytest.mark.parametrize("system", ["ssl-probe", "ssl-distilled"])
def test_systems(checkpoints, synthetic, tmp_path, monkeypatch, capsys, system):
    monkeypatch.setenv("SERKIT_CHECKPOINT", str(checkpoints()))
    corpus = ["--corpus", f"synthetic={synthetic.folder}", "--out", str(tmp_path / "run")]
    cut = ["--set", "data.items.seconds=1.0"]
    if system == "ssl-distilled":
        cut += ["--set", "stages.student.network.channels=[4, 4, 4]", "--protocol", "random"]
    assert cli.run(["train", system, *corpus, *SET, *cut]) == 0
    code = cli.run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "mine"), "--recordings", "2"])
    if system == "ssl-probe":
        assert code == 2
        assert "needs torch, so no bundle can hold it" in capsys.readouterr().err
    else:
        assert code == 0
        assert load(tmp_path / "mine").predict_signal(SIGNAL, 16000).label


def test_a_fine_tuned_encoder_is_exported_whole(checkpoints):
    """The network of `ssl-finetune` as ONNX, for any number of frames."""
    import onnxruntime

    from serkit.networks.network import Model
    from serkit.runs.export import Deployed, to_onnx

    network = make(checkpoints(layers=1), layers="weighted")
    deployed = Deployed(Model(network, {}), ["waveform"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["waveform"], [(160, None)]))
    for length in (8000, 16000):
        view = waveform(SIGNAL[:length])[None]
        with torch.inference_mode():
            expected = deployed(view).numpy()
        [found] = session.run(None, {"waveform": view.numpy()})
        assert found == pytest.approx(expected, abs=1e-5)
