"""The house: which room may import which. `python tests/test_structure.py` prints it."""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

#: Rooms from the top floor down. Each imports only rooms of floors below its own.
FLOORS = [
    ["__main__"],
    ["cli"],
    ["app", "papers"],
    ["lab", "sklearn", "tuning"],
    ["reports"],
    ["runs"],
    ["training"],
    ["methods"],
    ["graph", "networks"],
    ["evaluation"],
    ["auditing", "systems"],
    ["recognition", "protocols"],
    ["data"],
    ["corpora", "features"],
    ["degrade"],
    ["augment"],
    ["finding"],
    ["audio", "emotions", "windowing"],
    ["registry"],
    ["onnx_session"],
    ["listing", "parts"],
    ["engine", "remote", "shards"],
    ["locks", "onnx_file", "options", "records", "sheets", "spreadsheet", "terminal"],
    ["documents"],
    ["atomic", "colours", "flags", "processes", "progress", "text", "toml", "writing"],
    ["errors"],
]
#: What only the laboratory needs. Rooms below `networks` do not import it, except inside the functions that need it.
LABORATORY = {"torch", "sklearn", "pandas", "pyarrow", "librosa", "matplotlib", "lightning_fabric", "onnx", "optuna"}


def modules():
    """Paths of all modules by dotted name."""
    names = {}
    for path in sorted((SOURCE / "serkit").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(path, known=()):
    """Yield the dotted name of each import of a module, also of those for types and inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def graph():
    """Modules of serkit that each module imports. `serkit` itself imports nothing before it is asked for."""
    known = modules()
    del known["serkit"]
    return {name: {other for other in imports(path, known) if other in known} - {name} for name, path in known.items()}


def room(name):
    return name.split(".")[1] if "." in name else ""


def test_every_room_has_a_floor():
    assert {room(name) for name in graph()} == {name for floor in FLOORS for name in floor}


def test_imports_point_down():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    upward = [
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in sorted(others)
        if room(name) != room(other) and floor[room(other)] <= floor[room(name)]
    ]
    assert upward == []


def test_no_imports_in_a_circle():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_the_core_imports_nothing_of_the_laboratory():
    core = {name for floor in FLOORS[FLOORS.index(["graph", "networks"]) + 1 :] for name in floor}
    there = [
        f"{name} imports {other}"
        for name, path in modules().items()
        if room(name) in core
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for other in [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
        if other.partition(".")[0] in LABORATORY
    ]
    assert there == []


def main():
    below = defaultdict(set)
    for name, others in graph().items():
        below[room(name)] |= {room(other) for other in others} - {room(name)}
    for floor in FLOORS:
        for name in floor:
            print(f"{name:<12} {' '.join(sorted(below[name]))}".rstrip())


if __name__ == "__main__":
    main()
