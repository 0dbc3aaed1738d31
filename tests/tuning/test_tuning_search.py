"""Whole searches on generated speech, with the linear baseline."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import optuna
import pytest
from optuna.trial import TrialState

from serkit import systems
from serkit.audio import AudioError
from serkit.cli import run as command
from serkit.data.store import StoreError
from serkit.errors import UserError
from serkit.evaluation.metrics import uar
from serkit.protocols import Protocol
from serkit.runs import request as run_request
from serkit.runs import runner
from serkit.runs.predict import predict
from serkit.runs.stages import Stages
from serkit.training import stopping
from serkit.tuning import conclusion, held_out, results, search, space
from serkit.tuning.conclusion import of_search
from serkit.tuning.rounds import Plan, Recipe, Round, plan
from serkit.tuning.search import Request
from serkit.tuning.study import Queue, draw, open_storage
from serkit.tuning.trial import Task

RATE, SIZE = "stages.main.trainer.learning_rate", "stages.main.trainer.batch_size"
SPACE = {RATE: {"low": 1e-4, "high": 0.1, "log": True}, SIZE: [8, 16]}
SETS = ("stages.main.trainer.epochs=2", "views.functionals.feature.bands=8")
CNN = ("stages.main.network=cnn", "views.functionals.feature={name='log_mel', bands=8, hop=800, length=512}")


def request(corpus, space=SPACE, rounds=(), sets=(), **options):
    own = {name: options.pop(name) for name in ("workers", "heartbeat", "study") if name in options}
    entry = {name: options.pop(name) for name in ("trials", "sampler", "pruner") if name in options}
    task = Task("linear-baseline", [corpus], (*SETS, *sets), **{"folds": 2, **options})
    return Request(task, Recipe(space, rounds or [Round(**{"trials": 4, **entry})]), **own)


def test_a_search(synthetic, tmp_path):
    asked = request(synthetic)
    found = search.run(asked, tmp_path / "search")
    assert [row.state for row in found.rows] == ["done"] * 4
    values = [row.value for row in found.rows]
    assert values == sorted(values, reverse=True) and values[0] > values[-1]
    for row in found.rows:
        assert row.value == pytest.approx(sum(fold["uar"] for fold in row.folds) / 2)
    # The table says the same.
    with open(tmp_path / "search" / "trials.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(line["uar"]) for line in table] == values
    assert [float(line[RATE]) for line in table] == [row.point[RATE] for row in found.rows]
    assert float(table[0]["uar_fold_2"]) == found.rows[0].folds[1]["uar"] and float(table[0]["seconds"]) > 0
    assert (tmp_path / "search" / "history.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "search" / "search.html").read_text(encoding="utf-8")
    assert f"The best of 4 trials has UAR {values[0]:.1%} over 2 folds" in page and "protocol held-out" in page
    assert page.count("<svg") == 2 and 'id="parallel' in page  # four trials say nothing about importance
    assert "src=" not in page and 'href="data:,"' in page
    assert not (tmp_path / "search" / "importance.png").exists()  # four trials say nothing about it
    # Of the stages only the best trial's are left, one for each fold.
    kept = list((tmp_path / "search" / "stages").glob("*/*"))
    assert [folder.name for folder in kept] == [str(found.rows[0].slot)]
    # No trial has learned from, or was scored on, the test part of the protocol's first fold.
    outer = asked.task.outer
    assert len(outer.test) == 8
    learned = [json.loads(path.read_text())["items"] for path in kept[0].glob("*/stage.json")]
    assert len(learned) == 2 and not set(outer.test) & {name for items in learned for name in items}
    inner = asked.task.inner
    assert sorted(name for split in inner for name in split.validation) == sorted(outer.train)
    speakers = {u.id: u.speaker for u in synthetic.utterances}
    for split in inner:
        assert not {speakers[name] for name in split.train} & {speakers[name] for name in split.validation}


def test_no_trial_begins_after_the_time(synthetic, tmp_path):
    told = []
    found = search.run(replace(request(synthetic), minutes=1e-9), tmp_path / "search", told.append)
    assert found.rows == [] and not (tmp_path / "search" / "best.toml").exists()
    assert told[-1] == "the time is used up: 0 of 4 trials; the same command continues"
    again = search.run(request(synthetic, trials=1), tmp_path / "search")
    assert [row.state for row in again.rows] == ["done"]


def test_a_missing_driver_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"needs the driver 'psycopg': pip install 'psycopg\[binary\]'"):
        open_storage("postgresql://user@nowhere/searches", 10)


def test_a_database_that_fails_ends_the_search_with_one_line(synthetic, tmp_path):
    def report(line):
        if line.startswith("search 0"):
            with sqlite3.connect(tmp_path / "search" / "study.db") as database:
                database.execute("DROP TABLE trial_values")

    with pytest.raises(
        UserError, match=r"study.db: the database fails \(no such table: trial_values\); the same"
    ) as told:
        search.run(request(synthetic), tmp_path / "search", report)
    assert "\n" not in str(told.value)


def test_the_same_values_as_a_run_would_give(synthetic, tmp_path):
    """The objective of a point is the UAR of runs on the inner folds."""
    asked = request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1)
    row = search.run(asked, tmp_path / "search").rows[0]
    experiment = asked.task.prepare(asked.task.load([f"{RATE}=0.05"]))
    for split, fold in zip(asked.task.inner, row.folds, strict=True):
        stages = Stages(experiment, split, tmp_path / "stages", split.seed)
        finished = stages.train()
        predictions = predict(experiment, stages, finished, split.validation, split)
        assert fold["uar"] == uar(predictions.truth, predictions.predicted)


def test_stopped_and_gone_on_with_it_draws_what_it_would_have_drawn(synthetic, tmp_path):
    whole = {row.slot: (row.point, row.value) for row in search.run(request(synthetic), tmp_path / "whole").rows}
    search.run(request(synthetic, trials=2), tmp_path / "parts")
    later = search.run(request(synthetic), tmp_path / "parts")
    assert {row.slot: (row.point, row.value) for row in later.rows} == whole
    assert later.total == {"search": 4}


def test_best_toml_is_the_best_point_and_trains(synthetic, tmp_path, monkeypatch):
    space = {"stages.*.trainer.batch_size": [8, 16], "stages.main.method": [{"name": "supervised"}], RATE: [0.05, 1e-6]}
    asked = request(synthetic, space, sampler="grid", trials=4)
    write, written = results.write_text, []

    def noting(path, text):
        write(path, text)
        written.extend([text] if path.name == "best.toml" else [])

    monkeypatch.setattr(results, "write_text", noting)
    best = search.run(asked, tmp_path / "search").best
    assert best.point[RATE] == 0.05
    file = tmp_path / "search" / "best.toml"
    system = systems.load(file)
    stage = system.stages[0]
    assert (stage.trainer.learning_rate, stage.trainer.epochs) == (0.05, 2)
    assert stage.trainer.batch_size == best.point["stages.*.trainer.batch_size"]
    # A table set as a whole takes the base's options away, which changes of a table cannot say. Even for a moment, the
    # file never holds another system, which a second command would read.
    assert all(systems.read(text, file).stages[0].method.options == {} for text in written)
    assert stage.method.options == {}
    assert system.system.name == "linear-baseline-tuned"
    assert "Best of 4 trials" in system.system.chosen and "protocol 'clean'" in system.system.chosen
    # What is tested there is what no trial has seen.
    asked = run_request.Request(file, [synthetic], "held-out", final=False)
    scores = runner.run(asked, tmp_path / "run")
    assert scores.n == 8 and "Best of 4 trials" in scores.recipe


# --- the final test


def test_the_best_trial_is_tested_once_on_speakers_that_no_trial_has_seen(synthetic, tmp_path, monkeypatch):
    folder, told = tmp_path / "search", []
    asked = replace(request(synthetic, {RATE: [0.05, 1e-6]}, sampler="grid", trials=2), test=True)
    found = search.run(asked, folder, told.append)
    tested = found.held_out
    assert (tested.trial, tested.metric, tested.utterances) == (found.best.slot, "uar", 8)
    assert [flag.text for flag in tested.flags] == ["sentences shared: all"]  # but no speaker, and no recording
    scores = json.loads((folder / "held-out" / "scores.json").read_text())
    assert tested.baseline == scores["baseline"]["uar"]["estimate"]
    assert json.loads((folder / "held-out.json").read_text()) == tested.to_dict()
    # The same as `serkit train best.toml --protocol held-out`.
    alone = runner.run(
        run_request.Request(folder / "best.toml", [synthetic], "held-out", final=False), tmp_path / "run"
    )
    score = alone.metrics["uar"]
    assert (score.estimate, score.low, score.high) == (tested.value, tested.low, tested.high)
    # No speaker of the test has been in any fold of the search, or is in the training of the test.
    speakers = {utterance.id: utterance.speaker for utterance in synthetic.utterances}
    [split] = json.loads((folder / "held-out" / "splits.json").read_text())
    unseen = {speakers[name] for name in split["test"]}
    folds = json.loads((folder / "search.json").read_text())["folds"]
    seen = {speakers[name] for fold in [*folds, split] for part in ("train", "validation") for name in fold[part]}
    assert unseen and not unseen & seen and unseen | seen == set(speakers.values())
    # The page and the conclusion say what it scored, next to the value that is too optimistic.
    said = of_search(found, held_out=True)
    assert "it is too optimistic: on 8 held-out utterances of 1 speaker, which no trial has seen" in said
    assert conclusion.of_test(tested) in (folder / "search.html").read_text(encoding="utf-8")
    # Nothing is trained a second time.
    monkeypatch.setattr(runner, "run", None)
    assert search.run(asked, folder).held_out == tested
    # A search that goes on may choose another trial, which is not tested on what has chosen the first.
    monkeypatch.setattr(results.Search, "best", replace(found.best, slot=1 - found.best.slot))
    with pytest.raises(UserError, match="is the best by now; a choice among tested trials is not a test"):
        search.run(asked, folder)


def test_a_final_test_that_was_stopped_goes_on(synthetic, tmp_path, monkeypatch):
    folder, real = tmp_path / "search", runner.run
    asked = replace(request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1), test=True)

    def stopped(asked, folder, **options):
        real(asked, folder, **options)
        (folder / "scores.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        search.run(asked, folder)
    assert not (folder / "held-out.json").exists()
    trained = {path: path.stat().st_mtime_ns for path in (folder / "held-out" / "stages").rglob("stage.json")}
    monkeypatch.setattr(runner, "run", real)
    assert search.run(asked, folder).held_out is not None and trained
    assert trained == {path: path.stat().st_mtime_ns for path in (folder / "held-out" / "stages").rglob("stage.json")}


def test_a_command_takes_over_from_one_that_was_killed_in_the_final_test(synthetic, tmp_path):
    asked = replace(request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1, heartbeat=1), test=True)
    undisturbed = search.run(asked, tmp_path / "undisturbed").held_out
    asked = replace(asked, storage=search.url_of(tmp_path, None))
    before = search.run(replace(asked, test=False), tmp_path / "search")
    # As SIGKILL leaves it: the trial of the test runs, and sends no heartbeat.
    only = Plan(Round(name="held-out", trials=1), {}, [{}], [], 1, 0)
    killed = Queue(open_storage(asked.storage, 1), results.test_study("search"), only, 1)
    assert killed.next() is not None
    told = []
    found = search.run(asked, tmp_path / "other", told.append)
    assert found.held_out == undisturbed and found.best == before.best
    assert (
        "held-out: another command has begun the test; this one waits, and takes over if that one is silent for 3 s"
    ) in told
    assert [trial.state.name for trial in killed.study().get_trials()] == ["FAIL", "COMPLETE"]


def test_a_command_that_is_too_late_with_the_final_test_leaves_it_to_the_other(synthetic, tmp_path, monkeypatch):
    """It has slept for so long that another command believes it dead, and has taken over."""
    asked = replace(request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1), test=True)
    asked = replace(asked, storage=search.url_of(tmp_path, None))
    scored, storage, told = held_out._score, open_storage(asked.storage, 10), []

    def sleeping(*arguments):
        found = scored(*arguments)
        monkeypatch.setattr(held_out, "_score", scored)
        [running] = optuna.load_study(study_name="search (held-out)", storage=storage).get_trials()
        storage.set_trial_state_values(running._trial_id, TrialState.FAIL)
        search.run(asked, tmp_path / "other")
        return found

    monkeypatch.setattr(held_out, "_score", sleeping)
    found = search.run(asked, tmp_path / "search", told.append)
    assert "held-out: interrupted for too long; another command may have begun the test" in told
    assert found.held_out == search.run(asked, tmp_path / "other").held_out
    tests = optuna.load_study(study_name="search (held-out)", storage=storage).get_trials()
    assert [trial.state for trial in tests] == [TrialState.FAIL, TrialState.COMPLETE]


def test_two_commands_that_choose_different_trials_test_one(synthetic, tmp_path, monkeypatch):
    """Both looked before either had chosen: the one that takes the test decides."""
    asked = replace(request(synthetic, {RATE: [0.05, 1e-6]}, sampler="grid", trials=2), test=True)
    found = search.run(replace(asked, test=False), tmp_path / "search")
    taken = Queue.next

    def meanwhile(queue, *waits):
        got = taken(queue, *waits)
        if got is not None and queue.name == "search (held-out)":
            queue.study().set_user_attr("chosen", ["search", 1 - found.best.slot])
        return got

    monkeypatch.setattr(Queue, "next", meanwhile)
    with pytest.raises(UserError, match="is the best by now; a choice among tested trials is not a test"):
        search.run(asked, tmp_path / "search")
    assert not (tmp_path / "search" / "held-out").exists()


def test_the_final_test_waits_for_all_trials_and_for_time(synthetic, tmp_path):
    told = []
    asked = replace(request(synthetic, trials=1), test=True)
    assert search.run(replace(asked, minutes=1e-9), tmp_path / "search", told.append).held_out is None
    assert told[-1] == "the time is used up: 0 of 1 trials; the same command continues"
    search.run(replace(asked, test=False), tmp_path / "search")
    assert search.run(replace(asked, minutes=1e-9), tmp_path / "search", told.append).held_out is None
    assert told[-1] == "the time is used up before the test on the held-out recordings; the same command continues"


def test_of_several_machines_one_tests(synthetic, tmp_path):
    asked = replace(request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1), test=True)
    asked = replace(asked, storage=search.url_of(tmp_path, None))
    one = search.run(asked, tmp_path / "one")
    other = search.run(asked, tmp_path / "other")
    assert other.held_out == one.held_out and (tmp_path / "other" / "held-out.json").exists()
    assert (tmp_path / "one" / "held-out").exists() and not (tmp_path / "other" / "held-out").exists()


def test_held_out_recordings_that_the_search_has_seen_are_refused(synthetic, tmp_path, monkeypatch):
    """Whatever went wrong with the lists: the folds of the search decide."""
    asked = request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1)
    search.run(asked, tmp_path / "search")
    lists = tmp_path / "search" / "held-out.csv"
    other = {"train": "test", "test": "train", "part": "part"}
    swapped = [line.rpartition(",") for line in lists.read_text().splitlines()]
    monkeypatch.setattr(results, "write_held_out", lambda folder, task: None)
    lists.write_text("\n".join(f"{name},{other[part]}" for name, _, part in swapped))
    with pytest.raises(UserError, match="the search has seen 32 of the held-out recordings"):
        search.run(replace(asked, test=True), tmp_path / "search")
    assert not (tmp_path / "search" / "held-out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"whole": True}, "--test: --whole holds no recordings out"),
        (
            {"protocol": "items", "protocols": {"items": Protocol(kind="random", unit="item")}},
            "--test: protocol 'items' cuts recordings into items",
        ),
        ({"sets": ("stages.main.trainer.select=uar",)}, "--test: stage 'main': trainer.select = 'uar'"),
    ],
)
def test_final_tests_that_cannot_be(synthetic, tmp_path, options, message):
    with pytest.raises(UserError) as caught:
        search.run(replace(request(synthetic, **options), test=True), tmp_path / "search")
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert not (tmp_path / "search").exists()


def test_best_toml_extends_the_system_where_that_will_do(synthetic, tmp_path):
    (tmp_path / "mine.toml").write_text('extends = "linear-baseline"\n[system]\nname = "mine"\nchosen = "By hand."\n')
    asked = request(synthetic, {SIZE: [8]}, sampler="grid", trials=1)
    asked = replace(asked, task=replace(asked.task, system=str(tmp_path / "mine.toml")))
    search.run(asked, tmp_path / "search")
    text = (tmp_path / "search" / "best.toml").read_text()
    assert text.startswith('extends = "../mine.toml"\n')
    system = systems.load(tmp_path / "search" / "best.toml")
    assert system.stages[0].trainer.batch_size == 8 and system.system.chosen.startswith("By hand. Best of 1")


def test_what_a_network_refuses_is_infeasible(synthetic, tmp_path):
    lists = "stages.main.network.channels"
    space = {lists: [[4, 4], [4, 4, 4], [4]]}
    sets = (*CNN, "stages.main.network.attention=3")
    found = search.run(request(synthetic, space, sampler="grid", trials=3, sets=sets), tmp_path / "search")
    states = {str(row.point[lists]): row for row in found.rows}
    assert [states[key].state for key in ("[4, 4, 4]", "[4, 4]", "[4]")] == ["done", "infeasible", "infeasible"]
    assert "channels, strides and residual must have one entry for each block" in states["[4]"].reason
    assert states["[4]"].value is None and states["[4]"].folds == []


@pytest.mark.parametrize(
    ("key", "good", "bad", "reason"),
    [
        (SIZE, 8, 1, "stage 'main': the network cannot compute a batch of 1: Expected more than 1 value per channel"),
        ("stages.main.network.attention", 3, 0, "stage 'main': the network cannot compute a batch of 8: "),
        ("stages.main.network.channels", [4, 4, 4], [0, 4, 4], "stage 'main': the network cannot compute a batch of"),
        ("stages.main.network.channels", [4, 4, 4], [10**10, 4, 4], "network 'cnn': "),
        ("stages.main.network.channels", [4, 4, 4], [-4, 4, 4], "network 'cnn': "),
        ("data.items", {"seconds": 1.0}, {"seconds": 0}, "both must be above 0"),
    ],
)
def test_what_a_network_cannot_compute_is_infeasible(synthetic, tmp_path, key, good, bad, reason):
    sets = (*CNN, "stages.main.network.attention=3", f"{SIZE}=8")
    sets = tuple(entry for entry in sets if not entry.startswith(f"{key}="))
    asked = request(synthetic, {key: [bad, good]}, sampler="grid", trials=2, sets=sets)
    done, infeasible = search.run(asked, tmp_path / "search").rows
    assert (done.point[key], done.state) == (good, "done")
    assert (infeasible.point[key], infeasible.state) == (bad, "infeasible")
    assert reason in infeasible.reason and "\n" not in infeasible.reason


@pytest.mark.parametrize("error", [MemoryError(), ZeroDivisionError("division by zero"), KeyError("band")])
def test_whatever_a_library_raises_is_infeasible(synthetic, tmp_path, monkeypatch, error):
    train, seen = Stages.train, []

    def faulty(stages):
        seen.append(stages)
        if len(seen) == 1:
            raise error
        return train(stages)

    monkeypatch.setattr(Stages, "train", faulty)
    asked = request(synthetic, {SIZE: [8, 16]}, sampler="grid", trials=2)
    assert sorted(row.state for row in search.run(asked, tmp_path / "search").rows) == ["done", "infeasible"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "weights.safetensors"),
        AudioError("a.wav: no such file"),
        StoreError("cache: the cache cannot be written (Read-only file system)"),
        sqlite3.OperationalError("disk I/O error"),
    ],
)
def test_what_every_trial_would_meet_ends_the_search(synthetic, tmp_path, monkeypatch, error):
    def fail(stages):
        raise error

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(Stages, "train", fail)
        search.run(request(synthetic, {SIZE: [8, 16]}, sampler="grid", trials=2), tmp_path / "search")
    # Once it is mended the same search goes on, and nothing of it is counted as infeasible.
    found = search.run(request(synthetic, {SIZE: [8, 16]}, sampler="grid", trials=2), tmp_path / "search")
    assert [row.state for row in found.rows] == ["done", "done"]


def test_a_training_that_diverges_is_infeasible(synthetic, tmp_path):
    asked = request(synthetic, {RATE: [0.01, 1e30]}, sampler="grid", trials=2, sets=("stages.main.trainer.epochs=4",))
    found = search.run(asked, tmp_path / "search")
    assert [(row.point[RATE], row.state) for row in found.rows] == [(0.01, "done"), (1e30, "infeasible")]
    assert "nan" in found.rows[1].reason or "inf" in found.rows[1].reason


@dataclass(frozen=True)
class Picky(stopping.Stopping):
    """Gives up after an epoch, or after a fold, if the rate is not the wanted one."""

    rate: float
    when: str

    def after_epoch(self, history):
        return "abandon" if self.when == "epoch" and history[-1]["learning_rate"] < self.rate else "go"

    def after_fold(self, scores):
        assert set(scores[-1]) == {"uar", "accuracy", "macro_f1"}
        return "abandon" if self.when == "fold" and scores[-1]["accuracy"] < self.rate else "go"


@pytest.mark.parametrize(("when", "least", "folds"), [("epoch", 1e-5, 0), ("fold", 0.4, 1)])
def test_a_stopping_rule_abandons_a_trial(synthetic, tmp_path, monkeypatch, when, least, folds):
    monkeypatch.setitem(stopping.RULES, "picky", Picky)
    rule = f"stages.main.trainer.stopping={{ name = 'picky', rate = {least}, when = '{when}' }}"
    constant = ("stages.main.trainer.schedule=constant", "stages.main.trainer.epochs=6", rule)
    found = search.run(
        request(synthetic, {RATE: [1e-9, 0.1]}, sampler="grid", trials=2, sets=constant), tmp_path / "search"
    )
    assert [(row.point[RATE], row.state) for row in found.rows] == [(0.1, "done"), (1e-9, "abandoned")]
    assert len(found.rows[1].folds) == folds
    assert found.rows[1].reason == ("stage 'main', epoch 0 of fold 1" if when == "epoch" else "after fold 1")


@dataclass(frozen=True)
class Short(stopping.Stopping):
    """Stops after two epochs, and wants one in later folds."""

    def after_epoch(self, history):
        return "stop" if len(history) == 2 else "go"

    def later_epochs(self, history):
        return len(history) - 1


def test_a_rule_shortens_later_folds(synthetic, tmp_path, monkeypatch):
    monkeypatch.setitem(stopping.RULES, "short", Short)
    sets = ("stages.main.trainer.epochs=5", "stages.main.trainer.stopping=short")
    search.run(request(synthetic, {SIZE: [8]}, sampler="grid", trials=1, sets=sets), tmp_path / "search")
    stages = (tmp_path / "search" / "stages").glob("*/*/*/stage.json")
    assert sorted(json.loads(path.read_text())["epochs"] for path in stages) == [1, 2]


def test_a_pruner_compares_means_after_each_fold(synthetic, tmp_path):
    entry = Round(sampler="grid", pruner="median")
    # The median of five is known when the sixth comes.
    found = search.run(request(synthetic, {RATE: [0.1, 1e-9], SIZE: [4, 5, 6, 7, 8]}, [entry]), tmp_path / "s")
    pruned = [row for row in found.rows if row.state == "pruned"]
    assert len(pruned) >= 4 and {row.point[RATE] for row in pruned} == {1e-9}
    assert all(len(row.folds) == 1 and row.value == row.folds[0]["uar"] for row in pruned)


def test_the_whole_corpus_on_request(synthetic, tmp_path):
    asked = request(synthetic, {SIZE: [8]}, sampler="grid", trials=1, whole=True)
    search.run(asked, tmp_path / "search")
    assert not asked.task.outer.test and len(asked.task.outer.train) == 40
    assert not (tmp_path / "search" / "held-out.csv").exists()
    assert "saw all recordings" in systems.load(tmp_path / "search" / "best.toml").system.chosen


def test_a_random_protocol_draws_its_inner_folds_too(synthetic):
    task = request(synthetic, protocol="random", folds=4).task
    assert len(task.outer.test) == 8 and len(task.inner) == 4
    assert sorted(name for split in task.inner for name in split.validation) == sorted(task.outer.train)


def test_rounds_build_on_each_other(synthetic, tmp_path):
    rounds = [
        Round(name="wide", trials=2, shared=1, primary=[{SIZE: [8, 16]}]),
        Round(name="near", trials=2, from_best=1, around={RATE: {"step": 1e-4, "within": 2e-4}}),
        Round(name="long", from_best=2, set=["stages.main.trainer.epochs=3"]),
    ]
    space = {RATE: {"low": 0.01, "high": 0.1}}
    found = search.run(request(synthetic, space, rounds), tmp_path / "search")
    by_round = {name: [row for row in found.rows if row.round == name] for name in ("wide", "near", "long")}
    assert [len(rows) for rows in by_round.values()] == [4, 2, 2]
    wide = {row.slot: row.point for row in by_round["wide"]}
    assert wide[0][RATE] == wide[1][RATE] and wide[2][RATE] != wide[3][RATE]
    best = by_round["wide"][0].point
    for row in by_round["near"]:
        assert row.point[SIZE] == best[SIZE] and 0 <= abs(row.point[RATE] - best[RATE]) < 2.1e-4
    # The last round is the one that counts, with its own settings.
    assert found.best.round == "long"
    assert systems.load(tmp_path / "search" / "best.toml").stages[0].trainer.epochs == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": {"stages.main.trainer.epoch": [1]}}, "Did you mean 'epochs'?"),
        ({"space": {"stages.main.network.dropuot": [1]}, "sets": CNN}, "unknown option of network 'cnn'"),
        ({"space": {"stages.mian.trainer.epochs": [1]}}, "Did you mean 'main'?"),
        ({"metric": "ura"}, "unknown metric 'ura'. Did you mean 'uar'?"),
        ({"protocol": "celan"}, "Did you mean 'clean'?"),
        ({"folds": 9}, "has 4 for 9 folds; set folds = 4"),
    ],
)
def test_searches_that_cannot_be(synthetic, tmp_path, options, message):
    with pytest.raises(UserError) as caught:
        search.run(request(synthetic, **options), tmp_path / "search")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "search" / "study.db").exists()


def test_a_folder_holds_one_search(synthetic, tmp_path):
    small = {SIZE: [8]}
    search.run(request(synthetic, small, sampler="grid", trials=1), tmp_path / "search")
    for options in ({"space": {SIZE: [16]}}, {"seed": 1}, {"metric": "accuracy"}, {"sets": (f"{RATE}=0.5",)}):
        asked = request(synthetic, **{"space": small, "sampler": "grid", "trials": 1, **options})
        with pytest.raises(UserError, match="holds a search that differs in: "):
            search.run(asked, tmp_path / "search")
    # A database that several machines share knows it too.
    asked = replace(request(synthetic, trials=1), storage=search.url_of(tmp_path / "search", None))
    with pytest.raises(UserError, match="study 'search' is a search that differs in: search, rounds"):
        search.run(asked, tmp_path / "elsewhere")


def test_importances_name_what_decides(tmp_path):
    settled = plan(Recipe(SPACE | {"x": {"low": 0, "high": 9, "each": 2}}, []), Round(trials=24), [], 0)
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}", 10)
    queue = Queue(storage, "search/search", settled, 10)
    while (taken := queue.next()) is not None:
        point = draw(taken[0], settled, taken[1])
        taken[0].set_user_attr("point", point)
        taken[0].set_user_attr("outcome", "done")
        queue.study().tell(taken[0], point["x"][1] / 10)
    queue.study().set_user_attr("total", 24)
    definition = {"study": "search", "rounds": [{"name": "search", "trials": 24}], "metric": "uar", "folds": []}
    (tmp_path / "search.json").write_text(json.dumps(definition))
    found = results.load(tmp_path, storage)
    importances = results.importances(found)
    assert next(iter(importances)) == "x" and importances["x"] > 0.5
    assert sum(importances.values()) == pytest.approx(1) and set(importances) == {*SPACE, "x"}
    (history,) = results.best_over_time(found).values()
    assert [best for _, _, best, _ in history] == [max(value for _, value, _, _ in history[: n + 1]) for n in range(24)]
    assert space.short_names(["a.x.rate", "b.x.rate", "b.y"]) == {
        "a.x.rate": "a.x.rate",
        "b.x.rate": "b.x.rate",
        "b.y": "y",
    }


# --- killed


@pytest.fixture
def table(synthetic, tmp_path):
    lines = [f"{u.path},{u.targets['emotion']},{u.speaker.partition('/')[2]}" for u in synthetic.utterances]
    (tmp_path / "calls.csv").write_text("\n".join(["path,emotion,speaker", *lines]))
    (tmp_path / "space.toml").write_text(f"[search]\n{RATE} = {{ low = 1e-4, high = 0.1, log = true }}\n")
    return tmp_path


def tune(folder, *options):
    arguments = ["tune", "linear-baseline", "--corpus", f"table={folder / 'calls.csv'}"]
    arguments += ["--space", str(folder / "space.toml"), "--folds", "2", "--out", str(folder / "search")]
    return [*arguments, "--heartbeat", "1", "--set", "stages.main.trainer.epochs=60", *options]


def states(folder):
    try:
        with sqlite3.connect(folder / "search" / "study.db", timeout=10) as database:
            return [row[0] for row in database.execute("SELECT state FROM trials")]
    except sqlite3.OperationalError:
        return []


def test_two_killed_workers_lose_nothing_and_do_nothing_twice(table, capsys):
    arguments = tune(table, "--trials", "4", "--workers", "2")
    program = subprocess.Popen([sys.executable, "-m", "serkit", *arguments], start_new_session=True)
    end = time.monotonic() + 300
    while time.monotonic() < end and not {"RUNNING", "COMPLETE"} <= set(states(table)):
        time.sleep(0.02)
    # Workers and all, at once: one that outlived its parent for a moment could still finish a trial.
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    before = states(table)
    assert "RUNNING" in before and before.count("COMPLETE") < 4
    assert command(tune(table, "--trials", "4", "--format", "json")) == 0
    shown = capsys.readouterr()
    after = json.loads(shown.out)
    assert sorted(row["trial"] for row in after["trials"]) == list(range(4))
    assert [row["state"] for row in after["trials"]] == ["done"] * 4
    assert states(table).count("COMPLETE") == 4 and "FAIL" in states(table)
    # What was finished before was not done again.
    assert len(re.findall(r"^search \d+: uar", shown.err, re.MULTILINE)) == 4 - before.count("COMPLETE")
    # Undisturbed, the same comes out.
    shutil.rmtree(table / "search")
    assert command(tune(table, "--trials", "4", "--format", "json")) == 0
    undisturbed = json.loads(capsys.readouterr().out)
    assert [[row["trial"], row["point"], row["value"]] for row in after["trials"]] == [
        [row["trial"], row["point"], row["value"]] for row in undisturbed["trials"]
    ]


# --- the command


def test_the_command_shows_a_search(table, capsys):
    assert command(tune(table, "--trials", "2", "--set", "stages.main.trainer.epochs=1")) == 0
    printed = capsys.readouterr().out
    assert "search: 2 of 2 trials (2 done)" in printed and "best.toml" in printed and "--protocol held-out" in printed
    (table / "search" / "trials.csv").unlink()
    assert command(["tune", "--out", str(table / "search")]) == 0
    assert "search: 2 of 2 trials (2 done)" in capsys.readouterr().out and (table / "search" / "trials.csv").exists()


def test_a_search_on_another_database_is_not_shown_as_empty(synthetic, tmp_path, capsys):
    storage = search.url_of(tmp_path, None)
    asked = replace(request(synthetic, {RATE: [0.05]}, sampler="grid", trials=1), storage=storage)
    search.run(asked, tmp_path / "search")
    kept = (tmp_path / "search" / "trials.csv").read_text()
    assert command(["tune", "--out", str(tmp_path / "search")]) == 2
    assert "study.db: no such file; if the search is in another database, name it with" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"study.db is missing; name the search's database with --storage"):
        search.run(replace(asked, storage=None), tmp_path / "search")
    open_storage(search.url_of(tmp_path / "search", None), 10)
    assert command(["tune", "--out", str(tmp_path / "search")]) == 2
    assert "no study 'search' in its database" in capsys.readouterr().err
    assert (tmp_path / "search" / "trials.csv").read_text() == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 0}, "--minutes must be above 0, got 0"),
        ({"study": ""}, "--study is empty"),
        ({"storage": "sqlite:///no/study.db"}, "sqlite:///no/study.db: cannot be opened"),
    ],
)
def test_requests_that_cannot_be_leave_nothing(synthetic, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        search.run(replace(request(synthetic), **options), tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_an_accelerator_that_is_not_there_makes_no_point_infeasible(synthetic, tmp_path):
    with pytest.raises(UserError, match="--accelerator abacus: does not work here"):
        search.run(request(synthetic, accelerator="abacus"), tmp_path / "search")
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune"], "give a system to search, or the folder of a search to show"),
        (["tune", "--out", "nowhere"], "nowhere: holds no search (search.json is missing)"),
        (["tune", "--out", "search", "--test"], "--test trains: give the whole command of the search"),
        (["tune", "linear-baseline"], "no corpus given; add --corpus NAME=FOLDER"),
    ],
)
def test_commands_that_cannot_be(arguments, message, capsys):
    assert command(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_options_that_cannot_be(table, capsys):
    assert command(tune(table, "--sampler", "tep")) == 2
    assert "--sampler tep: input should be 'random'" in capsys.readouterr().err
    (table / "space.toml").write_text("[search]\nx = [1]\n[[rounds]]\ntrials = 2\n")
    assert command(tune(table, "--trials", "3")) == 2
    assert "the file has [[rounds]], which set sampler, pruner and trials" in capsys.readouterr().err


def test_without_optuna_the_command_says_what_to_install(table):
    code = (
        "import sys\nsys.modules['optuna'] = None\nfrom serkit.cli import run\n"
        f"sys.exit(run({tune(table)!r}))"
    )  # fmt: skip
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr == "serkit: error: `serkit tune` needs optuna: pip install 'serkit[tune]'\n"
