"""The command that repeats a run, from the run's description."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serkit import systems
from serkit.errors import UserError
from serkit.protocols.protocol import Protocol
from serkit.runs.files import Description
from serkit.toml import write_value


@dataclass(frozen=True)
class Command:
    """A command line.

    Args:
        text: as typed into a POSIX shell.
        exact: whether the command yields the same system in this serkit. False if the system's file is not part of
            serkit, or has changed since; then the text has no settings, and only `run.json` has them.
    """

    text: str
    exact: bool


def _reading(description: Description) -> Iterator[tuple[str, str]]:
    """Yield the options with which the user's own data were read."""
    for reading in list(description.readings.values())[:1]:  # one command reads all corpora alike
        if reading.columns:
            yield "--columns", ",".join(f"{name}={column}" for name, column in reading.columns.items())
        if reading.times:
            yield "--times", reading.times
        if reading.skip_bad_rows:
            yield "--on-error", "skip"


def command(description: Description, folders: Mapping[str, str] | None = None) -> Command:
    """Return the `serkit train` command that repeats a run.

    Args:
        description: the run.
        folders: folder of each corpus; None: the folders of the run. `{}` writes the word FOLDER, for publication.
    """
    given = {"--corpus": description.folders, "--also": description.also}
    if folders is None:
        folders = {**given["--corpus"], **given["--also"]}
    name = description.system[0].name
    sets: list[str] = []
    sweeps: list[tuple[str, list[str]]] = []
    exact = False
    try:
        base = systems.load(name).model_dump(mode="json")
        # Through the schema, which fills in settings that are newer than the run.
        grid = [_unsettled(row.model_dump(mode="json"), base) for row in description.systems]
        sweeps = _sweeps(grid)
        swept = {key for key, _ in sweeps}
        sets = [f"{key}={_text(value)}" for key, value in _changes(base, grid[0]) if key not in swept]
        exact = _made_by(name, sets, sweeps) == grid
    except UserError:
        pass  # No system of this name, or this serkit refuses one of its settings.
    if not exact:
        sets, sweeps = [], []
    words = ["serkit", "train", name if systems.SYSTEMS.knows(name) else f"{name}.toml"]
    for option, value in _reading(description):
        words += [option, value]
    for option, corpora in given.items():
        for corpus in corpora:
            words += [option, f"{corpus}={folders.get(corpus, 'FOLDER')}"]
    words += ["--protocol", description.protocol.name]
    words += [word for text in sets for word in ("--set", text)]
    words += [word for key, values in sweeps for word in ("--sweep", f"{key}={','.join(values)}")]
    words += ["--seed", str(description.seed), "--threads", str(description.threads)]
    return Command(shlex.join(words), exact)


def _unsettled(row: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's system with the channels of the views that fell back to the speech; they will fall back again.

    Only a fallback removes a view's channel; `--set` cannot.
    """
    for name, view in row["views"].items():
        channel = base["views"].get(name, {}).get("channel")
        if channel and view["channel"] is None:
            view |= {"channel": channel, "fallback": "speech"}
    return row


def rows(description: Description) -> list[str]:
    """Name each row of a sweep's grid by its own settings: `learning_rate=0.001, weight_decay=0.1`."""
    grid = [row.to_dict() for row in description.system]
    keys = [key for key, _ in _sweeps(grid)]
    short = [key.rpartition(".")[2] for key in keys]
    if len(set(short)) < len(keys):
        short = keys
    return [
        ", ".join(f"{name}={_text(_at(row, key))}" for name, key in zip(short, keys, strict=True))
        or "as the system says"
        for row in grid
    ]


def _sweeps(grid: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return keys and values of the grid in the order of `--sweep`, with the slowest changing key first."""
    first: dict[str, int] = {}
    for index, row in enumerate(grid):
        for key, _ in _changes(grid[0], row):
            first.setdefault(key, index)
    keys = sorted(first, key=lambda key: -first[key])
    return [(key, list(dict.fromkeys(_text(_at(row, key)) for row in grid))) for key in keys]


def _made_by(name: str, sets: Sequence[str], sweeps: Sequence[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    choices = [[f"{key}={value}" for value in values] for key, values in sweeps]
    return [systems.load(name, [*sets, *row]).model_dump(mode="json") for row in itertools.product(*choices)]


def _changes(base: Any, changed: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of each entry of `changed` that differs from `base`."""
    if key == "stages":
        # Stages are addressed by name; --set cannot add a stage.
        base = {stage["name"]: stage for stage in base}
        changed = {stage["name"]: stage for stage in changed}
    if base == changed:
        return
    if not isinstance(base, dict) or not isinstance(changed, dict) or _is_another_part(base, changed):
        yield key, changed
        return
    for name, value in changed.items():
        # A new protocol is written without its defaults.
        default = _PROTOCOL if key == "protocols" else None
        yield from _changes(base.get(name, default), value, f"{key}.{name}" if key else name)


def _is_another_part(base: Mapping[str, Any], changed: Mapping[str, Any]) -> bool:
    """Return whether a part has another name or lacks an option; `--set` cannot remove an option."""
    return base.get("name") != changed.get("name") or not base.keys() <= changed.keys()


_PROTOCOL = {name: field.default for name, field in Protocol.model_fields.items()}


def _at(system: Mapping[str, Any], key: str) -> Any:
    node: Any = system
    for name in key.split("."):
        node = next(stage for stage in node if stage["name"] == name) if isinstance(node, list) else node[name]
    return node


def _text(value: Any) -> str:
    """Write a value for `systems.parse_value`: words without quotes, everything else as in TOML."""
    if isinstance(value, dict) and set(value) == {"name"}:
        value = value["name"]
    if isinstance(value, str) and systems.parse_value(value) == value:
        return value
    return write_value(value)
