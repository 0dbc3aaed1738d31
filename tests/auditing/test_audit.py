import dataclasses
from pathlib import Path

import pytest

from serkit import audio, corpora
from serkit.auditing.audit import Finding, audit, summary
from serkit.auditing.copies import Copy
from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.flags import Flag
from serkit.protocols import Protocol, Split
from serkit.protocols.splits import splits


def utterance(name, speaker, sentence):
    return Utterance(f"table/{name}", Path(f"{name}.wav"), speaker=speaker, sentence=sentence)


UTTERANCES = [
    utterance("1", "table/a", "table/x"),
    utterance("2", "table/b", "table/y"),
    utterance("3", "table/c", "table/x"),
    utterance("4", "table/d", "table/z"),
]
HASHES = {"table/1": "aa", "table/2": "bb", "table/3": "cc", "table/4": "dd"}


def split(train, validation, test):
    return Split("fold", *(tuple(f"table/{name}" for name in part) for part in (train, validation, test)))


def texts(findings):
    return [flag.text for flag in summary(findings)]


def test_a_clean_split_has_no_findings():
    assert audit(split("1", "2", "4"), UTTERANCES, HASHES) == []
    assert texts([[], []]) == []


def test_a_shared_speaker_is_a_leak_with_its_utterances():
    utterances = [*UTTERANCES, utterance("5", "table/a", "table/w")]
    (found,) = audit(split("12", "", "45"), utterances, HASHES | {"table/5": "ee"})
    assert (found.kind, found.severity, found.parts) == ("speaker", "leak", ("train", "test"))
    assert (found.ids, found.shared, found.total) == (("table/1", "table/5"), ("table/a",), 2)
    assert found.message == "1 of 2 speakers in test are also in train: table/a"


def test_validation_is_compared_with_test_too_but_not_with_training():
    utterances = [*UTTERANCES, utterance("5", "table/a", "table/w")]
    hashes = HASHES | {"table/5": "ee"}
    (found,) = audit(split("2", "1", "45"), utterances, hashes)
    assert (found.kind, found.parts) == ("speaker", ("validation", "test"))
    assert texts([[found]]) == ["speaker leak: 1 of 1 folds share speakers (validation part only)"]
    assert audit(split("1", "5", "4"), utterances, hashes) == []


def test_a_shared_sentence_is_a_note():
    (found,) = audit(split("12", "", "34"), UTTERANCES, HASHES)
    assert (found.kind, found.severity, found.shared, found.total) == ("sentence", "note", ("table/x",), 2)
    assert texts([[found], [found]]) == ["sentences shared: some, in 2 of 2 folds"]


def test_bit_identical_recordings_are_a_leak_named_by_their_files():
    (found,) = audit(split("12", "", "4"), UTTERANCES, HASHES | {"table/4": "bb"})
    assert (found.kind, found.severity, found.ids) == ("recording", "leak", ("table/2", "table/4"))
    assert found.shared == ("bb",)
    assert found.message == "1 of 1 recordings in test are also in train: table/2, table/4"


def interval(name, start, end, index=None):
    return Utterance(f"table/{name}", Path("call.wav"), f"table/{name}", "table/x", start=start, end=end, index=index)


def test_intervals_of_one_recording_that_overlap_are_a_leak():
    utterances = [interval("1", 0.0, 2.0), interval("2", 1.0, 3.0), interval("3", 2.96, 5.0), interval("4", None, None)]
    hashes = {each.id: "aa" for each in utterances}
    copies = [Copy("table/1", "table/2", 1.0)]
    found = [each for each in audit(split("1", "", "23"), utterances, hashes, copies) if each.kind != "sentence"]
    assert [(each.kind, each.severity, each.ids) for each in found] == [("overlap", "leak", ("table/1", "table/2"))]
    assert (found[0].shared, found[0].total) == (("table/2 ~ table/1",), 2)
    assert found[0].message == (
        "1 of 2 recordings in test overlap with others of the same file in train: table/2 ~ table/1"
    )
    assert texts([found, []]) == ["overlap leak: 2 intervals overlap with others of the same recording in 1 of 2 folds"]
    # 40 ms in common are rounding; the whole recording has something in common with all of its intervals.
    assert [each.kind for each in audit(split("2", "", "3"), utterances, hashes)] == ["sentence"]
    (found, _) = audit(split("123", "", "4"), utterances, hashes)
    assert found.shared == ("table/4 ~ table/1", "table/4 ~ table/2", "table/4 ~ table/3")


