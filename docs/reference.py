"""Writes the generated pages of the site: a page per room of the package, and the commands with their options.

Files outside of docs/ that belong to the site, such as CONTRIBUTING.md, become pages too.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

import typer

import serkit
from serkit.cli import GROUPS, import_command

#: Rooms that are no interface in Python: commands have their own page.
_HIDDEN = {"serkit.cli", "serkit.__main__", "serkit.bundles"}

_DOCS = Path(__file__).parent
_ROOT = _DOCS.parent

#: Page of the site -> the file outside of docs/ that it shows.
PROJECT = {
    "reference/project/contributing": _ROOT / "CONTRIBUTING.md",
    "reference/project/plugin": _ROOT / "examples" / "plugin" / "README.md",
    "reference/project/changes": _ROOT / "CHANGELOG.md",
    "reference/project/security": _ROOT / "SECURITY.md",
}


def write(folder: Path, modules: bool = True) -> None:
    """Write all generated pages anew.

    Args:
        folder: where to.
        modules: whether to describe each module, which takes most of the time; otherwise its page is only a title.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rooms = _rooms()
    for room, names in rooms.items():
        (folder / f"{room}.rst").write_text(_room(room, names) if modules else _title(room), encoding="utf-8")
    (folder / "serkit.rst").write_text(_top() if modules else _title("serkit"), encoding="utf-8")
    (folder / "python.md").write_text(_python(list(rooms)), encoding="utf-8")
    (folder / "command-line.md").write_text(_command_line(), encoding="utf-8")
    for name, path in PROJECT.items():
        page = _DOCS / f"{name}.md"
        page.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, page)


def links(name: str, text: str) -> str:
    """Return the Markdown of a page with links that hold on the site.

    A link to a file that is a page here leads to that page. A link to a folder, or to a file outside of the
    repository's docs that is no page, keeps its text only.
    """
    here = PROJECT.get(name, _DOCS / f"{name}.md").parent
    page = _DOCS / name
    pages = {path: _DOCS / f"{known}.md" for known, path in PROJECT.items()}

    def lead(match: re.Match[str]) -> str:
        told, target, anchor = match[1], match[2], match[3] or ""
        path = (here / target).resolve()
        if path in pages or (path.is_relative_to(_DOCS) and path.is_file()):
            there = os.path.relpath(pages.get(path, path), page.parent)
            return f"[{told}]({Path(there).as_posix()}{anchor})"
        return told

    # Not a picture, an address, a place on the same page or of the web.
    return re.sub(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)", lead, text)


def _rooms() -> dict[str, list[str]]:
    """Modules of the package by the room that they are in."""
    rooms: dict[str, list[str]] = {}
    for module in pkgutil.walk_packages(serkit.__path__, "serkit."):
        room = ".".join(module.name.split(".")[:2])
        if room not in _HIDDEN and not any(part.startswith("_") for part in module.name.split(".")):
            rooms.setdefault(room, []).append(module.name)
    return rooms


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n\n"


def _room(room: str, modules: list[str]) -> str:
    text = _title(room)
    for module in modules:
        # Sphinx imports a module with `TYPE_CHECKING` set, which pydantic's models do not survive.
        importlib.import_module(module)
        if module != room:
            text += f"{module}\n{'-' * len(module)}\n\n"
        text += f".. automodule:: {module}\n\n"
    return text


def _top() -> str:
    """The names of `import serkit`."""
    text = _title("serkit")
    text += "The names of ``import serkit``. Each is defined in a module below and is imported on first use.\n\n"
    for name in serkit.__all__:
        value = getattr(serkit, name)
        if name.startswith("__"):
            continue
        if isinstance(value, type):
            text += f".. autoclass:: serkit.{name}\n   :no-index:\n\n"
        elif callable(value):
            text += f".. autofunction:: serkit.{name}\n   :no-index:\n\n"
        else:
            text += f"``serkit.{name}``: the module :mod:`serkit.{name}`.\n\n"
    return text


def _python(rooms: list[str]) -> str:
    entries = "\n".join(["serkit", *rooms])
    return (
        "# Python reference\n\nEvery public module, with arguments, results and errors. "
        "Start with `serkit`; [design](../design.md) explains the others.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    )


def _command_line() -> str:
    text = "# Command line reference\n\nWhat `serkit COMMAND --help` shows. [Commands](../commands.md) has examples.\n"
    for group, commands in GROUPS.items():
        text += f"\n## {group}\n"
        for name in commands:
            text += _command(import_command(name), f"serkit {name}", 3)
    return text


def _command(command: Any, path: str, level: int) -> str:
    """One command as Markdown, and those below it."""
    context = typer.Context(command, info_name=path)
    text = f"\n{'#' * level} {path}\n\n{_prose(command.help or '')}\n\n"
    inner = getattr(command, "commands", {})
    if not inner:
        text += f"```text\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n\n"
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        text += "\n".join(f"- `{name}`: {_prose(about)}" for name, about in filter(None, records)) + "\n"
    for name, each in inner.items():
        text += _command(each, f"{path} {name}", level + 1)
    return text


def _prose(text: str) -> str:
    """Help as Markdown: outside of code, nothing is markup by accident."""
    parts = text.replace("\b", "").replace("\\[", "[").strip().split("`")
    return "`".join(part if number % 2 else re.sub(r"([*_<>])", r"\\\1", part) for number, part in enumerate(parts))
