from collections import Counter

import pytest

from serkit.emotions import ALIASES, canonical, choose, merge
from serkit.errors import UserError


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Angry", "anger"),
        (" WUT ", "anger"),
        ("ps", "surprise"),
        ("pleasant surprise", "surprise"),
        ("happy", "happiness"),
        ("angst", "fear"),
        ("contemputeous", "contempt"),
        ("Annoyed", "annoyed"),
        ("neutral", "neutral"),
    ],
)
def test_labels_of_corpora(label, name):
    assert canonical(label) == name


def test_every_spelling_belongs_to_one_name():
    spellings = Counter(alias for name, aliases in ALIASES.items() for alias in [name, *aliases])
    assert max(spellings.values()) == 1
    for name, aliases in ALIASES.items():
        assert [canonical(spelling) for spelling in [name, *aliases]] == [name] * (1 + len(aliases))
        assert all(alias == alias.strip().lower() for alias in aliases), "canonical() would never find it"


def test_merging_renames_once_and_drops():
    mapping = {"excitement": "happiness", "happiness": "joy", "calm": "drop"}
    assert merge("excitement", mapping) == "happiness"
    assert merge("calm", mapping) is None
    assert merge("anger", mapping) == "anger"


def test_choosing_classes():
    available = ["sadness", "anger", "sadness", "fear"]
    assert choose(available, "all") == ["anger", "fear", "sadness"]
    assert choose(available, ["sadness", "anger"]) == ["anger", "sadness"]
    assert choose(available, ["sadness", "anger", "sadness"]) == ["anger", "sadness"]
    assert choose(available, "fear") == ["fear"]
    with pytest.raises(
        UserError, match=r"unknown class 'angr'. Did you mean 'anger'\? Available: anger, fear, sadness"
    ):
        choose(available, ["angr"])


def test_a_class_called_drop_is_a_class_like_any_other():
    assert merge("drop", {}) == merge("drop", {"calm": "drop"}) == merge("drop", {"drop": "drop"}) == "drop"
    assert merge("drop", {"drop": "fall"}) == "fall"
    assert merge("calm", {"calm": "drop", "drop": "drop"}) is None
