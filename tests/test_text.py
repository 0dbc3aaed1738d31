import pytest

from serkit.emotions import canonical
from serkit.text import clean, composed, is_missing, is_missing_label


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anger", "anger"),
        ("  anger\t", "anger"),
        ("\ufeffanger", "anger"),
        ("an\u200bger", "anger"),
        ("anger\u200d\u200c\u2060", "anger"),
        ("\u200eanger\u200f", "anger"),
        ("\u202aanger\u202c", "anger"),
        ("\u2066anger\u2069", "anger"),
        ("an\u00adger", "anger"),
        ("\u00a0anger\u3000", "anger"),
        ("very\u00a0happy", "very happy"),
        ("very \u2009\n happy", "very happy"),
        ("a\u0308rger", "ärger"),
        ("a\u200b\u0308rger", "ärger"),
        ("❤\ufe0f", "❤"),
        ("ﬁne", "ﬁne"),  # no other letters: NFC, not NFKC
        ("گریه", "گریه"),
        ("\u200b", ""),
        ("", ""),
    ],
)
def test_what_looks_the_same_is_the_same(text, expected):
    assert clean(text) == expected
    assert clean(expected) == expected


def test_composed_keeps_every_letter_that_is_seen():
    assert composed(" a\u0308  b\u200b") == " ä  b\u200b"


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u00a0", "NA", "na", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN"]
)
def test_missing_everywhere(text):
    assert is_missing(text) and is_missing(f" {text} ")


@pytest.mark.parametrize("text", ["", " \u200b", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NaT", "NULL"])
def test_labels_that_are_missing(text):
    assert is_missing_label(text)


@pytest.mark.parametrize("text", ["None", "none", "null", "Null", "-", "?", "."])
def test_words_that_are_labels_but_neither_names_nor_numbers(text):
    assert is_missing(text) and not is_missing_label(text)


@pytest.mark.parametrize("text", ["0", "Nancy", "Nana", "unknown", "nano", "no", "x", "0.0", "False"])
def test_what_is_not_missing(text):
    assert not is_missing(text) and not is_missing_label(text)


@pytest.mark.parametrize("label", ["Angry\u200b", "\ufeffWUT", " anger\u00a0", "an\u00adgry"])
def test_emotions_are_known_however_they_are_written(label):
    assert canonical(label) == "anger"


def test_emotions_of_several_words_and_with_accents():
    assert canonical("Pleasant\u00a0 Surprise") == "surprise"
    assert canonical("Ma\u0301goa") == canonical("m\u00e1goa") == "sadness"
    assert canonical("E\u0301tat") == canonical("\u00e9tat") == "\u00e9tat"
