"""The discriminant is that of scikit-learn for one voice, and finds classes under voices and uneven labels."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from serkit import methods, networks
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.methods.discriminant import Sample, balanced, covariances, effects
from serkit.networks.layers.normalization import Normalisation
from serkit.networks.network import Model
from serkit.training.batches import ItemData

NAMES = ["anger", "joy", "neutral"]
SHAPES = {"one": (2,), "two": (2,)}
# The first and last input tell the classes apart, the others hardly.
CENTERS = np.array([[3.0, 0.0, 0.1, -2.0], [0.0, 0.3, 0.0, 2.0], [-3.0, 0.0, 0.2, 0.0]])


def problem(classes_of, speakers=4, each=12, voice=2.0, seed=0, centers=CENTERS):
    """Recordings of `speakers` voices in each corpus, whose classes are given: items, arrays by view, truth."""
    generator = np.random.default_rng(seed)
    items, rows, truth = [], [], []
    for corpus, classes in classes_of.items():
        for speaker in range(speakers):
            offset = voice * generator.standard_normal(4)
            for number in range(each):
                label = classes[number % len(classes)]
                name = f"{corpus}/{speaker}_{number}"
                targets = {"emotion": NAMES[label]}
                items.append(Item(Utterance(name, Path("x.wav"), speaker=f"{corpus}/{speaker}", targets=targets)))
                rows.append(centers[label] + offset + generator.standard_normal(4))
                truth.append(label)
    x = (np.array(rows) * [1, 10, 3, 0.1] + [0, 5, 1, 2]).astype(np.float32)
    return items, {"one": list(x[:, :2]), "two": list(x[:, 2:])}, np.array(truth)


def fit(made, network="linear", classes=NAMES, normalised=SHAPES, **options):
    """Fit through the method as a stage does; return the model, and a function from arrays to logits."""
    items, arrays, _ = made
    normalisations = {view: Normalisation(SHAPES[view], "band") for view in normalised}
    model = Model(networks.build(network, SHAPES, {"emotion": len(classes)}), normalisations)
    for view in normalised:
        model.fit_normalisation(view, map(torch.from_numpy, arrays[view]))
    method = methods.build("discriminant", **options)
    data = ItemData(items, arrays, SHAPES, {"emotion": classes})
    method.prepare(model, SimpleNamespace(training=items, items=items, classes={"emotion": classes}))
    model = method.finish(model.eval(), data.batches(range(len(items)), 32))

    def logits(arrays):
        batch = ItemData(items[: len(arrays["one"])], arrays, SHAPES, {}).batch(range(len(arrays["one"])))
        with torch.inference_mode():
            return model(batch).predictions["emotion"].numpy()

    return model, logits, method


def joined(made):
    return np.concatenate([np.array(made[1]["one"]), np.array(made[1]["two"])], 1).astype(np.float64)


def sample_of(made):
    items, _, truth = made
    names = [(item.utterance.corpus, item.utterance.speaker) for item in items]
    corpora, voices = (np.unique(part, return_inverse=True)[1] for part in zip(*names, strict=True))
    return Sample(joined(made), truth, voices, corpora)


def right(logits, made):
    return float(np.mean(logits(made[1]).argmax(1) == made[2]))


def test_one_voice_gives_scikit_learns_discriminant():
    made, other = problem({"a": [0, 1, 2]}, speakers=1, each=90), problem({"a": [0, 1, 2]}, speakers=1, seed=1)
    _, logits, _ = fit(made, shrinkage=0.2, voices=1.0)
    x = joined(made)
    mean, deviation = x.mean(0), x.std(0)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2).fit((x - mean) / deviation, made[2])
    expected = reference.decision_function((joined(other) - mean) / deviation)
    found = logits(other[1])
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=2e-2)


def test_means_and_offsets_are_found_though_no_corpus_has_all_classes():
    made = problem({"a": [0, 1], "b": [1, 2], "c": [0, 2]}, speakers=6, each=60, voice=5.0)
    sample = sample_of(made)
    means, offsets = effects(sample, np.ones(3), 3)
    expected = (CENTERS - CENTERS.mean(0)) * [1, 10, 3, 0.1]
    np.testing.assert_allclose(means / [1, 10, 3, 0.1], expected / [1, 10, 3, 0.1], atol=0.3)
    residual = (sample.x - means[sample.truth] - offsets[sample.voices]) / [1, 10, 3, 0.1]
    assert abs(residual.std() - 1) < 0.05
    _, within, between = covariances(sample, np.ones(3), means, offsets)
    assert np.allclose(np.diag(within) / [1, 100, 9, 0.01], 1, atol=0.15)
    assert np.all(np.diag(between) / [1, 100, 9, 0.01] > 5)


def test_a_class_that_is_unknown_in_a_corpus_does_not_move():
    """Centering each voice by its mean alone would place joy of `b` (with neutral) where anger of `a` (with joy) is."""
    made = problem({"a": [0, 1], "b": [1, 2]}, speakers=8, each=40, voice=0.5)
    stranger = problem({"c": [0, 1, 2]}, speakers=8, each=30, voice=0.5, seed=5)
    _, logits, _ = fit(made)
    assert right(logits, stranger) > 0.8


def test_inputs_in_which_voices_differ_count_less():
    centers = np.array([[1.5, 0, 0, 1.5], [0, 0, 0, 0], [-1.5, 0, 0, -1.5]])
    made = problem({"a": [0, 1, 2], "b": [0, 1, 2]}, speakers=20, each=30, voice=0.0, centers=centers)
    generator = np.random.default_rng(3)
    offsets = dict(zip({i.utterance.speaker: 0 for i in made[0]}, 6 * generator.standard_normal(40), strict=True))
    for item, array in zip(made[0], made[1]["one"], strict=True):
        array[0] += offsets[item.utterance.speaker]
    known, unknown = (fit(made, voices=voices)[0].network.head["emotion"].weight for voices in (0.0, 1.0))
    # The last input is as good a sign of the class, and the same for all voices.
    assert abs(unknown[0, 0] / unknown[0, 3]) < 0.3 * abs(known[0, 0] / known[0, 3])


def test_corpora_and_classes_count_the_same():
    items, arrays, truth = problem({"a": [0, 0, 0, 1], "b": [2]}, speakers=2, each=8)
    sample = sample_of((items, arrays, truth))
    weights = balanced(sample, np.array([1.0, 0.5]))
    assert weights.sum() == pytest.approx(1)
    totals = {label: weights[truth == label].sum() for label in range(3)}
    assert totals == pytest.approx({0: 1 / 3, 1: 1 / 3, 2: 1 / 3})
    assert fit((items, arrays, truth), weights={"b": 0.5})[2].report()["emotion"]["voices"] == 4


def test_copies_are_voices_of_their_own():
    items, _, _ = problem({"a": [0, 1]}, speakers=1, each=2)
    slower = Item(items[0].utterance, copy="slower")
    unknown = Item(Utterance("a/u", Path("x.wav"), targets={"emotion": "joy"}))
    method = methods.build("discriminant")
    assert method.identity([items[0], slower, unknown]) == [["a", "a/0+"], ["a", "a/0+slower"], ["a", "a+"]]


def test_the_mean_of_the_voices_becomes_the_origin():
    made = problem({"a": [0, 1, 2], "b": [0, 1, 2]}, speakers=5, each=30)
    model, _, _ = fit(made)
    sample = sample_of(made)
    means, offsets = effects(sample, np.ones(2), 3)
    center = covariances(sample, np.ones(2), means, offsets)[0]
    found = np.concatenate([model.normalisation(view).mean.numpy() for view in ("one", "two")])
    np.testing.assert_allclose(found, center, rtol=1e-2, atol=0.05)


def test_a_class_without_recordings_is_never_answered():
    made = problem({"a": [0, 2], "b": [0, 2]})
    _, logits, _ = fit(made)
    assert not (logits(made[1]).argmax(1) == 1).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shrinkage": 0}, "shrinkage must be above 0"),
        ({"shrinkage": 1.5}, "at most 1"),
        ({"voices": -1}, "voices must be 0 or more"),
        ({"weights": {"a": 0}}, "weights must be above 0"),
    ],
)
def test_impossible_options_are_refused(options, said):
    with pytest.raises((UserError, ValueError), match=said):
        methods.build("discriminant", **options)


def test_what_it_cannot_fit_is_refused():
    made = problem({"a": [0, 1]})
    other = Model(networks.build("fcn", {"one": (2,)}, {"emotion": 3}))
    with pytest.raises(UserError, match="requires network 'linear', got Fcn"):
        methods.build("discriminant").prepare(other, SimpleNamespace(training=made[0], classes={"emotion": NAMES}))
    with pytest.raises(UserError, match="normalise = 'band'"):
        fit(made, normalised=("one",))
    with pytest.raises(UserError, match="2 are required"):
        fit(problem({"a": [1]}))
