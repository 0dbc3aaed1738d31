import json

import numpy as np
import pytest

from fabricated_run import write_run
from serkit.errors import UserError
from serkit.evaluation import Predictions
from serkit.evaluation.comparison import compare
from serkit.reports.comparison import Compared, cells, columns, markdown, table


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        write_run(folder / name, right=right, final=name != "c") for name, right in (("a", 0.5), ("b", 0.9), ("c", 0.5))
    ]


def test_every_run_is_a_row_and_the_majority_class_is_the_last(runs):
    rows = [row.to_dict() for row in table(runs)]
    assert [row["run"] for row in rows] == [*map(str, runs), "always 'anger'"]
    scores = json.loads((runs[1] / "scores.json").read_text())
    second = rows[1]
    assert second["system"] == "linear-baseline" and second["protocol"] == "leave-one-speaker-out"
    assert second["n"] == 28 and second["parameters"] == 3 * 201
    assert [second[metric] for metric in ("accuracy", "uar", "macro_f1")] == [
        scores[metric]["estimate"] for metric in ("accuracy", "uar", "macro_f1")
    ]
    assert (second["low"], second["high"]) == (scores["uar"]["low"], scores["uar"]["high"])
    # 3 of 7 are anger.
    last = rows[-1]
    assert last["accuracy"] == pytest.approx(3 / 7) and last["uar"] == pytest.approx(1 / 3)
    assert last["macro_f1"] == pytest.approx(0.2) and last["p"] is None and last["low"] is None
    assert all(set(row) == set(rows[0]) for row in rows)


def test_the_others_are_compared_with_the_first(runs):
    rows = [row.to_dict() for row in table(runs)]
    found = compare(*(Predictions.load(runs[index] / "predictions.csv") for index in (1, 0)))
    assert rows[0]["difference"] is None and rows[0]["p"] is None
    assert rows[1]["difference"] == rows[1]["uar"] - rows[0]["uar"] > 0
    assert (rows[1]["difference_low"], rows[1]["difference_high"], rows[1]["p"]) == (found.low, found.high, found.p)
    assert rows[2]["difference"] == 0 and rows[2]["p"] == 1
    # Two were compared with the first: the smaller p counts twice.
    assert rows[1]["p_holm"] == min(1, 2 * found.p) and rows[2]["p_holm"] == 1
    assert rows[1]["seeds"] is None and rows[0]["folds"] is None


def test_folds_are_compared_with_the_correction_for_their_overlap(runs):
    # Four folds of 7 utterances, trained on the other 21.
    found = table(runs)[1].to_dict()["folds"]
    assert found["overlap"] == pytest.approx(7 / 21) and len(found["differences"]) == 4
    spread = np.std(found["differences"], ddof=1) * np.sqrt(1 / 4 + 1 / 3)
    assert found["high"] - found["mean"] == pytest.approx(3.182446 * spread)


def test_seeds_are_compared_and_told(tmp_path):
    runs = [write_run(tmp_path / name, seeds=(0, 1, 2), right=right) for name, right in (("a", 0.5), ("b", 0.9))]
    rows = table(runs)
    seeds = rows[1].to_dict()["seeds"]
    assert len(seeds["differences"]) == 3 and seeds["low"] <= seeds["mean"] <= seeds["high"]
    (line,) = [line for line in markdown(rows).splitlines() if "over seeds" in line]
    assert line.startswith(f"{runs[1]}, over seeds (on these speakers): {100 * seeds['mean']:+.1f} (")
    assert line.endswith(", ".join(f"{100 * value:+.1f}" for value in seeds["differences"]) + ".")


def test_rows_are_json(runs):
    rows = [row.to_dict() for row in table(runs)]
    assert json.loads(json.dumps(rows)) == rows


def test_cells_are_percent_with_signs_and_blanks():
    row = Compared(
        run="r",
        system=None,
        protocol="clean",
        n=10,
        accuracy=0.5,
        uar=0.4567,
        macro_f1=0.3,
        low=0.4,
        high=0.5,
        interval="method",
        parameters=None,
        difference=-0.1,
        difference_low=-0.25,
        difference_high=0.05,
        p=0.0004,
        permutation="swaps",
        p_holm=0.0312,
        seeds=None,
        folds=None,
    )
    assert len(columns([row])) == len(cells(row))
    assert cells(row) == [
        "r",
        "",
        "clean",
        "10",
        "45.7",
        "40.0–50.0",
        "50.0",
        "30.0",
        "",
        "-10.0",
        "-25.0 to +5.0",
        "<0.001",
        "0.031",
    ]
    assert cells(row.model_copy(update={"parameters": 1234567}))[8] == "1,234,567"


def test_markdown_is_a_table_with_notes(runs):
    lines = markdown(table(runs)).splitlines()
    assert lines[0].startswith("| run | system | protocol | n | UAR | 95% interval | accuracy |")
    assert lines[1] == "| :-- | :-- | :-- |" + " --: |" * 10
    assert len({line.count("|") for line in lines[:6]}) == 1
    assert lines[6] == "" and "permutation test" in lines[7] and "jackknife" in lines[8] and "swaps" in lines[8]


def test_a_bar_in_a_name_does_not_end_a_cell(runs):
    rows = table(runs)
    assert "| a\\|b |" in markdown([rows[0].model_copy(update={"run": "a|b"}), *rows[1:]])


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="give at least two runs, got 1"):
        table(runs[:1])
    with pytest.raises(UserError, match=r"holds no run \(run.json is missing\)"):
        table([runs[0], tmp_path])
    other = write_run(tmp_path / "other", corpora=("savee",))
    with pytest.raises(UserError, match="do not hold the same predictions") as caught:
        table([runs[0], other])
    assert str(caught.value).startswith(f"{other} (first) and {runs[0]} (second): ")
    unfinished = write_run(tmp_path / "unfinished")
    (unfinished / "scores.json").unlink()
    with pytest.raises(UserError, match=r"unfinished \(4 of 4 folds are done\)"):
        table([runs[0], unfinished])
