import json

import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation.intervals import interval
from serkit.evaluation.metrics import CLASSES
from serkit.evaluation.scores import Baseline, Scores, Value, rows, scores
from serkit.flags import Flag

FLAG = Flag("protocol", "caution", "speakers may be in both parts")


@pytest.fixture
def predictions(make):
    # Class d does not occur. Two corpora of two speakers each.
    return make(
        truth=[0, 0, 0, 1, 1, 2, 0, 0],
        predicted=[0, 0, 1, 1, 0, 3, 0, 1],
        speakers=["x/s", "x/s", "x/t", "x/t", "y/s", "y/s", "y/t", "y/t"],
        ids=["x/1", "x/2", "x/3", "x/4", "y/1", "y/2", "y/3", "y/4"],
    )


def test_all_scores_are_plain_json(predictions):
    found = scores(predictions, [FLAG]).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["n"], found["utterances"], found["classes"]) == (8, 8, ["a", "b", "c", "d"])
    assert found["flags"] == [FLAG.to_dict()]


def test_values_computed_by_hand(predictions):
    found = scores(predictions).to_dict()
    assert found["accuracy"]["estimate"] == pytest.approx(4 / 8)
    assert found["uar"]["estimate"] == pytest.approx((3 / 5 + 1 / 2 + 0) / 3)
    # F1: a 2 * 3 / (5 + 4), b 2 * 1 / (2 + 3), c and d 0.
    assert found["macro_f1"]["estimate"] == pytest.approx((2 / 3 + 2 / 5) / 4)
    assert found["recalls"] == {"a": pytest.approx(3 / 5), "b": 0.5, "c": 0.0, "d": None}
    assert found["confusion"] == [[3, 2, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert found["speakers"]["y/t"] == {"n": 2, "accuracy": 0.5, "uar": 0.5, "macro_f1": pytest.approx(1 / 3)}
    # All are 0.9 sure, half of them are right.
    assert found["ece"] == pytest.approx(0.4)


def test_intervals_and_their_method_are_told(predictions):
    found = scores(predictions).to_dict()["uar"]
    expected = interval(predictions, "uar")
    assert found == {
        "estimate": expected.estimate,
        "low": expected.low,
        "high": expected.high,
        "method": expected.method,
        "clusters": 4,
    }


def test_each_corpus_is_scored_where_there_are_several(predictions):
    found = scores(predictions).to_dict()["corpora"]
    assert list(found) == ["x", "y"]
    assert (found["x"]["n"], found["x"]["accuracy"]["estimate"], found["y"]["accuracy"]["estimate"]) == (
        4,
        0.75,
        0.25,
    )
    assert found["y"]["uar"]["clusters"] == 2
    assert "corpora" not in scores(predictions.select(np.arange(4))).to_dict()


def test_the_mean_of_the_corpora_counts_each_the_same(predictions):
    # x: recalls of a 2/3 and b 1, three answers; y: a 1/2, b 0, c 0.
    found = scores(predictions).to_dict()["mean"]
    assert found["n"] == 2
    assert found["uar"]["estimate"] == pytest.approx(((2 / 3 + 1) / 2 + (1 / 2 + 0 + 0) / 3) / 2)
    assert found["accuracy"]["estimate"] == pytest.approx((0.75 + 0.25) / 2)
    assert found["uar"]["low"] < found["uar"]["estimate"] < found["uar"]["high"] and found["uar"]["clusters"] == 4
    assert "mean" not in scores(predictions.select(np.arange(4))).to_dict()


def test_the_majority_class_is_that_of_training_if_known(predictions):
    assert scores(predictions).to_dict()["constant"] == {
        "answer": "a",
        "of": "truth",
        "accuracy": 5 / 8,
        "uar": pytest.approx(1 / 3),
        "macro_f1": pytest.approx(2 * 5 / (5 + 8) / 3),
    }
    assert scores(predictions, learned=["b", "a", "b"]).to_dict()["constant"] == {
        "answer": "b",
        "of": "training labels",
        "accuracy": 2 / 8,
        "uar": pytest.approx(1 / 3),
        "macro_f1": pytest.approx(2 * 2 / (2 + 8) / 3),
    }
    assert scores(predictions, learned=["d", "d", "a"]).to_dict()["constant"]["uar"] == 0
    with pytest.raises(UserError, match="unknown class 'e'"):
        scores(predictions, learned=["e"]).to_dict()


def test_seeds_have_mean_and_standard_deviation(make):
    ids = ["x/1", "x/2", "x/3", "x/4"]
    seeds = [0] * 4 + [1] * 4 + [5] * 4
    truth = [0, 0, 1, 1] * 3
    found = scores(make(truth, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0], ids=ids * 3, seeds=seeds)).to_dict()["seeds"]
    assert {seed: each["accuracy"] for seed, each in found["each"].items()} == {"0": 1.0, "1": 0.5, "5": 0.75}
    assert found["mean"]["accuracy"] == pytest.approx(0.75)
    assert found["sd"]["accuracy"] == pytest.approx(0.25)
    single = scores(make(truth[:4], [0, 0, 1, 1], ids=ids)).to_dict()["seeds"]
    assert list(single) == ["each"]


def test_a_speaker_that_is_not_known_is_called_so(make):
    found = scores(make([0, 0, 1], [0, 1, 1], speakers=["b", None, "b"], ids=["x/1", "x/2", "x/3"])).to_dict()[
        "speakers"
    ]
    assert list(found) == ["b", "unknown"]
    assert (found["b"]["n"], found["unknown"]["accuracy"]) == (2, 0.0)


def test_scores_of_an_older_file_are_read_as_those_of_today(predictions):
    today = scores(predictions, [FLAG], ["b", "a", "b"]).to_dict()
    old = {key: value for key, value in today.items() if key not in ("task", "targets", "constant")}
    old["flags"] = [FLAG.text]
    old["majority"] = {"class": "b", "of": "training labels", "accuracy": 2 / 8, "uar": 1 / 3}
    read = Scores.parse(old, "scores.json")
    assert read.to_dict() == today == Scores.parse(today, "scores.json").to_dict()
    assert "majority" in old and "constant" not in old


def test_every_corpus_the_baseline_and_the_constant_have_a_row(predictions):
    found = scores(predictions)
    found = found.model_copy(update={"baseline": Baseline(system="simple", **found.metrics)})
    of_all, x, y, mean, baseline, constant = rows(found)
    assert [(row.kind, row.name, row.n, row.target) for row in (of_all, x, y, mean, baseline, constant)] == [
        ("all", "", 8, ""),
        ("corpus", "x", 4, ""),
        ("corpus", "y", 4, ""),
        ("mean", "", 2, ""),
        ("baseline", "simple", 8, ""),
        ("constant", "a", 8, ""),
    ]
    assert list(of_all.values) == list(CLASSES) and of_all.values["uar"].high == found.metrics["uar"].high
    assert constant.values["accuracy"] == Value(5 / 8)
