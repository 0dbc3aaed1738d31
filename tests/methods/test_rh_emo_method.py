import math
from types import SimpleNamespace

import pytest
import torch

from serkit import methods, networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model, Output

CLASSES = {"emotion": ["anger", "joy"], "valence": ["1.5", "2.5", "3.0"], "arousal": ["-0.2", "0.0", "4"]}


def model(**options):
    return Model(
        networks.build("rh_emo", {"image": (1, 8, 2)}, {t: len(c) for t, c in CLASSES.items()}, hidden=3, **options)
    )


def prepared(network=None, classes=CLASSES, **options):
    method = methods.build("rh_emo", **options)
    method.prepare(network or model(), SimpleNamespace(classes=classes))
    return method


def softplus(x):
    return math.log(1 + math.exp(x))


def loss(method, masks=None):
    output = Output(
        {
            "emotion": torch.tensor([[2.0, 0.0], [0.0, 0.0]]),
            "valence": torch.tensor([[1.0], [-2.0]]),
            "arousal": torch.tensor([[0.5], [3.0]]),
        },
        torch.zeros(2, 4, 1, 1),
        {"input": torch.tensor([0.25, 1.5])[:, None], "reconstruction": torch.tensor([0.5, 0.9])[:, None]},
    )
    targets = {"emotion": [0, 1], "valence": [1, 2], "arousal": [0, 2]}
    batch = Batch({}, targets={name: torch.tensor(values) for name, values in targets.items()}, masks=masks or {})
    return {name: value.item() for name, value in method.loss(output, batch).items()}


# Of 0.25 as 0.5, and of 1 (1.5 is above the training part's maximum) as 0.9.
RECONSTRUCTION = (math.log(2) - math.log(0.9)) / 2
EMOTION = (softplus(-2) + math.log(2)) / 2
# At threshold 2.5: 2.5 is not high, 3 is; -0.2 is not, 4 is.
VALENCE = (softplus(1) + softplus(2)) / 2
AROUSAL = (softplus(0.5) + softplus(-3)) / 2


def test_terms_by_hand():
    assert loss(prepared()) == pytest.approx(
        {"reconstruction": RECONSTRUCTION, "emotion": 0.01 * EMOTION, "valence": VALENCE, "arousal": AROUSAL}
    )
    found = loss(prepared(alpha=3.0, beta=0.5, beta_class=4.0, beta_vad=6.0))
    assert found == pytest.approx(
        {"reconstruction": 3 * RECONSTRUCTION, "emotion": 2 * EMOTION, "valence": 3 * VALENCE, "arousal": 3 * AROUSAL}
    )


def test_another_scale():
    """-1 to 1: above 0 is high, and all of these valences are."""
    found = loss(prepared(threshold=0.0))
    assert found["valence"] == pytest.approx((softplus(-1) + softplus(2)) / 2)
    assert found["arousal"] == pytest.approx(AROUSAL)


def test_labels_that_are_missing():
    masks = {"emotion": torch.tensor([False, True]), "arousal": torch.tensor([False, False])}
    assert loss(prepared(), masks) == pytest.approx(
        {"reconstruction": RECONSTRUCTION, "emotion": 0.01 * math.log(2), "valence": VALENCE, "arousal": 0.0}
    )


def test_the_reconstruction_alone():
    network = model(heads=False)
    method = prepared(network, beta=0.0)
    batch = Batch({"image": torch.rand(2, 1, 8, 2)}, targets={"emotion": torch.tensor([0, 1])})
    output = method.forward(network, batch)
    terms = method.loss(output, batch)
    assert list(terms) == ["reconstruction"]
    expected = torch.nn.functional.binary_cross_entropy(output.maps["reconstruction"], batch.views["image"])
    assert terms["reconstruction"].item() == pytest.approx(expected.item())
    terms["reconstruction"].backward()
    assert network.network.encoder[0].weight.grad.any() and network.network.decoder[0].weight.grad.any()
    assert method.finish(network, []) is network and network(batch).maps == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, "alpha must be at least 0, got -1.0"),
        ({"beta_vad": math.inf}, "beta_vad must be at least 0, got inf"),
        ({"alpha": 0, "beta": 0}, "leave nothing to minimize"),
    ],
)
def test_options(options, message):
    with pytest.raises(UserError, match=message):
        methods.build("rh_emo", **options)


def test_networks_and_labels_that_do_not_fit():
    with pytest.raises(UserError, match="no heads; set heads = true, or beta = 0"):
        prepared(model(heads=False))
    with pytest.raises(UserError, match="requires network 'rh_emo', got Linear"):
        prepared(Model(networks.build("linear", {"x": (3,)}, {"emotion": 2})))
    with pytest.raises(UserError, match="target 'valence' must be a number, got 'high'"):
        prepared(classes={"valence": ["high", "low"]})
