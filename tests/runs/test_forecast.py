"""Forecasts of runs; front ends and networks are small ones."""

import math
import os
import tempfile
from dataclasses import replace

import pytest

from serkit import systems
from serkit.cli import run as command
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.protocols import Protocol
from serkit.runs.card import Card
from serkit.runs.forecast import RunForecast, StageForecast, forecaster
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.training import loop, trackers

CNN = '{ name = "cnn", channels = [4], strides = [[4, 2]], residual = [1], attention = 3, dropout = 0.2 }'
SETS = (
    'views.mfcc.feature={ name = "log_mel", bands = 8, hop = 800, length = 512 }',
    'views.is09.feature={ name = "log_mel", bands = 6, hop = 500, length = 400 }',
    "stages.*.trainer.batch_size=8",
    f"stages.acln.network={CNN}",
    f"stages.fcn.network={CNN}",
    "stages.*.trainer.epochs=3",
)
DEFINITIONS = {"two": Protocol(kind="group_kfold", folds=2)}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """The folders of the cache and of temporary files; both must be left empty."""
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("SERKIT_CACHE", str(cache))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return cache, temporary


@pytest.fixture
def request_for(synthetic):
    def make(name="independent-training", sets=SETS, **options):
        system = systems.load(name, sets)
        given = {"protocols": DEFINITIONS, "final": False, "baseline": False, "jobs": 1, "threads": 1, **options}
        return Request([system], [synthetic], "two", **given)

    return make


def test_counts_are_those_of_the_run(request_for, tmp_path, places):
    with forecaster() as trials:
        found = trials.forecast(request_for())
        assert list(places[1].glob("serkit-*"))
    assert not places[0].exists()
    assert not list(places[1].glob("serkit-*"))
    assert (found.system, found.protocol, found.folds, found.jobs) == ("independent-training", "two", 2, 1)
    assert [stage.stage for stage in found.stages] == ["fcn", "acln", "acln-hard", "fcn-hard", "svm"]
    folder = tmp_path / "run"
    run(replace(request_for(), store=Store(tmp_path / "store")), folder)
    card = Card.load(folder / "card.json")
    assert set(card.seconds) == {stage.stage for stage in found.stages}
    assert sum(card.seconds.values()) == pytest.approx(card.cost["seconds"], abs=0.05)
    acln, _, hard, _, svm = found.stages
    assert (acln.epochs, acln.batch_size, acln.steps) == (3, 8, math.ceil(acln.items / 8))
    assert hard.items == round(acln.items / 2)
    assert acln.seconds == pytest.approx(acln.once + 3 * (acln.steps * acln.step + acln.validation))
    assert acln.step > 0
    assert (svm.epochs, svm.seconds) == (0, svm.once)
    assert svm.once > 0


def test_validation_and_copies_count(request_for):
    sets = (
        *SETS,
        'data.copies=["noise"]',
        "stages.*.data.validation=0.25",
        "stages.*.trainer.select=loss",
        "stages.*.keep_optimizer=false",
    )
    with forecaster() as trials:
        plain, more = (trials.forecast(request_for(sets=chosen)).stages[0] for chosen in (SETS, sets))
    assert plain.held == 0
    assert plain.validation == 0
    assert more.items == 2 * (plain.items - more.held)
    assert more.validation > 0


def test_stages_without_predictions_are_validated_too(request_for):
    sets = ("views.image.feature.size=[16, 8]", "stages.*.trainer.batch_size=8", "stages.*.trainer.epochs=3")
    with forecaster() as trials:
        reconstruction, classified = trials.forecast(request_for("rh-emo", sets)).stages
    assert (reconstruction.stage, classified.stage) == ("reconstruction", "rh-emo")
    assert min(reconstruction.held, classified.held) > 0
    assert min(reconstruction.validation, classified.validation) > 0


def test_runs_share_their_common_stages(request_for):
    with forecaster() as trials:
        first = trials.forecast(request_for())
        second = trials.forecast(request_for(sets=(*SETS, "stages.fcn.trainer.epochs=9")))
    assert not any(stage.shared for stage in first.stages)
    shared = {stage.stage: stage.shared for stage in second.stages}
    assert shared == {"acln": True, "fcn": False, "acln-hard": True, "fcn-hard": False, "svm": False}
    assert second.fold == pytest.approx(sum(stage.seconds for stage in second.stages if not stage.shared))


