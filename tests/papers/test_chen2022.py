"""The paper file of Chen et al. 2022: its numbers, its rows, and small runs of a table and of a sweep."""

import dataclasses
import json

import numpy as np
import pytest

from serkit import papers, systems
from serkit.errors import UserError
from serkit.papers.figures import drawing
from serkit.papers.reproduce import reproduce
from serkit.runs.folder import RunFolder

CHEN = papers.load("chen2022")

# As printed, in %.
PRINTED = {
    "table2": ("cdesd", [69.53, 71.45, 80.86, 81.25]),
    "table3": ("cdesd", [53.52, 58.98, None]),
    "table4": ("cdesd", [81.25, 58.98, 66.80, 70.00]),
    "table6": ("emodb", [75.00, 32.29, 42.71]),
}

SMALL = [
    "views.mel.feature.bands=8",
    "views.mel.feature.hop=800",
    "views.f0.feature.hop=800",
    "stages.*.trainer.epochs=2",
    "stages.teacher.network.width=2",
    "stages.student.network.layers=1",
    "stages.student.network.hidden=8",
]
SETTINGS = {"jobs": 1, "threads": 1}


@pytest.mark.parametrize("name", PRINTED)
def test_published_values(name):
    table, (corpus, values) = CHEN.artefact(name), PRINTED[name]
    assert [table.published(row, corpus).get("accuracy") for row in table.rows] == values
    assert all(list(row.published) in ([], [corpus]) for row in table.rows)
    assert list(table.metrics) == ["accuracy", "uar"] and table.protocols == ["paper", "clean"]


def test_what_people_reached_is_not_run():
    [row] = [row for row in CHEN.artefact("table4").rows if row.not_run]
    assert row.label == "human" and "listeners" in row.not_run


ROWS = [(artefact.name, row) for artefact in CHEN.artefacts for row in artefact.rows if row.system]


@pytest.mark.parametrize(("artefact", "row"), ROWS, ids=[f"{artefact}-{row.place}" for artefact, row in ROWS])
def test_every_row_is_a_system_of_the_paper(artefact, row):
    system = systems.load(row.system, [*row.set, "data.target=quadrant", "stages.*.trainer.epochs=7"])
    assert system.system.paper == "chen2022" and {stage.trainer.epochs for stage in system.stages} == {7}
    assert all(system.stage_data(stage).target == ["quadrant"] for stage in system.stages)
    # Where a corpus has no EGG, a student hears the speech, and says so.
    assert all(view.fallback == "speech" for view in system.views.values() if view.channel)


def test_rows_of_table_2_and_3():
    inputs = [systems.load(row.system).views["mel"].feature.options["level"] for row in CHEN.artefact("table2").rows]
    networks = [systems.load(row.system).deployed.network.name for row in CHEN.artefact("table2").rows]
    assert inputs == ["linear", "db"] * 2 and networks == ["crnn", "crnn", "resnet18", "resnet18"]
    depths = [
        systems.load(row.system, row.set).deployed.network.options["layers"] for row in CHEN.artefact("table3").rows
    ]
    assert depths == [3, 4, 5]


