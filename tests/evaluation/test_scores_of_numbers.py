import json

import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation.intervals import interval
from serkit.evaluation.metrics import ccc
from serkit.evaluation.predictions import NumberPredictions
from serkit.evaluation.scores import Scores, rows, scores
from serkit.flags import Flag

FLAG = Flag("protocol", "caution", "speakers may be in both parts")


def made(speakers=6, each=8, seeds=(0,), corpora=("one",), seed=0):
    """Two targets: the first predicted well, the second hardly; speakers have a level of their own."""
    generator = np.random.default_rng(seed)
    names = [f"{corpora[s % len(corpora)]}/s{s}" for s in range(speakers) for _ in range(each)]
    truth = generator.normal(0, 1, (len(names), 2))
    level = np.repeat(generator.normal(0, 0.2, (speakers, 2)), each, axis=0)
    values = [np.array([0.8, 0.1]) * truth + level + generator.normal(0, 0.3, truth.shape) for _ in seeds]
    count = len(names) * len(seeds)
    return NumberPredictions(
        ids=tuple(f"{name}-{n}" for _ in seeds for n, name in enumerate(names)),
        speakers=tuple(names * len(seeds)),
        truth=np.concatenate([truth] * len(seeds)),
        values=np.concatenate(values),
        targets=("valence", "arousal"),
        folds=np.ones(count, dtype=int),
        seeds=np.repeat(seeds, len(names)),
    )


def test_scores_are_those_of_the_predictions():
    predictions = made()
    found = scores(predictions, [FLAG]).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert (found["n"], found["utterances"], found["flags"]) == (48, 48, [FLAG.to_dict()])
    for column, name in enumerate(predictions.targets):
        truth, values = predictions.truth[:, column], predictions.values[:, column]
        table = found["targets"][name]
        assert table["ccc"]["estimate"] == pytest.approx(ccc(truth, values))
        assert table["rmse"]["estimate"] == pytest.approx(np.sqrt(np.mean((truth - values) ** 2)))
        assert table["range"] == [truth.min(), truth.max()]
        for metric in ("ccc", "pearson", "rmse", "mae"):
            assert table[metric]["low"] < table[metric]["estimate"] < table[metric]["high"]
            assert table[metric]["clusters"] == 6 and "5 degrees" in table[metric]["method"]
        # The mean of the truth itself: no concordance, and the labels' deviation for an error.
        assert table["constant"]["ccc"] == pytest.approx(0, abs=1e-12)
        assert table["constant"]["rmse"] == pytest.approx(truth.std())
    both = [found["targets"][name]["ccc"]["estimate"] for name in predictions.targets]
    assert found["ccc"]["estimate"] == pytest.approx(np.mean(both)) == pytest.approx(predictions.value())
    assert found["ccc"]["low"] < found["ccc"]["estimate"] < found["ccc"]["high"]
    assert "corpora" not in found and list(found["seeds"]) == ["each"]


def test_the_mean_of_the_training_part_is_what_has_learned_nothing():
    predictions = made()
    constants = np.broadcast_to([1.0, -1.0], predictions.truth.shape)
    table = scores(predictions, learned=constants).to_dict()["targets"]["valence"]["constant"]
    assert table["mae"] == pytest.approx(np.abs(predictions.truth[:, 0] - 1).mean())


def test_speakers_corpora_and_seeds_are_scored_apart():
    predictions = made(seeds=(0, 1), corpora=("one", "two"))
    found = scores(predictions).to_dict()
    assert (found["n"], found["utterances"]) == (96, 48)
    of_speaker = predictions.select(np.array(predictions.speakers) == "two/s1")
    assert found["speakers"]["two/s1"] == {"n": 16, "ccc": pytest.approx(of_speaker.value())}
    one = predictions.select(np.array(predictions.corpora) == "one")
    assert found["corpora"]["one"]["n"] == 48
    assert found["corpora"]["one"]["ccc"]["estimate"] == pytest.approx(one.value())
    each = [predictions.select(predictions.seeds == seed).value() for seed in (0, 1)]
    assert [found["seeds"]["each"][seed]["ccc"] for seed in ("0", "1")] == pytest.approx(each)
    assert found["seeds"]["mean"]["ccc"] == pytest.approx(np.mean(each))
    assert found["seeds"]["sd"]["ccc"] == pytest.approx(np.std(each, ddof=1))


def test_labels_that_are_missing_do_not_count():
    predictions = made()
    predictions.truth[:20, 1] = np.nan
    table = scores(predictions).to_dict()["targets"]["arousal"]
    assert table["n"] == 28
    assert table["ccc"]["estimate"] == pytest.approx(ccc(predictions.truth[20:, 1], predictions.values[20:, 1]))


