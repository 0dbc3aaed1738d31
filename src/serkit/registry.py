"""Tables of parts that a file or a command line chooses by name, and the plugins that add to them.

An installed distribution adds a part by an entry point in the group of the table, e.g. `serkit.features`. A table looks
for entry points only when a name is not its own. So plugins cost nothing until they are used, and none can replace a
part of serkit.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from serkit.errors import UserError, unknown
from serkit.options import make

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Registry(dict[str, Any]):
    """Parts by name: classes, functions or modules.

    A part may be written as text, `module:attribute` or `module`; it is imported when it is first used.

    Args:
        kind: what the parts are, for errors: `feature`.
        parts: by name.
        group: group of entry points that add parts; None: there are none.
    """

    def __init__(self, kind: str, parts: Mapping[str, Any], group: str | None = None) -> None:
        super().__init__(parts)
        self.kind = kind
        self.group = group
        self._plugged: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        """Return a part.

        Raises:
            UserError: no part has this name, or that of a plugin cannot be imported.
        """
        if name not in self:
            return self._find_plugged(name)
        part = self[name]
        if not isinstance(part, str):
            return part
        module, _, attribute = part.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found

    def knows(self, name: str) -> bool:
        """Return whether a part has this name, without importing it."""
        return name in self or bool(self._entry_points(name))

    def names(self) -> list[str]:
        """Return the names of all parts, also of plugins."""
        return sorted({*self, *(point.name for point in self._entry_points())})

    def distribution(self, name: str) -> tuple[str, str] | None:
        """Return name and version of the distribution that adds a part; None for a part of serkit."""
        if name in self:
            return None
        for point in self._entry_points(name):
            if point.dist is not None:
                return point.dist.name, point.dist.version
        return None

    def make(self, name: str, options: Mapping[str, Any], *arguments: Any) -> Any:
        """Call a part with options, and with arguments before them, which are not options.

        Raises:
            UserError: no part has this name, the part has no such option, or an option has a value it cannot have.
        """
        self.check(name, options, len(arguments))
        return make(f"{self.kind} '{name}'", self.find(name), options, *arguments)

    def check(self, name: str, options: Iterable[str], arguments: int = 0) -> None:
        """Raise UserError if a part has no option of some name; its first `arguments` parameters are not options."""
        known = list(inspect.signature(self.find(name)).parameters)[arguments:]
        for option in options:
            if option not in known:
                raise unknown(f"option of {self.kind} '{name}'", option, known)

    def defaults(self, name: str) -> dict[str, Any]:
        """Return the options of a part that have a default."""
        parameters = inspect.signature(self.find(name)).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}

    def _find_plugged(self, name: str) -> Any:
        if name in self._plugged:
            return self._plugged[name]
        found = self._entry_points(name)
        if not found:
            raise unknown(self.kind, name, self.names())
        owners = sorted({_owner(point) for point in found})
        if len(owners) > 1:
            raise UserError(f"{self.kind} '{name}' is added by {' and by '.join(owners)}; uninstall one of them")
        try:
            part = found[0].load()
        except Exception as error:  # a plugin may fail in any way
            raise UserError(
                f"{self.kind} '{name}' of {owners[0]} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        self._plugged[name] = part
        return part

    def _entry_points(self, name: str | None = None) -> list[EntryPoint]:
        if self.group is None:
            return []
        from importlib.metadata import entry_points

        found = entry_points(group=self.group)
        return [point for point in found if name in (None, point.name)]


def _owner(point: EntryPoint) -> str:
    return "an unnamed distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"