@pytest.mark.parametrize(
    ("name", "swept", "other", "places"),
    [
        ("figure6", "tau", {"alpha": 0.6}, [1, 2, 3, 4]),
        ("figure7", "alpha", {"tau": 2.0}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
    ],
)
def test_a_sweep_changes_one_setting_and_is_seen_on_validation_speakers(name, swept, other, places):
    figure = CHEN.artefact(name)
    assert [row.at for row in figure.rows] == places
    for row in figure.rows:
        system = systems.load(row.system, row.set)
        options = system.deployed.method.options
        assert options == {"teacher": "teacher", swept: row.at, **other}
        protocol = system.protocols[figure.protocol]
        assert protocol.kind == "group_kfold" and protocol.group == "speaker" and protocol.validation > 0
    assert figure.options["part"] == "validation" and figure.options["setting"] == swept


@pytest.mark.parametrize("name", [figure.name for figure in CHEN.figures])
def test_figures_can_be_drawn(name):
    figure = CHEN.artefact(name)
    drawing(figure.kind, figure.options)
    if figure.kind != "sweep":
        assert [row.label for row in figure.rows] == ["student alone", "student with distillation"]
        assert [row.system for row in figure.rows] == ["egg-student", "egg-distillation"]


def stages_of(folder, name):
    """By fold, the folders of a run's stages."""
    return {fold: note.stages for fold, note in RunFolder.load(folder / "runs" / name).notes.items()}


def test_table_4_trains_its_teacher_once(synthetic, tmp_path):
    table = CHEN.artefact("table4")
    sets = [*SMALL, "protocols.clean.folds=2"]
    result = reproduce(CHEN, table, [synthetic], tmp_path, protocols=["clean"], sets=sets, **SETTINGS).to_dict()
    teacher, alone, taught = (
        stages_of(tmp_path, f"table4-{name}-synthetic-clean")
        for name in ("teacher", "student-alone", "student-with-distillation")
    )
    assert len(teacher) == 2 == len({found["teacher"] for found in teacher.values()})
    assert all(taught[fold]["teacher"] == teacher[fold]["teacher"] for fold in teacher)
    assert all(taught[fold]["student"] != alone[fold]["student"] for fold in teacher)
    kinds = [path.name.split("-")[0] for path in (tmp_path / "stages").iterdir()]
    assert (kinds.count("teacher"), kinds.count("student")) == (2, 4)

    cells = [row["measured"] for row in result["rows"]]
    assert [list(cell) for cell in cells] == [["clean"]] * 3 + [[]] + [["clean"]] * 2
    # A BiLSTM of 8 cells a direction and a layer of 4 classes; the teacher does not count.
    assert cells[2]["clean"]["parameters"] == 2 * (32 * (1 + 8) + 64) + 16 * 4 + 4
    text = (tmp_path / "table4.md").read_text(encoding="utf-8")
    assert "not EGG:" not in text and "| student with distillation | cdesd | accuracy | 66.80 |" in text
    assert "| human | cdesd | accuracy | 70.00 |" in text and "- human: not run: " in text


def test_without_egg_the_speech_is_read_and_the_page_says_so(synthetic, tmp_path):
    mute = tuple(dataclasses.replace(utterance, channels={}) for utterance in synthetic.utterances)
    corpus = dataclasses.replace(synthetic, utterances=mute)
    table = CHEN.artefact("table6")
    sets = [*SMALL, "protocols.paper.repeats=1"]
    result = reproduce(CHEN, table, [corpus], tmp_path, protocols=["paper"], sets=sets, **SETTINGS).to_dict()
    flag = "not EGG: view 'f0' reads the speech, since 40 of 40 utterances have no channel 'egg'"
    cells = {row["label"]: row["measured"]["paper"] for row in result["rows"]}
    flags = {row: [flag["text"] for flag in cell["flags"]] for row, cell in cells.items()}
    assert flag in flags["student alone"] and flag in flags["student with distillation"]
    assert flag not in flags["teacher"]
    assert f"- `paper`: {flag}" in (tmp_path / "table6.md").read_text(encoding="utf-8")
    # What is printed makes the run again: it falls back by itself.
    command = cells["student with distillation"]["command"]
    assert "--set stages.student.network.hidden=8" in command and "fallback" not in command


def test_a_sweep_is_drawn_from_the_validation_parts(synthetic, tmp_path):
    figure = CHEN.artefact("figure6")
    sets = [*SMALL, "protocols.sweep.folds=2"]
    result = reproduce(CHEN, figure, [synthetic], tmp_path, sets=sets, rows=["tau 1", "tau 4"], **SETTINGS).to_dict()
    runs = {tau: RunFolder.load(tmp_path / f"runs/figure6-tau-{tau}-synthetic-sweep") for tau in (1, 4)}
    points = result["numbers"]["synthetic"]["points"]
    assert [points[f"tau {tau}"]["at"] for tau in runs] == [1, 4]
    for tau, run in runs.items():
        assert all(split.validation and not set(split.validation) & set(split.test) for split in run.splits)
        last = [history[-1]["validation_accuracy"] for _, _, history in run.trained("student")]
        assert len(last) == 2 and points[f"tau {tau}"]["estimate"] == pytest.approx(np.mean(last))
    assert [len(list((tmp_path / "stages").glob(f"{name}-*"))) for name in ("teacher", "student")] == [2, 4]
    said = json.loads((tmp_path / "figure6.json").read_text())
    assert said["protocol"] == "sweep" and (tmp_path / "figure6-synthetic.png").stat().st_size > 5000
    with pytest.raises(UserError, match="set the protocol's validation share"):
        reproduce(CHEN, figure, [synthetic], tmp_path, sets=SMALL, protocols=["random"], rows=["tau 1"], **SETTINGS)