def test_speakers_without_a_label_count_for_nothing():
    """A target that four of ten speakers were rated for has the interval of those four alone."""
    predictions = made(speakers=10)
    predictions.truth[32:, 1] = np.nan
    found = scores(predictions).to_dict()
    assert found["targets"]["arousal"] == scores(predictions.select(np.arange(32))).to_dict()["targets"]["arousal"]
    assert found["targets"]["arousal"]["ccc"]["clusters"] == 4 and found["targets"]["valence"]["ccc"]["clusters"] == 10
    rated, unrated = (predictions.select(np.array(predictions.speakers) == name) for name in ("one/s3", "one/s4"))
    assert found["speakers"]["one/s3"]["ccc"] == pytest.approx(rated.value())
    assert found["speakers"]["one/s4"]["ccc"] == pytest.approx(ccc(unrated.truth[:, 0], unrated.values[:, 0]))
    assert found["ccc"]["estimate"] == pytest.approx(
        np.mean([table["ccc"]["estimate"] for table in found["targets"].values()])
    )


def test_a_corpus_is_scored_by_what_it_has_labels_of():
    predictions = made(corpora=("one", "two", "three"), speakers=9)
    corpora = np.array(predictions.corpora)
    predictions.truth[corpora == "two", 1] = np.nan
    predictions.truth[np.flatnonzero(corpora == "three")[1:]] = np.nan
    found = scores(predictions).to_dict()
    assert {name: list(part["targets"]) for name, part in found["corpora"].items()} == {
        "one": ["valence", "arousal"],
        "two": ["valence"],
    }
    two = found["corpora"]["two"]
    assert two["ccc"]["estimate"] == pytest.approx(two["targets"]["valence"]["ccc"]["estimate"])


def test_nothing_to_agree_with_is_refused():
    predictions = made()
    with pytest.raises(UserError, match="one utterance"):
        scores(predictions.select(np.array([0]))).to_dict()
    predictions.truth[:, 1] = np.nan
    with pytest.raises(UserError, match="fewer than two utterances have a label of 'arousal'"):
        scores(predictions).to_dict()


def test_perfect_numbers_have_an_interval_too():
    predictions = made()
    predictions.values[:] = predictions.truth
    found = scores(predictions).to_dict()
    assert found["ccc"]["estimate"] == pytest.approx(1) and 0.999 < found["ccc"]["low"] <= found["ccc"]["high"] <= 1


@pytest.mark.parametrize("speakers", [4, 10, 24])
def test_intervals_cover_the_truth(speakers):
    """Speakers with a level of their own; the truth from 20000 of them. 400 repetitions: 95 +- 2.2 %."""
    generator = np.random.default_rng(speakers)

    def draw(count):
        truth = generator.normal(0, 1, (count, 12))
        return truth, 0.6 * truth + generator.normal(0, 0.3, (count, 1)) + generator.normal(0, 0.5, truth.shape)

    truth, values = draw(20_000)
    known = {"ccc": ccc(truth.ravel(), values.ravel()), "rmse": np.sqrt(np.mean((truth - values) ** 2))}
    names = np.repeat([f"x/s{speaker}" for speaker in range(speakers)], 12)
    covered = dict.fromkeys(known, 0)
    for _ in range(400):
        truth, values = draw(speakers)
        predictions = NumberPredictions(
            ids=tuple(f"{name}-{n}" for n, name in enumerate(names)),
            speakers=tuple(names),
            truth=truth.reshape(-1, 1),
            values=values.reshape(-1, 1),
            targets=("valence",),
            folds=np.ones(len(names), dtype=int),
            seeds=np.zeros(len(names), dtype=int),
        )
        for metric, value in known.items():
            found = interval(predictions, metric)
            covered[metric] += found.low <= value <= found.high
    assert all(0.92 <= count / 400 <= 0.985 for count in covered.values()), covered


def test_scores_of_an_older_file_are_read_as_those_of_today():
    predictions = made(corpora=("one", "two"))
    today = scores(predictions, [FLAG], predictions.truth - 1).to_dict()
    old = {key: value for key, value in today.items() if key != "task"} | {"flags": [FLAG.text], "targets": {}}
    for name, table in today["targets"].items():
        constant = {key: value for key, value in table["constant"].items() if key not in ("answer", "of")}
        rest = {key: value for key, value in table.items() if key != "constant"}
        old["targets"][name] = {**rest, "mean_predictor": constant}
    read = Scores.parse(old, "scores.json")
    assert read.to_dict() == today == Scores.parse(today, "scores.json").to_dict()


def test_every_target_has_a_row_for_each_corpus_with_labels_and_the_constant():
    predictions = made(corpora=("one", "two"))
    predictions.truth[np.array(predictions.corpora) == "two", 1] = np.nan
    assert [(row.target, row.kind, row.name, row.n) for row in rows(scores(predictions))] == [
        ("valence", "all", "", 48),
        ("valence", "corpus", "one", 24),
        ("valence", "corpus", "two", 24),
        ("valence", "constant", "the mean", 48),
        ("arousal", "all", "", 24),
        ("arousal", "corpus", "one", 24),
        ("arousal", "constant", "the mean", 24),
    ]
