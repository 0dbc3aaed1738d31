"""RH-emo in front of a quaternion network that a finished stage pushes away: small, on generated speech."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from serkit.errors import UserError
from serkit.networks.network import Batch
from serkit.runs.export import Deployed, to_onnx
from serkit.runs.models import rebuild
from serkit.runs.sizes import size

IMAGE = {"name": "stft_magnitude", "rate": 4000, "fft": 128, "length": 128, "hop": 64, "size": [256, 64]}
VIEWS = {
    "image": {"feature": IMAGE, "normalise": "maximum"},
    "embedding": {"stage": "rh-emo"},
    "tuned": {"stage": "rh-emo", "trainable": True},
}
VGG = {"name": "vgg16", "quaternion": True, "channels": [8] * 5, "hidden": 16, "init": "he"}
RH_EMO = {"name": "rh_emo", "hidden": 4}
STEP_1 = {
    "name": "step-1",
    "view": "image",
    "network": {**RH_EMO, "heads": False},
    "method": {"name": "rh_emo", "beta": 0},
}
STEP_2 = {
    "name": "rh-emo",
    "start_from": "step-1",
    "network": RH_EMO,
    "reset": ["classifiers"],
    "method": {"name": "rh_emo"},
}
WORD = {"name": "word", "view": "embedding", "network": VGG, "data": {"target": "sentence"}}
AWAY = {"name": "anti_transfer", "extractor": "word", "layers": ["conv2"]}
EMOTION = {"name": "emotion", "view": "tuned", "network": VGG, "method": AWAY}
SPEAKER = {"name": "speaker", "view": "embedding", "network": VGG, "data": {"target": "speaker"}}
AGAIN = {"name": "again", "start_from": "emotion", "method": {**AWAY, "extractor": "speaker"}}


@pytest.fixture
def chain(bench):
    return bench.train(STEP_1, STEP_2, WORD, EMOTION, SPEAKER, AGAIN, views=VIEWS)


def history(finished):
    return [json.loads(line) for line in (finished.folder / "history.jsonl").read_text().splitlines()]


def test_from_the_image_to_dual_anti_transfer(chain):
    found = chain.finished
    assert found["word"].shapes == {"embedding": (4, 32, 32)} and found["emotion"].shapes == {"tuned": (4, 32, 32)}
    # Step 1 has no heads, step 2 has them, and what stands before another network has lost them again.
    assert not any("classifiers" in name for name in load_file(found["step-1"].folder / "weights.safetensors"))
    assert any("classifiers" in name for name in load_file(found["rh-emo"].folder / "weights.safetensors"))
    weights = load_file(found["emotion"].folder / "weights.safetensors")
    assert {name.split(".")[0] for name in weights} == {"network", "upstream"}
    before = [name for name in weights if name.startswith("upstream.tuned.network.")]
    assert before and all(name.startswith("upstream.tuned.network.encoder.") for name in before)
    # The training maximum came along with the weights, from step 1 on.
    maximum = found["step-1"].model.normalisation("image").deviation
    assert torch.equal(weights["upstream.tuned.normalisations.image.deviation"], maximum) and maximum != 1
    # Trained along, from where RH-emo ended.
    first = "network.encoder.0.weight"
    assert not torch.equal(weights[f"upstream.tuned.{first}"], found["rh-emo"].model.state_dict()[first])
    for name in ("emotion", "again"):
        record = history(found[name])[-1]
        assert {"training_cross_entropy", "training_anti_transfer"} <= set(record)
        assert 0 < record["training_anti_transfer"] <= 1
        assert found[name].model.network.keep == ()
        assert json.loads((found[name].folder / "stage.json").read_text())["method"] == {"grams_computed_once": False}
    assert "training_reconstruction" in history(found["rh-emo"])[0]


def test_rebuilt_and_exported(chain):
    """From the folder and as a graph, the deployed stage computes what it did; nothing of the extractor is in it."""
    finished = chain.finished["again"]
    model = rebuild(finished.folder, chain.experiment.system).model
    image = torch.rand(3, 1, 256, 64) * model.upstream["tuned"].normalisation("image").deviation
    with torch.inference_mode():
        expected = finished.model(Batch({"image": image})).predictions["emotion"].softmax(1)
        assert torch.equal(model(Batch({"image": image})).predictions["emotion"].softmax(1), expected)
    content = to_onnx(Deployed(model, ["image"], "emotion", 1.0).eval(), ["image"], [(1, 256, 64)])
    found = onnxruntime.InferenceSession(content).run(None, {"image": image.numpy()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(found, axis=0).max() > 0


def test_frozen_inputs_are_read_once(bench):
    """The embedding is kept by item; so are the extractor's Gram matrices, and the same stage gives the same again."""
    frozen = {**EMOTION, "view": "embedding"}
    one = bench.train(STEP_1, STEP_2, WORD, frozen, views=VIEWS)
    finished = one.finished["emotion"]
    assert json.loads((finished.folder / "stage.json").read_text())["method"] == {"grams_computed_once": True}
    # Nothing in front in training; rebuilt, the encoder without heads stands there.
    assert not any(name.startswith("upstream") for name in load_file(finished.folder / "weights.safetensors"))
    model = rebuild(finished.folder, one.experiment.system).model
    assert {name.split(".")[0] for name, _ in model.upstream["embedding"].network.named_parameters()} == {"encoder"}
    items = one.begin("emotion")[1].items[:3]
    data = one.item_data(finished, items)
    image = one.item_data(one.finished["rh-emo"], items)
    with torch.inference_mode():
        expected = finished.model(data.batch([0, 1, 2])).predictions["emotion"]
        found = model(image.batch([0, 1, 2])).predictions["emotion"]
    torch.testing.assert_close(found, expected)


def test_sizes_of_a_stage_without_classifier(bench):
    system = bench.stages(STEP_1, STEP_2, WORD, EMOTION, views=VIEWS).experiment.system
    sizes = {stage.name: size(system, stage.name) for stage in system.stages}
    encoder = 256 * 64 * 9 * 2 + 128 * 32 * 9 * 8 + 64 * 32 * 9 * 16
    heads = 32 * 32 * 4 + 4 * 4 + 4 * 7
    assert sizes["step-1"] == {"parameters": 256 + 130, "macs": encoder}
    assert sizes["rh-emo"]["macs"] == encoder + heads
    assert sizes["emotion"]["macs"] > encoder


def test_an_extractor_that_is_no_stage(bench):
    with pytest.raises(UserError, match="unknown earlier stage 'speaker'"):
        bench.train(STEP_1, STEP_2, WORD, {**EMOTION, "method": {**AWAY, "extractor": "speaker"}}, views=VIEWS)
