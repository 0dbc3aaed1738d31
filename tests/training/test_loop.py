import copy
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import Damaged, UserError
from serkit.methods.method import Method
from serkit.methods.supervised import Supervised
from serkit.networks.cnn import Cnn
from serkit.networks.fcn import Fcn
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.linear import Linear
from serkit.networks.network import Model, Network, Output
from serkit.progress import listening
from serkit.systems.schema import Trainer
from serkit.training import checkpoint, loop, normalization, optimizer_state, perturb
from serkit.training.batches import ItemData

#: All that has a state of its own, or draws chance.
EVERYTHING = {
    "epochs": 5,
    "batch_size": 6,
    "learning_rate": 0.05,
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "decay": "matrices",
    "schedule": {"name": "one_cycle", "peak": 0.5},
    "select": "uar",
    "clip": 1.0,
    "average": 0.9,
    "perturb": [{"name": "crop", "view": "mel", "frames": 6}, {"name": "mask", "view": "mel", "bands": 3}],
    "checkpoint_seconds": 0,
}


def make_data(count=26, noise=1.0, labels=None):
    """Items of two classes: the lower or the upper bands are louder. Lengths differ."""
    generator = np.random.default_rng(0)
    labels = labels or ["high" if row % 2 else "low" for row in range(count)]
    items, arrays = [], []
    for row in range(count):
        targets = {} if labels[row] is None else {"emotion": labels[row]}
        items.append(Item(Utterance(f"table/{row}", Path("x.wav"), targets=targets)))
        loud = np.where(np.arange(8) < 4, row % 2 == 0, row % 2 == 1).astype(float)
        arrays.append((loud[:, None] + noise * generator.standard_normal((8, 7 + row % 5))).astype(np.float32))
    return ItemData(items, {"mel": arrays}, {"mel": (8, None)}, {"emotion": ["high", "low"]})


def make_vectors(count, labels=None):
    """The same problem in two dimensions and without noise."""
    data = make_data(count, labels=labels)
    vectors = [np.array([row % 2, 1 - row % 2], dtype=np.float32) for row in range(count)]
    return ItemData(data.items, {"x": vectors}, {"x": (2,)}, data.classes)


def make_cnn():
    torch.manual_seed(3)
    normalisation = Normalisation((8, None), "band")
    normalisation.fit(torch.from_numpy(array) for array in make_data().arrays["mel"])
    network = Cnn({"mel": (8, None)}, {"emotion": 2}, [3], [[2, 2]], [1], attention=3, dropout=0.4)
    return Model(network, {"mel": normalisation})


def make_linear(dropout=0.0):
    torch.manual_seed(3)
    return Model(Linear({"x": (2,)}, {"emotion": 2}, dropout))


def train(
    folder,
    model=None,
    data=None,
    split=20,
    seed=0,
    method=None,
    accelerator="cpu",
    continues=None,
    keep_optimizer=False,
    **settings,
):
    """Train on the first `split` items, validate on the others."""
    model, data = model or make_cnn(), data or make_data()
    trainer = Trainer.model_validate(settings)
    positions = range(len(data))
    method = method or Supervised()
    parts = positions[:split], positions[split:]
    rest = accelerator, continues, keep_optimizer
    return model, loop.fit(model, method, data, *parts, trainer, folder, seed, *rest)


def same(first, second):
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_seconds(history):
    return [{key: value for key, value in record.items() if not key.endswith("seconds")} for record in history]


class Levers(Network):
    """A matrix and a vector, whose gradients a test chooses."""

    def __init__(self):
        super().__init__({"x": (2,)}, {})
        self.matrix = torch.nn.Parameter(torch.full((2, 2), 3.0))
        self.vector = torch.nn.Parameter(torch.full((2,), 3.0))

    def forward(self, batch):
        return Output({}, batch.views["x"], {"sum": self.matrix.sum() + self.vector.sum()})


class Push(Method):
    """Every lever has the same gradient."""

    def __init__(self, gradient=1.0):
        self.gradient = gradient

    def loss(self, output, batch):
        return {"push": self.gradient * output.maps["sum"]}


