"""Tables of parts that a file or a command line chooses by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from serkit.errors import unknown
from serkit.options import make


class Registry(dict[str, Any]):
    """Parts by name: classes, functions or modules.

    A part may be written as text, `module:attribute` or `module`; it is imported when it is first used.

    Args:
        kind: what the parts are, for errors: `feature`.
        parts: by name.
    """

    def __init__(self, kind: str, parts: Mapping[str, Any]) -> None:
        super().__init__(parts)
        self.kind = kind

    def find(self, name: str) -> Any:
        """Return a part.

        Raises:
            UserError: no part has this name.
        """
        if name not in self:
            raise unknown(self.kind, name, self)
        part = self[name]
        if not isinstance(part, str):
            return part
        module, _, attribute = part.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found

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
