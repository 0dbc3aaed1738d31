import json

import pytest

from serkit import papers
from serkit.errors import UserError
from serkit.features.store import Store
from serkit.papers import reproduce as reproducing
from serkit.papers.reproduce import markdown, reproduce

PAPER = """
[paper]
name = "toy2026"
title = "A toy"
citation = "Nobody 2026."
remarks = ["The published value is made up."]

[[tables]]
name = "table1"
title = "Two rows"
metric = "accuracy"
called = "weighted accuracy"
protocols = ["clean", "random"]

[[tables.rows]]
label = "Linear, long"
system = "linear-baseline"
set = ["stages.main.trainer.epochs=3"]
published = { synthetic = 91.25 }

[[tables.rows]]
label = "Pretrained"
not_run = "its weights are not to be had"
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
    result = reproduce(*arguments, jobs=1, threads=1, store=Store(tmp_path / "store"))
    # Two rows with a system (the paper's and the baseline), one corpus, two protocols.
    assert [(request.system, request.protocol) for request in calls] == [
        ("linear-baseline", "clean"),
        ("linear-baseline", "random"),
    ] * 2
    own, pretrained, baseline = result["rows"]
    assert own["published"] == 91.25 and set(own["measured"]) == {"clean", "random"}
    assert pretrained["measured"] == {} and baseline["label"].startswith("linear baseline")
    scores = json.loads((tmp_path / "out/runs/linear-long-synthetic-clean/scores.json").read_text())
    assert own["measured"]["clean"]["estimate"] == scores["accuracy"]["estimate"]
    text = (tmp_path / "out/table1.md").read_text(encoding="utf-8")
    assert text == markdown(paper, json.loads((tmp_path / "out/table1.json").read_text()))
    low, high = 100 * scores["accuracy"]["low"], 100 * scores["accuracy"]["high"]
    value = f"{100 * scores['accuracy']['estimate']:.1f} [{low:.1f}, {high:.1f}]"
    assert f"| Linear, long | synthetic | 91.25 | {value} |" in text
    assert "| Pretrained | synthetic | 99.00 | not run | not run |" in text
    assert "Pretrained: not run: its weights are not to be had" in text
    assert "| majority class | synthetic |" in text and '"weighted accuracy" in the paper' in text
    assert "`random`: speakers may be in both parts" in text and "The published value is made up." in text


def test_a_second_time_nothing_is_trained(paper, synthetic, tmp_path, monkeypatch):
    arguments = (paper, paper.artefact("table1"), [synthetic], tmp_path / "out")
    settings = {"protocols": ["clean"], "jobs": 1, "threads": 1, "store": Store(tmp_path / "store")}
    first = reproduce(*arguments, **settings)
    from serkit import training

    monkeypatch.setattr(training, "fit", lambda *_: pytest.fail("trained again"))
    assert reproduce(*arguments, **settings) == first


def test_an_override_holds_for_the_papers_rows_and_is_named(paper, synthetic, tmp_path):
    settings = {"protocols": ["clean"], "sets": ["stages.*.trainer.epochs=1"], "jobs": 1, "threads": 1}
    reproduce(paper, paper.artefact("table1"), [synthetic], tmp_path, store=Store(tmp_path / "store"), **settings)
    own = json.loads((tmp_path / "runs/linear-long-synthetic-clean/run.json").read_text())
    baseline = json.loads((tmp_path / "runs/linear-baseline-serkit-synthetic-clean/run.json").read_text())
    epochs = [run["system"][0]["stages"][0]["trainer"]["epochs"] for run in (own, baseline)]
    assert epochs == [1, 60]
    assert "Changed from the paper's settings: `stages.*.trainer.epochs=1`" in (tmp_path / "table1.md").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[[tables.rows]]", "[[tables.rows]]\nsystm = 'x'"), "rows"),
        (('not_run = "its weights are not to be had"', ""), "has either a system or, in not_run, the reason why not"),
        (("[paper]", "[paper"), "not TOML"),
    ],
)
def test_a_paper_that_does_not_fit_is_refused(tmp_path, change, message):
    path = tmp_path / "bad.toml"
    path.write_text(PAPER.replace(*change), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        papers.load(path)


def test_unknown_names_are_refused(paper):
    with pytest.raises(UserError, match="unknown paper 'nobody'"):
        papers.load("nobody")
    with pytest.raises(UserError, match=r"unknown artefact of toy2026 'table2'. Did you mean 'table1'"):
        paper.artefact("table2")
