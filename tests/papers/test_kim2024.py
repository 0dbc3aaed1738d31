"""The paper file of Kim & Lee 2024: its numbers, and that every row is a system of serkit."""

import pytest

from serkit import papers, systems
from serkit.papers import Figure
from serkit.papers.figures import drawing
from serkit.runs.sizes import size

KIM = papers.load("kim2024")

# As printed: SAVEE, EMO-DB, CREMA-D in %, and 10^9 multiply-adds.
PRINTED = {
    "table1": [(95.57, 98.83, 91.85, None), (97.39, 99.06, 95.07, None)],
    "table2": [(89.32, 96.02, 88.79, 3.32), (98.17, 96.96, 92.64, 3.58), (98.95, 98.83, 94.07, 0.32)],
    "table3": [(87.23, 92.75, 79.94, 175.81), (97.39, 99.06, 95.07, 1.43), (99.47, 99.76, 95.24, 0.32)],
}


@pytest.mark.parametrize("name", PRINTED)
def test_published_values(name):
    table = KIM.artefact(name)
    found = [(*row.published.values(), row.published_macs) for row in table.rows if row.published]
    assert found == PRINTED[name]
    assert all(list(row.published) in ([], ["savee", "emodb", "cremad"]) for row in table.rows)
    assert list(table.metrics) == ["accuracy"] and table.protocols == ["paper", "no-copies", "clean"]


ROWS = [(artefact.name, row) for artefact in KIM.artefacts for row in artefact.rows if row.system]


@pytest.mark.parametrize(("artefact", "row"), ROWS, ids=[f"{artefact}-{row.place}" for artefact, row in ROWS])
def test_every_row_is_a_system_of_the_paper(artefact, row):
    system = systems.load(row.system, row.set)
    assert system.system.paper == "kim2024"
    assert system.data.copies == ["noise", "shift", "speed"] and system.data.items.seconds == 4.0
    assert system.protocols["paper"].unit == "item" and system.protocols["no-copies"].kind == "random"


def test_which_teacher_a_student_had():
    teachers = {}
    for name in ("table2", "table3"):
        [row] = [row for row in KIM.artefact(name).rows if row.label.startswith("student of")]
        system = systems.load(row.system)
        teachers[name] = tuple(system.stages[0].network.options[key] for key in ("depth", "heads"))
        assert system.stages[1].network.options == {"depth": 3, "heads": 5}
    assert teachers == {"table2": (12, 12), "table3": (6, 5)}


def test_multiply_adds_of_the_flop_matched_teacher():
    # As published, less the norms, which serkit does not count.
    assert size(systems.load("vit-teacher-d12-flop-matched"), "teacher")["macs"] / 1e9 == pytest.approx(3.58, rel=0.006)


def test_the_figure_shows_both_shapes_of_patches():
    figure = KIM.artefact("attention")
    assert isinstance(figure, Figure) and drawing(figure.kind, figure.options)
    shapes = [systems.load(row.system).deployed.network.options.get("patch", [128, 1]) for row in figure.rows]
    assert shapes == [[128, 1], [16, 16]]
