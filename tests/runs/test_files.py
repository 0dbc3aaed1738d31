"""The files of a run: broken and foreign ones are named in one line, older and newer ones are read."""

import json

import pytest

from fabricated_run import write_run
from serkit.errors import UserError
from serkit.runs.card import Card
from serkit.runs.files import Description
from serkit.runs.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run")


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", ["run.json", "scores.json", "final.json", "folds/seed-0-fold-1.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"text"', '{"stage": 5, "system": 5, "task": 5}'])
def test_a_broken_or_foreign_file_is_named_in_one_line(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(UserError) as caught:
        RunFolder.load(folder)
    message = str(caught.value)
    assert message.startswith(str(folder / name)) and "\n" not in message and len(message) < 400


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("run.json", {"folders": ["emodb"]}, "run.json: folders: Input should be a valid dictionary"),
        ("run.json", {"system": []}, "run.json: names no system with stages"),
        ("run.json", {"system": [{"system": {}}]}, r"run.json: key 'system\.0\.system\.name' is missing"),
        ("run.json", {"machine": "mine"}, "run.json: machine: Input should be"),
        ("scores.json", {"uar": 0.5}, "scores.json: uar: Input should be"),
        ("scores.json", {"task": "songs"}, "scores.json: task: Input should be 'classes' or 'numbers'"),
        ("scores.json", {"speakers": {"a": {"uar": 0.5}}}, r"scores.json: key 'speakers\.a\.n' is missing"),
        ("scores.json", {"confusion": [["many"]]}, r"scores.json: confusion\.0\.0: Input should be a valid integer"),
        ("final.json", {"stage": None}, "final.json: stage: Input should be a valid string"),
        ("folds/seed-0-fold-1.json", {"validation": 0.5}, "fold-1.json: validation: Input should be a valid list"),
    ],
)
def test_a_wrong_value_is_named_by_its_key(folder, name, changes, message):
    change(folder / name, **changes)
    with pytest.raises(UserError, match=message):
        RunFolder.load(folder)


def test_a_damaged_stage_is_named(folder):
    change(folder / "stages/main-0/stage.json", epochs="some")
    with pytest.raises(UserError, match=r"stage\.json: epochs: Input should be a valid integer"):
        list(RunFolder.load(folder).trained("main"))


def test_keys_of_a_newer_serkit_are_ignored(folder):
    for name in ("run.json", "scores.json", "final.json"):
        change(folder / name, later={"x": 1})
    run = RunFolder.load(folder)
    assert run.scores.metrics["uar"].estimate > 0 and "later" not in run.scores.metrics


def test_systems_and_protocols_of_another_serkit_are_kept_and_refused_where_they_are_used(folder):
    document = json.loads((folder / "run.json").read_text())
    document["system"][0]["stages"][0]["colour"] = "blue"
    document["protocol"] |= {"kind": "moon_phase", "phase": 3}
    (folder / "run.json").write_text(json.dumps(document))
    description = RunFolder.load(folder).description
    assert description.to_dict()["system"] == document["system"]
    assert description.to_dict()["protocol"] == document["protocol"]
    with pytest.raises(UserError, match=r"does not support system 'linear-baseline': .*unknown key .*colour"):
        description.system[0].resolved()
    with pytest.raises(UserError, match="does not support protocol 'leave-one-speaker-out': kind: Input should be"):
        description.protocol.definition()


def test_a_run_is_resumed_only_if_nothing_that_counts_differs(folder):
    one = Description.load(folder / "run.json")
    moved = one.model_copy(update={"folders": {"emodb": "/elsewhere"}, "created": "now", "stages": "../stages"})
    assert moved.differences(one) == []
    other = one.model_copy(update={"seed": 5, "classes": ["anger"], "splits": "0" * 32})
    assert other.differences(one) == ["splits", "classes", "seed"]
    # A setting that is newer than the run has its default.
    older = one.to_dict()
    del older["system"][0]["stages"][0]["trainer"]["precision"], older["protocol"]["validation"]
    assert one.differences(Description.parse(older, "run.json")) == []


def test_a_card_is_written_as_it_was_read(folder):
    card = Card.load(folder / "card.json")
    assert card.to_dict() == json.loads((folder / "card.json").read_text())
    change(folder / "card.json", run=5)
    with pytest.raises(UserError, match=r"card\.json: run: Input should be"):
        Card.load(folder / "card.json")