def push(folder, gradient=1.0, count=8, **settings):
    model, _ = train(
        folder, Model(Levers()), make_vectors(count), count, method=Push(gradient), batch_size=2, **settings
    )
    return model.network


# --- what is learned, and how


def test_an_easy_problem_is_learned(tmp_path):
    model, progress = train(tmp_path, data=make_data(noise=0.3), epochs=15, batch_size=5, learning_rate=0.02)
    history = progress.history
    assert history[-1]["training_loss"] < history[0]["training_loss"] / 2
    assert history[-1]["validation_loss"] < history[0]["validation_loss"] / 2
    assert history[-1]["validation_accuracy"] == history[-1]["validation_uar"] == 1
    assert not model.training


def test_the_rate_follows_the_schedule_step_by_step(tmp_path):
    network = push(tmp_path, optimizer="sgd", learning_rate=0.1, epochs=3, schedule={"name": "cosine", "warmup": 1})
    # 4 steps per epoch: a quarter of an epoch each.
    factors = [0, 0.25, 0.5, 0.75] + [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    torch.testing.assert_close(network.vector, torch.full((2,), 3 - 0.1 * sum(factors)))


def test_the_record_has_the_last_rate(tmp_path):
    data = make_vectors(8)
    _, progress = train(tmp_path, make_linear(), data, 8, batch_size=2, epochs=2, schedule="cosine")
    expected = [1e-3 * (1 + math.cos(math.pi * place / 8)) / 2 for place in (3, 7)]
    assert [record["learning_rate"] for record in progress.history] == pytest.approx(expected)


@pytest.mark.parametrize(("decay", "vector"), [("all", 3 * 0.95**8), ("matrices", 3.0)])
def test_weight_decay(tmp_path, decay, vector):
    options = {"optimizer": "adamw", "learning_rate": 0.1, "weight_decay": 0.5, "epochs": 2, "decay": decay}
    network = push(tmp_path, gradient=0.0, **options)
    torch.testing.assert_close(network.matrix, torch.full((2, 2), 3 * 0.95**8))
    torch.testing.assert_close(network.vector, torch.full((2,), vector))


def test_clipping(tmp_path):
    network = push(tmp_path, gradient=100.0, optimizer="sgd", learning_rate=1.0, epochs=1, clip=0.5)
    # Six equal gradients with a norm of 0.5 together, in 4 steps.
    torch.testing.assert_close(network.vector, torch.full((2,), 3 - 4 * 0.5 / math.sqrt(6)))


def test_the_average_is_what_is_kept(tmp_path):
    network = push(tmp_path, optimizer="sgd", learning_rate=0.1, epochs=3, average=0.4)
    weight = average = 3.0
    for step in range(1, 13):
        weight -= 0.1
        factor = min(0.4, (1 + step) / (10 + step))
        average = factor * average + (1 - factor) * weight
    torch.testing.assert_close(network.vector, torch.full((2,), average))


def test_frozen_layers_are_not_trained(tmp_path):
    model = make_cnn()
    model.freeze(["blocks"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(tmp_path, model, epochs=2, batch_size=5, learning_rate=0.1, weight_decay=0.5, average=0.5)
    for name, value in model.state_dict().items():
        held = name.startswith(("network.blocks.", "normalisations."))
        assert torch.equal(value, before[name]) == held, name


def test_all_frozen(tmp_path):
    model = make_linear()
    model.freeze(["head"])
    with pytest.raises(UserError, match="every layer is frozen"):
        train(tmp_path, model, make_vectors(4), 4)


def test_the_model_ends_with_the_best_weights(tmp_path):
    # The validation part says the opposite: the better the training, the worse it gets.
    labels = ["high" if (row % 2) == (row < 20) else "low" for row in range(26)]
    data = make_vectors(26, labels=labels)
    options = {"learning_rate": 0.3, "optimizer": "sgd", "batch_size": 5}
    best, progress = train(tmp_path / "best", make_linear(), data, epochs=4, select="loss", **options)
    first, _ = train(tmp_path / "first", make_linear(), data, epochs=1, **options)
    last, _ = train(tmp_path / "last", make_linear(), data, epochs=4, **options)
    assert progress.best[1] == 0
    assert same(best, first)
    assert not same(best, last)


def test_equally_good_epochs_keep_the_first(tmp_path):
    options = {"learning_rate": 0.3, "batch_size": 5, "select": "accuracy"}
    _, progress = train(tmp_path, make_linear(), make_vectors(26), epochs=6, **options)
    accuracies = [record["validation_accuracy"] for record in progress.history]
    assert accuracies[-1] == 1
    assert progress.best == (1.0, accuracies.index(1.0))


def test_an_epoch_whose_validation_is_not_a_number_is_not_the_best(tmp_path, monkeypatch):
    evaluate = loop.evaluate
    losses = iter([math.nan, 0.5, 0.4, math.nan])
    monkeypatch.setattr(loop, "evaluate", lambda *given: {**evaluate(*given), "validation_loss": next(losses)})
    _, progress = train(tmp_path, make_linear(), make_vectors(26), epochs=4, select="loss")
    assert progress.best == (-0.4, 2)


def test_stopping(tmp_path):
    labels = ["high" if (row % 2) == (row < 20) else "low" for row in range(26)]
    rule = {"name": "patience", "epochs": 2}
    _, progress = train(
        tmp_path, make_linear(), make_vectors(26, labels), epochs=50, stopping=rule, learning_rate=0.3, optimizer="sgd"
    )
    assert progress.stopped
    assert len(progress.history) == progress.epoch == 3


def test_only_training_batches_are_perturbed(tmp_path, monkeypatch):
    monkeypatch.setitem(perturb.PERTURBATIONS, "hide", Hide)
    settings = {"epochs": 1, "learning_rate": 1e-30, "optimizer": "sgd"}
    model, progress = train(tmp_path, make_linear(), make_vectors(26), perturb=["hide"], **settings)
    batch = make_vectors(26).batch(range(20, 26))
    expected = Supervised().loss(model(batch), batch)["cross_entropy"].item()
    hidden = Supervised().loss(model(Hide()(batch)), batch)["cross_entropy"].item()
    assert progress.history[0]["validation_loss"] == pytest.approx(expected)
    assert progress.history[0]["training_loss"] == pytest.approx(hidden, rel=1e-3)
    assert hidden != pytest.approx(expected, rel=0.01)


class Hide:
    def __call__(self, batch):
        return loop.Batch({"x": torch.zeros_like(batch.views["x"])}, {}, batch.targets, batch.masks, batch.index)


# --- batch normalization, estimated again


def statistics(model):
    return {name: value for name, value in model.state_dict().items() if "running" in name}


def test_refitted_statistics_are_those_of_the_final_weights(tmp_path):
    options = {"epochs": 3, "batch_size": 7, "select": "loss"}
    refitted, progress = train(tmp_path / "on", **options)
    kept, _ = train(tmp_path / "off", **options, refit_normalization=False)
    expected = copy.deepcopy(kept)
    batches = loop.order(range(20), 7, 0, progress.epoch)
    normalization.refit(expected, (make_data().batch(batch) for batch in batches))
    assert same(refitted, expected) and not same(refitted, kept)
    changed = {name for name, value in refitted.state_dict().items() if not torch.equal(value, kept.state_dict()[name])}
    assert statistics(refitted).keys() <= changed
    assert all("running" in name or "num_batches" in name for name in changed)


def test_after_few_steps_evaluation_mode_is_the_trained_network(tmp_path):
    """The moving averages of three steps are mostly those that a network begins with: mean 0, deviation 1."""
    data = make_vectors(20)
    data.arrays["x"][:] = [10 + 5 * vector for vector in data.arrays["x"]]
    batch, losses = data.batch(range(20)), {}
    for refitted in (False, True):
        torch.manual_seed(3)
        network = Model(Fcn({"x": (2,)}, {"emotion": 2}))
        options = {"epochs": 3, "batch_size": 20, "refit_normalization": refitted}
        model, _ = train(tmp_path / str(refitted), network, data, **options)
        losses[refitted] = Supervised().loss(model(batch), batch)["cross_entropy"].item()
    for layer in normalization.layers(model):
        layer.train()
    trained = Supervised().loss(model(batch), batch)["cross_entropy"].item()
    assert losses[True] == pytest.approx(trained, abs=0.02)
    assert losses[False] > trained + 0.1


# --- the optimizer of an earlier stage


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_one_training_in_two_stages(tmp_path, optimizer):
    """With a single batch per epoch, two stages whose optimizer continues are one long training."""
    data, options = make_vectors(20), {"batch_size": 20, "learning_rate": 0.05, "optimizer": optimizer}
    whole, _ = train(tmp_path / "whole", make_linear(), data, epochs=7, **options)
    found = {}
    for kept in (True, False):
        model, _ = train(tmp_path / "before", make_linear(), data, epochs=4, keep_optimizer=True, **options)
        folder = tmp_path / "before" if kept else None
        found[kept], _ = train(tmp_path / str(kept), model, data, epochs=3, continues=folder, **options)
    close = {
        kept: torch.allclose(model.network.head["emotion"].weight, whole.network.head["emotion"].weight, atol=1e-6)
        for kept, model in found.items()
    }
    assert close == {True: True, False: optimizer == "sgd"}


def test_an_interrupted_stage_that_continues(tmp_path, interrupt):
    first = {"epochs": 2, "batch_size": 6, "learning_rate": 0.05}
    second = {**EVERYTHING, "optimizer": "adam", "continues": tmp_path / "first"}
    ends = []
    for name in ("undisturbed", "interrupted"):
        start, _ = train(tmp_path / "first", keep_optimizer=True, **first)
        if name == "interrupted":
            interrupt("seed_step", 7)
            with pytest.raises(Interruption):
                train(tmp_path / name, copy.deepcopy(start), **second)
        ends.append(train(tmp_path / name, start, **second)[0])
    assert same(*ends)


def test_a_new_layer_has_no_earlier_state(tmp_path):
    model, _ = train(tmp_path, make_linear(), make_vectors(20), epochs=2, batch_size=20, keep_optimizer=True)
    other = Model(Linear({"x": (2,)}, {"emotion": 3}))
    optimizer = loop.make_optimizer(other, Trainer(), "32-true")
    optimizer_state.load(tmp_path, other, optimizer)
    assert optimizer.state_dict()["state"] == {}
    same_shape = loop.make_optimizer(model, Trainer(), "32-true")
    optimizer_state.load(tmp_path, model, same_shape)
    assert {float(slots["step"]) for slots in same_shape.state_dict()["state"].values()} == {2}
    # Adam: two moments of each weight and its steps.
    sizes = sum(value.numel() for slots in same_shape.state_dict()["state"].values() for value in slots.values())
    assert sizes == 2 * 6 + 2


def test_the_optimizer_is_kept_only_where_it_is_asked_for(tmp_path):
    train(tmp_path, make_linear(), make_vectors(20), epochs=1)
    assert not (tmp_path / "optimizer.safetensors").exists()
    with pytest.raises(Damaged, match=r"optimizer\.safetensors: missing"):
        train(tmp_path / "next", make_linear(), make_vectors(20), epochs=1, continues=tmp_path)


# --- what is recorded


def test_validation_is_scored_in_evaluation_mode(tmp_path):
    model, progress = train(tmp_path, epochs=1, batch_size=4, average=0.3, refit_normalization=False)
    batch = make_data().batch(range(20, 26))
    with torch.inference_mode():
        logits = model(batch).predictions["emotion"]
    expected = torch.nn.functional.cross_entropy(logits, batch.targets["emotion"]).item()
    assert progress.history[0]["validation_loss"] == pytest.approx(expected, rel=1e-4)
    assert progress.history[0]["validation_accuracy"] == (logits.argmax(1) == batch.targets["emotion"]).float().mean()


def test_the_history_counts_what_the_training_pass_got_right(tmp_path):
    # All but items 3 and 8 are right from the beginning, and the rate leaves it so.
    labels = ["low" if (row % 2 == 0) != (row in (3, 8)) else "high" for row in range(12)]
    data = make_vectors(12, labels)
    model = make_linear()
    with torch.no_grad():
        model.network.head["emotion"].weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0]]))
        model.network.head["emotion"].bias.zero_()
    told = []
    with listening(told.append):
        _, progress = train(tmp_path, model, data, 10, batch_size=4, epochs=3, learning_rate=1e-30, optimizer="sgd")
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert history == progress.history
    assert [record["epoch"] for record in history] == [0, 1, 2]
    right, wrong = math.log(1 + math.exp(-4)), math.log(1 + math.exp(4))
    for record, epoch in zip(history, progress.right, strict=True):
        assert [row for row in range(10) if not epoch[row]] == [3, 8]
        assert record["training_accuracy"] == pytest.approx(0.8)
        assert record["training_loss"] == pytest.approx(0.8 * right + 0.2 * wrong)
        assert record["validation_loss"] == pytest.approx(right, rel=1e-5)
        assert record["validation_uar"] == record["validation_accuracy"] == 1
        assert record["seconds"] >= 0 and record["validation_seconds"] >= 0
    # What is told is the whole time, from which the time left is guessed.
    assert [news.seconds for news in told] == [one["seconds"] + one["validation_seconds"] for one in history]


