"""The machine in the linear layer is scikit-learn's; its probabilities are calibrated on what it was not fitted to."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from serkit import methods, networks
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.network import Model
from serkit.training.batches import ItemData

NAMES = ["anger", "joy", "neutral"]


def problem(count=120, classes=3, speakers=6, noise=1.3, seed=0, labels=None):
    """Overlapping clouds in two views of unlike scale, 4 and 3 numbers: items, arrays by view, classes."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, count) if labels is None else np.asarray(labels)
    centers = np.random.default_rng(9).normal(0, 1, (len(NAMES), 7))
    x = centers[truth] + noise * generator.standard_normal((count, 7))
    x = (x * [1, 10, 0.1, 3, 1, 100, 5] + [0, 5, 1, -2, 0, 300, 1]).astype(np.float32)
    items = [
        Item(Utterance(f"table/{row}", Path("x.wav"), speaker=f"s{row % speakers}", targets={"emotion": NAMES[label]}))
        for row, label in enumerate(truth)
    ]
    return items, {"one": list(x[:, :4]), "two": list(x[:, 4:])}, truth


def data_of(items, arrays, classes=NAMES):
    return ItemData(items, arrays, {"one": (4,), "two": (3,)}, {"emotion": classes})


def fit(made, held=None, classes=NAMES, seed=0, **options):
    """Fit through the method as a stage does; return model, method and a function from items to logits."""
    items, arrays, _ = made
    shapes = {"one": (4,), "two": (3,)}
    normalisations = {view: Normalisation(shape, "band") for view, shape in shapes.items()}
    model = Model(networks.build("linear", shapes, {"emotion": len(classes)}), normalisations)
    for view in shapes:
        model.fit_normalisation(view, map(torch.from_numpy, arrays[view]))
    method = methods.build("svm", **options)
    training = data_of(items, arrays, classes)
    method.prepare(model, SimpleNamespace(training=items, items=items, seed=seed))
    batches = training.batches(range(len(items)), 32)
    others = [] if held is None else data_of(held[0], held[1], classes).batches(range(len(held[0])), 32)
    model = method.finish(model.eval(), batches, others)

    def logits(other):
        with torch.inference_mode():
            return (
                model(data_of(other[0], other[1], classes).batch(range(len(other[0])))).predictions["emotion"].numpy()
            )

    return model, method, logits


def joined(made):
    return np.concatenate([np.array(made[1]["one"]), np.array(made[1]["two"])], 1).astype(np.float64)


def reference(made, **options):
    scaler = StandardScaler().fit(joined(made))
    machine = LinearSVC(random_state=0, max_iter=10_000, **options).fit(scaler.transform(joined(made)), made[2])
    return lambda other: machine.decision_function(scaler.transform(joined(other))), machine, scaler


def held_out(made, c=1.0, **options):
    """Decision values of each item by a machine without its speaker's fold, by scikit-learn alone."""
    x = StandardScaler().fit_transform(joined(made))
    groups = [item.utterance.speaker for item in made[0]]
    values = np.zeros((len(x), len(set(made[2]))))
    for rest, part in GroupKFold(min(5, len(set(groups)))).split(x, made[2], groups):
        machine = LinearSVC(C=c, random_state=0, max_iter=10_000, **options).fit(x[rest], made[2][rest])
        values[part] = machine.decision_function(x[part])
    return values


def best_scale(values, truth):
    """The temperature of highest likelihood, each class counted once more for every item's share of it."""
    n, classes = values.shape
    target = (n * np.eye(classes)[truth] + 1) / (n + classes)
    found = minimize_scalar(
        lambda t: -(target * log_softmax(values / np.exp(t), axis=1)).sum(), bounds=(-14, 9), method="bounded"
    )
    return np.exp(found.x)


# --- the machine


@pytest.mark.parametrize("kind", ["ovr", "crammer_singer"])
@pytest.mark.parametrize("class_weights", [None, "balanced"])
@pytest.mark.parametrize("c", [1.0, 0.01])
def test_labels_and_decision_values_are_scikit_learns(kind, class_weights, c):
    made, other = problem(), problem(seed=1)
    expected = reference(made, C=c, class_weight=class_weights, multi_class=kind)[0](other)
    _, method, logits = fit(made, c=c, class_weights=class_weights, kind=kind)
    found, scale = logits(other), method.report()["emotion"]["temperature"]
    assert (found.argmax(1) == expected.argmax(1)).all()
    np.testing.assert_allclose(found * scale, expected, atol=2e-3)
    assert method.report()["emotion"]["c"] == c
    assert method.report()["emotion"]["inputs"] == 7 and method.report()["emotion"]["items"] == 120


