from importlib import resources

import pytest

from serkit import systems
from serkit.errors import UserError
from serkit.tuning.rounds import Scored, plan, read

RECIPE = """
[search]
rate = { low = 1e-4, high = 1e-2, log = true }
width = { low = 10, high = 50, step = 10, each = 2 }

[[rounds]]
name = "first"
trials = 4
shared = 2
[[rounds.primary]]
net = ["a", "b"]
size = [1, 2]
[[rounds.primary]]
net = ["b"]
slope = [0.1]

[[rounds]]
name = "second"
best_primary = 2
trials = 3

[[rounds]]
name = "near"
from_best = 2
trials = 40
around = { width = { step = 2, within = 5 }, rate = { step = 0.001, within = 0.001 } }

[[rounds]]
name = "last"
from_best = 2
set = ["epochs=9"]
"""

FOUND = [
    Scored({"net": "a", "size": 1, "rate": 0.002, "width": [10, 20]}, 0.4),
    Scored({"net": "b", "slope": 0.1, "rate": 0.003, "width": [30, 30]}, 0.9),
    Scored({"net": "b", "slope": 0.1, "rate": 0.004, "width": [30, 40]}, 0.8),
    Scored({"net": "b", "size": 2, "rate": 0.005, "width": [40, 40]}, 0.7),
]


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return read(tmp_path / "recipe.toml", "none")


def test_every_primary_combination_gets_its_trials(recipe):
    first = plan(recipe, recipe.rounds[0], [], 0)
    assert first.total == 5 * 4
    given = [first.given(slot) for slot in range(first.total)]
    assert (
        given[:5]
        == given[5:10]
        == [
            {"net": "a", "size": 1},
            {"net": "a", "size": 2},
            {"net": "b", "size": 1},
            {"net": "b", "size": 2},
            {"net": "b", "slope": 0.1},
        ]
    )
    assert set(first.left(0)) == {"net", "size", "rate", "width"}
    assert set(first.left(4)) == {"net", "slope", "rate", "width"}


def test_the_first_vectors_are_shared(recipe):
    first = plan(recipe, recipe.rounds[0], [], 0)
    streams = [first.stream(slot, "rate") for slot in range(first.total)]
    assert len(set(streams[:5])) == len(set(streams[5:10])) == 1 and streams[0] != streams[5]
    assert len(set(streams[10:])) == 10
    assert first.stream(0, "width") != streams[0] != plan(recipe, recipe.rounds[0], [], 1).stream(0, "rate")


def test_the_best_combinations_go_on(recipe):
    second = plan(recipe, recipe.rounds[1], FOUND, 0)
    assert second.primary == [{"net": "b", "slope": 0.1}, {"net": "b", "size": 2}]
    assert second.total == 6 and set(second.space) == {"net", "size", "slope", "rate", "width"}


def test_neighbours_lie_on_steps_around_the_best(recipe):
    near = plan(recipe, recipe.rounds[2], FOUND, 0)
    assert near.total == 40
    for slot in range(40):
        point, best = near.given(slot), FOUND[1 + slot % 2].point
        assert {key: point[key] for key in ("net", "slope")} == {"net": "b", "slope": 0.1}
        moved = [value - old for value, old in zip(point["width"], best["width"], strict=True)]
        assert set(moved) <= {-4, -2, 0, 2, 4} and all(isinstance(value, int) for value in point["width"])
        assert round(point["rate"] - best["rate"], 9) in (-0.001, 0, 0.001)
    assert len({str(near.given(slot)) for slot in range(40)}) > 20
    assert near.points == plan(recipe, recipe.rounds[2], FOUND, 0).points


def test_without_around_the_best_vectors_are_tried_as_they_are(recipe):
    last = plan(recipe, recipe.rounds[3], [*FOUND, FOUND[1]], 0)
    assert list(last.points) == [FOUND[1].point, FOUND[2].point] and last.total == 2


