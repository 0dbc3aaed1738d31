import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from serkit import methods, networks
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.methods import anti_transfer
from serkit.methods.anti_transfer import gram, item_of, reference_likeness, squared_cosine
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.network import Batch, Model
from serkit.networks.rh_emo import RhEmo

TINY = {"quaternion": True, "channels": [4, 8, 4, 4, 4], "hidden": 4, "init": "he"}
SHAPE = (4, 32, 32)


def vgg(seed, shape=SHAPE, view="x", target="emotion", **options):
    torch.manual_seed(seed)
    return Model(networks.build("vgg16", {view: shape}, {target: 3}, **{**TINY, **options})).eval()


def around(extractor, items=6, perturb=()):
    stage = SimpleNamespace(trainer=SimpleNamespace(perturb=perturb))
    return SimpleNamespace(finished={"word": SimpleNamespace(model=extractor)}, stage=stage, items=[None] * items)


def prepared(model, extractor, stages=None, layers=("conv2",), **options):
    method = methods.build("anti_transfer", extractor="word", layers=list(layers), **options)
    method.prepare(model, stages or around(extractor))
    return method


def batch_of(x, index=None, **options):
    return Batch({"x": x}, targets={"emotion": torch.zeros(len(x), dtype=torch.int64)}, index=index, **options)


def images(count=2, shape=SHAPE, seed=5):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def term(method, model, batch):
    return method.loss(method.forward(model, batch), batch)["anti_transfer"]


# --- the numbers


def test_gram_by_hand():
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]], [[[0.0, 0.0]], [[2.0, 0.0]]]])
    # (1, 2) and (3, -1): products 5, 1, 1, 10, over 2 channels of 2 places.
    assert (gram(maps) * 4).tolist() == [[[5.0, 1.0], [1.0, 10.0]], [[0.0, 0.0], [0.0, 4.0]]]


def test_gradient_of_gram():
    maps = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gram, maps)


def test_squared_cosine_by_hand():
    """(1, 1, 1, 1) and (4, 0, 0, 0): 4 / (2 * 4); its square, a quarter. The second item is of no likeness."""
    first = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 2.0], [2.0, 0.0]]])
    second = torch.tensor([[[4.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 5.0]]])
    assert squared_cosine(first, second).tolist() == pytest.approx([0.25, 0.0])
    assert squared_cosine(first, torch.zeros(2, 2, 2)).tolist() == [0.0, 0.0]


def test_reference_by_hand():
    """Two items of one channel are one matrix: rows (1, 0), (0, 1) against (1, 1), (1, 0)."""
    first = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    second = torch.tensor([[[1.0, 1.0]], [[1.0, 0.0]]])
    # Gram matrices 1 0 / 0 1 and 2 1 / 1 1; cosines of their rows 2 / sqrt(5) and 1 / sqrt(2).
    expected = ((2 / math.sqrt(5) + 1 / math.sqrt(2)) / 2) ** 2
    assert reference_likeness(first, second).item() == pytest.approx(expected)


def test_reference_by_hand_with_two_channels_and_an_opposite_row():
    """Gram matrices 2 2 / 2 2 and 1 -3 / -3 10: cosines of their rows -4 / sqrt(80) and 14 / sqrt(872)."""
    first = torch.tensor([[[[1.0, 1.0]], [[1.0, 1.0]]]])
    second = torch.tensor([[[[1.0, 0.0]], [[-3.0, 1.0]]]])
    expected = ((4 / math.sqrt(80) + 14 / math.sqrt(872)) / 2) ** 2
    assert reference_likeness(first, second).item() == pytest.approx(expected)


@pytest.mark.parametrize("form", ["paper", "reference"])
def test_a_copy_is_as_alike_as_can_be(form):
    model = vgg(0)
    method = prepared(model, vgg(0), beta=0.7, form=form)
    assert term(method, model, batch_of(images())).item() == pytest.approx(0.7, abs=1e-5)


