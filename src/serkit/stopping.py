"""Stopping rules: when a training ends before its last epoch.

A rule sees the history after each epoch and says `go`, `stop` (keep what is there) or `abandon` (this
configuration is not worth more; outside cross-validation the same as stop). To add one, write its class
and add its line to `RULES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from serkit.errors import UserError, unknown

Verdict = Literal["go", "stop", "abandon"]


class Stopping:
    """Base of all rules."""

    def after_epoch(self, history: Sequence[dict[str, Any]]) -> Verdict:
        """Judge after an epoch; `history` has one record per finished epoch, the latest last."""
        return "go"

    def after_fold(self, scores: Sequence[dict[str, float]]) -> Verdict:
        """Judge after a fold of a cross-validation; `scores` has one record per finished fold."""
        return "go"


@dataclass(frozen=True)
class Patience(Stopping):
    """Stop when a value has not improved for some epochs.

    Args:
        epochs: how many without improvement.
        monitor: key of the history: `validation_loss`, `validation_uar`, `training_accuracy`, ...
            A key ending in `loss` should fall, any other rise.
    """

    epochs: int = 10
    monitor: str = "validation_loss"

    def after_epoch(self, history: Sequence[dict[str, Any]]) -> Verdict:
        if self.monitor not in history[-1]:
            raise UserError(f"stopping rule watches '{self.monitor}'; the history has: {', '.join(history[-1])}")
        sign = 1 if self.monitor.endswith("loss") else -1
        values = [sign * record[self.monitor] for record in history]
        best = values.index(min(values))
        return "stop" if len(values) - 1 - best >= self.epochs else "go"


RULES = {"patience": Patience}


def build(name: str, **options: Any) -> Stopping:
    """Make a stopping rule by name.

    Raises:
        UserError: unknown name or option.
    """
    if name not in RULES:
        raise unknown("stopping rule", name, RULES)
    try:
        return RULES[name](**options)
    except TypeError as error:
        raise UserError(f"stopping rule '{name}': {error}") from None
