import json
import re
import shlex

import pytest

from serkit import papers, systems
from serkit.engine import Engine
from serkit.errors import UserError
from serkit.papers import reproduce as reproducing
from serkit.papers.pages import page
from serkit.papers.reproduce import reproduce, share
from serkit.papers.reproduced import ReproducedTable
from serkit.shards import Shard

PAPER = """
[paper]
name = "toy2026"
title = "A toy"
citation = "Nobody 2026."
remarks = ["The published value is made up."]

[[tables]]
name = "table1"
title = "Two rows"
metrics = { accuracy = "weighted accuracy", uar = "" }
recalls = true
protocols = ["clean", "random"]

[[tables.rows]]
label = "Linear, long"
system = "linear-baseline"
set = ["stages.main.trainer.epochs=3"]
published = { synthetic = { accuracy = 91.25, anger = 80 } }

[[tables.rows]]
label = "Pretrained"
not_run = "its weights are not available"
published = { synthetic = 99.0 }
"""


@pytest.fixture
def paper(tmp_path):
    path = tmp_path / "toy2026.toml"
    path.write_text(PAPER, encoding="utf-8")
    return papers.load(path)


def test_a_table_is_run_beside_what_was_published(paper, synthetic, tmp_path, monkeypatch):
    calls = []
    genuine = reproducing.run
    monkeypatch.setattr(reproducing, "run", lambda request, *rest: calls.append(request) or genuine(request, *rest))
    arguments = (paper, paper.artefact("table1"), [synthetic], tmp_path / "out")
    result = reproduce(*arguments, jobs=1, threads=1).to_dict()
    # Three rows with a system (the paper's and the baselines), one corpus, two protocols.
    assert [(request.system, request.protocol) for request in calls] == [
        (system, protocol)
        for system in ("linear-baseline", "linear-baseline", "is09-svm")
        for protocol in ("clean", "random")
    ]
    own, pretrained, baseline, machine = result["rows"]
    assert own["published"] == {"accuracy": 91.25, "anger": 80} and pretrained["published"] == {"accuracy": 99}
    assert set(own["measured"]) == {"clean", "random"}
    assert pretrained["measured"] == {} and baseline["label"].startswith("linear baseline")
    assert machine["label"].startswith("SVM on IS09") and set(machine["measured"]) == {"clean", "random"}
    scores = json.loads((tmp_path / "out/runs/table1-linear-long-synthetic-clean/scores.json").read_text())
    assert own["measured"]["clean"]["values"]["uar"] == scores["uar"]
    text = (tmp_path / "out/table1.md").read_text(encoding="utf-8")
    assert text == page(paper, ReproducedTable.load(tmp_path / "out/table1.json"))
    low, high = 100 * scores["accuracy"]["low"], 100 * scores["accuracy"]["high"]
    value = f"{100 * scores['accuracy']['estimate']:.1f} [{low:.1f}, {high:.1f}]"
    assert f"| Linear, long | synthetic | accuracy | 91.25 | {value} |" in text
    assert "| Pretrained | synthetic | accuracy | 99.00 | not run | not run |" in text
    assert "| Pretrained | synthetic | uar |  | not run | not run |" in text
    recall = f"{100 * scores['recalls']['anger']:.1f}"
    assert f"| Linear, long | synthetic | recall of anger | 80.00 | {recall} |" in text
    assert "Pretrained: not run: its weights are not available" in text
    assert "| majority class | synthetic | uar |  |" in text and '"weighted accuracy" in the paper' in text
    assert "`random`: speakers may be in both parts" in text and "The published value is made up." in text


def test_after_all_shards_and_a_second_time_nothing_is_trained(paper, synthetic, tmp_path, monkeypatch):
    arguments = (paper, paper.artefact("table1"), [synthetic], tmp_path / "out")
    settings = {"protocols": ["random"], "jobs": 1, "threads": 1}
    for index in (1, 2):
        share(arguments[1], arguments[2], arguments[3], Shard(index, 2), **settings)
    assert not (tmp_path / "out/table1.json").exists()
    from serkit.training import loop

    monkeypatch.setattr(loop, "fit", lambda *_: pytest.fail("trained again"))
    first = reproduce(*arguments, **settings).to_dict()
    assert reproduce(*arguments, **settings).to_dict() == first


