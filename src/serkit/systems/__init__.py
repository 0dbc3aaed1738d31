"""Systems: TOML files that hold only choices, and the functions that read them.

To add one, write its file; `extends` names one base or several, and the file lists only the differences.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from serkit import documents
from serkit.documents import RawTable
from serkit.errors import UserError, unknown
from serkit.protocols import STANDARD
from serkit.registry import Registry
from serkit.systems.schema import System

_FOLDER = Path(__file__).parent

#: Paths of the files of systems that have a name; a plugin's entry point is such a path.
SYSTEMS = Registry("system", {path.stem: path for path in _FOLDER.glob("*.toml")}, "serkit.systems")

#: Tables of a file that define how the system may be searched (see `serkit.tuning.rounds`), but not the system.
SEARCH_TABLES = ("search", "rounds")


def available() -> list[str]:
    """Return the names of the systems included in serkit."""
    return sorted(SYSTEMS)


def load(system: str | Path, sets: Iterable[str] = ()) -> System:
    """Read a system, resolve what it extends, and override keys.

    Args:
        system: name of a built-in system, or path of a TOML file.
        sets: `dotted.key=value` overrides. A stage is addressed by its name (`stages.teacher.trainer.epochs=5`) or
            all stages by `*`; the value is written as in TOML (a bare word is a string).

    Raises:
        UserError: unknown system or key, or an invalid value.
    """
    table = _resolve(system, ())
    for override in sets:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError(f"--set {override}: write KEY=VALUE, e.g. stages.main.trainer.epochs=5")
        if key.strip().partition(".")[0] in ("extends", *SEARCH_TABLES):
            raise UserError(f"--set {override}: extends, search and rounds belong in a system's file")
        _set(table, key.strip(), key.strip().split("."), parse_value(value))
    return _parsed(table, str(system))


def read(text: str, path: Path) -> System:
    """Read a system from a text that may become the file `path`; files that it extends are relative to that path."""
    return _parsed(_extended(documents.parse_toml(text, str(path)), path, ()), str(path))


def search_tables(system: str | Path) -> RawTable:
    """Return the tables of a system's file, and of those it extends, that define how it may be searched."""
    table = _resolve(system, ())
    return {key: table[key] for key in SEARCH_TABLES if key in table}


def parse(table: RawTable, where: str) -> System:
    """Check a resolved table against the schema; `where` begins the error message.

    A protocol with a standard name lists only the differences from the standard one.
    """
    protocols = table.get("protocols", {})
    for name, changes in protocols.items() if isinstance(protocols, dict) else ():
        if name in STANDARD and isinstance(changes, dict) and "kind" not in changes:
            protocols[name] = STANDARD[name].model_dump(exclude_unset=True) | changes
    try:
        return System.model_validate(table)
    except ValidationError as error:
        raise UserError(f"{where}: {_first(error, table)}") from None


def _parsed(table: RawTable, where: str) -> System:
    return parse({key: value for key, value in table.items() if key not in SEARCH_TABLES}, where)


def parse_value(text: str) -> Any:
    """Read a value as TOML does; a bare word is a string.

    >>> parse_value("5"), parse_value("[1, 2]"), parse_value("vit")
    (5, [1, 2], 'vit')
    """
    try:
        return documents.parse_toml(f"value = {text}", reprlib.repr(text))["value"]
    except documents.Malformed:
        return text.strip()


def _resolve(system: str | Path, below: Sequence[str]) -> RawTable:
    path = Path(os.path.expanduser(system))
    if path.suffix != ".toml":
        path = Path(SYSTEMS.find(str(system)))
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if str(path.resolve()) in below:
        raise UserError(f"{path}: extends itself")
    return _extended(documents.read_toml(path), path, below)


def _extended(table: RawTable, path: Path, below: Sequence[str]) -> RawTable:
    """Return a file's table together with all that it extends."""
    merged: RawTable = {}
    for base in _bases(path, table.pop("extends", [])):
        merged = _merge(merged, _resolve(base, (*below, str(path.resolve()))))
    return _merge(merged, table)


