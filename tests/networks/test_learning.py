"""Every network of the five papers learns a few items by heart, with the optimizer and the loss of its paper.

The networks are small, the learning rates those of small networks, and the items are made up: each class has a
pattern, and every item its own noise. Scales and lengths are those of the real features (F0 in Hz, decibels,
magnitudes). docs/systems/overfit.md has the same for real recordings and full sizes; `benchmarks/overfit.py` measures
it.
"""

import copy

import pytest
import torch

from serkit import networks
from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Model
from serkit.training.normalization import layers, refit

CLASSES, ITEMS = 4, 16


def patterns(*shape, low=0.0, high=1.0, noise=0.3, seed=0):
    """One pattern per class between two values, and noise of a share of their distance: (items, *shape)."""
    generator = torch.Generator().manual_seed(seed)
    made = torch.rand(CLASSES, *shape, generator=generator)
    x = made[torch.arange(ITEMS) % CLASSES] + noise * torch.randn(ITEMS, *shape, generator=generator)
    return low + (high - low) * x


def contours(frames=30):
    """F0 in Hz: a mean and a slope for each class, 0 where unvoiced: (items, 1, frames)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(ITEMS) % CLASSES
    mean, slope = 120 + 60 * (labels % 2), 60 * (labels // 2) - 30
    x = (
        mean[:, None]
        + slope[:, None] * torch.linspace(-1, 1, frames)
        + 5 * torch.randn(ITEMS, frames, generator=generator)
    )
    x[:, frames // 2 : frames // 2 + 4] = 0
    return x[:, None]


def learn(model, views, steps, batch_size, learning_rate, **method):
    """Train with Adam, and return the step from which all items are right in evaluation mode; None: never."""
    labels = torch.arange(ITEMS) % CLASSES
    loss, optimizer = Supervised(**method), torch.optim.Adam(model.parameters(), lr=learning_rate)
    generator = torch.Generator().manual_seed(0)

    def batch(rows):
        return Batch({name: x[rows] for name, x in views.items()}, {}, {"emotion": labels[rows]})

    for step in range(1, steps + 1):
        model.train()
        rows = torch.randperm(ITEMS, generator=generator)[:batch_size]
        terms = loss.loss(model(batch(rows)), batch(rows))
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        if step % 10 == 0:
            fixed = copy.deepcopy(model)
            refit(fixed, [batch(torch.arange(ITEMS))])
            with torch.inference_mode():
                right = fixed(batch(torch.arange(ITEMS))).predictions["emotion"].argmax(1) == labels
            if right.all():
                return step
    return None


def build(name, views, **options):
    torch.manual_seed(0)
    shapes = {view: (*x.shape[1:-1], None) if view in TIME else tuple(x.shape[1:]) for view, x in views.items()}
    return Model(networks.build(name, shapes, {"emotion": CLASSES}, **options))


#: Views whose last axis is time.
TIME = ("f0", "mel", "mfcc")

SQUARE = {"channels": [16, 12, 24], "hidden": [64, 32]}
VGG = {"channels": [8, 8, 16, 16, 16], "hidden": 32}
VIT = {"heads": 2, "head_size": 16, "hidden": 32, "width": 32, "patch": [32, 1]}

CASES = {
    "resnet18": ("resnet18", {"width": 8}, {"mel": patterns(40, 32)}, 1e-3, 16, 60),
    "crnn": ("crnn", {"channels": [8, 8, 16, 16], "hidden": 16}, {"mel": patterns(80, 130)}, 1e-3, 16, 100),
    "student on F0 in Hz": ("bilstm", {"layers": 2, "hidden": 32}, {"f0": contours()}, 1e-3, 16, 200),
    "teacher": (
        "vit",
        {**VIT, "depth": 2, "stem": True, "coordinates": True},
        {"image": patterns(1, 32, 32)},
        1e-3,
        16,
        100,
    ),
    "teacher without positions": (
        "vit",
        {**VIT, "depth": 2, "stem": True},
        {"image": patterns(1, 32, 32)},
        1e-3,
        16,
        100,
    ),
    "student": ("vit", {**VIT, "depth": 2}, {"image": patterns(1, 32, 32)}, 1e-3, 16, 100),
    "ast": ("ast", {"depth": 2, "heads": 2, "width": 32}, {"image": patterns(1, 36, 36)}, 1e-3, 16, 100),
    "septr": (
        "septr",
        {"depth": 1, "heads": 2, "head_size": 16, "hidden": 32, "width": 32, "patch": [4, 4]},
        {"image": patterns(1, 32, 32)},
        1e-3,
        16,
        150,
    ),
    "quaternion VGG16": ("vgg16", {**VGG, "quaternion": True}, {"image": patterns(4, 32, 32, high=6)}, 1e-3, 16, 300),
    "quaternion VGG16, He": (
        "vgg16",
        {**VGG, "quaternion": True, "init": "he"},
        {"image": patterns(4, 32, 32, high=6)},
        1e-3,
        16,
        300,
    ),
    # Wider than the others: PyTorch's weights shrink the signal, and rounding decides when a narrow network learns.
    "real VGG16": (
        "vgg16",
        {"channels": [16] * 5, "hidden": 64},
        {"image": patterns(1, 32, 32, low=-1, high=1)},
        1e-3,
        16,
        400,
    ),
    "real VGG16, He": ("vgg16", {**VGG, "init": "he"}, {"image": patterns(1, 32, 32, low=-1, high=1)}, 1e-3, 16, 300),
    "rh_emo": ("rh_emo", {"hidden": 64}, {"image": patterns(1, 32, 16)}, 1e-3, 16, 200),
    "acln": ("acln", {"frames": 24}, {"mfcc": patterns(39, 24, low=-1)}, 1e-3, 16, 60),
    "fcn": ("fcn", {}, {"is09": patterns(40, low=-1)}, 1e-3, 16, 60),
    "fused": ("fused", {"frames": 24}, {"mfcc": patterns(39, 24, low=-1), "is09": patterns(40, low=-1)}, 1e-3, 16, 60),
    "squirtle": ("squirtle", SQUARE, {"image": patterns(1, 40, 40)}, 1e-3, 16, 100),
    "charma": ("charma", SQUARE, {"image": patterns(1, 40, 40)}, 1e-3, 16, 100),
    "bulba": ("bulba", SQUARE, {"image": patterns(1, 40, 40)}, 1e-3, 16, 100),
}


@pytest.mark.parametrize("case", CASES)
def test_a_few_items_are_learned_by_heart(case):
    name, options, views, rate, size, steps = CASES[case]
    method = {"loss_input": "softmax"} if name in ("squirtle", "charma", "bulba") else {}
    assert learn(build(name, views, **options), views, steps, size, rate, **method) is not None


def test_every_network_of_a_paper_is_tested():
    """`linear`, `mlp`, `cnn` and `ensemble` are serkit's own; `transformers` and `layer_weights` are for encoders."""
    own = {"linear", "mlp", "cnn", "ensemble", "transformers", "layer_weights"}
    assert {name for name, *_ in CASES.values()} == set(networks.NETWORKS) - own