def test_channels_of_one_recording_overlap_only_with_their_mean():
    utterances = [interval("1", 0.0, 2.0, 0), interval("2", 0.0, 2.0, 1), interval("3", 1.0, 2.0)]
    hashes = {each.id: "aa" for each in utterances}
    assert [each.kind for each in audit(split("1", "", "2"), utterances, hashes)] == ["sentence"]
    assert [each.kind for each in audit(split("12", "", "3"), utterances, hashes)] == ["overlap", "sentence"]


def test_an_utterance_in_both_parts_is_a_leak_of_every_kind():
    found = audit(split("12", "", "2"), UTTERANCES, HASHES)
    assert [each.kind for each in found] == ["utterance", "recording", "speaker", "sentence"]
    assert [each.severity for each in found] == ["leak", "leak", "leak", "note"]


def test_unknown_speakers_are_counted_not_compared():
    utterances = [dataclasses.replace(each, speaker=None) for each in UTTERANCES]
    (found,) = audit(split("1", "2", "4"), utterances, HASHES)
    assert (found.kind, found.severity, found.parts) == (
        "unknown speaker",
        "caution",
        ("train", "validation", "test"),
    )
    assert found.ids == ("table/1", "table/2", "table/4")
    assert found.message == "speaker is unknown for 3 of 3 utterances: not compared"
    assert texts([[found], []]) == ["unknown speaker: 3 utterances in 1 of 2 folds, not compared"]


def test_recordings_without_a_hash_are_counted():
    (found,) = audit(split("1", "2", "4"), UTTERANCES, {"table/1": "aa", "table/2": "bb"})
    assert (found.kind, found.ids, found.parts) == ("unknown recording", ("table/4",), ("test",))


def test_ids_without_an_utterance_are_refused():
    with pytest.raises(UserError, match="1 ids are not in the given utterances \\(first: 'table/9'\\)"):
        audit(split("1", "2", "9"), UTTERANCES, HASHES)


def test_the_summary_counts_folds_and_distinct_recordings():
    clean = audit(split("1", "2", "4"), UTTERANCES, HASHES)
    twin = HASHES | {"table/4": "bb"}
    findings = [audit(split("12", "", "4"), UTTERANCES, twin), audit(split("4", "", "2"), UTTERANCES, twin)]
    assert texts([*findings, clean, clean]) == [
        "recording leak: 2 recordings are bit-identical across parts in 2 of 4 folds"
    ]
    everything = audit(split("12", "", "2"), UTTERANCES, HASHES)
    assert texts([everything]) == [
        "utterance leak: 1 utterance is in both parts in 1 of 1 folds",
        "recording leak: 1 recording is bit-identical across parts in 1 of 1 folds",
        "speaker leak: 1 of 1 folds share speakers",
        "sentences shared: all",
    ]


def test_changed_copies_are_a_leak_between_the_parts_they_are_in():
    pairs = [Copy("table/1", "table/4", 0.9), Copy("table/1", "table/2", 0.8), Copy("table/3", "table/2", 0.7)]
    (found,) = audit(split("12", "3", "4"), UTTERANCES, HASHES, pairs)
    assert (found.kind, found.severity, found.parts) == ("copy", "leak", ("train", "test"))
    assert (found.ids, found.shared, found.total) == (("table/1", "table/4"), ("table/4 ~ table/1 (0.90)",), 1)
    assert found.message == "1 of 1 recordings in test have a changed copy in train: table/4 ~ table/1 (0.90)"
    assert texts([[found], []]) == [
        "copy leak: 2 recordings are changed copies of one another across parts in 1 of 2 folds"
    ]


def test_a_copy_at_another_speed_says_so():
    (found,) = audit(split("1", "3", "4"), UTTERANCES, HASHES, [Copy("table/4", "table/3", 0.5, 1.1)])
    assert (found.parts, found.shared) == (("validation", "test"), ("table/4 ~ table/3 (0.50, speed 1.1)",))


def test_of_bit_identical_copies_only_that_is_said():
    hashes = HASHES | {"table/4": "aa"}
    (found,) = audit(split("1", "", "4"), UTTERANCES, hashes, [Copy("table/1", "table/4", 1.0)])
    assert found.kind == "recording"


def test_intervals_of_one_file_are_not_bit_identical():
    turns = [dataclasses.replace(each, start=number, end=number + 1) for number, each in enumerate(UTTERANCES)]
    hashes = dict.fromkeys(HASHES, "aa")
    assert audit(split("1", "", "4"), turns, hashes) == []
    assert [each.kind for each in audit(split("1", "", "4"), UTTERANCES, hashes)] == ["recording"]


