"""Two processes train as one does: on the CPU, with Fabric's DDP over gloo."""

import math

import pytest
import torch
from test_loop import make_cnn, make_data, make_linear, make_vectors, same, train, without_seconds

from serkit.errors import UserError
from serkit.methods.regression import Regression
from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Output
from serkit.training import normalization, together

#: Uneven batches, a smaller last one, no random numbers but the order, and nothing that depends on parts of a batch.
SETTINGS = {"epochs": 3, "batch_size": 7, "learning_rate": 0.05, "clip": 1.0, "weight_decay": 0.1, "optimizer": "adamw"}


@pytest.fixture(scope="module")
def two():
    """Two processes for all tests: starting one takes seconds."""
    with together.joined(2, 1, "cpu", threads=1):
        yield together.group()


@pytest.fixture
def alone():
    """The function that trains in one process while there are two."""

    def run(*given, **settings):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(together, "_joined", [])
            return train(*given, **settings)

    return run


def close(first, second):
    """Whether histories and weights agree but for rounding."""
    for one, other in zip(first[1].history, second[1].history, strict=True):
        assert one.keys() == other.keys()
        for key in one.keys() - {"seconds", "validation_seconds"}:
            assert math.isclose(one[key], other[key], rel_tol=1e-5, abs_tol=1e-6), (key, one[key], other[key])
    one, other = first[0].state_dict(), second[0].state_dict()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-5, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(first[1].right, second[1].right, strict=True))
    return True


@pytest.mark.parametrize(
    "labels",
    [None, [None if row % 3 == 0 else "high" if row % 2 else "low" for row in range(26)]],
    ids=["all labels", "missing labels"],
)
def test_two_learn_what_one_learns(two, alone, tmp_path, labels):
    def given():
        method = Supervised(class_weights="balanced")
        method.weights = {"emotion": torch.tensor([0.7, 1.9])}
        return {"model": make_linear(), "data": make_vectors(26, labels), "method": method, **SETTINGS}

    together_ = train(tmp_path / "two", **given(), select="loss")
    assert close(together_, alone(tmp_path / "one", **given(), select="loss"))
    assert not (tmp_path / "two").joinpath("checkpoint.safetensors").exists()


def test_a_loss_that_is_no_mean_over_items(two, alone, tmp_path):
    def given():
        data = make_vectors(26)
        targets = torch.linspace(-1, 1, 26)
        data.classes = {"valence": []}
        data._targets, data._known = {"valence": targets}, {"valence": torch.ones(26, dtype=torch.bool)}
        torch.manual_seed(3)
        from serkit.networks.linear import Linear
        from serkit.networks.network import Model

        return {"model": Model(Linear({"x": (2,)}, {"valence": 1})), "data": data, "method": Regression(), **SETTINGS}

    assert close(train(tmp_path / "two", **given()), alone(tmp_path / "one", **given()))


def test_what_is_interrupted_goes_on_bit_for_bit(two, tmp_path):
    def run(name, epochs):
        # The last of three batches has two items, and thus one process.
        settings = {**SETTINGS, "batch_size": 6, "epochs": epochs, "average": 0.9, "checkpoint_seconds": 0}
        return train(tmp_path / name, model=make_cnn(), **settings, select="uar")

    undisturbed = run("whole", 4)
    run("parts", 2)  # the last checkpoint is of the last step, before the epoch is closed
    resumed = run("parts", 4)
    assert same(undisturbed[0], resumed[0])
    assert without_seconds(undisturbed[1].history) == without_seconds(resumed[1].history)


@pytest.mark.parametrize("first", ["one", "two"])
def test_a_checkpoint_goes_from_one_device_to_two_and_back(two, alone, tmp_path, first):
    def run(how, epochs):
        settings = {**SETTINGS, "epochs": epochs, "checkpoint_seconds": 0}
        return how(tmp_path / first, model=make_linear(), data=make_vectors(26), **settings)

    ways = [alone, train] if first == "one" else [train, alone]
    run(ways[0], 2)
    moved = run(ways[1], 4)
    settings = {**SETTINGS, "epochs": 4}
    assert close(moved, alone(tmp_path / "all", model=make_linear(), data=make_vectors(26), **settings))


def test_dropout_repeats(two, tmp_path):
    runs = [
        train(tmp_path / name, model=make_linear(0.5), data=make_vectors(26), **SETTINGS) for name in ("first", "again")
    ]
    assert same(runs[0][0], runs[1][0])


def test_only_the_first_writes_and_both_take_part(two, tmp_path):
    assert (two.rank, two.size) == (0, 2)
    assert together.run(_rank) == 0
    assert together.run(_sum_of_ranks) == 1


def _rank():
    return together.group().rank


def _sum_of_ranks():
    total = torch.tensor(together.group().rank)
    torch.distributed.all_reduce(total)
    return int(total)


def test_an_output_without_rows_cannot_be_shared(two):
    batch = Batch({"x": torch.ones(3, 2)})
    # The check comes before any communication.
    with pytest.raises(UserError, match="the output 'features' of the network has not one row per item"):
        two.compute(lambda part: Output({}, torch.tensor(1.0)), batch)


def test_a_part_keeps_the_padding_of_the_batch():
    batch = make_data(5).batch(range(5))
    part = together.rows(batch, 1, 3)
    assert part.views["mel"].shape == (2, 8, 11) and part.lengths["mel"].tolist() == [8, 9]
    assert part.index.tolist() == [1, 2] and len(part) == 2


def test_batch_normalization_of_several_gpus_is_undone():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).eval()
    x = torch.randn(4, 2)
    expected, state = model(x), model.state_dict()
    before = normalization.synchronize(model)
    assert isinstance(model[1], torch.nn.SyncBatchNorm)
    torch.testing.assert_close(model(x), expected)
    normalization.restore(before)
    assert type(model[1]) is torch.nn.BatchNorm1d and model.state_dict().keys() == state.keys()
    model.train()(x)


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        ({}, (2, 2), "--nodes 2: set MASTER_ADDR, MASTER_PORT, NODE_RANK on each machine"),
        (
            {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
            (3, 1),
            "--devices 3 --nodes 1: torchrun has started 2 processes on each of 1 machines",
        ),
    ],
)
def test_mistakes_are_one_line(monkeypatch, variables, options, message):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message), together.joined(*options, "cpu"):
        pass
