"""The recognisers a server offers, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serkit.errors import UserError, unknown
from serkit.recognition import Recognizer, load


@dataclass(frozen=True)
class Models:
    """Recognisers by the name requests call them by; the first is the default.

    Recognisers are loaded once and shared by all threads.
    """

    recognizers: dict[str, Recognizer]

    @classmethod
    def load(cls, names: Sequence[str]) -> Models:
        """Load bundles, given by name or folder; a folder's name is then the model's.

        Raises:
            UserError: no such bundle, a broken one, one that gives numbers or has no card, or two of one name.
        """
        recognizers: dict[str, Recognizer] = {}
        for given in names:
            recognizer = load(given)
            recognizer.bundle.want_classes()
            recognizer.bundle.card()  # which every list of models shows: better missed now than then
            name = recognizer.bundle.folder.resolve().name
            if name in recognizers:
                raise UserError(f"--model {given}: a model '{name}' is there already; requests could not tell them")
            recognizers[name] = recognizer
        return cls(recognizers)

    @property
    def default(self) -> str:
        """Name of the model that answers where none is asked for."""
        return next(iter(self.recognizers))

    def find(self, name: str | None) -> tuple[str, Recognizer]:
        """Return a model and its name; without a name the default.

        Raises:
            UserError: no such model.
        """
        name = name or self.default
        if name not in self.recognizers:
            raise unknown("model", name, self.recognizers)
        return name, self.recognizers[name]
