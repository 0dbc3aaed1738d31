import pytest

from serkit import corpora, systems
from serkit.evaluation.scores import Scores
from serkit.runs.model_card import card

SYSTEM = systems.load(
    "linear-baseline",
    ["data.map.calm=drop", "data.map.excitement=happiness", 'data.classes=["anger", "joy", "neutral", "sadness"]'],
)


@pytest.fixture
def bundle(description):
    """The toy bundle of the recognition tests, with `changes`."""
    return description


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_all_sections_are_there_in_order(bundle):
    text = card(bundle(), SYSTEM)
    assert text.startswith("# toy\n") and text.endswith("\n")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [
        "Intended use",
        "Limits",
        "Labels",
        "Training material",
        "License of the weights",
        "Scores",
        "Calibration",
        "Size and exactness",
        "How to use it",
        "Personal data",
    ]


def test_it_says_what_it_is_not_for(bundle):
    text = card(bundle(), SYSTEM)
    assert "Not for decisions about people" in section(text, "Intended use")
    limits = section(text, "Limits")
    assert "*displayed*" in limits and "actors (emodb)" in limits and "training material: de." in limits
    assert "electroglottograph" not in limits


def test_limits_follow_the_material_and_the_input(bundle):
    inputs = [{**bundle().inputs[0].model_dump(), "channel": "egg"}]
    trained = {"corpora": ["table"], "recordings": ["0" * 16]}
    limits = section(card(bundle(inputs=inputs, trained_on=trained, languages=[]), SYSTEM), "Limits")
    assert "electroglottograph" in limits and "actors" not in limits
    assert (
        "The metadata of table do not describe how natural the speech is" in limits
        and "training material: unknown" in limits
    )


def test_labels_say_how_they_came_about(bundle):
    text = section(card(bundle(), SYSTEM), "Labels")
    assert "`anger`, `joy`, `neutral`, `sadness`" in text
    assert "- `calm` was left out\n- `excitement` was counted as `happiness`\n- only these labels were kept: " in text
    plain = systems.load("linear-baseline")
    assert "They are the labels of the corpora." in section(card(bundle(), plain), "Labels")


def test_material_has_licence_and_citation(bundle):
    facts = corpora.facts("emodb")
    text = section(card(bundle(), SYSTEM), "Training material")
    assert facts.title in text and facts.licence in text and facts.citation in text
    assert "1 recording." in text
    assert "CC-BY-4.0" in section(card(bundle(), SYSTEM), "License of the weights")


def test_scores_have_interval_flags_and_command(bundle):
    score = {"corpus": "emodb", "protocol": "clean", "metric": "uar", "value": 0.5}
    scores = [
        {**score, "low": 0.4, "high": 0.6, "command": "serkit train a"},
        {**score, "metric": "accuracy", "flags": ["speaker | overlap"], "command": "serkit train a"},
    ]
    text = section(card(bundle(scores=scores), SYSTEM), "Scores")
    assert "| emodb | clean | UAR | 50.0% | 40.0% to 60.0% | none |" in text
    assert "| emodb | clean | accuracy | 50.0% |  | speaker \\| overlap |" in text
    assert text.count("serkit train a") == 1
    assert "recall" not in text
    assert "not been measured" in section(card(bundle(scores=[]), SYSTEM), "Scores")


def test_measured_scores_add_recalls_and_the_majority_class(bundle):
    ends = {"low": 0.4, "high": 0.7, "method": "a method", "clusters": 4}
    document = {
        "task": "classes",
        "n": 10,
        "utterances": 10,
        "seeds": {"each": {}},
        "flags": [],
        "targets": {},
        "constant": {"answer": "joy", "of": "truth", "accuracy": 0.3, "uar": 0.25, "macro_f1": 0.1},
        "accuracy": {"estimate": 0.5, **ends},
        "macro_f1": {"estimate": 0.55, **ends},
        "precision": ["32-true"],
        "configurations": 4,
        "chosen_on": "validation part of each fold",
        "uar": {"estimate": 0.6, **ends},
        "recalls": {"anger": 0.75, "joy": None},
    }
    text = section(card(bundle(), SYSTEM, Scores.parse(document, "scores.json")), "Scores")
    assert "| scored | UAR % | accuracy % | macro F1 % |" in text
    assert "| the folds' models | 60.0 | 50.0 | 55.0 |\n| always `joy` | 25.0 | 30.0 | 10.0 |" in text
    assert "Trained with precision `32-true` of Lightning Fabric." in text
    assert "| anger | 75.0% |\n| joy |  |" in text
    assert "Configurations tried: 4; chosen on: validation part of each fold. Intervals: a method." in text


def test_the_threshold_of_unsure_answers_and_what_it_is_worth(bundle):
    assert "unsure" not in card(bundle(), SYSTEM)
    limit = {"threshold": 0.4321, "rule": "below it < half is right"}
    text = section(card(bundle(unsure=limit), SYSTEM), "Calibration")
    assert "below 0.432 is marked as unsure: below it &lt; half is right." in text
    assert "are sure" not in text
    measured = {"coverage": 0.85, "accuracy": 0.75, "accuracy_unsure": 0.4}
    text = section(card(bundle(unsure=limit | measured), SYSTEM), "Calibration")
    assert "85.0% of the answers are sure, and 75.0% of those are right; of the others, 40.0% would have been" in text


def test_calibration_size_and_parity(bundle):
    text = card(bundle(), SYSTEM)
    assert "not calibrated" in section(text, "Calibration")
    assert "260 parameters" in section(text, "Size and exactness") and "MB" not in text
    full = bundle(
        calibration={"temperature": 1.25, "fitted_on": "test parts of the folds"},
        parity={"recordings": 50, "max_difference": 3e-7},
        size={"parameters": 1407, "macs": 14000},
    )
    text = card(full, SYSTEM, model_bytes=12_345_678)
    assert "divided by 1.25" in section(text, "Calibration")
    size = section(text, "Size and exactness")
    assert "1,407 parameters" in size and "14.0 k multiply-adds" in size and "12.35 MB" in size
    assert "3.0e-07, over 50 recordings" in size and "cut into 1 s" in size


def test_usage_names_the_bundle(bundle):
    text = section(card(bundle(name="my-recogniser"), SYSTEM), "How to use it")
    assert "serkit predict --model my-recogniser call.wav" in text
    assert 'serkit.load("my-recogniser")' in text


def test_text_is_not_read_as_markup(bundle):
    text = card(bundle(licence="<script>\nx"), SYSTEM)
    assert "<script>" not in text and "&lt;script> x" in text
