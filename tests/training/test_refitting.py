"""Batch normalization, estimated again."""

import pytest
import torch
from torch import nn

from serkit.networks.layers.quaternion import QuaternionBatchNorm2d
from serkit.networks.network import Batch, Model, Network, Output
from serkit.training.normalization import layers, refit


class Normalized(Network):
    """Dropout, batch normalization, and a second one that reads what the first has normalized."""

    def __init__(self, first=None, dropout=0.5):
        super().__init__({"x": (4,)}, {"emotion": 4})
        self.dropout = nn.Dropout(dropout)
        self.first = first or nn.BatchNorm1d(4, momentum=0.3)
        self.second = nn.BatchNorm1d(4, momentum=0.7)

    def forward(self, batch):
        x = self.second(self.first(self.dropout(batch.views["x"])))
        return Output({"emotion": x}, x)


def batches(sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [Batch({"x": 3 + 5 * torch.randn(size, 4, generator=generator)}) for size in sizes]


def test_every_item_counts_once_and_without_dropout():
    model, given = Model(Normalized()), batches([8, 8, 3])
    model.network.first.running_mean.fill_(1e6)  # what was there leaves no trace
    refit(model, given)
    everything = torch.cat([batch.views["x"] for batch in given])
    torch.testing.assert_close(model.network.first.running_mean, everything.mean(0))
    variance = sum(len(batch) * batch.views["x"].var(0) for batch in given) / 19
    torch.testing.assert_close(model.network.first.running_var, variance)
    # The second layer has seen what the first has normalized by the batch: mean 0, and variance 1 but for n - 1.
    torch.testing.assert_close(model.network.second.running_mean, torch.zeros(4), atol=1e-6, rtol=0)
    expected = (8 * 8 / 7 + 8 * 8 / 7 + 3 * 3 / 2) / 19
    torch.testing.assert_close(model.network.second.running_var, torch.full((4,), expected), rtol=1e-4, atol=0)


def test_nothing_else_changes():
    model = Model(Normalized())
    model.train()
    before = {name: value.clone() for name, value in model.named_parameters()}
    refit(model, batches([4, 4]))
    assert (model.network.first.momentum, model.network.second.momentum) == (0.3, 0.7)
    assert not any(layer.training for layer in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_layers_keep_their_statistics():
    model = Model(Normalized())
    model.freeze(["first"])
    refit(model, batches([8, 8]))
    assert torch.equal(model.network.first.running_mean, torch.zeros(4))
    assert not torch.equal(model.network.second.running_mean, torch.zeros(4))
    model.freeze(["first", "second"])
    assert layers(model) == []


def test_a_network_trained_along_is_refitted_too():
    upstream = Model(Normalized(dropout=0))
    network = Normalized()
    network.inputs = {"deep": (4,)}
    network.forward = lambda batch: Output({}, network.first(batch.views["deep"]))
    model = Model(network, upstream={"deep": upstream})
    refit(model, batches([16]))
    assert not torch.equal(upstream.network.first.running_mean, torch.zeros(4))
    assert len(layers(model)) == 4


def test_quaternion_statistics():
    class Quaternions(Network):
        def __init__(self):
            super().__init__({"x": (8, 2, 3)}, {})
            self.norm = QuaternionBatchNorm2d(8)

        def forward(self, batch):
            x = self.norm(batch.views["x"])
            return Output({}, x)

    model = Model(Quaternions())
    given = [Batch({"x": 2 + torch.randn(size, 8, 2, 3)}) for size in (5, 5, 2)]
    refit(model, given)
    everything = torch.cat([batch.views["x"] for batch in given])
    torch.testing.assert_close(model.network.norm.mean, everything.mean((0, 2, 3)))
    assert model.network.norm.momentum == 0.1


def test_a_network_without_statistics_reads_no_batch():
    class Plain(Network):
        def __init__(self):
            super().__init__({"x": (4,)}, {})
            self.norm = nn.LayerNorm(4)

    def fail():
        pytest.fail("a batch was read")
        yield

    refit(Model(Plain()), fail())


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_batches_does_not_matter(seed):
    given = batches([8, 8, 8])
    found = []
    for order in ([0, 1, 2], torch.randperm(3, generator=torch.Generator().manual_seed(seed)).tolist()):
        model = Model(Normalized())
        refit(model, [given[place] for place in order])
        found.append(model.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, msg=name)