def test_rows_on_an_engine_are_those_of_one_machine(calls, paper, synthetic, tmp_path):
    arguments = (paper, paper.artefact("table1"), [synthetic])
    settings = {"protocols": ["random"], "sets": ["stages.*.trainer.epochs=1"], "jobs": 1, "threads": 1}
    share(*arguments[1:], tmp_path / "there", Engine("ray"), **settings, report=print)
    assert len(calls.order) == 3
    there, here = (reproduce(*arguments, tmp_path / name, **settings).to_dict() for name in ("there", "here"))
    for rows in zip(there["rows"], here["rows"], strict=True):
        values = [row["measured"].get("random", {}).get("values") for row in rows]
        assert values[0] == values[1]


def test_an_override_holds_for_the_papers_rows_and_is_named(paper, synthetic, tmp_path):
    settings = {"protocols": ["random"], "sets": ["stages.*.trainer.epochs=1"], "jobs": 1, "threads": 1}
    reproduce(paper, paper.artefact("table1"), [synthetic], tmp_path, **settings)
    own = json.loads((tmp_path / "runs/table1-linear-long-synthetic-random/run.json").read_text())
    baseline = json.loads((tmp_path / "runs/table1-linear-baseline-serkit-synthetic-random/run.json").read_text())
    epochs = [run["system"][0]["stages"][0]["trainer"]["epochs"] for run in (own, baseline)]
    assert epochs == [1, 60]
    assert "Changed from the paper's settings: `stages.*.trainer.epochs=1`" in (tmp_path / "table1.md").read_text()