def test_f0_in_hz_is_learned_where_its_share_of_the_range_is_not():
    """The paper's student does not leave chance in the same steps if F0 / f_max is its input."""
    views = {"f0": contours()}
    shares = {"f0": contours() / 500}
    options = {"layers": 3, "hidden": 32}
    assert learn(build("bilstm", views, **options), views, 150, 16, 1e-3) is not None
    assert learn(build("bilstm", shares, **options), shares, 150, 16, 1e-3) is None


def test_softmax_in_the_loss_takes_longer():
    views = {"image": patterns(1, 40, 40)}
    steps = {
        kind: learn(build("squirtle", views, **SQUARE), views, 200, 16, 3e-4, loss_input=kind)
        for kind in ("softmax", "logits")
    }
    assert steps["logits"] < steps["softmax"]


@pytest.mark.parametrize("name", ["resnet18", "acln", "squirtle", "rh_emo"])
def test_moving_averages_are_behind_after_few_steps(name):
    """The loss in evaluation mode: with the moving averages of a few steps, and with statistics estimated again."""
    name, options, views, rate, *_ = CASES[name]
    model = build(name, views, **options)
    labels = torch.arange(ITEMS) % CLASSES
    batch = Batch(views, {}, {"emotion": labels})
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(4):
        model.train()
        optimizer.zero_grad()
        Supervised().loss(model(batch), batch)["cross_entropy"].backward()
        optimizer.step()
    fixed = copy.deepcopy(model)
    refit(fixed, [batch])
    trained = copy.deepcopy(fixed)
    for layer in layers(trained):
        layer.train()
    with torch.inference_mode():
        features = {
            key: each(batch).features for key, each in (("kept", model.eval()), ("again", fixed), ("trained", trained))
        }
    error = {key: float((features[key] - features["trained"]).norm() / features["trained"].norm()) for key in features}
    assert error["again"] < 0.3 * error["kept"], error
