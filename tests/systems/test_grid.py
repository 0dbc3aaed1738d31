import tomllib

import pytest

from serkit import systems
from serkit.errors import UserError
from serkit.systems.grid import grid, overrides, parse_sweep
from serkit.toml import write_value

RATE = "stages.main.trainer.learning_rate"
CHANNELS = "stages.main.network.channels"


@pytest.mark.parametrize(
    "value",
    [1, 1e-7, 2.5, True, "vit", 'say "a"\n', [8, 16], {"name": "a b", "list": [{"x": 1}], "a b": False}, [], {}, -0.0],
)
def test_what_is_written_as_toml_is_read_again(value):
    assert tomllib.loads(f"value = {write_value(value)}")["value"] == value
    (override,) = overrides({"some.key": value})
    assert override.partition("=")[0] == "some.key" and systems.parse_value(override.partition("=")[2]) == value


def test_a_point_overrides_a_system():
    point = {"stages.main.network": "cnn", CHANNELS: [8, 16, 24], RATE: 3e-5, "stages.main.method.name": "supervised"}
    stage = systems.load("linear-baseline", overrides(point)).stages[0]
    assert stage.network.name == "cnn" and stage.network.options == {"channels": [8, 16, 24]}
    assert stage.trainer.learning_rate == 3e-5 and stage.method.options == {"class_weights": "balanced"}


def test_a_sweep_is_a_grid():
    found = grid(parse_sweep(["a=[8, 16],[4]", "b=x,{c = 1}"]))
    assert found == [{"a": a, "b": b} for a in ([8, 16], [4]) for b in ("x", {"c": 1})]
    assert grid(parse_sweep([])) == [{}]
    with pytest.raises(UserError, match="--sweep a=3: this key already has a list"):
        parse_sweep(["a=1,2", "b=1", "a=3"])
