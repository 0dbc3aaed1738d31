import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.trial import TrialState

from serkit.errors import UserError
from serkit.tuning.rounds import Recipe, Round, plan
from serkit.tuning.study import Queue, draw, open_storage

SEARCH = {
    "kind": ["a", "b", [1, 2]],
    "rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "width": {"low": 10, "high": 55, "step": 10, "each": 2},
    "share": {"low": 0.25, "high": 0.5, "step": 0.05},
    "slope": {"values": [0.1, 0.2], "when": {"kind": ["a"]}},
}


def settle(total=8, sampler="random", search=SEARCH, seed=0, **options):
    return plan(Recipe(search, []), Round(trials=total, sampler=sampler, **options), [], seed)


def queue(folder, settled, heartbeat=1):
    storage = open_storage(f"sqlite:///{folder / 'study.db'}", heartbeat)
    return Queue(storage, "test", settled, heartbeat)


def work(own):
    """Take all slots; returns their points."""
    found = {}
    while (taken := own.next()) is not None:
        trial, slot = taken
        assert slot not in found
        found[slot] = draw(trial, own.plan, slot)
        own.study().tell(trial, 0.5)
    return found


def test_random_draws_depend_on_seed_and_slot_only(tmp_path):
    points = work(queue(tmp_path, settle(6)))
    assert sorted(points) == list(range(6))
    for point in points.values():
        assert ("slope" in point) == (point["kind"] == "a")
        assert 1e-4 <= point["rate"] <= 1e-2 and set(point["width"]) <= {10, 20, 30, 40, 50}
        assert point["share"] in (0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
    assert len({str(point) for point in points.values()}) == 6
    assert any(point["width"][0] != point["width"][1] for point in points.values())
    (tmp_path / "more").mkdir()
    more = work(queue(tmp_path / "more", settle(3)))
    more |= work(queue(tmp_path / "more", settle(6)))
    assert more == points
    (tmp_path / "other").mkdir()
    assert work(queue(tmp_path / "other", settle(6, seed=1))) != points


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "gp"])
def test_the_other_samplers(tmp_path, sampler):
    points = work(queue(tmp_path, settle(12, sampler)))
    assert len(points) == 12 and len({str(point) for point in points.values()}) > 6


def test_a_grid_in_its_order(tmp_path):
    search = {"a": [1, 2], "b": {"low": 0.1, "high": 0.3, "step": 0.1}}
    points = work(queue(tmp_path, plan(Recipe(search, []), Round(sampler="grid"), [], 0)))
    assert [points[slot] for slot in range(6)] == [{"a": a, "b": b} for a in (1, 2) for b in (0.1, 0.2, 0.3)]


def test_many_workers_take_every_slot_once(tmp_path):
    settled = settle(12)
    queue(tmp_path, settled).study()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, [queue(tmp_path, settled) for _ in range(4)]))
    assert sorted(slot for part in found for slot in part) == list(range(12))


def test_a_dead_workers_trial_is_done_again_with_its_point(tmp_path):
    settled = settle(3, "tpe")
    dead, slot = queue(tmp_path, settled).next()
    point = draw(dead, settled, slot)
    _, other = queue(tmp_path, settled).next()
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-4 seconds')")
    own = queue(tmp_path, settled)
    points = work(own)
    assert sorted(points) == [0, 1, 2] and {slot, other} == {0, 1}
    assert points[slot] == point
    trials = own.study().get_trials()
    assert [trial.state for trial in trials].count(TrialState.FAIL) == 2
    with pytest.raises(ValueError, match="FAIL"):
        own.study().tell(dead, 0.9)


def test_signs_of_life(tmp_path):
    own = queue(tmp_path, settle(1))
    trial, _ = own.next()

    def sign():
        with sqlite3.connect(tmp_path / "study.db") as database:
            return database.execute("SELECT heartbeat FROM trial_heartbeats").fetchone()[0]

    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")
    with own.alive(trial):
        end = time.monotonic() + 10
        while sign().startswith("2000") and time.monotonic() < end:
            time.sleep(0.1)
    assert not sign().startswith("2000")


def test_a_database_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot be opened"):
        open_storage(f"sqlite:///{tmp_path / 'no' / 'study.db'}", 1)
    with pytest.raises(UserError, match=r"study.db: no such file; if the search is in another database, name it with"):
        open_storage(f"sqlite:///{tmp_path / 'study.db'}", 1, new=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["nonsense", "", "postgresql://me:secret@host:x/searches", "redis://me:secret@host"])
def test_urls_that_cannot_be(url):
    with pytest.raises(UserError, match=r"--storage: .* database; give one such as sqlite:///study.db") as told:
        open_storage(url, 1)
    assert "secret" not in str(told.value)


def test_a_moment_without_the_database_does_not_end_the_heartbeats(tmp_path, monkeypatch):
    own = queue(tmp_path, settle(1))
    trial, _ = own.next()
    beats = []

    def record(number):
        beats.append(number)
        if len(beats) == 1:
            raise optuna.exceptions.StorageInternalError

    monkeypatch.setattr(own.storage, "record_heartbeat", record)
    with own.alive(trial):
        end = time.monotonic() + 30
        while len(beats) < 2 and time.monotonic() < end:
            time.sleep(0.05)
    assert len(beats) > 1


def test_the_study_is_maximised(tmp_path):
    assert queue(tmp_path, settle(1)).study().direction == optuna.study.StudyDirection.MAXIMIZE