def test_several_terms_are_listed_and_summed(tmp_path):
    class Both(Supervised):
        def loss(self, output, batch):
            return super().loss(output, batch) | {"size": output.features.sum() * 0 + 2.0}

    _, progress = train(tmp_path, make_linear(), make_vectors(26), method=Both(), epochs=1)
    record = progress.history[0]
    assert record["training_size"] == pytest.approx(2)
    assert record["training_loss"] == pytest.approx(record["training_cross_entropy"] + 2)


def test_a_single_item_at_the_end_is_left_out(tmp_path):
    data = make_vectors(9)
    model = make_linear()
    with torch.no_grad():
        model.network.head["emotion"].weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0]]))
    settings = {"epochs": 6, "learning_rate": 1e-30, "optimizer": "sgd"}
    _, progress = train(tmp_path / "four", model, data, 9, batch_size=4, **settings)
    left_out = [row for epoch in progress.right for row in range(9) if epoch[row] == checkpoint.UNSEEN]
    assert len(left_out) == 6  # one in each epoch ...
    assert len(set(left_out)) > 1  # ... not always the same
    # What was not seen is no mistake.
    assert all(record["training_accuracy"] == 1 for record in progress.history)
    expected = math.log(1 + math.exp(-4))
    assert progress.history[0]["training_loss"] == pytest.approx(expected, rel=0.2)
    # Where every batch is a single item nothing is left over.
    for size in (1, 3, 9):
        _, progress = train(tmp_path / str(size), model, data, 9, batch_size=size, **settings)
        assert all((epoch == 1).all() for epoch in progress.right)


