"""The lab from Python: the functions behind the commands."""

import json
import subprocess
import sys

import pandas
import pytest

import serkit
from serkit import cli
from serkit.corpora import READERS
from serkit.evaluation.scores import Scores

SETS = {"stages.main.trainer.epochs": 60, "protocols.clean.folds": 2}


@pytest.fixture(scope="module")
def frame(synthetic):
    rows = [
        {"Datei": str(u.path), "emotion": u.targets["emotion"], "speaker": u.speaker.partition("/")[2]}
        for u in synthetic.utterances
    ]
    return pandas.DataFrame(rows)


@pytest.fixture(scope="module")
def corpus(frame):
    return serkit.corpus(frame, columns={"path": "Datei"})


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("lab") / "run"
    return serkit.train("linear-baseline", corpus, out, sets=SETS, report=None)


def test_a_data_frame_is_the_corpus_of_its_table(corpus, frame, tmp_path):
    frame.to_csv(tmp_path / "calls.csv", index=False)
    same = serkit.corpus(tmp_path / "calls.csv", columns={"path": "Datei"})
    assert [(u.id, u.path, u.targets, u.speaker) for u in corpus.utterances] == [
        (u.id, u.path, u.targets, u.speaker) for u in same.utterances
    ]
    assert corpus.folder.exists() and serkit.corpus(corpus) is corpus


def test_a_relative_path_of_a_data_frame_starts_in_the_current_folder(frame, monkeypatch):
    first = frame.head(1)
    monkeypatch.chdir(cli_folder := pandas.io.common.os.path.dirname(first["Datei"][0]))
    relative = first.assign(Datei=[first["Datei"][0].removeprefix(cli_folder + "/")])
    assert str(serkit.corpus(relative, columns={"path": "Datei"}).utterances[0].path) == first["Datei"][0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "no such file or folder; give a path"),
        ("emdb=x", "no corpus has this name"),
        (3, "a corpus must be a data frame, a path or 'name=folder', got int"),
    ],
)
def test_a_wrong_corpus_is_named(source, message):
    with pytest.raises(serkit.UserError, match=message):
        serkit.corpus(source)


def test_the_command_line_gives_the_same_scores(run, corpus, tmp_path, capsys):
    arguments = ["train", "linear-baseline", "--corpus", f"table={corpus.folder}", "--columns", "path=Datei"]
    sets = [part for key, value in SETS.items() for part in ("--set", f"{key}={value}")]
    assert cli.run([*arguments, *sets, "--jobs", "1", "--out", str(tmp_path / "run"), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert Scores.model_validate(printed).metrics == run.scores.metrics
    assert printed["conclusion"] == run.conclusion


def test_a_run_has_scores_a_report_and_a_bundle(run, tmp_path, synthetic):
    assert run.scores.metrics["uar"].estimate > 0
    assert run.conclusion in run.report().read_text(encoding="utf-8")
    assert len(run.to_frame()) == run.scores.n
    run.export(tmp_path / "mine", recordings=2)
    assert serkit.load(tmp_path / "mine")(synthetic.utterances[0].path).label in run.scores.classes


def test_a_quick_run_says_that_it_is_no_result(corpus, tmp_path):
    run = serkit.train("linear-baseline", corpus, tmp_path / "run", quick=True, report=None)
    assert run.conclusion.startswith("A quick run")
    assert run.scores.folds == 2 and any(flag.kind == "quick" for flag in run.scores.flags)
    history = next((tmp_path / "run" / "stages").glob("*/history.jsonl")).read_text().splitlines()
    assert len(history) == 2


def test_compare_and_audit(run):
    found = serkit.compare(run, run.folder)
    assert found.conclusion.startswith(f"{run.folder.name}: not distinguishable from {run.folder.name}")
    assert len(found.to_frame()) == len(found.rows) and found.conclusion in found.markdown()
    assert serkit.audit(run).leaks == []
    with pytest.raises(serkit.UserError, match="give either the folder of a run"):
        serkit.audit()


def test_evaluate_takes_a_recognizer_a_bundle_and_a_run(run, corpus):
    scored = serkit.evaluate(serkit.load("emodb"), corpus)
    assert scored.scores.metrics == serkit.evaluate("emodb", corpus).scores.metrics
    assert "training leak" in repr(serkit.evaluate(run, corpus))


def test_every_repr_fits_on_a_screen(run, corpus, synthetic):
    recognizer = serkit.load("emodb")
    path = synthetic.utterances[0].path
    things = [run, run.scores, run.card, corpus, serkit.compare(run, run.folder), serkit.audit(run), recognizer]
    things += [recognizer.bundle, recognizer(path), recognizer.timeline(path), serkit.evaluate("emodb", corpus)]
    sizes = {type(thing).__name__: len(repr(thing)) for thing in things}
    assert max(sizes.values()) < 400, sizes
    shown = [thing for thing in things if hasattr(thing, "_repr_html_")]
    assert len(shown) >= 6 and all("<table>" in thing._repr_html_() for thing in shown)


def test_plots(synthetic, tmp_path):
    path = synthetic.utterances[0].path
    recognizer = serkit.load("emodb")
    for answer in (recognizer(path), recognizer.timeline(path)):
        image = answer.plot(tmp_path / "x.png")
        assert image.width >= 800 and (tmp_path / "x.png").stat().st_size > 1000
    samples, rate = serkit.audio.read(path)
    assert recognizer.timeline_signal(samples, rate).plot().width == 1600


def test_import_serkit_is_light():
    code = (
        "import sys, serkit; dir(serkit);"
        "heavy = {'torch', 'sklearn', 'pandas', 'scipy', 'numpy', 'onnxruntime', 'pydantic'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(hasattr(serkit, name) for name in serkit.__all__) and "table" in READERS
