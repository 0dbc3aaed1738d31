"""Points: choices for some keys of a system, and their conversion to `key=value` overrides."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serkit.errors import UserError
from serkit.systems import parse_value
from serkit.toml import write_value

#: Values by dotted key, as after `--set`.
Point = dict[str, Any]


def parse_sweep(sweeps: Iterable[str]) -> dict[str, list[Any]]:
    """Read texts such as `KEY=A,B,...`: the values of each key, written as in TOML.

    >>> parse_sweep(["stages.main.network.channels=[8, 16],[32]"])
    {'stages.main.network.channels': [[8, 16], [32]]}
    """
    choices = {}
    for sweep in sweeps:
        key, equals, values = sweep.partition("=")
        if not equals or not values:
            raise UserError(f"--sweep {sweep}: write KEY=A,B,..., e.g. stages.main.trainer.learning_rate=1e-3,1e-4")
        if key.strip() in choices:
            raise UserError(f"--sweep {sweep}: this key already has a list; write all its values in one")
        choices[key.strip()] = [parse_value(value) for value in _alternatives(values)]
    return choices


def _alternatives(values: str) -> list[str]:
    """Split at the commas outside brackets: `[8, 16],[32]` is two lists."""
    found, depth = [""], 0
    for character in values:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


def grid(choices: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return all combinations; the last key changes fastest.

    >>> grid({"a": [1, 2], "b": [3]})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    return [dict(zip(choices, row, strict=True)) for row in itertools.product(*choices.values())]


def overrides(point: Mapping[str, Any]) -> list[str]:
    """Return a point as `key=value` texts, for `serkit.systems.load` and for `--set`.

    >>> overrides({"stages.main.network": "cnn", "stages.main.network.channels": [8, 16]})
    ['stages.main.network="cnn"', 'stages.main.network.channels=[8, 16]']
    """
    return [f"{key}={write_value(value)}" for key, value in point.items()]
