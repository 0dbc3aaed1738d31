"""The recognizers of a server, by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serkit.errors import UserError, unknown
from serkit.recognition import Recognizer, load
from serkit.recognition.bundle import find


@dataclass(frozen=True)
class Models:
    """Recognizers by their names in requests; the first is the default.

    Recognizers are loaded once and shared by all threads.

    Args:
        given: the bundles as they were given, by name or folder.
        recognizers: recognizers by name.
        cards: model cards by name, read when the models were loaded, so that later changes of a bundle's folder are
            not published.
    """

    given: tuple[str, ...]
    recognizers: dict[str, Recognizer]
    cards: dict[str, str]

    @classmethod
    def load(cls, names: Sequence[str]) -> Models:
        """Load bundles, given by name or folder; the model is named after the folder, or after the link to it.

        Raises:
            UserError: a bundle is missing or broken, predicts numbers or has no card, or two bundles have one name.
        """
        recognizers: dict[str, Recognizer] = {}
        cards: dict[str, str] = {}
        for given in names:
            folder = find(given)
            # What a link points to may change; then the processes of a model that is loaded must not follow it.
            recognizer = load(folder.resolve())
            recognizer.bundle.want_classes()
            name = Path(os.path.abspath(folder)).name
            if name in recognizers:
                raise UserError(f"--model {given}: the name '{name}' is already in use by another model")
            recognizers[name], cards[name] = recognizer, recognizer.bundle.card()
        return cls(tuple(names), recognizers, cards)

    @property
    def folders(self) -> dict[str, Path]:
        """Folders of the bundles, by name."""
        return {name: recognizer.bundle.folder for name, recognizer in self.recognizers.items()}

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of the networks, by name."""
        models = {name: recognizer.bundle.model for name, recognizer in self.recognizers.items()}
        return {name: model.sha256 for name, model in models.items() if model is not None}

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