def test_a_shared_session_is_a_caution_and_none_is_no_finding():
    utterances = [dataclasses.replace(each, attributes={"session": 1}) for each in UTTERANCES]
    (found,) = audit(split("1", "", "4"), utterances, HASHES)
    assert (found.kind, found.severity, found.shared) == ("session", "caution", ("table/1",))
    assert texts([[found], []]) == ["sessions shared: some, in 1 of 2 folds"]
    assert texts([[found], [found]]) == ["sessions shared: all"]


def test_what_the_test_part_was_used_for_is_summed_up():
    view = Finding("normalisation", ("train", "test"), ("table/4",), "", ("view 'speech' of stage 'main'",), 1)
    stage = Finding("training", ("train", "test"), ("table/4",), "", ("stage 'main'",), 1)
    silent = Finding("unknown training", ("train",), ("table/4",), "")
    line = "unknown training: what was used to normalize and choose is not recorded in 1 of 2 folds"
    assert texts([[silent], []]) == [line]
    assert texts([[view], [stage, view]]) == [
        "training leak: the test part was used in 1 of 2 folds: stage 'main'",
        "normalisation leak: the test part was used in 2 of 2 folds: view 'speech' of stage 'main'",
    ]


def test_speakers_that_differ_only_in_spelling_are_a_caution():
    utterances = [*UTTERANCES, utterance("5", "table/A", "table/w")]
    hashes = HASHES | {"table/5": "ee"}
    (found,) = audit(split("12", "", "45"), utterances, hashes)
    assert (found.kind, found.severity, found.parts) == ("spelling", "caution", ("train", "test"))
    assert (found.ids, found.shared) == (("table/1", "table/5"), ("table/A ~ table/a",))
    assert found.message == "speakers that differ only in spelling, some across parts: table/A ~ table/a"
    (within,) = audit(split("15", "", "4"), utterances, hashes)
    assert within.message == "speakers that differ only in spelling: table/A ~ table/a"
    line = "speakers that differ only in spelling: table/A ~ table/a"
    assert summary([[found], [within], []]) == [Flag("spelling", "caution", line)]


def test_bit_identical_recordings_with_contradicting_labels_are_a_caution():
    labels = {"table/1": ["anger"], "table/2": ["joy"], "table/3": ["joy"], "table/4": ["anger"]}
    hashes = HASHES | {"table/2": "aa"}
    (found,) = audit(split("12", "", "4"), UTTERANCES, hashes, labels=labels)
    assert (found.kind, found.severity, found.parts) == ("contradiction", "caution", ("train",))
    assert found.ids == ("table/1", "table/2")
    assert found.message == "contradicting labels for 1 recording: table/1 (anger) = table/2 (joy)"
    assert summary([[found], []]) == [Flag("contradiction", "caution", found.message)]
    # Across parts it is a leak as well.
    across = audit(split("1", "", "24"), UTTERANCES, hashes, labels=labels)
    assert [each.kind for each in across] == ["recording", "contradiction"]
    assert across[1].parts == ("train", "test")
    # The same label, another content or none that is known: no contradiction.
    assert not audit(split("12", "", "4"), UTTERANCES, hashes, labels={name: ["joy"] for name in labels})
    assert not audit(split("12", "", "4"), UTTERANCES, HASHES, labels=labels)


def test_two_intervals_of_one_recording_may_have_two_labels():
    utterances = [interval("1", 0.0, 1.0), interval("2", 1.0, 2.0), interval("3", 5.0, 6.0)]
    labels = {"table/1": ["anger"], "table/2": ["joy"], "table/3": ["joy"]}
    found = audit(split("12", "", "3"), utterances, dict.fromkeys(labels, "aa"), labels=labels)
    assert [each.kind for each in found] == ["sentence"]


@pytest.mark.corpora
def test_the_twin_recordings_of_ravdess_are_found(recordings):
    found = corpora.load("ravdess", recordings / "ravdess").utterances
    seventh = [each for each in found if each.speaker == "ravdess/07"]
    hashes = {each.id: audio.content_hash(each.path) for each in seventh}
    protocol = Protocol(kind="leave_one_group_out", group="repetition")
    found_in = [audit(each, seventh, hashes) for each in splits(protocol, seventh, "emotion", 0)]
    assert found_in[0][0].ids == ("ravdess/03-01-03-01-02-01-07", "ravdess/03-01-03-01-02-02-07")
    assert texts(found_in) == [
        "recording leak: 2 recordings are bit-identical across parts in 2 of 2 folds",
        "speaker leak: 2 of 2 folds share speakers",
        "sentences shared: all",
    ]