def _bases(path: Path, extends: Any) -> list[str | Path]:
    """Return the systems that a file extends; later ones take precedence."""
    names = [extends] if isinstance(extends, str) else extends
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: extends = {extends!r}; name a system or a TOML file, or list several")
    return [path.parent / name if name.endswith(".toml") else name for name in names]


def _merge(base: RawTable, changes: RawTable) -> RawTable:
    """Apply changes to a table. A part with another name replaces the old part and its options."""
    if "name" in base and base["name"] != changes.get("name", base["name"]):
        return changes
    merged = dict(base)
    for key, value in changes.items():
        old = base.get(key)
        if key == "stages" and isinstance(old, list) and isinstance(value, list):
            merged[key] = _merge_stages(old, value)
        elif isinstance(old, dict) and isinstance(value, dict):
            merged[key] = {**old, **value} if key == "system" else _merge(old, value)
        else:
            merged[key] = value
    return merged


def _merge_stages(base: list[RawTable], changes: list[RawTable]) -> list[RawTable]:
    """Merge stages by name. A new stage goes before the base's stage that is listed after it, or to the end."""
    if not all(isinstance(stage, dict) for stage in [*base, *changes]):
        return changes  # the schema reports the error
    names = [stage.get("name") for stage in changes]
    if any(names.count(name) > 1 or isinstance(name, list | dict) for name in names):
        return changes
    changed = {stage.get("name"): stage for stage in changes}
    before: dict[Any, list[RawTable]] = {}
    new: list[RawTable] = []
    for stage in changes:
        if any(stage.get("name") == other.get("name") for other in base):
            before[stage.get("name")], new = new, []
        else:
            new.append(stage)
    merged = []
    for stage in base:
        merged += [*before.get(stage.get("name"), []), _merge(stage, changed.get(stage.get("name"), {}))]
    return [*merged, *new]


def _set(table: Any, key: str, path: list[str], value: Any) -> None:
    if isinstance(table, list) and path[0] == "*":
        for stage in table:
            _set(stage, key, path[1:], value)
        return
    if isinstance(table, list):
        named = {part["name"]: part for part in table if isinstance(part, dict) and "name" in part}
        if path[0] not in named:
            raise unknown(f"name in --set {key}: name", path[0], named)
        table = named[path[0]]
        path = path[1:]
    if not path or not isinstance(table, dict):
        raise UserError(f"--set {key}: does not lead to a key")
    if len(path) == 1:
        if isinstance(table.get(path[0]), dict) and isinstance(value, str):
            value = {"name": value}
        table[path[0]] = value
        return
    if path[0] != "name" and isinstance(table.get(path[0]), str):  # a part chosen by its name alone
        table[path[0]] = {"name": table[path[0]]}
    _set(table.setdefault(path[0], {}), key, path[1:], value)


def _first(error: ValidationError, table: RawTable) -> str:
    """Return one line about the first error, with the key as users write it."""
    problem = error.errors()[0]
    key = ".".join(_written(problem["loc"], table))
    if problem["type"] == "extra_forbidden":
        return str(unknown(f"key '{key}': key", str(problem["loc"][-1]), _known_keys(problem["loc"])))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] not in ("value_error", "missing"):
        message += f" (received {reprlib.repr(problem['input'])})"
    return f"{key}: {message}" if key else message


def _written(location: Sequence[int | str], table: Any) -> list[str]:
    """Return the parts of a key; a stage's index in the list becomes its name."""
    parts = []
    for part in location:
        if isinstance(part, str) and "[" in part:  # pydantic's name of one of several types
            continue
        try:
            table = table[part]
        except (KeyError, IndexError, TypeError):
            table = None
        parts.append(str(table.get("name", part)) if isinstance(part, int) and isinstance(table, dict) else str(part))
    return parts


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """Return the keys of the schema's table at a location."""
    model: type[BaseModel] = System
    for part in location[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _table_type(model.model_fields[part].annotation) or model
    return [*model.model_fields, "extends", *SEARCH_TABLES] if model is System else list(model.model_fields)


def _table_type(annotation: Any) -> type[BaseModel] | None:
    """Find the table inside an annotation such as `list[Stage]`, `dict[str, View]` or `Trainer | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_table_type(argument) for argument in getattr(annotation, "__args__", ())]
    return next((kind for kind in found if kind is not None), None)