def test_nothing_to_go_on_from(recipe):
    with pytest.raises(UserError, match="round 'second': no trial of an earlier round has finished"):
        plan(recipe, recipe.rounds[1], [], 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no \[search\] table"),
        ("[search]", r"the table \[search\] is empty"),
        ("[serach]\na = [1]\n[search]\nb=[1]", "unknown table 'serach'. Did you mean 'search'"),
        ("[search]\na = [1]\n[[rounds]]\ntrails = 3", "round 1: unknown key 'trails'. Did you mean 'trials'"),
        ("[search]\na = [1]\n[[rounds]]\nsampler = 'tpe'", "trials is missing"),
        ("[search]\na = [1]\n[[rounds]]\ntrials = 3\nsampler = 'tep'", "round 1: sampler: Input should be 'random'"),
        ("[search]\na = [1]\n[[rounds]]\ntrials = 3\nsampler = 'tpe'\nshared = 2", "shared requires sampler"),
        ("[[rounds]]\nfrom_best = 3\nprimary = [{ a = [1] }]", "from_best takes whole vectors"),
        (
            "[[rounds]]\ntrials = 1\naround = { a = { step = 1, within = 2 } }",
            "around requires from_best",
        ),
        ("[[rounds]]\ntrials = 1\nprimary = [{ a = 1 }]", "a must be a list of values, got 1"),
        (
            "[search]\na=[1]\n[[rounds]]\nname='x'\ntrials=1\n[[rounds]]\nname='x'\ntrials=1",
            "names of rounds must be unique, got: x, x",
        ),
        ("rounds = 3", "rounds must be tables"),
        ("rounds = [3]", "rounds must be tables"),
        ("[[rounds]]\ntrials = 1", "round 'round-1': has nothing to search"),
        ("[search]\na = [1]\n[[rounds]]\ntrials = 1\nname = '../x'", "name: must be letters, digits and"),
        ("[search]\na = [1]\n[[rounds]]\ntrials = 1\nname = ''", "name: must be letters, digits and"),
        ("[[rounds]]\ntrials = 1\nprimary = 3", "primary: must be tables of keys"),
        ("[[rounds]]\ntrials = 1\nprimary = [3]", "primary: must be tables of keys"),
        ("search = 3", "a search space must be a table"),
        ("[search", "not TOML"),
    ],
)
def test_files_that_cannot_be(tmp_path, text, message):
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "space.toml", "none")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "space.toml", "none")


def test_a_system_may_bring_its_space(tmp_path):
    (tmp_path / "mine.toml").write_text('extends = "linear-baseline"\n[search]\nstages.main.trainer.epochs = [1, 2]\n')
    (tmp_path / "more.toml").write_text('extends = "mine.toml"\n')
    assert systems.load(tmp_path / "mine.toml") == systems.load("linear-baseline")
    assert read(None, tmp_path / "more.toml").search == {"stages": {"main": {"trainer": {"epochs": [1, 2]}}}}
    with pytest.raises(UserError, match=r"linear-baseline: has no \[search\] table"):
        read(None, "linear-baseline")


def test_the_four_stages_of_skoulidis2023():
    file = resources.files("serkit") / "systems" / "search" / "skoulidis2023.toml"
    recipe = read(str(file), "spectral-cnn")
    primary, promising, neighbours, long = recipe.rounds
    first = plan(recipe, primary, [], 0)
    # 3 features x 4 sizes x 3 networks, and two more slopes for two of them.
    assert len(first.primary) == 36 + 4 and primary.shared == 10
    channels = first.space["stages.english.network.channels"]
    assert len(channels.choices) == 21 and channels.each == 3
    assert len(first.space["stages.english.network.hidden"].choices) == 26
    assert len(first.space["stages.english.trainer.learning_rate"].choices) == 15
    epochs = []
    for entry in recipe.rounds:
        trainer = systems.load("spectral-cnn", entry.set).stages[0].trainer
        epochs.append((trainer.epochs, trainer.stopping and trainer.stopping.name))
    two = (300, "qualification_2")
    assert epochs == [(300, "qualification"), two, two, (150, None)]
    assert neighbours.from_best == 3 and long.from_best == 4 and promising.best_primary