def test_an_override_holds_for_the_rows_that_have_its_stage(synthetic, tmp_path):
    path = tmp_path / "two.toml"
    other = '[[tables.rows]]\nlabel = "Other"\nsystem = "compact-cnn"\n'
    path.write_text(PAPER.replace("[[tables.rows]]", other + "[[tables.rows]]", 1), encoding="utf-8")
    found = papers.load(path)
    sets = ["stages.main.trainer.epochs=2", "views.functionals.normalise=global", "data.target=emotion"]
    changes = reproducing._by_row(found.artefact("table1"), sets, found.artefact("table1").rows)
    assert changes["Linear, long"] == ["stages.main.trainer.epochs=3", *sets]
    assert "views.functionals.normalise=global" not in changes["Other"] and "data.target=emotion" in changes["Other"]
    with pytest.raises(
        UserError, match=r"--set stages\.teacher\.seed=1: no row to run of table1 has this stage or view"
    ):
        reproduce(found, found.artefact("table1"), [synthetic], tmp_path, sets=["stages.teacher.seed=1"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[[tables.rows]]", "[[tables.rows]]\nsystm = 'x'"), "rows"),
        (('not_run = "its weights are not available"', ""), "must have either a system or a reason in not_run"),
        (("[paper]", "[paper"), "not TOML"),
        (('label = "Pretrained"', 'label = "LINEAR long"'), "'Linear, long' and 'LINEAR long'"),
        (
            ("[[tables.rows]]", '[[figures]]\nname = "table1"\ntitle = ""\nkind = "sweep"\nrows = []\n[[tables.rows]]'),
            r"bad\.toml: names of artifacts must be unique; 'table1' occurs twice",
        ),
        (("uar =", "f1 ="), "unknown metric 'f1'"),
    ],
)
def test_a_paper_that_does_not_fit_is_refused(tmp_path, change, message):
    path = tmp_path / "bad.toml"
    path.write_text(PAPER.replace(*change), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        papers.load(path)


def test_a_cell_says_what_it_took(paper, synthetic, tmp_path):
    settings = {"protocols": ["random"], "jobs": 1, "threads": 1}
    result = reproduce(paper, paper.artefact("table1"), [synthetic], tmp_path, **settings).to_dict()
    cell = result["rows"][0]["measured"]["random"]
    notes = [json.loads(path.read_text()) for path in (tmp_path / "stages").glob("*/stage.json")]
    own = [note for note in notes if note["epochs"] == 3]
    assert cell["epochs"] == {"main": [3] * len(own)} and len(own) == 1
    assert cell["seconds"] >= round(sum(note["seconds"] for note in own), 2) > 0
    # One product for each weight; the biases of 4 classes multiply nothing.
    assert cell["parameters"] == own[0]["parameters"] == cell["macs"] + 4
    words = shlex.split(cell["command"])
    assert words[:5] == ["serkit", "train", "linear-baseline", "--corpus", f"synthetic={synthetic.folder}"]
    assert words[words.index("--set") + 1] == "stages.main.trainer.epochs=3"


def test_rows_not_asked_for_keep_what_was_published(paper, synthetic, tmp_path):
    settings = {"protocols": ["random"], "jobs": 1, "threads": 1}
    two = paper.artefact("table1")
    more = two.model_copy(update={"rows": [*two.rows, two.rows[0].model_copy(update={"label": "Other"})]})
    result = reproduce(paper, more, [synthetic], tmp_path, rows=["Other"], **settings).to_dict()
    measured = {row["label"]: set(row["measured"]) for row in result["rows"]}
    assert measured == {"Linear, long": set(), "Pretrained": set(), "Other": {"random"}} | {
        row.label: {"random"} for row in papers.BASELINES
    }
    assert "| Linear, long | synthetic | accuracy | 91.25 | not run |" in (tmp_path / "table1.md").read_text()
    # What was run is not forgotten when another row is.
    again = reproduce(paper, more, [synthetic], tmp_path, rows=["Linear, long"], **settings).to_dict()
    assert again["rows"][2]["measured"] == result["rows"][2]["measured"] and again["rows"][0]["measured"]
    with pytest.raises(
        UserError, match=r"unknown row of table1 'Othr'. Did you mean 'Other'\? Available: Linear, long, "
    ):
        reproduce(paper, more, [synthetic], tmp_path, rows=["Othr"], **settings)
    with pytest.raises(UserError, match="row 'Pretrained' of table1 cannot be run: its weights"):
        reproduce(paper, more, [synthetic], tmp_path, rows=["Pretrained"], **settings)


def test_values_of_corpora_that_were_not_run_are_listed(paper, synthetic, tmp_path):
    row = paper.artefact("table1").rows[1]
    published = {"synthetic": 99.0, "emodb": 61.5, "cdesd": {"uar": 70.0, "anger": 81.25}}
    table = paper.artefact("table1").model_copy(update={"rows": [row.model_copy(update={"published": published})]})
    result = reproduce(paper, table, [synthetic], tmp_path, protocols=["random"]).to_dict()
    assert result["elsewhere"] == [
        {"label": "Pretrained", "corpus": "emodb", "published": {"accuracy": 61.5}},
        {"label": "Pretrained", "corpus": "cdesd", "published": {"uar": 70.0, "anger": 81.25}},
    ]
    lines = (tmp_path / "table1.md").read_text(encoding="utf-8").splitlines()
    begin = lines.index("Published for corpora that were not run:") + 2
    assert lines[begin : begin + 6] == [
        "| row | corpus | metric | published |",
        "|---|---|---|---:|",
        "| Pretrained | emodb | accuracy | 61.50 |",
        "| Pretrained | cdesd | uar | 70.00 |",
        "| Pretrained | cdesd | recall of anger | 81.25 |",
        "",
    ]


@pytest.mark.parametrize("name", papers.available())
def test_no_published_value_of_any_paper_is_lost(name, tmp_path):
    paper = papers.load(name)
    for table in paper.tables:
        # No corpus, so nothing is trained; together they would be an empty one.
        reproduce(paper, table.model_copy(update={"together": False}), [], tmp_path)
        text = (tmp_path / f"{table.name}.md").read_text(encoding="utf-8")
        for row in table.rows:
            for corpus in row.published:
                for value in table.published(row, corpus).values():
                    assert re.search(rf"\| {re.escape(row.label)} \| {re.escape(corpus)} \| .+ \| {value:.2f} \|", text)


POOLED = """
extends = "linear-baseline"

[system]
name = "pooled"

[data]
classes = ["anger", "sadness"]
map = { fear = "anger" }
items = { seconds = 1.0, tail = "first" }
copies = ["noise", "speed"]

[protocols.paper]
kind = "random"
unit = "item"
test = 0.3
"""


@pytest.fixture
def pooled(tmp_path, paper):
    """A table whose row's system pools copies under a protocol of its own."""
    (tmp_path / "pooled.toml").write_text(POOLED, encoding="utf-8")
    row = paper.artefact("table1").rows[0]
    row = row.model_copy(update={"system": str(tmp_path / "pooled.toml"), "published_macs": 0.5})
    return paper.artefact("table1").model_copy(update={"rows": [row], "protocols": ["paper", "random"]})


def test_the_baseline_is_given_the_same_items(paper, pooled, synthetic, tmp_path):
    settings = {"jobs": 1, "threads": 1}
    result = reproduce(paper, pooled, [synthetic], tmp_path, **settings).to_dict()
    runs = tmp_path / "runs"
    for protocol, count in (("paper", 3), ("random", 1)):
        own, baseline = (
            json.loads((runs / f"table1-{name}-synthetic-{protocol}/splits.json").read_text())
            for name in ("linear-long", "linear-baseline-serkit")
        )
        assert own == baseline
        pool = own[0]["train"] + own[0]["test"]
        assert sum("+" not in name for name in pool) * count == len(pool) == count * 30
    # Whole utterances are scored under `random`: the baseline keeps its own windows and copies.
    made = json.loads((runs / "table1-linear-baseline-serkit-synthetic-random/run.json").read_text())["system"][0]
    assert made["data"]["items"]["seconds"] is None and made["data"]["copies"] == []
    assert made["data"]["map"] == {"fear": "anger"} and made["data"]["classes"] == ["anger", "sadness"]
    assert [len(row["measured"]) for row in result["rows"]] == [2, 2, 2]
    text = (tmp_path / "table1.md").read_text()
    assert (
        "| row | corpus | metric | published | paper | random | MACs published | parameters | MACs | training |" in text
    )
    cells = result["rows"][0]["measured"]
    size, seconds = cells["paper"], sum(cell["seconds"] for cell in cells.values())
    assert f"| 500 M | {size['parameters']:,} | {size['macs']} | {seconds:.0f} s |" in text
    # The command of the baseline brings the paper's protocol along.
    words = shlex.split(result["rows"][1]["measured"]["paper"]["command"])
    sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    again, run = systems.load("linear-baseline", sets), runs / "table1-linear-baseline-serkit-synthetic-paper/run.json"
    assert again.model_dump(mode="json") == json.loads(run.read_text())["system"][0]
    assert again.protocols["paper"].unit == "item" and again.protocols["paper"].test == 0.3


def test_overrides_reach_the_baseline_where_they_change_what_is_scored(paper, pooled, synthetic, tmp_path):
    settings = {"jobs": 1, "threads": 1, "protocols": ["paper"]}
    sets = ['data.copies=["shift"]', "protocols.paper.test=0.5"]
    reproduce(paper, pooled, [synthetic], tmp_path, sets=sets, **settings)
    own, baseline = (
        json.loads((tmp_path / f"runs/table1-{name}-synthetic-paper/splits.json").read_text())[0]
        for name in ("linear-long", "linear-baseline-serkit")
    )
    assert own == baseline and len(own["test"]) == len(own["train"]) == 30
    with pytest.raises(UserError, match=r"unknown protocol 'papr'. Did you mean 'paper'"):
        reproduce(paper, pooled, [synthetic], tmp_path, protocols=["papr"])


def test_unknown_names_are_refused(paper):
    with pytest.raises(UserError, match="unknown paper 'nobody'"):
        papers.load("nobody")
    with pytest.raises(UserError, match=r"unknown artifact of toy2026 'table2'. Did you mean 'table1'"):
        paper.artefact("table2")