def test_loss_of_two_networks_by_hand():
    model, extractor = vgg(0), vgg(1)
    x = images(3)
    found = term(prepared(model, extractor, beta=2.0), model, batch_of(x)).item()
    likeness = []
    for item in x:
        rows = []
        for network in (model.network, extractor.network):
            first, second = network.blocks[0]
            maps = torch.relu(second(torch.relu(first(item[None]))))[0].double().flatten(1)
            rows.append((maps @ maps.T).flatten())
        likeness.append((rows[0] @ rows[1] / rows[0].norm() / rows[1].norm()) ** 2)
    assert found == pytest.approx(2 * sum(likeness).item() / 3, rel=1e-5)
    assert 0.05 < found < 1.9


def test_which_maps_are_compared():
    model, extractor = vgg(0), vgg(1)
    x = images(3)
    names = {("paper", "post"): "conv3", ("paper", "pre"): "conv3.pre", ("reference", "post"): "conv3.input"}
    for (form, activation), name in names.items():
        method = prepared(model, extractor, layers=["conv3"], form=form, activation=activation)
        own, other = (network.network.maps(batch_of(x), [name])[name] for network in (model, extractor))
        expected = (
            reference_likeness(other, own) if form == "reference" else squared_cosine(gram(own), gram(other)).mean()
        )
        assert term(method, model, batch_of(x)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_several_layers_are_added_up():
    model, extractor = vgg(0), vgg(1)
    batch = batch_of(images())
    method = prepared(model, extractor, layers=["conv2", "conv5"])
    terms = method.loss(method.forward(model, batch), batch)
    assert list(terms) == ["cross_entropy", "anti_transfer_conv2", "anti_transfer_conv5"]
    for layer in ("conv2", "conv5"):
        alone = term(prepared(model, extractor, layers=[layer]), model, batch)
        assert terms[f"anti_transfer_{layer}"].item() == pytest.approx(alone.item(), rel=1e-5)


# --- gradients


def test_gradients_reach_the_trained_network_only():
    model, extractor = vgg(0), vgg(1)
    term(prepared(model, extractor), model, batch_of(images())).backward()
    reached = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert reached == [f"network.blocks.0.{layer}.{name}" for layer in (0, 1) for name in ("weight", "bias")]
    assert all(parameter.grad is None for parameter in extractor.parameters())


def test_descent_makes_the_maps_unlike():
    model, extractor = vgg(1), vgg(1)
    method, batch = prepared(model, extractor), batch_of(images())
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        loss = term(method, model, batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.9


def test_reference_form_is_constant_at_the_first_layer():
    """The same input to both: the most alike there is, whatever the weights."""
    model = vgg(0)
    method = prepared(model, vgg(1), layers=["conv1"], form="reference")
    found = term(method, model, batch_of(images()))
    assert found.item() == pytest.approx(1, abs=1e-5) and not found.requires_grad


def behind_rh_emo(frozen=False):
    torch.manual_seed(3)
    encoder = Model(
        RhEmo({"image": (1, 256, 64)}, {"emotion": 3}, hidden=2), {"image": Normalisation((1, 256, 64), "maximum")}
    )
    network = networks.build("vgg16", {"embedding": SHAPE}, {"emotion": 3}, **TINY)
    return Model(network, upstream={"embedding": encoder.headless().thawed()}).train()


def test_the_extractor_hears_what_the_trained_network_hears():
    """What the encoder makes of this batch, with its batch norms in training; no gradient through the extractor."""
    model, extractor = behind_rh_emo(), vgg(1, view="frozen_embedding", target="word")
    method, seen, entered = prepared(model, extractor), [], []
    model.network.blocks[0][0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    extractor.network.blocks[0][0].register_forward_pre_hook(lambda _, x: entered.append(x[0]))
    image = torch.rand(3, 1, 256, 64)
    batch = Batch({"image": image}, targets={"emotion": torch.tensor([0, 1, 2])}, index=torch.arange(3))
    term(method, model, batch).backward()
    assert torch.equal(seen[0], entered[0]) and seen[0].requires_grad and not entered[0].requires_grad
    assert model.upstream["embedding"].network.encoder[0].weight.grad.any()
    assert method.report() == {"grams_computed_once": False}


def test_each_network_has_its_own_normalisation():
    extractor = vgg(1, (1, 32, 32), view="magnitude")
    extractor.normalisations["magnitude"] = Normalisation((1, 32, 32), "global")
    extractor.normalisation("magnitude").deviation.fill_(2.0)
    model, entered = vgg(0, (1, 32, 32)), []
    extractor.network.blocks[0][0].register_forward_pre_hook(lambda _, x: entered.append(x[0]))
    x = images(2, (1, 32, 32))
    term(prepared(model, extractor), model, batch_of(x))
    torch.testing.assert_close(entered[0][:, :1], x / 2)


# --- what it costs


@pytest.mark.parametrize("kind", ["vgg16", "cnn"])
def test_grams_of_repeated_items_are_computed_once(kind, monkeypatch):
    torch.manual_seed(0)
    if kind == "vgg16":
        model, extractor = vgg(0), vgg(1)
        x, lengths = images(3), {}
    else:
        options = {"channels": [3, 4], "strides": [[2, 2], [2, 2]], "residual": [1, 0]}
        model, extractor = (Model(networks.build("cnn", {"x": (8, None)}, {"emotion": 3}, **options)) for _ in "ab")
        x, lengths = torch.randn(3, 8, 30), {"x": torch.tensor([30, 17, 22])}
        for row, length in enumerate(lengths["x"]):
            x[row, :, length:] = 0
    always = prepared(model, extractor, cache=0)
    once = prepared(model, extractor)
    calls, compute = [], extractor.network.maps
    monkeypatch.setattr(
        extractor.network, "maps", lambda batch, names: calls.append(len(batch)) or compute(batch, names)
    )
    rows = [[0, 1, 2], [2, 0], [1, 2]]
    for positions in rows:
        batch = batch_of(
            x[positions],
            torch.tensor(positions) + 3,
            lengths={view: values[positions] for view, values in lengths.items()},
        )
        assert term(once, model, batch).item() == pytest.approx(term(always, model, batch).item(), rel=1e-4)
    assert calls == [1, 1, 1, 3, 2, 2]
    assert once.report() == {"grams_computed_once": True} and always.report() == {"grams_computed_once": False}


@pytest.mark.parametrize(
    ("stages", "options"),
    [
        ({"perturb": ["masks"]}, {}),
        ({"items": 1000}, {"cache": 0.0000639}),  # 1000 items of 4 x 4 numbers are 64 kB
        ({}, {"form": "reference"}),
    ],
)
def test_when_they_cannot_be_kept(stages, options):
    model, extractor = vgg(0), vgg(1)
    method = prepared(model, extractor, around(extractor, **stages), **options)
    term(method, model, batch_of(images(), torch.tensor([0, 1])))
    assert method.report() == {"grams_computed_once": False}


def test_they_are_kept_up_to_the_limit():
    model, extractor = vgg(0), vgg(1)
    method = prepared(model, extractor, around(extractor, 1000), cache=0.0000641)
    term(method, model, batch_of(images(), torch.tensor([0, 1])))
    assert method.report() == {"grams_computed_once": True}


def test_nothing_behind_the_layer_is_computed_and_no_other_map_kept():
    model, extractor, ran = vgg(0), vgg(1), []
    for number, layer in enumerate((layer for block in extractor.network.blocks for layer in block), 1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    method, batch = prepared(model, extractor), batch_of(images())
    output = method.forward(model, batch)
    method.loss(output, batch)
    assert ran == [1, 2] and list(output.maps) == ["conv2"]


def test_the_validation_loss_leaves_it_out_unless_asked():
    model, extractor = vgg(0), vgg(1)
    batch = batch_of(images())
    for wanted in (False, True):
        method = prepared(model, extractor, validation=wanted)
        assert "anti_transfer" in method.loss(method.forward(model, batch), batch)
        assert ("anti_transfer" in method.loss(model(batch), batch)) == wanted
        assert method.finish(model, []) is model and model(batch).maps == {}


def test_cross_entropy_is_that_of_supervised_with_its_options():
    options = {"label_smoothing": 0.1, "class_weights": "balanced"}
    model, batch = vgg(0), batch_of(images())
    labels = ["a", "a", "a", "b"]
    training = [
        Item(Utterance(f"table/{row}", Path("x.wav"), targets={"emotion": name})) for row, name in enumerate(labels)
    ]
    stages = SimpleNamespace(**vars(around(vgg(1))), classes={"emotion": ["a", "b", "c"]}, training=training)
    method, plain = prepared(model, vgg(1), stages, **options), methods.build("supervised", **options)
    plain.prepare(model, stages)
    output = method.forward(model, batch)
    [wanted] = plain.loss(output, batch).values()
    assert method.loss(output, batch)["cross_entropy"].item() == pytest.approx(wanted.item())
    assert wanted.item() != pytest.approx(methods.build("supervised").loss(output, batch)["cross_entropy"].item())


def test_nothing_of_the_extractor_is_saved():
    model, extractor = vgg(0), vgg(1)
    before = list(model.state_dict())
    prepared(model, extractor)
    assert list(model.state_dict()) == before


def test_precision_is_that_of_the_trained_network(monkeypatch):
    model, extractor = vgg(0), vgg(1)
    method, batch, seen = prepared(model, extractor), batch_of(images()), []
    monkeypatch.setattr(anti_transfer, "gram", lambda maps: seen.append(maps.dtype) or gram(maps))
    extractor.network.blocks[0][1].register_forward_hook(lambda *arguments: seen.append(arguments[2].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        output = method.forward(model, batch)
    assert method.loss(output, batch)["anti_transfer"].dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16, torch.float32]


def test_an_item_without_the_padding_of_others():
    batch = Batch({"x": torch.randn(2, 4, 9), "y": torch.randn(2, 3)}, {"x": torch.tensor([9, 5])})
    one = item_of(batch, 1)
    assert torch.equal(one.views["x"], batch.views["x"][1:, :, :5]) and torch.equal(
        one.views["y"], batch.views["y"][1:]
    )
    assert one.lengths == {}


# --- what cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": []}, "layers must be a list of convolutions"),
        ({"layers": "conv2"}, "layers must be a list of convolutions"),
        ({"beta": -1}, "beta must be at least 0, got -1"),
        ({"form": "papr"}, "unknown form 'papr'. Did you mean 'paper'"),
        ({"activation": "none"}, "unknown activation 'none'"),
    ],
)
def test_options(options, message):
    with pytest.raises(UserError, match=message):
        methods.build("anti_transfer", **{"extractor": "word", "layers": ["conv2"], **options})


def test_networks_that_do_not_fit():
    model = vgg(0)
    with pytest.raises(UserError, match="unknown earlier stage 'word'"):
        prepared(model, None, SimpleNamespace(finished={"speaker": None}))
    with pytest.raises(UserError, match="unknown layer of Vgg16 'conv14'"):
        prepared(model, vgg(1), layers=["conv14"])
    with pytest.raises(UserError, match="give both the same input"):
        prepared(model, vgg(1, (4, 64, 32)))
    extractor = vgg(1, channels=[8, 8, 4, 4, 4])
    for index in (None, torch.tensor([0, 1])):
        with pytest.raises(
            UserError, match="conv2 of extractor 'word' has 8 channels, but that of the network to train has 4"
        ):
            term(prepared(model, extractor), model, batch_of(images(), index))


def started(**start_from):
    """Finished stages, each with its method's options and what it starts from; the next one starts from `second`."""
    finished = {
        name: SimpleNamespace(stage=SimpleNamespace(method=SimpleNamespace(options=options), start_from=before))
        for name, (options, before) in start_from.items()
    }
    finished["word"] = SimpleNamespace(model=vgg(1))
    return SimpleNamespace(
        finished=finished, stage=SimpleNamespace(start_from="second", trainer=SimpleNamespace(perturb=[])), items=[0]
    )


def test_layers_are_those_of_the_stage_it_starts_from():
    first = ({"extractor": "word", "layers": ["conv3", "conv5"]}, None)
    second = ({"extractor": "speaker"}, "first")
    method = methods.build("anti_transfer", extractor="word")
    method.prepare(vgg(0), started(first=first, second=second))
    assert method.maps == {"conv3": "conv3", "conv5": "conv5"}
    method = methods.build("anti_transfer", extractor="word", form="reference")
    method.prepare(vgg(0), started(first=first, second=({"layers": ["conv4"]}, "first")))
    assert method.maps == {"conv4": "conv4.input"}
    with pytest.raises(UserError, match=r"layers is missing here and in the stage it starts from \(second\)"):
        methods.build("anti_transfer", extractor="word").prepare(vgg(0), started(second=({}, "a run")))
