"""The recognisers a server offers, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serkit.errors import UserError, unknown
from serkit.recognition import Recognizer, load


@dataclass(frozen=True)
class Models:
    """Recognisers by the name requests call them by; the first is the default.

    Recognisers are loaded once and shared by all threads.

    Args:
        recognizers: by name.
        cards: their model cards, as they were when they were loaded: what becomes of a bundle's folder meanwhile is
            not published.
    """

    recognizers: dict[str, Recognizer]
    cards: dict[str, str]

    @classmethod
    def load(cls, names: Sequence[str]) -> Models:
        """Load bundles, given by name or folder; a folder's name is then the model's.

        Raises:
            UserError: no such bundle, a broken one, one that gives numbers or has no card, or two of one name.
        """
        recognizers: dict[str, Recognizer] = {}
        cards: dict[str, str] = {}
        for given in names:
            recognizer = load(given)
            recognizer.bundle.want_classes()
            name = recognizer.bundle.folder.resolve().name
            if name in recognizers:
                raise UserError(f"--model {given}: a model '{name}' is there already; requests could not tell them")
            recognizers[name], cards[name] = recognizer, recognizer.bundle.card()
        return cls(recognizers, cards)

    @property
    def folders(self) -> dict[str, Path]:
        """Where their bundles lie, by name."""
        return {name: recognizer.bundle.folder.absolute() for name, recognizer in self.recognizers.items()}

    @property
    def default(self) -> str:
        """Name of the model that answers where none is asked for."""
        return next(iter(self.recognizers))

    def find(self, name: str | None) -> tuple[str, Recognizer]:
        """Return a model and its name; without a name the default.

        Raises:
            UserError: no such model.
        """
        name = self.default if name is None else name
        if name not in self.recognizers:
            raise unknown("model", name, self.recognizers)
        return name, self.recognizers[name]