def test_items_without_a_label_are_neither_right_nor_wrong(tmp_path):
    labels = ["low" if row % 2 == 0 else None for row in range(12)]
    data = make_vectors(12, labels)
    model = make_linear()
    with torch.no_grad():
        # Always "high", the class that stands in for a missing one.
        model.network.head["emotion"].bias.copy_(torch.tensor([9.0, -9.0]))
    _, progress = train(tmp_path, model, data, 12, batch_size=4, epochs=1, learning_rate=1e-30, optimizer="sgd")
    assert progress.right[0].tolist() == [0, checkpoint.UNSEEN] * 6


def test_outputs_do_not_depend_on_the_order():
    model, data = make_cnn().eval(), make_data()
    found = loop.probabilities(model, data, "emotion", batch_size=4)
    features = loop.outputs(model, data, "features", batch_size=5)
    assert found.dtype == np.float64
    assert len(found) == len(features) == len(data)
    with torch.inference_mode():
        for row in range(len(data)):
            output = model(data.batch([row]))
            np.testing.assert_allclose(found[row], output.predictions["emotion"][0].softmax(0), atol=1e-5)
            np.testing.assert_allclose(features[row], output.features[0], rtol=1e-4, atol=1e-5)


# --- the same again


def test_the_seed_decides(tmp_path):
    first, one = train(tmp_path / "first", **EVERYTHING, seed=5)
    again, other = train(tmp_path / "again", **EVERYTHING, seed=5)
    different, _ = train(tmp_path / "different", **EVERYTHING, seed=6)
    assert same(first, again)
    assert without_seconds(one.history) == without_seconds(other.history)
    assert not same(first, different)


