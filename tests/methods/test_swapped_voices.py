"""Swapped voices: what tells an emotion stays, what tells a voice goes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from serkit import methods, networks
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.network import Model
from serkit.training.batches import ItemData

NAMES = ["anger", "joy"]
SHAPES = {"one": (3,)}


def problem(speakers, biased=False):
    """Recordings whose first input tells the emotion, and whose second one tells the voice.

    With `biased`, angry recordings are by voices with a high second input.
    """
    generator = np.random.default_rng(0)
    items, rows = [], []
    for speaker in range(speakers):
        offset = np.array([0.0, 6.0 * generator.standard_normal(), 0.0])
        for number in range(12):
            often = 11 if offset[1] > 0 else 1
            emotion = int(number >= often) if biased else number % 2
            name = f"a/{speaker}_{number}"
            items.append(
                Item(Utterance(name, Path("x.wav"), speaker=f"a/{speaker}", targets={"emotion": NAMES[emotion]}))
            )
            rows.append(offset + np.array([1 - 2 * emotion, 0, 0]) + generator.standard_normal(3))
    return items, np.array(rows, dtype=np.float32) * [1, 10, 0.1] + [0, 5, 1]


def model_of(x):
    model = Model(networks.build("linear", SHAPES, {"emotion": 2}), {"one": Normalisation((3,), "band")})
    model.fit_normalisation("one", map(torch.from_numpy, x))
    return model


def prepared(items, x, **options):
    """Return the method after `prepare`, its model, and the data."""
    x = x.astype(np.float32)
    earlier, model = model_of(x), model_of(x + 1)
    data = ItemData(items, {"one": list(x)}, SHAPES, {"emotion": NAMES})
    features = earlier.eval()(data.batch(range(len(items)))).features.detach()
    context = SimpleNamespace(
        items=items,
        training=items,
        classes={"emotion": NAMES},
        outputs=lambda name: features,
        finished={"voices": SimpleNamespace(model=earlier)},
    )
    method = methods.build("swapped_voices", voices="voices", **options)
    method.prepare(model, context)
    return method, model, data


class Seen(torch.nn.Module):
    """A model that returns the view it is given."""

    def forward(self, batch):
        return batch.views["one"]


def test_a_whole_share_gives_each_item_the_voice_of_another():
    items, x = problem(4)
    method, _, data = prepared(items, x, least=1.0)
    batch = data.batch(range(len(items)))
    torch.manual_seed(0)
    moved = method.forward(Seen(), batch).numpy()
    means = x.reshape(4, 12, 3).mean(1)
    change = moved - x
    # Emotions are balanced in each voice, so that an offset is the mean of a voice.
    others = means[None, :, 1] - np.repeat(means, 12, 0)[:, 1:2]
    assert np.abs(others - change[:, 1:2]).min(1).max() < 1e-3
    assert len(np.unique(np.abs(others - change[:, 1:2]).argmin(1))) == 4


def test_without_another_voice_all_items_have_the_same_one():
    items, x = problem(4)
    method, _, data = prepared(items, x)
    torch.manual_seed(0)
    moved = [method.forward(Seen(), data.batch([row] * 200)).numpy() for row in range(4)]
    # Shares reach down to 0: the item in the voice in the middle, whose other inputs are its own.
    nearest = [np.abs(rows[:, 1] - 5).min() for rows in moved]
    assert max(nearest) < np.abs(x[:48, 1] - 5).max() / 10 + 12


def test_the_normalization_is_that_of_the_voices():
    items, x = problem(4)
    _, model, _ = prepared(items, x)
    assert torch.allclose(model.normalisation("one").mean, torch.from_numpy(x.mean(0)).float(), atol=1e-4)


def test_a_network_does_not_learn_the_emotion_from_the_voice():
    items, x = problem(24, biased=True)
    weights = {}
    for name in ("many_corpora", "swapped_voices"):
        if name == "swapped_voices":
            method, model, data = prepared(items, x)
        else:
            model = model_of(x.astype(np.float32))
            data = ItemData(items, {"one": list(x.astype(np.float32))}, SHAPES, {"emotion": NAMES})
            method = methods.build(name)
            method.prepare(model, SimpleNamespace(items=items, training=items, classes={"emotion": NAMES}))
        torch.manual_seed(0)
        torch.nn.init.zeros_(model.network.head["emotion"].weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        batch = data.batch(range(len(items)))
        for _ in range(150):
            optimizer.zero_grad()
            sum(method.loss(method.forward(model, batch), batch).values()).backward()
            optimizer.step()
        weight = model.network.head["emotion"].weight.detach()
        weights[name] = float((weight[0, 1] - weight[1, 1]).abs() / (weight[0, 0] - weight[1, 0]).abs())
    assert weights["swapped_voices"] < weights["many_corpora"] / 3


def test_it_needs_the_views_of_the_stage():
    items, x = problem(2)
    with pytest.raises(UserError, match="least must be from 0 to 1, got 2"):
        methods.build("swapped_voices", voices="voices", least=2.0)
    method = methods.build("swapped_voices", voices="voices")
    earlier = Model(networks.build("linear", {"two": (3,)}, {"emotion": 2}))
    context = SimpleNamespace(
        items=items,
        training=items,
        classes={"emotion": NAMES},
        outputs=lambda name: torch.zeros(len(items), 3),
        finished={"voices": SimpleNamespace(model=earlier)},
    )
    with pytest.raises(UserError, match=r"requires the views of stage 'voices' \(two\).*got one"):
        method.prepare(model_of(x.astype(np.float32)), context)