def test_two_classes_have_one_plane():
    made, other = problem(classes=2), problem(classes=2, seed=1)
    expected = reference(made)[0](other)
    assert expected.ndim == 1
    _, method, logits = fit(made, classes=NAMES[:2])
    found, scale = logits(other), method.report()["emotion"]["temperature"]
    np.testing.assert_allclose(found * scale, np.stack([-expected, expected], 1), atol=2e-3)
    assert (found.argmax(1) == (expected > 0)).all()


def test_a_class_the_training_part_does_not_have_is_never_chosen():
    made, other = problem(labels=[0, 2] * 60), problem(seed=1)
    _, method, logits = fit(made)
    found = logits(other)
    assert set(found.argmax(1)) == {0, 2}
    assert softmax(found, axis=1)[:, 1].max() < 1e-20
    assert 0.05 < method.report()["emotion"]["temperature"] < 20


def test_many_more_inputs_than_items():
    made = problem(count=6, speakers=3, labels=[0, 1, 2] * 2)
    _, _, logits = fit(made)
    assert (logits(made).argmax(1) == made[2]).all()


def test_one_class_is_refused():
    with pytest.raises(UserError, match="method 'svm': 1 class of 'emotion' in the training part; 2 are required"):
        fit(problem(labels=[1] * 20, count=20))


def test_items_without_a_label_are_left_out():
    items, arrays, truth = problem()
    known = np.arange(len(items)) % 4 != 0
    cut = [Item(Utterance(item.id, Path("x.wav"), speaker=item.utterance.speaker)) if not k else item
           for item, k in zip(items, known, strict=True)]  # fmt: skip
    # The normalisation counts them, as features; the machine does not.
    model, method, _ = fit((cut, arrays, truth))
    assert method.report()["emotion"]["items"] == known.sum()
    x = StandardScaler().fit_transform(joined((items, arrays, truth)))
    machine = LinearSVC(random_state=0, max_iter=10_000).fit(x[known], truth[known])
    scale = method.report()["emotion"]["temperature"]
    np.testing.assert_allclose(model.network.head["emotion"].weight.detach().numpy() * scale, machine.coef_, atol=1e-3)


# --- its probabilities


def test_the_temperature_comes_from_speakers_held_out():
    made = problem()
    _, method, _ = fit(made)
    report = method.report()["emotion"]
    values = held_out(made)
    assert report["temperature"] == pytest.approx(best_scale(values, made[2]), rel=1e-3)
    assert report["calibrated_on"] == "120 items: groups held out of the training part"
    by_recall = recall_score(made[2], values.argmax(1), average="macro")
    assert report["held_out_uar"] == {"1.0": pytest.approx(by_recall)}


def test_speakers_are_kept_apart():
    """Labels that only the speaker tells: without a speaker's own items they cannot be guessed."""
    items, arrays, _ = problem(speakers=6)
    truth = np.array([int(item.utterance.speaker[1:]) % 3 for item in items])
    for item, place in zip(items, truth, strict=True):
        item.utterance.targets["emotion"] = NAMES[place]
    for row, item in enumerate(items):
        arrays["one"][row][:] = 50 * np.random.default_rng(int(item.utterance.speaker[1:])).standard_normal(4)
    _, method, logits = fit((items, arrays, truth))
    assert (logits((items, arrays, truth)).argmax(1) == truth).all()
    assert method.report()["emotion"]["held_out_uar"]["1.0"] < 0.6


@pytest.mark.parametrize("speakers", ["one", "unknown"])
def test_without_speakers_utterances_are_the_groups(speakers):
    items, arrays, truth = problem(count=40)
    name = "s0" if speakers == "one" else None
    alone = [Item(Utterance(item.id, Path("x.wav"), speaker=name, targets=item.utterance.targets)) for item in items]
    named = [Item(Utterance(i.id, Path("x.wav"), speaker=i.id, targets=i.utterance.targets)) for i in items]
    found, expected = (fit((made, arrays, truth))[1].report() for made in (alone, named))
    assert found == expected and found["emotion"]["held_out_uar"]["1.0"] > 0.5