def test_every_epoch_and_step_draws_anew():
    order = [loop.order(range(12), 4, 0, epoch) for epoch in range(3)]
    assert all(sorted(row for batch in batches for row in batch) == list(range(12)) for batches in order)
    assert order[0] != order[1] != order[2]
    drawn = set()
    for epoch in range(3):
        for step in range(3):
            loop.seed_step(1, epoch, step)
            drawn.add((torch.rand(1).item(), float(np.random.rand()), random.random()))  # noqa: NPY002
    assert len(drawn) == 9


def test_each_step_of_the_loop_has_a_seed_of_its_own(tmp_path, monkeypatch):
    places = []
    monkeypatch.setattr(loop, "seed_step", lambda *place: places.append(place))
    train(tmp_path, make_linear(), make_vectors(8), 8, seed=7, batch_size=4, epochs=3)
    assert places == [(7, epoch, step) for epoch in range(3) for step in range(2)]


class Interruption(Exception):
    pass


@pytest.fixture
def interrupt(monkeypatch):
    """Make a function of the training loop fail at its n-th call, once."""

    def set_up(function, call):
        original, calls = getattr(loop, function), []

        def counted(*arguments):
            calls.append(arguments)
            if len(calls) == call:
                raise Interruption
            return original(*arguments)

        monkeypatch.setattr(loop, function, counted)

    return set_up


