"""The recognizers of a server, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serkit.errors import UserError, unknown
from serkit.recognition import Recognizer, load


@dataclass(frozen=True)
class Models:
    """Recognizers by their names in requests; the first is the default.

    Recognizers are loaded once and shared by all threads.

    Args:
        recognizers: recognizers by name.
        cards: model cards by name, read when the models were loaded, so that later changes of a bundle's folder are
            not published.
    """

    recognizers: dict[str, Recognizer]
    cards: dict[str, str]

    @classmethod
    def load(cls, names: Sequence[str]) -> Models:
        """Load bundles, given by name or folder; the model is named after the folder.

        Raises:
            UserError: a bundle is missing or broken, predicts numbers or has no card, or two bundles have one name.
        """
        recognizers: dict[str, Recognizer] = {}
        cards: dict[str, str] = {}
        for given in names:
            recognizer = load(given)
            recognizer.bundle.want_classes()
            name = recognizer.bundle.folder.resolve().name
            if name in recognizers:
                raise UserError(f"--model {given}: the name '{name}' is already in use by another model")
            recognizers[name], cards[name] = recognizer, recognizer.bundle.card()
        return cls(recognizers, cards)

    @property
    def folders(self) -> dict[str, Path]:
        """Folders of the bundles, by name."""
        return {name: recognizer.bundle.folder.absolute() for name, recognizer in self.recognizers.items()}

    @property
    def default(self) -> str:
        """Name of the default model."""
        return next(iter(self.recognizers))

    def find(self, name: str | None) -> tuple[str, Recognizer]:
        """Return a model and its name; without a name, the default.

        Raises:
            UserError: there is no such model.
        """
        name = self.default if name is None else name
        if name not in self.recognizers:
            raise unknown("model", name, self.recognizers)
        return name, self.recognizers[name]