def test_the_validation_part_is_used_where_there_is_one():
    made, held = problem(), problem(count=50, seed=5, noise=3.0)
    _, method, _ = fit(made, held)
    report = method.report()["emotion"]
    assert report["temperature"] == pytest.approx(best_scale(reference(made)[0](held), held[2]), rel=1e-3)
    assert report["calibrated_on"] == "50 items: validation part" and report["held_out_uar"] == {}


def test_probabilities_are_right_where_the_problem_is_new():
    """Of new speakers' items with a probability of about p, a share of about p is right."""
    made, other = problem(count=600, speakers=12), problem(count=4000, seed=3)
    _, _, logits = fit(made)
    found = softmax(logits(other), axis=1)
    sure, right = found.max(1), found.argmax(1) == other[2]
    for low, high in ((0.34, 0.6), (0.6, 0.8), (0.8, 1.0)):
        bin = (sure > low) & (sure <= high)
        assert bin.sum() > 100
        assert right[bin].mean() == pytest.approx(sure[bin].mean(), abs=0.08)


def test_features_that_know_the_labels_do_not_make_it_certain():
    made = problem(noise=0.01)
    _, method, logits = fit(made)
    assert method.report()["emotion"]["held_out_uar"]["1.0"] == 1
    sure = softmax(logits(made), axis=1).max(1)
    # Of 120 items and 3 classes: (120 + 1) / (120 + 3).
    assert sure.mean() == pytest.approx(121 / 123, abs=0.01)


# --- the choice of C


def test_c_is_chosen_inside_the_training_part():
    made = problem(count=90, noise=2.5)
    candidates = [10.0, 1e-6, 1e-3]
    _, method, _ = fit(made, c=candidates, class_weights="balanced")
    expected = {}
    for c in candidates:
        values = held_out(made, c, class_weight="balanced")
        expected[c] = recall_score(made[2], values.argmax(1), average="macro")
    assert len(set(expected.values())) > 1
    report = method.report()["emotion"]
    assert report["held_out_uar"] == pytest.approx({str(c): expected[c] for c in sorted(candidates)})
    assert report["c"] == max(sorted(expected), key=expected.get)
    scale = best_scale(held_out(made, report["c"], class_weight="balanced"), made[2])
    assert report["temperature"] == pytest.approx(scale, rel=1e-3)
    # The same with a validation part, which only sets the temperature.
    assert (
        fit(made, problem(count=30, seed=5), c=candidates, class_weights="balanced")[1].report()["emotion"][
            "held_out_uar"
        ]
        == report["held_out_uar"]
    )


def test_of_equals_the_smallest_c_is_taken():
    _, method, _ = fit(problem(noise=0.01), c=[10.0, 0.1, 1.0])
    report = method.report()["emotion"]
    assert set(report["held_out_uar"].values()) == {1.0} and report["c"] == 0.1


# --- around it


def test_the_order_of_the_views_makes_no_difference():
    shapes = {"one": (4,), "two": (2, 3)}
    first = networks.build("linear", shapes, {"emotion": 3})
    second = networks.build("linear", dict(reversed(shapes.items())), {"emotion": 3})
    second.load_state_dict(first.state_dict())
    data = ItemData(
        problem(count=5)[0],
        {view: list(np.random.default_rng(0).random((5, *shape), dtype=np.float32)) for view, shape in shapes.items()},
        shapes,
    )
    batch = data.batch(range(5))
    joint = torch.cat([batch.views["one"], batch.views["two"].flatten(1)], 1)
    for network in (first, second):
        assert torch.equal(network(batch).features, joint)
        assert torch.equal(network(batch).predictions["emotion"], first.head["emotion"](joint))


def test_it_needs_a_linear_network():
    model = Model(networks.build("cnn", {"mel": (8, None)}, {"emotion": 2}))
    with pytest.raises(UserError, match="method 'svm' requires network 'linear', got Cnn"):
        methods.build("svm").prepare(model, SimpleNamespace(training=[], seed=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c": 0.0}, "c must be a number above 0, or a list of such numbers, got 0.0"),
        ({"c": [1.0, -1.0]}, "c must be a number above 0, or a list of such numbers"),
        ({"c": []}, "c must be a number above 0, or a list of such numbers"),
        ({"kind": "ovo"}, "unknown kind 'ovo'. Did you mean 'ovr'"),
        ({"class_weights": "balance"}, "unknown class_weights 'balance'"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        methods.build("svm", **options)