SETTINGS = {
    "everything": EVERYTHING,
    "everything, by loss": {**EVERYTHING, "select": "loss", "stopping": {"name": "patience", "epochs": 2}},
    "adam": {"epochs": 5, "batch_size": 6, "checkpoint_seconds": 0, "schedule": {"name": "step", "every": 2}},
    "sgd": {"epochs": 5, "batch_size": 6, "checkpoint_seconds": 0, "optimizer": "sgd", "learning_rate": 0.1},
    "bf16": {**EVERYTHING, "precision": "bf16-mixed"},
    "no checkpoint yet": {**EVERYTHING, "checkpoint_seconds": 3600},
}


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        ("seed_step", [7]),  # in the middle of the second epoch (4 steps each)
        ("seed_step", [9]),  # between the second and the third
        ("evaluate", [3]),  # when the third has no step left
        ("save_checkpoint", [1, 6]),  # before a checkpoint is written
        ("seed_step", [2, 3, 14]),
    ],
)
@pytest.mark.parametrize("settings", SETTINGS)
def test_an_interrupted_training_ends_like_an_undisturbed_one(
    tmp_path, interrupt, undisturbed, settings, function, calls
):
    expected, record = undisturbed(settings)
    for call in calls:
        interrupt(function, call)
        if SETTINGS[settings]["checkpoint_seconds"] and function == "save_checkpoint":
            continue  # never called
        with pytest.raises(Interruption):
            train(tmp_path, **SETTINGS[settings])
    model, progress = train(tmp_path, **SETTINGS[settings])
    assert same(model, expected)
    assert without_seconds(progress.history) == without_seconds(record.history)
    assert torch.equal(torch.stack(progress.right), torch.stack(record.right))
    assert (progress.best, progress.stopped) == (record.best, record.stopped)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Train without an interruption; each setting once."""
    done = {}

    def train_once(name):
        if name not in done:
            done[name] = train(tmp_path_factory.mktemp("undisturbed"), **SETTINGS[name])
        return done[name]

    return train_once


def test_resume_in_double_precision(tmp_path, interrupt):
    settings = {"epochs": 3, "batch_size": 5, "precision": "64-true", "checkpoint_seconds": 0}
    expected, _ = train(tmp_path / "undisturbed", make_linear(), make_vectors(26), **settings)
    interrupt("seed_step", 7)
    with pytest.raises(Interruption):
        train(tmp_path / "run", make_linear(), make_vectors(26), **settings)
    model, _ = train(tmp_path / "run", make_linear(), make_vectors(26), **settings)
    assert same(model, expected)
    # What is deployed is single precision.
    assert all(value.dtype == torch.float32 for value in model.state_dict().values())


def test_a_checkpoint_holds_the_scale_of_16_bit_gradients(tmp_path):
    class Scaled:
        def __init__(self, scale):
            self.scale = scale

        def state_dict(self):
            return {"scale": self.scale}

        def load_state_dict(self, state):
            self.scale = state["scale"]

    model, optimizer = make_linear(), torch.optim.SGD(make_linear().parameters())
    checkpoint.save_checkpoint(tmp_path, model, optimizer, None, Scaled(512.0), checkpoint.Progress(step=3))
    other = Scaled(1.0)
    assert checkpoint.resume(tmp_path, model, optimizer, None, other).step == 3
    assert other.scale == 512


def train_with_kills(folder, seed):
    """Train in child processes; the first three are killed after some steps, whatever they are doing."""
    chance = random.Random(seed)
    for kills in range(4):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            train_and_tell(folder, writing)
        os.close(writing)
        if kills < 3:
            for _ in range(chance.randint(1, 12)):
                assert os.read(reading, 1) == b"."
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if kills < 3 else 0)


def train_and_tell(folder, writing):
    """Train, tell of each step, keep the weights, and end the process."""
    original = loop.seed_step

    def told(*place):
        os.write(writing, b".")
        original(*place)

    loop.seed_step = told
    model, _ = train(folder, **LONGER)
    save_file(model.state_dict(), folder / "end.safetensors")
    os._exit(0)


LONGER = {**EVERYTHING, "epochs": 16}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children made by fork")
def test_killed_at_any_moment(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    program = "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_loop; "
    program += "test_loop.train_with_kills(Path(sys.argv[2]), int(sys.argv[3]))"
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "killed"), str(seed)]
    (tmp_path / "killed").mkdir()
    subprocess.run(command, check=True)
    expected, _ = train(tmp_path / "undisturbed", **LONGER)
    found = load_file(tmp_path / "killed" / "end.safetensors")
    different = [name for name, value in expected.state_dict().items() if not torch.equal(value, found[name])]
    assert not different, f"seed {seed}"


@pytest.mark.skipif(os.name == "nt", reason="no such rights there")
def test_weights_can_be_read_by_whom_other_files_can_be_read(tmp_path):
    checkpoint.save_weights({"x": torch.ones(2)}, tmp_path / "weights.safetensors", {"note": 1})
    (tmp_path / "other").touch()
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert torch.equal(load_file(tmp_path / "weights.safetensors")["x"], torch.ones(2))


# --- what cannot be


@pytest.mark.parametrize("select", ["loss", "uar"])
def test_selection_needs_a_validation_part(tmp_path, select):
    with pytest.raises(UserError, match=f"trainer.select = '{select}' requires a validation part"):
        train(tmp_path, split=26, select=select)


@pytest.mark.parametrize("left", [0, 100, -10])
def test_a_checkpoint_that_a_power_cut_has_left_broken(tmp_path, interrupt, left):
    interrupt("seed_step", 3)
    with pytest.raises(Interruption):
        train(tmp_path, make_linear(), make_vectors(26), batch_size=5, checkpoint_seconds=0)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    begins_again(tmp_path, path, batch_size=5)


def begins_again(folder, damaged, **options):
    """Train on from a folder with a damaged file; the result must be that of an undisturbed training."""
    with pytest.warns(
        UserWarning, match=rf"{damaged.name}: damaged.*; training of the stage starts from the beginning"
    ):
        found, _ = train(folder, make_linear(), make_vectors(26), checkpoint_seconds=0, **options)
    expected, _ = train(folder / "undisturbed", make_linear(), make_vectors(26), **options)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 0.6, 0.9, 0.999])
def test_a_flipped_byte_of_a_checkpoint_is_noticed(tmp_path, interrupt, share):
    interrupt("seed_step", 9)
    with pytest.raises(Interruption):
        train(tmp_path, make_linear(), make_vectors(26), batch_size=5, checkpoint_seconds=0)
    flip(path := tmp_path / "checkpoint.safetensors", share)
    begins_again(tmp_path, path, batch_size=5)


def test_a_flipped_byte_of_the_best_weights_is_noticed(tmp_path, interrupt):
    options = {"batch_size": 5, "select": "loss", "epochs": 6}
    interrupt("seed_step", 14)
    with pytest.raises(Interruption):
        train(tmp_path, make_linear(), make_vectors(26), checkpoint_seconds=0, **options)
    flip(path := tmp_path / "best.safetensors", 0.9)
    begins_again(tmp_path, path, **options)


def flip(path, share):
    """Flip a bit of the byte at a share of a file's length."""
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)


