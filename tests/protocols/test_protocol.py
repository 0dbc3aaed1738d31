import subprocess
import sys

import pytest
from pydantic import ValidationError

from serkit.protocols import STANDARD, Protocol, flags


def test_unknown_keys_and_impossible_values_are_refused():
    for wrong in (
        {"kind": "random", "share": 0.2},
        {"kind": "shuffle"},
        {"kind": "random", "test": 1.0},
        {"kind": "random", "test": 0.0},
        {"kind": "kfold", "folds": 1},
        {"kind": "kfold", "validation": 1.0},
        {"kind": "kfold", "repeats": 0},
        {"kind": "kfold", "unit": "frame"},
    ):
        with pytest.raises(ValidationError):
            Protocol(**wrong)


def test_settings_of_grouped_kinds_are_refused_elsewhere():
    with pytest.raises(ValidationError, match="got 'group_kfold'"):
        Protocol(kind="group_kfold", tested=["a"])
    with pytest.raises(ValidationError, match="got 'kfold'"):
        Protocol(kind="kfold", validation_group="speaker")
    with pytest.raises(ValidationError):
        Protocol(kind="leave_one_group_out", tested=[])


def test_only_fixed_takes_lists_and_needs_them():
    with pytest.raises(ValidationError, match="requires 'lists'"):
        Protocol(kind="fixed")
    with pytest.raises(ValidationError, match="other kinds do not take it"):
        Protocol(kind="random", lists="parts.csv")
    assert str(Protocol(kind="fixed", lists="parts.csv").lists) == "parts.csv"


def test_the_default_protocol_keeps_speakers_apart():
    clean = STANDARD["clean"]
    assert (clean.kind, clean.group, clean.folds, clean.unit) == ("group_kfold", "speaker", None, "utterance")


def test_standard_protocols_say_what_they_do_not_keep_apart():
    shared = ["speakers may be in both parts"]
    assert {name: [flag.text for flag in flags(protocol)] for name, protocol in STANDARD.items()} == {
        "clean": [],
        "leave-one-speaker-out": [],
        "nested-leave-one-speaker-out": [],
        "random": shared,
        "kfold": shared,
        "leave-one-session-out": ["speakers are kept apart only where each belongs to one session"],
        "leave-one-sentence-out": shared,
        "given": [],
        "cross-corpus": [],
        "leave-one-corpus-out": [],
    }


def test_what_a_list_shares_is_left_to_the_audit():
    assert flags(Protocol(kind="fixed", lists="parts.csv")) == []


def test_cutting_items_is_flagged():
    assert [flag.text for flag in flags(Protocol(kind="random", unit="item"))] == [
        "speakers may be in both parts",
        "pieces and augmented copies of one utterance may be in both parts",
    ]


def test_importing_protocols_imports_nothing_heavy():
    heavy = "{'sklearn', 'scipy', 'torch', 'pandas'} & set(sys.modules)"
    code = f"import sys, serkit.protocols, serkit.auditing.audit; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
