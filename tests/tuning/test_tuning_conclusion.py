"""The sentence that ends a search."""

from dataclasses import replace

import pytest

pytest.importorskip("optuna", reason="needs the tune extra")

from serkit.tuning.conclusion import of_search
from serkit.tuning.results import Definition, HeldOut, Row, Search
from serkit.tuning.rounds import Round


def search(*scores, state="done"):
    """Trials with the given scores of their folds; the best first."""
    rows = [
        Row("r", slot, state, sum(folds) / len(folds), [{"uar": fold} for fold in folds], {}, 1.0, "", None)
        for slot, folds in enumerate(scores)
    ]
    definition = Definition(study="s", rounds=[Round(name="r", trials=3)], folds=[], metric="uar")
    return Search(definition, {}, rows, {"r": len(rows)})


def test_the_lead_is_measured_on_the_same_folds():
    # Differences of 1 and 5 points: mean 3, standard error 2. Then of -1 and 5: mean 2, standard error 3.
    said = of_search(search((0.6, 0.7), (0.59, 0.65), (0.61, 0.65)), held_out=True)
    assert said == (
        "Trial 0 is the best of 3, with 1 within one standard error of it: UAR 65.0% over 2 inner folds, which range "
        "over 60.0\u201370.0; chosen as the highest, it is too optimistic: only its score on --protocol held-out "
        "says how well it works."
    )


def test_the_test_of_another_trial_is_not_taken_for_that_of_the_best():
    tested = HeldOut(
        round="r", trial=1, metric="uar", value=0.5, low=0.4, high=0.6, method="m", utterances=9, speakers=2
    )
    found = replace(search((0.9, 0.9), (0.6, 0.6)), held_out=tested)
    assert not found.best_is_tested
    assert "it was not tested, unlike the one that was the best before: on 9 held-out" in of_search(
        found, held_out=True
    )
    found = replace(found, held_out=tested.model_copy(update={"trial": 0}))
    assert found.best_is_tested and "it is too optimistic: on 9 held-out" in of_search(found, held_out=True)


def test_a_clear_lead_and_no_held_out_part():
    said = of_search(search((0.9, 0.9), (0.6, 0.6)), held_out=False)
    assert "with none within one standard error" in said and "only its score on other recordings says" in said


def test_one_trial_and_none():
    assert of_search(search((0.6, 0.7)), held_out=True).startswith("One trial is done (UAR 65.0% over 2 inner folds")
    assert of_search(search((0.6,), state="pruned"), held_out=True).startswith("No trial is done")