def test_a_stage_without_utterances_is_refused_as_by_the_training(request_for):
    sexes = {"two": Protocol(kind="leave_one_group_out", group="sex")}
    request = request_for(sets=(*SETS, 'stages.fcn-hard.data.where={sex="female"}'), protocols=sexes)
    with (
        forecaster() as trials,
        pytest.raises(UserError, match="'fcn-hard': no utterance is left to train on"),
    ):
        trials.forecast(request)


def test_methods_that_require_two_classes_receive_them(request_for):
    sets = (*SETS, "stages.svm.trainer.batch_size=1")
    with forecaster() as trials:
        svm = trials.forecast(request_for(sets=sets)).stages[-1]
    assert svm.seconds > 0


def test_steps_are_those_of_the_training(request_for):
    # One item that is left over makes no step.
    sets = ("stages.*.trainer.epochs=1", "stages.*.trainer.batch_size=5")
    with forecaster() as trials:
        [main] = trials.forecast(request_for("linear-baseline", sets)).stages
    assert main.steps == len(loop.order(range(main.items), 5, 0, 0))
    assert [loop.steps_of(items, 5) for items in (1, 5, 6, 7, 10, 11)] == [1, 1, 1, 2, 2, 2]


def test_a_batch_has_no_more_items_than_there_are(request_for):
    sets = ("stages.*.trainer.batch_size={}", "stages.*.trainer.epochs=2")
    with forecaster() as trials:
        whole, [some] = (
            trials.forecast(request_for("linear-baseline", [one.format(size) for one in sets])).stages
            for size in (10**9, 8)
        )
    assert (whole[0].items, whole[0].steps) == (some.items, 1)
    assert 0 < whole[0].memory < 10 * some.memory


def test_the_final_model_trains_stages_that_a_sweep_shares(request_for):
    definitions = {"two": Protocol(kind="group_kfold", folds=2, validation=0.34)}
    grid = [systems.load("independent-training", [*SETS, f"stages.svm.method.c={c}"]) for c in (0.1, 1, 10)]
    request = replace(request_for(protocols=definitions, final=True), system=grid)
    with forecaster() as trials:
        found = trials.forecast(request)
    rows = [found.stages[begin : begin + 5] for begin in (0, 5, 10)]
    assert [[stage.shared for stage in row] for row in rows] == [[False] * 5, *2 * [[True] * 4 + [False]]]
    common = sum(stage.seconds for stage in rows[0][:4])
    machine = sum(row[4].seconds for row in rows) / 3
    share = len(request.corpora[0].utterances) / rows[0][0].items
    assert found.final * found.fold == pytest.approx((common + machine) * share)


def test_trackers_do_not_hear_of_a_forecast(request_for, monkeypatch):
    heard = []

    class Tracker:
        def __init__(self, folder):
            heard.append(folder)

    monkeypatch.setattr(trackers.TRACKERS, "find", lambda name: Tracker)
    monkeypatch.setenv("SERKIT_TRACK", "mine")
    with forecaster() as trials:
        trials.forecast(request_for("linear-baseline", ()))
    assert not heard
    assert os.environ["SERKIT_TRACK"] == "mine"


def test_folds_run_side_by_side():
    stage = StageForecast("main", 100, 0, 10, 5, 10, 2.0, 20.0, 1.0)
    found = RunForecast("small", "clean", 5, 2, 1, 1.25, [stage, stage])
    assert found.fold == 2 * (20 + 5 * (10 * 2 + 1))
    assert found.seconds == found.fold * (3 + 1.25)
    assert replace(stage, shared=True).seconds == 0


def test_an_interrupted_forecast_leaves_nothing(places):
    with pytest.raises(KeyboardInterrupt), forecaster() as trials:
        (trials.folder / "stage").mkdir()
        raise KeyboardInterrupt
    assert not list(places[1].glob("serkit-*"))


def test_command(synthetic, tmp_path, capsys, places):
    table = tmp_path / "calls.csv"
    rows = [f"{u.path},{u.targets['emotion']},{u.speaker.partition('/')[2]}" for u in synthetic.utterances]
    table.write_text("\n".join(["path,emotion,speaker", *rows]) + "\n")
    out = tmp_path / "out"
    options = ["--corpus", f"table={table}", "--out", str(out), "--jobs", "1", "--threads", "1", "--dry-run"]
    assert command(["train", "linear-baseline", *options]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "assumes no early stopping" in text
    assert "and the final model" in text
    assert not out.exists()
    assert not places[0].exists()
    assert command(["train", "linear-baseline", *options, "--set", "stages.main.trainer.select=loss"]) == 2
    assert not out.exists()
