import tomllib

import pytest

from serkit.errors import UserError
from serkit.tuning.space import Parameter, full_grid, parse_space

RATE = "stages.main.trainer.learning_rate"
CHANNELS = "stages.main.network.channels"


def test_keys_may_be_quoted_or_not():
    table = tomllib.loads(
        f"""
        stages.main.trainer.learning_rate = {{ low = 1e-4, high = 1e-2, log = true }}
        "{CHANNELS}" = {{ low = 100, high = 420, step = 16, each = 3 }}
        "stages.main.network" = ["cnn", "linear"]
        """
    )
    space = parse_space(table, "space.toml")
    assert space[RATE] == Parameter(low=1e-4, high=1e-2, log=True)
    assert space[CHANNELS].each == 3 and space[CHANNELS].whole
    assert space["stages.main.network"].values == ["cnn", "linear"]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({"low": 1, "hihg": 2, "high": 3}, "key 'hihg'. Did you mean 'high'? Available: each, high, log"),
        ({"low": 1}, "low must be at most high, got low = 1, high = None"),
        ({"low": 3, "high": 2}, "low must be at most high, got low = 3, high = 2"),
        ({"low": 0, "high": 2, "log": True}, "log requires low > 0"),
        ({"low": 1, "high": 2, "log": True, "step": 1}, "does not combine with step"),
        ({"low": 1, "high": 2, "step": 0}, "step must be above 0, got 0"),
        ({"values": [1], "low": 1, "high": 2}, "give either values, or low and high"),
        ({"values": [1, 2], "log": True}, "log and step apply to low and high"),
        ({"values": [1, 2], "each": 0}, "each must be 1 or more, got 0"),
        ({"low": float("nan"), "high": 2}, "low must be a finite number, got nan"),
        ({"low": 1, "high": float("inf")}, "high must be a finite number, got inf"),
        ({"low": True, "high": 2}, "low must be a finite number, got True"),
        ({"low": 1, "high": "2"}, "high must be a finite number, got '2'"),
        ({"choices": [1, 2]}, "unknown key 'choices'. Available: "),
        ({"low": 1, "high": 2, "when": 3}, "when must be a table of keys and lists of their values, got 3"),
        ({"low": 1, "high": 2, "when": {"a": "b"}}, "when must be a list of values for 'a', got 'b'"),
        ([], "values is empty"),
        (5, "write a list of values, or { low, high } (received 5)"),
        (
            {"values": [1], "when": {"stages.main.network": ["cnn"]}},
            "when names 'stages.main.network', which is not a key above it",
        ),
    ],
)
def test_parameters_that_cannot_be(parameter, message):
    with pytest.raises(UserError) as caught:
        parse_space({RATE: parameter}, "space.toml")
    assert str(caught.value).startswith(f"space.toml: {RATE}: ") and message in str(caught.value)


def test_a_condition_that_never_holds():
    with pytest.raises(UserError, match="s: b: when: 'a' never has the value 'z'"):
        parse_space({"a": ["x", "y"], "b": {"values": [1], "when": {"a": ["y", "z"]}}}, "s")


@pytest.mark.parametrize(
    "key", ["data.classes", "data.map.calm", "stages.main.data.target", "protocols.clean.folds", "system.deploy"]
)
def test_what_is_scored_cannot_be_searched(key):
    with pytest.raises(UserError, match="cannot change what is scored"):
        parse_space({key: [1, 2]}, "space.toml")
    assert parse_space({"data.items.seconds": [1, 2], "views.mel.feature.target": [1]}, "space.toml")


def test_choices():
    assert Parameter(low=100, high=150, step=16).choices == [100, 116, 132, 148]
    assert Parameter(low=0.25, high=0.5, step=0.05).choices == [0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
    assert Parameter(low=2, high=4).choices == [2, 3, 4]
    assert Parameter(low=0.0, high=1.0).choices is None


def test_a_grid_leaves_out_what_does_not_apply():
    space = parse_space(
        {"a": ["x", "y"], "b": {"values": [1, 2], "when": {"a": ["y"]}}, "c": {"low": 1, "high": 2, "each": 2}}, "s"
    )
    points = full_grid(space)
    assert len(points) == 4 + 2 * 4
    assert points[0] == {"a": "x", "c": [1, 1]} and points[-1] == {"a": "y", "b": 2, "c": [2, 2]}
    with pytest.raises(UserError, match="b: a grid requires values"):
        full_grid(parse_space({"b": {"low": 0.1, "high": 0.2}}, "s"))
