"""An ensemble of stages: what it answers, what it computes, and that it can be rebuilt from features only."""

import numpy as np
import onnxruntime
import torch

from serkit import systems
from serkit.runs.export import Deployed, to_onnx
from serkit.runs.models import leaves, rebuild

VIEWS = {
    "cnn_says": {"stage": "cnn", "output": "predictions"},
    "linear_says": {"stage": "linear", "output": "predictions"},
}
STAGES = [
    {"name": "cnn"},
    {"name": "linear", "view": "flat", "network": "linear"},
    {
        "name": "both",
        "views": ["cnn_says", "linear_says"],
        "network": "ensemble",
        "method": "fixed",
    },
]


def test_it_answers_with_the_geometric_mean_of_its_members(bench):
    made = bench.train(*STAGES, views=VIEWS)
    held = [u for u in made.experiment.scored if u.id in set(made.split.test)]
    answers = {name: made.probabilities(made.finished[name], held, "emotion") for name in ("cnn", "linear", "both")}
    product = np.sqrt(answers["cnn"] * answers["linear"])
    np.testing.assert_allclose(answers["both"], product / product.sum(axis=1, keepdims=True), atol=1e-6)
    assert not np.allclose(answers["both"], answers["cnn"], atol=1e-3)


def test_nothing_is_computed_of_what_it_does_not_learn_from(bench, computed, fits):
    made = bench.train(*STAGES, views=VIEWS)
    assert fits == ["cnn", "linear"]
    assert computed == []
    assert (made.finished["both"].folder / "stage.json").exists()


def test_the_rebuilt_ensemble_needs_features_only(bench):
    made = bench.train(*STAGES, views=VIEWS)
    finished = rebuild(made.finished["both"].folder, made.experiment.system)
    assert leaves(made.experiment.system, finished.stage) == ["mel", "flat"]
    items = made.begin("both")[1].items
    batch = made.item_data(made.finished["cnn"], items).batch(range(3))
    other = made.item_data(made.finished["linear"], items).batch(range(3))
    batch.views |= other.views
    with torch.inference_mode():
        members = [made.finished[name].model(batch).predictions["emotion"].log_softmax(1) for name in ("cnn", "linear")]
        found = finished.model(batch).predictions["emotion"]
    torch.testing.assert_close(found, torch.stack(members).mean(0))


def test_it_is_shipped_as_one_network_that_reads_both_features(bench):
    made = bench.train(*STAGES, views=VIEWS)
    finished = rebuild(made.finished["both"].folder, made.experiment.system)
    names = leaves(made.experiment.system, finished.stage)
    deployed = Deployed(finished.model, names, "emotion", 1.5).eval()
    arrays = [torch.randn(2, 8, 20), torch.randn(2, 40)]
    content = to_onnx(deployed, names, [(8, None), (40,)])
    [found] = onnxruntime.InferenceSession(content).run(
        None, {name: array.numpy() for name, array in zip(names, arrays, strict=True)}
    )
    with torch.inference_mode():
        np.testing.assert_allclose(found, deployed(*arrays).numpy(), atol=1e-5)


def test_cnn_and_functionals_reads_two_features():
    system = systems.load("cnn-and-functionals")
    assert system.deployed.name == "both"
    assert leaves(system, system.deployed) == ["speech", "functionals"]
