import pytest
import torch

from serkit.errors import UserError
from serkit.networks.cnn import Cnn
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.linear import Linear
from serkit.networks.network import Batch, Model, Network, Output, layer_of, mask, output_of


@pytest.fixture
def cnn():
    """A model with every kind of layer that freezing is about."""
    torch.manual_seed(0)
    return Model(Cnn({"mel": (8, None)}, {"emotion": 3}, [4, 5], [[2, 2], [2, 2]], [1, 1], attention=3, dropout=0.6))


def train_once(model, batch=None):
    """Take a step that moves every weight that has a gradient."""
    batch = batch or Batch({"mel": torch.randn(6, 8, 20)}, targets={"emotion": torch.tensor([0, 1, 2, 0, 1, 2])})
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    loss = torch.nn.functional.cross_entropy(model(batch).predictions["emotion"], batch.targets["emotion"])
    loss.backward()
    optimizer.step()


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_views_are_normalised_with_their_lengths():
    normalisation = Normalisation((3, None), "band")
    normalisation.mean.fill_(2.0)
    normalisation.deviation.fill_(4.0)

    class Show(Network):
        def forward(self, batch):
            return Output({}, batch.views["x"])

    model = Model(Show({"x": (3, None), "y": (2,)}, {}), {"x": normalisation})
    x = torch.full((2, 3, 5), 10.0)
    shown = model(Batch({"x": x, "y": torch.ones(2, 2)}, {"x": torch.tensor([5, 3])})).features
    assert (shown[0] == 2).all()
    assert (shown[1, :, :3] == 2).all()
    assert (shown[1, :, 3:] == 0).all()
    assert (x == 10).all()


@pytest.mark.parametrize("what", ["features", "predictions"])
def test_a_stage_in_front(what, cnn):
    cnn.network.outputs = {"emotion": 3}
    cnn.eval()
    size = 20 if what == "features" else 3  # features: 2 * 5 channels * 2 bands
    normalisation = Normalisation((size,), "band")
    normalisation.mean.fill_(1.0)
    network = Linear({"front": (size,)}, {"word": 2})
    model = Model(network, {"front": normalisation}, {"front": cnn}, {"front": what}).eval()
    batch = Batch({"mel": torch.randn(2, 8, 20)}, {"mel": torch.tensor([20, 11])})
    before = cnn(batch)
    expected = network.head["word"](output_of(before, what) - 1)
    assert torch.equal(model(batch).predictions["word"], expected)
    assert set(batch.views) == {"mel"}


def test_features_are_the_default_source(cnn):
    model = Model(Linear({"front": (20,)}, {"word": 2}), upstream={"front": cnn.eval()}).eval()
    batch = Batch({"mel": torch.randn(2, 8, 20)})
    assert torch.equal(model(batch).features, cnn(batch).features)


def test_what_stands_before_is_among_the_maps_only_when_asked_for(cnn):
    model = Model(Linear({"front": (20,)}, {"word": 2}), upstream={"front": cnn.eval()}).eval()
    batch = Batch({"mel": torch.randn(2, 8, 20)})
    assert model(batch).maps == {}
    model.network.keep = ("front",)
    maps = model(batch).maps
    assert list(maps) == ["front"] and torch.equal(maps["front"], cnn(batch).features)


def test_predictions_of_all_targets_side_by_side():
    output = Output({"a": torch.zeros(2, 3), "b": torch.ones(2, 1)}, torch.full((2, 5), 7.0))
    assert torch.equal(output_of(output, "predictions"), torch.tensor([[0.0, 0, 0, 1]] * 2))
    assert torch.equal(output_of(output, "features"), output.features)


def test_frozen_layers_do_not_change(cnn):
    frozen = ("blocks.0", "blocks.1.residual", "norm")
    cnn.freeze(frozen)
    before = state(cnn)
    for _ in range(2):
        cnn.train()  # must not wake the frozen ones
        train_once(cnn)
    after = state(cnn)
    assert any("running_mean" in name for name in after if name.startswith("network.blocks.0"))
    for name, value in after.items():
        held = name.startswith(tuple(f"network.{layer}." for layer in frozen))
        assert torch.equal(value, before[name]) == held, name
    cnn.eval()
    cnn.train()
    assert not layer_of(cnn.network, "blocks.0.convolution.1").training
    assert layer_of(cnn.network, "blocks.1.convolution.1").training


def test_frozen_dropout_drops_nothing(cnn):
    cnn.train()
    cnn.network.norm.eval()
    for module in cnn.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    batch = Batch({"mel": torch.randn(2, 8, 20)})
    assert not torch.equal(cnn(batch).predictions["emotion"], cnn(batch).predictions["emotion"])
    cnn.freeze(["blocks", "norm", "dropout"])
    cnn.train()
    assert torch.equal(cnn(batch).predictions["emotion"], cnn(batch).predictions["emotion"])


def test_frozen_layers_stay_frozen_in_front_of_another(cnn):
    cnn.freeze(["blocks"])
    model = Model(Linear({"front": (20,)}, {"emotion": 3}), upstream={"front": cnn})
    model.train()
    before = state(model)
    train_once(model)
    for name, value in state(model).items():
        if name.startswith("upstream.front.network.blocks."):
            assert torch.equal(value, before[name]), name
    assert not torch.equal(
        model.state_dict()["upstream.front.network.norm.weight"], before["upstream.front.network.norm.weight"]
    )


def test_a_thawed_copy_is_trained_whole(cnn):
    cnn.freeze(["blocks", "dropout"])
    before = state(cnn)
    copied = cnn.thawed().train()
    assert torch.equal(copied.state_dict()["network.norm.weight"], before["network.norm.weight"])
    train_once(copied)
    moved = [name for name, value in state(copied).items() if not torch.equal(value, before[name])]
    assert len(moved) == len(before)
    assert all(torch.equal(value, before[name]) for name, value in state(cnn).items())
    cnn.train()
    assert not cnn.network.blocks.training


def test_unknown_layer(cnn):
    with pytest.raises(
        UserError, match=r"unknown layer of Cnn 'blocks.2'. Did you mean 'blocks.\d'\? Available: blocks"
    ):
        cnn.freeze(["blocks.2"])


def test_valid_positions():
    expected = [[True, False, False], [True, True, True], [False, False, False]]
    assert mask(torch.tensor([1, 3, 0]), 3).tolist() == expected


def test_a_network_must_compute_something():
    with pytest.raises(TypeError, match="Network defines no forward method"):
        Network({"x": (3,)}, {})(Batch({"x": torch.ones(1, 3)}))