def test_a_rule_that_watches_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match="watches 'validation_loss'; the history has: epoch, training_loss"):
        train(tmp_path, make_linear(), make_vectors(4), 4, epochs=2, stopping={"name": "patience"})


def test_a_loss_that_is_not_finite(tmp_path):
    data = make_vectors(8)
    data.arrays["x"][5][:] = np.inf
    with pytest.raises(UserError, match=r"the loss 'cross_entropy' is (nan|inf) in epoch 0, step \d") as caught:
        train(tmp_path, make_linear(), data, 8, batch_size=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"precision": "fp16"}, {"accelerator": "qpu"}])
def test_what_fabric_does_not_know(tmp_path, settings):
    with pytest.raises(UserError, match=next(iter(settings.values()))):
        train(tmp_path, make_linear(), make_vectors(4), 4, **settings)


class Faulty(Push):
    """Raises what a library would."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def loss(self, output, batch):
        raise self.error


def test_batch_normalization_of_one_item_says_what_would_work(tmp_path):
    with pytest.raises(UserError, match=r"a batch of 1: Expected .*requires two items in a batch: use a larger"):
        train(tmp_path, epochs=1, batch_size=1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("Given groups=1,\nmore"), "the network cannot compute a batch of 2: Given groups=1,"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory.; use a smaller batch_size or network"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory; use a smaller batch_size or network"),
        (MemoryError(), "a batch of 2: MemoryError; use a smaller batch_size or network"),
        (ZeroDivisionError("division by zero"), "a batch of 2: division by zero"),
    ],
)
def test_what_a_network_cannot_compute_is_one_line(tmp_path, error, text):
    with pytest.raises(UserError) as caught:
        train(tmp_path, Model(Levers()), make_vectors(8), 8, method=Faulty(error), batch_size=2, epochs=1)
    assert str(caught.value).endswith(text)


def test_a_full_disk_is_no_fault_of_the_network(tmp_path):
    with pytest.raises(OSError, match="No space"):
        error = OSError(28, "No space left on device")
        train(tmp_path, Model(Levers()), make_vectors(8), 8, method=Faulty(error), batch_size=2, epochs=1)


def test_weights_of_one_content_are_one_file(tmp_path):
    tensors = {name: torch.ones(2) for name in "abcdef"}
    for name in ("one", "other"):
        checkpoint.save_weights(tensors, tmp_path / name, {"epoch": 1, "loss": math.nan, "best": (1, 2)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert checkpoint.read_weights(tmp_path / "one").keys() == tensors.keys()
