"""Flags are records; the texts of older files are rated as they were."""

import json

import pytest

from serkit.auditing.audit import KINDS, Finding, summary
from serkit.flags import Flag, verdict, worst_first
from serkit.protocols import STANDARD, Protocol, flags
from serkit.records import Flags, Record


class One(Record):
    flags: Flags


OLD = {
    "sentences shared: all": ("sentence", "note"),
    "sessions shared: some, in 1 of 5 folds": ("session", "caution"),
    "unknown sentence: 4 utterances in 1 of 1 folds, not compared": ("unknown sentence", "note"),
    "unknown speaker: 4 utterances in 1 of 1 folds, not compared": ("unknown speaker", "caution"),
    "not EGG: view 'f0' reads the speech, since 1 of 2 utterances have no channel 'egg'": ("channel", "note"),
    "classes left out, since not every corpus has them: calm (ravdess)": ("left out", "note"),
    "labels 'x' does not know are left out: [/noise] (3)": ("left out", "caution"),
    "5 of 40 recordings have none of the numbers: left out": ("left out", "caution"),
    "classes absent from the training part: fear in 1 of 3 folds (one)": ("absent", "caution"),
    "speakers that differ only in spelling: t/A ~ t/a": ("spelling", "caution"),
    "contradicting labels for 1 recording: t/1 (a) = t/2 (b)": ("contradiction", "caution"),
    "stage 'word' learns no word: no utterance has it": ("target", "caution"),
    "stage 'main' starts from old: what that was trained on is not known": ("unknown training", "caution"),
    "recording leak: stage 'main' starts from old, which was trained on 1 of the 2": ("recording", "leak"),
    "training leak: 40 of 40 recordings are among those 'x' was trained on": ("training", "leak"),
    "the test part is the validation part: what is chosen by it": ("protocol", "caution"),
    "epoch chosen on the test part": ("other", "caution"),
    "": ("other", "caution"),
}


@pytest.mark.parametrize("text", OLD)
def test_a_text_of_an_older_file_is_rated_by_how_it_begins(text):
    assert Flag.read(text) == Flag(*OLD[text], text)


def test_a_record_is_read_as_it_was_written():
    # Its text would be a leak if it were looked at.
    flag = Flag("mine", "note", "no speaker leak: all is well")
    assert One.parse({"flags": [json.loads(json.dumps(flag.to_dict()))]}, "scores.json").flags == [flag]


@pytest.mark.parametrize(
    "kind", [*KINDS, *(f"unknown {kind}" for kind in (*KINDS[:2], "training", "speaker", "sentence"))]
)
def test_what_the_audit_finds_is_rated_alike_as_record_and_as_text(kind):
    finding = Finding(kind, ("train", "test"), ("t/1",), "", ("t/1",), 2)
    (flag,) = summary([[finding], []])
    assert (flag.kind, flag.severity) == (kind, finding.severity)
    assert Flag.read(flag.text) == flag


def test_what_a_protocol_leaks_is_rated_alike_as_record_and_as_text():
    further = Protocol(kind="random", unit="item", validate_on_test=True, validation=0)
    found = [flag for protocol in (*STANDARD.values(), further) for flag in flags(protocol)]
    assert len({flag.text for flag in found}) == 4
    assert [Flag.read(flag.text) for flag in found] == found


def test_flags_of_both_forms_are_sorted_worst_first():
    leak, note = Flag("speaker", "leak", "speaker leak: x"), Flag("sentence", "note", "sentences shared: all")
    found = One.parse({"flags": [note.text, {"kind": "k", "severity": "caution", "text": "t"}, leak.to_dict()]}, "")
    assert worst_first(found.flags) == [
        leak,
        Flag("k", "caution", "t"),
        note,
    ]


@pytest.mark.parametrize(
    ("severities", "kind"),
    [([], "good"), (["note"], "good"), (["note", "caution"], "caution"), (["caution", "leak"], "leak")],
)
def test_the_worst_flag_decides(severities, kind):
    assert verdict([Flag("x", severity, "x") for severity in severities])[0] == kind
