from pathlib import Path

import numpy as np
import pytest

from serkit.corpora import Utterance
from serkit.evaluation import Predictions
from serkit.evaluation.properties import Properties
from serkit.evaluation.slices import slices


def run(count=80, seeds=1):
    """8 speakers, two classes; the first half of the speakers is female and always right, the others never."""
    ids = [f"x/{number}" for number in range(count)] * seeds
    speakers = [f"x/s{number % 8}" for number in range(count)] * seeds
    truth = np.array([number // 8 % 2 for number in range(count)] * seeds)
    female = np.array([number % 8 < 4 for number in range(count)] * seeds)
    answers = np.where(female, truth, 1 - truth)
    predictions = Predictions(
        ids=tuple(ids),
        speakers=tuple(speakers),
        truth=truth,
        probabilities=np.where(answers[:, None] == [0, 1], 0.9, 0.1),
        classes=("calm", "loud"),
        folds=np.ones(len(ids), dtype=int),
        seeds=np.repeat(np.arange(seeds), count),
    )
    utterances = {
        id: Utterance(id, Path(id), speaker=speaker, sex="female" if is_female else "male", language="de")
        for id, speaker, is_female in zip(ids, speakers, female, strict=True)
    }
    measured = {id: Properties(1 + number / 40, -20.0, np.nan) for number, id in enumerate(ids[:count])}
    return predictions, utterances, measured


def by_value(rows):
    return {row.value: row.to_dict() for row in rows}


def test_slices_are_scored_by_themselves():
    rows = by_value(slices(*run())["sex"])
    assert list(rows) == ["female", "male"]
    assert rows["female"]["uar"]["estimate"] == 1 and rows["male"]["uar"]["estimate"] == 0
    assert rows["female"]["n"] == 40 and rows["female"]["speakers"] == 4
    assert rows["female"]["ece"] == pytest.approx(0.1) and rows["male"]["ece"] == pytest.approx(0.9)
    assert rows["female"]["uar"]["low"] < 1
    assert rows["female"]["commonest"] == {"class": "calm", "share": 0.5}
    assert rows["female"]["warnings"] == []


def test_a_slice_for_each_speaker_and_language():
    found = slices(*run())
    assert [row.n for row in found["speaker"]] == [10] * 8
    assert [row.value for row in found["language"]] == ["de"]
    assert found["speaker"][0].warnings == ["only 10 utterances"]


def test_numbers_are_cut_at_rounded_quartiles():
    predictions, utterances, measured = run()
    # 1.0 to 2.975 s: quartiles 1.49375, 1.9875, 2.48125.
    rows = slices(predictions, utterances, measured)["duration"]
    assert [row.value for row in rows] == ["below 1.5", "1.5 to 2", "2 to 2.5", "2.5 and more"]
    assert [row.n for row in rows] == [20, 20, 20, 20]


def test_what_is_the_same_everywhere_or_unknown_is_one_slice():
    predictions, utterances, measured = run()
    found = slices(predictions, utterances, measured)
    assert [row.value for row in found["loudness"]] == ["all"]
    assert [row.value for row in found["snr"]] == ["unknown"]
    del measured["x/0"], utterances["x/1"]
    found = slices(predictions, utterances, measured)
    assert found["duration"][-1].value == "unknown" and found["duration"][-1].n == 1
    assert found["sex"][-1].value == "unknown" and found["sex"][-1].n == 1


def test_seeds_are_predictions_but_no_further_utterances():
    [row] = slices(*run(seeds=3))["language"]
    assert row.n == 240 and row.utterances == 80


def test_small_slices_carry_warnings():
    predictions, utterances, measured = run()
    # Speakers 0 and 1, all calm but for two.
    few = predictions.select(np.array([id for id in range(80) if id % 8 < 2 and (id // 8 % 2 == 0 or id in (8, 9))]))
    [row] = slices(few, utterances, measured)["language"]
    assert row.warnings == ["only 12 utterances", "only 2 speakers", "fewer than 5 of loud"]
    calm = predictions.select(predictions.truth == 0)
    [row] = slices(calm, utterances, measured)["language"]
    assert row.warnings == ["none of loud: UAR covers the other classes"]
