import pytest

from serkit.auditing.doubts import alike, contradictions, name_contradictions, tell_contradictions


@pytest.mark.parametrize(
    "speakers",
    [
        ("table/Anna", "table/anna"),
        ("table/01", "table/1"),
        ("table/S01", "table/s1"),
        ("table/3", "table/3.0"),
        ("table/Anna Maria", "table/anna_maria"),
        ("table/STRASSE", "table/straße"),
        ("table/１", "table/1"),
        ("table/a-1", "table/a 01"),
    ],
)
def test_speakers_that_may_be_one_person(speakers):
    assert alike([*speakers, "table/other"]) == [sorted(speakers)]


@pytest.mark.parametrize(
    "speakers",
    [
        ("table/anna", "calls/anna"),
        ("table/1", "table/11"),
        ("table/s1 1", "table/s11"),
        ("table/10", "table/1"),
        ("table/1.5", "table/15"),
        ("table/a", "table/ä"),
        ("table/anna", "table/anna"),
    ],
)
def test_speakers_that_are_two(speakers):
    assert alike(speakers) == []


def test_contradictions_are_named_with_their_labels():
    labels = {"t/3": ["joy"], "t/1": ["joy"], "t/2": ["anger"], "t/4": ["fear"], "t/5": {"joy", "anger"}, "t/6": ["a"]}
    heard = {"t/1": "aa", "t/2": "aa", "t/3": "bb", "t/4": None, "t/5": "cc", "t/6": "dd"}
    groups = contradictions(labels, heard)
    assert groups == [["t/1", "t/2"], ["t/5"]]
    names = name_contradictions(groups, labels)
    assert names == ["t/1 (joy) = t/2 (anger)", "t/5 (anger, joy)"]
    assert tell_contradictions(names) == f"contradicting labels for 2 recordings: {', '.join(names)}"
    assert tell_contradictions(list("abcd")) == "contradicting labels for 4 recordings: a, b, c, ..."
