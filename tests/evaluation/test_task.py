"""A metric is defined in one place: whatever prints, draws or writes scores has it then."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import serkit
from fabricated_run import write_run
from serkit.cli.tables import print_scores
from serkit.corpora.corpus import Utterance
from serkit.evaluation import metrics
from serkit.evaluation.metrics import CLASSES, SHARE, Metric
from serkit.evaluation.task import TASKS, Classes, Numbers
from serkit.reports.comparison import markdown, table
from serkit.reports.report import write
from serkit.runs.card import Card
from serkit.runs.folder import RunFolder


@pytest.fixture
def lowest(monkeypatch):
    """A further metric: the lowest recall."""
    metric = Metric("lowest", "lowest recall", lambda counts: _recalls(counts).min(axis=-1), "%", SHARE)
    for known in (CLASSES, metrics.METRICS):
        monkeypatch.setitem(known, metric.key, metric)
    return metric


def _recalls(counts):
    return np.diagonal(counts, axis1=-2, axis2=-1) / np.maximum(counts.sum(axis=-1), 1)


def test_a_metric_is_added_in_one_place(lowest, tmp_path, capsys):
    runs = [write_run(tmp_path / name, seeds=(0, 1), corpora=("emodb", "savee")) for name in ("a", "b")]
    scores = json.loads((runs[0] / "scores.json").read_text())
    value = min(scores["recalls"].values())
    assert scores["lowest"]["estimate"] == pytest.approx(value)
    assert scores["lowest"]["low"] <= value <= scores["lowest"]["high"]
    parts = [scores["corpora"]["savee"], scores["constant"], scores["seeds"]["sd"], scores["speakers"]["emodb/s0"]]
    assert all("lowest" in part for part in parts)
    assert Card.load(runs[0] / "card.json").to_dict()["scores"]["lowest"] == scores["lowest"]
    print_scores(RunFolder.load(runs[0]).scores)
    out = capsys.readouterr().out
    assert "lowest recall %" in out and f"{100 * value:.1f} [" in out
    page = write(runs[0]).read_text(encoding="utf-8")
    # Of the scores, the speakers and the folds.
    assert page.count('<th scope="col">lowest recall</th>') == 3
    text = markdown(table(runs))
    assert "| macro F1 | lowest recall |" in text and "macro F1 and lowest recall in percent" in text
    assert RunFolder.load(runs[0]).predictions.value("lowest") == pytest.approx(value)


def utterance(name, **targets):
    return Utterance(id=f"x/{name}", path=Path("x.wav"), speaker="x/s", targets=targets)


def test_each_task_puts_answers_and_labels_together():
    said = [utterance("1", emotion="joy", valence=1.0), utterance("2", emotion="anger")]
    classes = Classes("emotion", ["anger", "joy"])
    found = classes.predictions(said, np.array([[0.2, 0.8], [0.4, 0.6]]), fold=3, seed=7)
    assert found.truth.tolist() == [1, 0] and found.value("accuracy") == 0.5
    assert (found.ids, found.folds.tolist(), found.seeds.tolist()) == (("x/1", "x/2"), [3, 3], [7, 7])
    numbers = Numbers(["valence"])
    found = numbers.predictions(said, np.array([[0.5], [0.0]]))
    assert found.truth[0, 0] == 1 and np.isnan(found.truth[1, 0]) and found.targets == ("valence",)
    assert numbers.final(found, said).to_dict() == {"ranges": {"valence": [1.0, 1.0]}}
    assert [list(task.targets) for task in (classes, numbers)] == [["emotion"], ["valence"]]


def test_predictions_are_read_back_by_their_task(tmp_path):
    said = [utterance("1", emotion="joy", valence=1.0), utterance("2", emotion="anger", valence=2.0)]
    answers = {"classes": np.array([[0.2, 0.8], [0.4, 0.6]]), "numbers": np.array([[0.5], [0.25]])}
    for task in (Classes("emotion", ["anger", "joy"]), Numbers(["valence"])):
        made = task.predictions(said, answers[task.name])
        made.save(tmp_path / "p.csv")
        read = TASKS[task.name].load([tmp_path / "p.csv"])
        assert read.value() == made.value() and read.metric() is task.metric() and read.task == task.name


def test_evaluation_imports_no_room_above_it():
    above = ("runs", "training", "methods", "networks", "reports", "papers", "tuning", "cli", "app")
    for path in (Path(serkit.__file__).parent / "evaluation").glob("*.py"):
        imported = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not [name for name in imported if (name or "").startswith(tuple(f"serkit.{room}" for room in above))], (
            path
        )
