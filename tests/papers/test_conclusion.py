"""The sentence that ends a reproduced table."""

from fabricated_run import write_run
from serkit.evaluation.intervals import Interval
from serkit.flags import Flag
from serkit.papers import PublishedTable, Row
from serkit.papers.conclusion import AT_CHANCE, QUICK, of_table
from serkit.papers.reproduced import Cell, ReproducedRow

TABLE = PublishedTable(
    name="t",
    title="Student",
    metrics={"uar": ""},
    rows=[Row(label=label, system="linear-baseline") for label in ("with", "alone")],
    contrasts=[("with", "alone")],
)


def row(label, low=0.5, flags=()):
    value = Interval(0.6, low, 0.7, "jackknife", 4)
    cell = Cell(
        values={"uar": value},
        recalls={},
        n=28,
        flags=list(flags),
        majority={"uar": 1 / 3},
        command="",
        seconds=1,
        epochs={},
        parameters=1,
        macs=1,
    )
    return ReproducedRow(
        label=label, corpus="emodb", published={}, published_macs=None, not_run=None, measured={"clean": cell}
    )


def places(tmp_path, **right):
    return {(name, "emodb", "clean"): write_run(tmp_path / name, right=share) for name, share in right.items()}


def test_a_contrast_is_a_difference_with_its_p_value(tmp_path):
    rows = [row("with"), row("alone")]
    found = places(tmp_path, **{"with": 0.7, "alone": 0.7})
    said = of_table(TABLE, rows, ["paper", "clean"], found)
    assert said == "Under clean: with minus alone: +0.0 points of UAR, no difference shown (p = 1.00)."


def test_without_its_rows_the_best_row_is_compared_with_the_baseline(tmp_path):
    rows = [row("with"), row("linear baseline (serkit)")]
    found = places(tmp_path, **{"with": 0.7, "linear baseline (serkit)": 0.7})
    said = of_table(TABLE, rows, ["clean"], found)
    assert said.startswith("Under clean: the best row on emodb, with, is not distinguishable from the linear baseline")


def test_chance_quick_runs_and_nothing(tmp_path):
    assert of_table(TABLE, [row("with", low=0.2)], ["clean"], {}) == AT_CHANCE
    quick = row("with", flags=[Flag("quick", "caution", "a quick run")])
    assert of_table(TABLE, [quick], ["clean"], {}) == QUICK
    assert of_table(TABLE, [], ["clean"], {}) == "No row of the paper was run."
