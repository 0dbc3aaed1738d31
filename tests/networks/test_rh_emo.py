import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.network import Batch, Model

TARGETS = {"emotion": 5, "valence": 9, "arousal": 7, "dominance": 3}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def make(shape=(1, 16, 8), outputs=TARGETS, **options):
    torch.manual_seed(0)
    return networks.build("rh_emo", {"image": shape}, outputs, **{"hidden": 6, **options}).eval()


def test_sizes():
    with torch.device("meta"):
        network = networks.build("rh_emo", {"image": (1, 512, 128)}, TARGETS)
        network.keep = ["reconstruction"]
        output = network(Batch({"image": torch.rand(2, 1, 512, 128)}))
    assert [count(part) for part in network.children()] == [256, 130, 134_283_272]
    assert output.features.shape == (2, 4, 64, 64)
    assert output.maps["reconstruction"].shape == (2, 1, 512, 128)
    assert {target: tuple(logits.shape) for target, logits in output.predictions.items()} == {
        "emotion": (2, 5),
        "valence": (2, 1),
        "arousal": (2, 1),
        "dominance": (2, 1),
    }


def test_each_head_reads_its_axis():
    network = make()
    embedding = torch.randn(2, 4, 2, 4)
    network.encoder = torch.nn.Identity()
    for axis, target in enumerate(TARGETS):
        changed = embedding.clone()
        changed[:, axis] += 1
        before, after = (network(Batch({"image": x})).predictions for x in (embedding, changed))
        assert [name for name in TARGETS if not torch.equal(before[name], after[name])] == [target]


def test_embedding_is_not_negative_and_the_reconstruction_a_mean_of_sigmoids():
    network, x = make(), Batch({"image": torch.rand(3, 1, 16, 8)})
    network.keep = ["input", "reconstruction"]
    output = network(x)
    assert output.features.shape == (3, 4, 2, 4) and output.features.min() >= 0
    four = network.decoder(output.features)
    assert four.shape == (3, 4, 16, 8) and 0 < four.min() < four.max() < 1
    torch.testing.assert_close(output.maps["reconstruction"][:, 0], four.sum(1) / 4)
    assert output.maps["input"] is x.views["image"]


def test_maps_and_heads_only_when_asked():
    network = make(heads=False)
    output = network(Batch({"image": torch.rand(3, 1, 16, 8)}))
    assert output.maps == {} and output.predictions == {}
    assert count(network) == 256 + 130


def test_the_encoder_alone():
    """As another network's input: shares its weights, leaves the whole as it is."""
    model = Model(make(), {"image": Normalisation((1, 16, 8), "maximum")}).eval()
    model.network.keep = ["input"]
    x = Batch({"image": torch.rand(3, 1, 16, 8)})
    encoder = model.headless()
    assert count(encoder) == 256 and count(model) > 400
    assert encoder.network.encoder[0].weight is model.network.encoder[0].weight
    assert torch.equal(encoder(x).features, model(x).features)
    assert list(model(x).maps) == ["input"] and encoder(x).maps == {} and encoder(x).predictions == {}
    assert list(model(x).predictions) == list(TARGETS)
    assert "normalisations.image.mean" in encoder.state_dict()
    trained = encoder.thawed().train()
    assert trained.network.encoder[3].training and trained.network.encoder[0].weight.requires_grad
    assert trained.network.encoder[0].weight is not model.network.encoder[0].weight


@pytest.mark.parametrize(
    ("shape", "outputs", "message"),
    [
        ((1, 20, 8), TARGETS, r"got \(1, 20, 8\); the height must be a multiple of 8"),
        ((129, None), TARGETS, r"must have a fixed shape \(1, height, width\), got "),
        (
            (1, 16, 8),
            {"word": 3},
            "target 'word' has no axis; targets with an axis: emotion, valence, arousal, dominance",
        ),
    ],
)
def test_what_cannot_be(shape, outputs, message):
    with pytest.raises(UserError, match=message):
        make(shape, outputs)


def test_values_from_0_to_the_training_maximum_become_0_to_1():
    normalisation = Normalisation((1, 2, 2), "maximum")
    normalisation.fit(torch.tensor(values).reshape(1, 2, 2) for values in ([0.0, 1, 2, 8], [3.0, 0, 5, 1]))
    found = normalisation(torch.tensor([[[[0.0, 8], [4, 16]]]]))
    assert found.flatten().tolist() == [0, 1, 0.5, 2]
    silent = Normalisation((1, 2, 2), "maximum")
    silent.fit([torch.zeros(1, 2, 2)])
    assert silent(torch.ones(1, 1, 2, 2)).max() == 1
