import shlex
from itertools import pairwise, product

import pytest

from serkit import systems
from serkit.runs import command as commands
from serkit.runs.files import Description


def described(sets=(), *row_sets, name="linear-baseline"):
    """Make a `run.json` of a run with these overrides, and a row for each list of `row_sets`."""
    grid = [systems.load(name, [*sets, *row]).model_dump(mode="json") for row in row_sets or [[]]]
    return {
        "system": grid,
        "protocol": {"name": "clean"},
        "folders": {"emodb": "/my data/emodb", "savee": "/savee"},
        "seed": 3,
        "threads": 2,
    }


def command(description, *folders, **named):
    return commands.command(Description.parse(description, "run.json"), *folders, **named)


def rows(grid):
    return commands.rows(Description.parse({**described(), "system": grid}, "run.json"))


def options(text, name):
    words = shlex.split(text)
    return [after for word, after in pairwise(words) if word == name]


def made_by(text):
    """Read a command line as `serkit train` does and return the rows it would train."""
    sweeps = [(key, values.split(",")) for key, _, values in (s.partition("=") for s in options(text, "--sweep"))]
    choices = [[f"{key}={value}" for value in values] for key, values in sweeps]
    system = shlex.split(text)[2]
    return [systems.load(system, [*options(text, "--set"), *row]).model_dump(mode="json") for row in product(*choices)]


@pytest.mark.parametrize(
    "sets",
    [
        [],
        ["stages.main.trainer.epochs=5", "stages.main.trainer.learning_rate=1e-5"],
        ["data.map.calm=drop", "data.map.not sure=neutral"],
        ['data.where.session="1"', 'data.where.style=["a b", "it\'s"]'],
        ['stages.main.trainer.stopping={name = "patience", epochs = 3}', "stages.main.trainer.schedule=constant"],
        ["protocols.mine.kind=group_kfold", "protocols.mine.folds=3", "protocols.mine.validation=0.25"],
        ["protocols.clean.validation=0.2"],
        ["stages.main.method=supervised"],  # the system's own has an option
        [
            'system.title="true"',
            'stages.main.trainer.perturb=[{name = "mix", on = true}]',
            'data.classes=["anger", "joy"]',
        ],
    ],
)
def test_the_command_makes_the_same_system_again(sets):
    description = described(sets)
    found = command(description)
    assert found.exact
    assert made_by(found.text) == description["system"]


def test_a_protocol_of_ones_own_is_written_without_its_defaults():
    sets = ["protocols.mine.kind=group_kfold", "protocols.mine.folds=3"]
    assert options(command(described(sets)).text, "--set") == sets


def test_the_command_names_corpora_protocol_seed_and_threads():
    text = command(described()).text
    assert text == (
        "serkit train linear-baseline --corpus 'emodb=/my data/emodb' --corpus savee=/savee "
        "--protocol clean --seed 3 --threads 2"
    )


def test_folders_can_be_left_out_for_others():
    text = command(described(), folders={}).text
    assert options(text, "--corpus") == ["emodb=FOLDER", "savee=FOLDER"]
    assert "/" not in text


def test_a_sweep_is_written_as_a_grid_in_its_order():
    grid = [
        [f"stages.main.trainer.learning_rate={rate}", f"stages.main.trainer.schedule={schedule}"]
        for rate in ("0.01", "0.001")
        for schedule in ("constant", "cosine", "step")
    ]
    description = described(["stages.main.trainer.epochs=5"], *grid)
    found = command(description)
    assert found.exact
    assert options(found.text, "--set") == ["stages.main.trainer.epochs=5"]
    assert options(found.text, "--sweep") == [
        "stages.main.trainer.learning_rate=0.01,0.001",
        "stages.main.trainer.schedule=constant,cosine,step",
    ]
    assert made_by(found.text) == description["system"]


def test_a_system_of_ones_own_is_named_by_its_file_and_said_to_be_inexact():
    description = described(["stages.main.trainer.epochs=5"])
    description["system"][0]["system"]["name"] = "mine"
    found = command(description)
    assert not found.exact
    assert found.text.startswith("serkit train mine.toml --corpus") and "--set" not in found.text


def test_a_system_that_has_another_stage_now_is_inexact():
    description = described()
    stages = description["system"][0]["stages"]
    stages.append({**stages[0], "name": "second"})
    found = command(description)
    assert not found.exact and "--set" not in found.text


def test_a_view_that_fell_back_on_the_speech_does_so_again():
    description = described(["stages.student.trainer.epochs=5"], name="egg-student")
    wanted = description["system"][0]["views"]["f0"]
    description["system"][0]["views"]["f0"] = {**wanted, "channel": None, "fallback": None}
    found = command(description)
    assert found.exact and options(found.text, "--set") == ["stages.student.trainer.epochs=5"]
    assert made_by(found.text)[0]["views"]["f0"] == wanted and wanted["fallback"] == "speech"


def test_rows_are_named_by_what_differs():
    grid = [
        [f"stages.main.trainer.epochs={epochs}", f"stages.main.method.class_weights={weights}"]
        for epochs in (5, 6)
        for weights in ("balanced", "none")
    ]
    names = rows(described([], *grid)["system"])
    assert names[0] == "epochs=5, class_weights=balanced" and names[3] == "epochs=6, class_weights=none"
    assert rows(described()["system"]) == ["as the system says"]


def test_rows_with_keys_of_one_name_are_told_apart():
    grid = [[f"views.functionals.feature.width={a}", f"stages.main.network.width={b}"] for a in (1, 2) for b in (3, 4)]
    assert rows(described([], *grid)["system"])[1] == "views.functionals.feature.width=1, stages.main.network.width=4"


def test_corpora_that_are_only_learned_from():
    description = {**described(), "also": {"tava": "/more/tava"}}
    found = command(description)
    assert options(found.text, "--corpus") == ["emodb=/my data/emodb", "savee=/savee"]
    assert options(found.text, "--also") == ["tava=/more/tava"] and found.exact
    assert options(command(description, {}).text, "--also") == ["tava=FOLDER"]
    assert "--also" not in command(described()).text
