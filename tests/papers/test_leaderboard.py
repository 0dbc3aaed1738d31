import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from fabricated_run import write_run
from serkit import papers
from serkit.cli import run as serkit
from serkit.errors import UserError
from serkit.evaluation.intervals import Interval
from serkit.papers.leaderboard import COLUMNS, page
from serkit.papers.results import Results, add

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A better and a worse run of emodb, one that leaks, and one of two corpora."""
    folder = tmp_path_factory.mktemp("runs")
    leak = ("speaker leak: 4 of 4 folds share speakers", "sentences shared: all")
    return {
        "worse": write_run(folder / "worse", right=0.5),
        "better": write_run(folder / "better", right=0.9, seeds=(0, 1), splits="5b348036" * 4),
        "leaky": write_run(folder / "leaky", right=1.0, flags=leak),
        "both": write_run(folder / "both", corpora=("emodb", "savee")),
    }


@pytest.fixture
def results(runs, tmp_path):
    folder = tmp_path / "docs" / "results"
    folder.mkdir(parents=True)
    for name, run in runs.items():
        add(run, folder, note=f"It is the {name} one.", name=name)
    return folder


def rows(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| linear")]


def test_the_page_in_the_documentation_is_what_the_command_makes_of_the_results(tmp_path):
    preface = (DOCS / "results" / "preface.md").read_text(encoding="utf-8")
    made = page(Results.read([DOCS / "results"]), DOCS, preface)
    assert made == (DOCS / "results.md").read_text(encoding="utf-8"), (
        "serkit leaderboard page docs/results --out docs/results.md"
    )


def test_the_best_comes_first_and_what_leaks_stands_apart(results):
    text = page(Results.read([results]), results.parent)
    assert [row[-1].partition("]")[0] for row in rows(text)] == ["[better", "[worse", "[leaky", "[both"]
    emodb, both = text.split("### emodb + savee")
    clean, leaks = emodb.split("With leaks; these scores do not apply to new speakers:")
    assert "[worse](results/worse.json)" in clean and "[leaky](results/leaky.json) |" in leaks
    # 3 of 7 are anger, and 3 classes.
    assert "| always anger |  | 33.3 | 42.9 |" in clean
    assert "| emodb of it (28) |" in both and "| savee of it (28) |" in both
    assert "| mean of the 2 corpora |" in both and "| mean of the" not in emodb
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("|")}) == 1


def test_a_row_has_score_cost_folds_and_flags(results):
    text = page(Results.read([results]), results.parent)
    row = dict(zip(COLUMNS, rows(text)[0], strict=True))
    scores = json.loads((results / "better.json").read_text())["scores"]
    uar = scores["uar"]
    assert row["UAR"] == f"{100 * uar['estimate']:.1f} [{100 * uar['low']:.1f}, {100 * uar['high']:.1f}]"
    each = [f"{100 * values['uar']:.1f}" for values in scores["seeds"]["each"].values()]
    assert row["UAR of each seed"] == ", ".join(each) and len(each) == 2
    # 64 bands, mean and deviation ... as `serkit systems linear-baseline --classes 3` counts them.
    assert row["parameters"] == "603" and row["MACs"] == "600"
    # 8 folds of 2 s each.
    assert row["training"] == "16 s" and row["folds"] == "8, `5b348036`"
    assert (row["tried"], row["flags"]) == ("1", "sentences shared: all")


def test_each_row_has_its_note_and_its_command(results):
    text = page(Results.read([results]), results.parent)
    command = "serkit train linear-baseline --corpus emodb=CORPORA/emodb --protocol leave-one-speaker-out"
    made = text[text.index("**better**") :]
    assert made.startswith("**better**: It is the better one. 2 cores (x86_64), threads per fold: 2, serkit 0.1.0, ")
    assert made.splitlines()[2:5] == ["```console", f"$ {command} --seed 0 --threads 2", "```"]


def test_the_page_does_not_depend_on_the_order_of_the_places(results):
    files = sorted(results.glob("*.json"))
    one, other = (page(Results.read(order), results.parent) for order in (files, files[::-1]))
    assert one == other


def test_scores_alone_are_shown_with_what_they_say(runs, tmp_path):
    shutil.copy(runs["better"] / "scores.json", tmp_path / "alone.json")
    text = page(Results.read([tmp_path]), tmp_path, "What this is.")
    assert text.startswith("# Results\n\nWhat this is.\n\n## Leaderboard\n")
    row = dict(zip(COLUMNS, rows(text)[0], strict=True))
    assert row["folds"] == "8" and row["parameters"] == row["training"] == "" and row["UAR"][0].isdigit()
    assert "**alone**: The command was not recorded." in text


def test_recipes_are_told_once(runs, results):
    for name in ("worse", "better"):
        document = json.loads((results / f"{name}.json").read_text())
        document["scores"]["recipe"] = "3 were tried on emodb."
        (results / f"{name}.json").write_text(json.dumps(document))
    assert "### How recipes were found\n\n- better, worse: 3 were tried on emodb.\n" in page(
        Results.read([results]), results.parent
    )


# --- reproduced tables

BLANK = {"corpus": "emodb", "published_macs": None, "not_run": None, "measured": {}}
TABLE = {
    "paper": "kim2024",
    "artefact": "table3",
    "title": "Made up",
    "sets": ["stages.teacher.trainer.epochs=5"],
    "seed": 0,
    "not_run": {"theirs": "no weights"},
    "metrics": {"accuracy": "weighted accuracy"},
    "protocols": ["paper", "clean"],
    "elsewhere": [],
    "rows": [
        {"label": "theirs", "published": {"accuracy": 98.0}, **BLANK, "not_run": "no weights"},
        {"label": "later", "published": {}, **BLANK},
        {
            "label": "ours, short",
            "published": {"accuracy": 99.06},
            **BLANK,
            "measured": {
                protocol: {
                    "values": {"accuracy": asdict(Interval(value, value - 0.1, value + 0.1, "by hand", 5))},
                    "recalls": {},
                    "n": 535,
                    "flags": ["speakers may be in both parts"] if protocol == "paper" else [],
                    "majority": {"accuracy": 0.237},
                    "command": "serkit train vit-teacher --corpus emodb=/home/me/emodb --also tava=/home/me/tava "
                    f"--protocol {protocol}",
                    "seconds": 300,
                    "epochs": {"teacher": [5, 5]},
                    "parameters": 4488136,
                    "macs": 1394000000,
                }
                for protocol, value in (("paper", 0.818), ("clean", 0.607))
            },
        },
    ],
}
# The baselines come with any row, and `--rows` does not know them.
TABLE["rows"].append({**TABLE["rows"][-1], "label": papers.BASELINES[0].label, "published": {}})


def test_a_reproduced_table_has_published_paper_and_clean_side_by_side(tmp_path):
    (tmp_path / "table3.json").write_text(json.dumps(TABLE))
    path = add(tmp_path / "table3.json", tmp_path, note="5 epochs instead of 50.", name="kim")
    assert "/home/me" not in path.read_text() and "emodb=CORPORA/emodb" in path.read_text()
    text = page(Results.read([path]), tmp_path)
    assert "### kim2024 table3: Made up\n\n5 epochs instead of 50.\n" in text
    assert "| row | corpus | metric | published | paper | clean | parameters | MACs | training |" in text
    assert "| 99.06 | 81.8 [71.8, 91.8] | 60.7 [50.7, 70.7] | 4,488,136 | 1.39 G | 10 min |" in text
    assert "| theirs | emodb | accuracy | 98.00 | not run | not run |  |  |  |" in text
    assert "[All numbers](kim.json)." in text and "- `paper`: speakers may be in both parts" in text
    command = text[text.index("```console") :].splitlines()[1:-1]
    assert command == [
        "$ serkit reproduce kim2024 table3 --corpus emodb=CORPORA/emodb --also tava=CORPORA/tava --protocol paper \\",
        "      --protocol clean --rows 'ours, short' --set stages.teacher.trainer.epochs=5 --seed 0",
    ]


# --- adding, and mistakes


def test_a_row_is_named_and_replaced_by_the_same_run_only(runs, tmp_path):
    path = add(runs["worse"], tmp_path)
    assert path.name == "linear-baseline-emodb-leave-one-speaker-out.json"
    assert add(runs["worse"], tmp_path, note="Again.") == path and json.loads(path.read_text())["note"] == "Again."
    with pytest.raises(
        UserError, match=r"holds another result \(settings, folds or recordings differ\); give a --name"
    ):
        add(runs["both"], tmp_path, name=path.stem)
    assert json.loads(path.read_text())["note"] == "Again."
    with pytest.raises(UserError, match=r"nowhere: no such folder \(--results\)"):
        add(runs["worse"], tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a protocol card"):
        add(runs["worse"] / "scores.json", tmp_path)


def test_a_table_that_lacks_a_value_is_named(tmp_path):
    (tmp_path / "table3.json").write_text(json.dumps({**TABLE, "seed": None}))
    with pytest.raises(UserError, match=r"table3\.json: seed: Input should be a valid integer"):
        Results.read([tmp_path])


def test_what_is_no_result_is_passed_over_in_a_folder_and_refused_by_name(results):
    (results / "benchmarks.json").write_text('{"machine": "fast"}')
    (results / "figure.json").write_text(json.dumps({**TABLE, "kind": "attention"}))
    assert len(Results.read([results]).cards) == 4
    with pytest.raises(UserError, match="must be a card, scores or a reproduced table"):
        Results.read([results / "benchmarks.json"])
    (results / "numbers.json").write_text(json.dumps({"card": 1, "run": {}, "scores": {"classes": [], "targets": {}}}))
    assert len(Results.read([results]).cards) == 4
    with pytest.raises(UserError, match=r"numbers\.json: a card of predicted numbers, which have no UAR"):
        Results.read([results / "numbers.json"])
    with pytest.raises(UserError, match="no such file or folder"):
        Results.read([results / "nowhere"])
    (results / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken\.json: not JSON"):
        Results.read([results])


def test_nothing_to_show(tmp_path):
    with pytest.raises(UserError, match="no results found; `serkit leaderboard add RUN`"):
        Results.read([tmp_path])


def test_the_commands(runs, tmp_path, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "preface.md").write_text("Mine.\n")
    assert serkit(["leaderboard", "add", str(runs["worse"]), "--results", str(folder), "--name", "w"]) == 0
    assert "next: serkit leaderboard page" in capsys.readouterr().out
    out = tmp_path / "page.md"
    assert serkit(["leaderboard", "page", str(folder), "--out", str(out)]) == 0
    text = out.read_text()
    assert text.startswith("# Results\n\nMine.\n") and "[w](results/w.json)" in text
    assert capsys.readouterr().out == f"{out}: {len(text.splitlines())} lines\n"
    assert serkit(["leaderboard", "page", str(folder), "--out", str(tmp_path / "nowhere" / "page.md")]) == 2
