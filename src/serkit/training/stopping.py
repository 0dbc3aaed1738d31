"""Stopping rules: when a training ends before its last epoch.

After each epoch a rule reads the history and returns `go`, `stop` (keep the result so far) or `abandon` (this
configuration is not worth more; outside cross-validation the same as stop). To add one, write its class
and add its line to `RULES`.

Epochs count from 0, as in the history: epoch 20 is judged after the 21st pass. The training loop calls
`after_epoch`. A cross-validation also calls `after_fold` of the same rule after each fold and, after a fold that
was stopped, `later_epochs`: the limit of epochs for the remaining folds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from serkit.errors import UserError, unknown
from serkit.registry import Registry
from serkit.training.history import Epoch

Verdict = Literal["go", "stop", "abandon"]


class Stopping:
    """Base of all rules."""

    @property
    def watched(self) -> list[str]:
        """Keys of the history that the rule reads."""
        return []

    def after_epoch(self, history: Sequence[Epoch]) -> Verdict:
        """Judge after an epoch; `history` has one record per finished epoch, the latest last."""
        return "go"

    def after_fold(self, scores: Sequence[Mapping[str, float]]) -> Verdict:
        """Judge after a fold of a cross-validation.

        Args:
            scores: one record per finished fold, the latest last: `accuracy`, `uar`, `macro_f1` (shares, not %)
                of the fold's validation part with its final weights.

        Returns:
            `go`, or `abandon`: the remaining folds need not be trained.
        """
        return "go"

    def later_epochs(self, history: Sequence[Epoch]) -> int | None:
        """Return the epoch limit of later folds, given a history that `after_epoch` stopped; None: no limit."""
        return None


@dataclass(frozen=True)
class Patience(Stopping):
    """Stop when a value has not improved for some epochs.

    Args:
        epochs: number of epochs without improvement.
        monitor: key of the history: `validation_loss`, `validation_uar`, `training_accuracy`, ...
            A key that ends in `loss` should fall, any other rise.
    """

    epochs: int = 10
    monitor: str = "validation_loss"

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 or more, got {self.epochs}")

    @property
    def watched(self) -> list[str]:
        return [self.monitor]

    def after_epoch(self, history: Sequence[Epoch]) -> Verdict:
        values = [-_goodness(record, self.monitor) for record in history]
        best = values.index(min(values))
        return "stop" if len(values) - 1 - best >= self.epochs else "go"


# Types of an epoch and the value to reach in it.
_PAIRS = ([int, float], [int, int])


@dataclass(frozen=True)
class Floor(Stopping):
    """Abandon a training that is too poor at certain epochs.

    Args:
        at: pairs of an epoch and the value to reach in it.
        monitor: key of the history.
    """

    at: Sequence[tuple[int, float]]
    monitor: str = "validation_macro_f1"

    def __post_init__(self) -> None:
        if not all(isinstance(pair, Sequence) and [type(part) for part in pair] in _PAIRS for pair in self.at):
            raise ValueError(f"at must be a list of pairs of epoch and value, such as [[20, 0.4]], got {self.at!r}")

    @property
    def watched(self) -> list[str]:
        return [self.monitor]

    def after_epoch(self, history: Sequence[Epoch]) -> Verdict:
        sign = _sign(self.monitor)
        for epoch, least in self.at:
            if history[-1]["epoch"] == epoch and _goodness(history[-1], self.monitor) < sign * least:
                return "abandon"
        return "go"


@dataclass(frozen=True)
class Stalled(Stopping):
    """Stop when a value has gained too little several times in a row.

    Args:
        after: epochs up to this one are not judged.
        every: epochs divisible by this number are judged; the gain is the change from one of them to the next.
        times: number of gains in a row.
        gain: each gain is below this value; with 0, each is a loss.
        monitor: key of the history. A key that ends in `loss` should fall, any other rise.
    """

    after: int = 50
    every: int = 4
    times: int = 4
    gain: float = 0.0
    monitor: str = "validation_loss"

    def __post_init__(self) -> None:
        if min(self.every, self.times) < 1:
            raise ValueError(f"every and times must be 1 or more, got {self.every} and {self.times}")

    @property
    def watched(self) -> list[str]:
        return [self.monitor]

    def after_epoch(self, history: Sequence[Epoch]) -> Verdict:
        epoch = history[-1]["epoch"]
        if epoch <= self.after or epoch % self.every or epoch < self.times * self.every:
            return "go"
        steps = [_goodness(record, self.monitor) for record in history[:: -self.every][: self.times + 1]]
        gains = [later - earlier for later, earlier in itertools.pairwise(steps)]
        return "stop" if all(gain < self.gain for gain in gains) else "go"

    def later_epochs(self, history: Sequence[Epoch]) -> int | None:
        # The window begins at the last gain; its length is a number of passes, including epoch 0.
        return int(history[-1]["epoch"]) - self.times * self.every + 1


@dataclass(frozen=True)
class FoldFloor(Stopping):
    """Abandon a cross-validation whose latest fold was too poor.

    Args:
        below: value that each score should reach, by score.
        need: whether `all` of them or `any` must be missed.
    """

    below: Mapping[str, float]
    need: str = "all"

    def __post_init__(self) -> None:
        if self.need not in ("all", "any"):
            raise unknown("need", self.need, ["all", "any"])

    def after_fold(self, scores: Sequence[Mapping[str, float]]) -> Verdict:
        missed = [scores[-1][name] < least for name, least in self.below.items()]
        return "abandon" if (all if self.need == "all" else any)(missed) else "go"


class Combined(Stopping):
    """Several rules: `abandon` takes precedence over `stop`, and `stop` over `go`.

    Args:
        rules: tables such as `{ name = "patience", epochs = 5 }`.
    """

    def __init__(self, rules: Sequence[Mapping[str, Any]]) -> None:
        self.rules = [build(**rule) for rule in rules]

    @property
    def watched(self) -> list[str]:
        return [key for rule in self.rules for key in rule.watched]

    def after_epoch(self, history: Sequence[Epoch]) -> Verdict:
        return _gravest(rule.after_epoch(history) for rule in self.rules)

    def after_fold(self, scores: Sequence[Mapping[str, float]]) -> Verdict:
        return _gravest(rule.after_fold(scores) for rule in self.rules)

    def later_epochs(self, history: Sequence[Epoch]) -> int | None:
        limits = [rule.later_epochs(history) for rule in self.rules if rule.after_epoch(history) == "stop"]
        return min((limit for limit in limits if limit is not None), default=None)


#: Epochs of the class A conditions; A4 has two.
_CLASS_A_EPOCHS = ((20,), (50,), (75,), (100, 125), (150,), (200,), (250,))


class Qualification(Combined):
    """The conditions A, B and C of Skoulidis et al. 2023, for at most 300 epochs with a validation part.

    A abandons by macro F1 at seven points of the training. B stops when the validation loss rises or macro F1
    stagnates. C abandons a cross-validation after a poor fold. Defaults are the thresholds of the paper's first
    qualification stage; `qualification_2` has those of the second. All are shares, not %.

    Args:
        classes: active conditions, e.g. `AC` for pruning only.
        a: minimum macro F1 of A1 to A7.
        b2: minimum gain of macro F1 over 4 epochs; four smaller gains in a row stop the training.
        b3: minimum gain of macro F1 over 40 epochs. Paper: no value. Here: that of B2.
        c_macro_f1: minimum macro F1 of a fold. Paper: "45% and 42%"; serkit assigns the smaller value to macro F1,
            which is usually the smaller score.
        c_accuracy: minimum accuracy of a fold.
        c_need: `all`: both are missed, as in the paper's list; `any`, as in its text.
    """

    def __init__(
        self,
        classes: str = "ABC",
        a: Sequence[float] = (0.17, 0.20, 0.24, 0.27, 0.36, 0.39, 0.42),
        b2: float = 0.01,
        b3: float = 0.01,
        c_macro_f1: float = 0.42,
        c_accuracy: float = 0.45,
        c_need: str = "all",
    ) -> None:
        if set(classes) - set("ABC") or not classes:
            raise unknown("classes", classes, "ABC")
        if len(a) != len(_CLASS_A_EPOCHS):
            raise TypeError(f"a must have {len(_CLASS_A_EPOCHS)} thresholds, got {len(a)}")
        f1 = "validation_macro_f1"
        points = [(epoch, least) for epochs, least in zip(_CLASS_A_EPOCHS, a, strict=True) for epoch in epochs]
        conditions: dict[str, list[Mapping[str, Any]]] = {
            "A": [{"name": "floor", "at": points, "monitor": f1}],
            "B": [
                {"name": "stalled", "after": 50, "every": 4, "times": 4, "monitor": "validation_loss"},
                {"name": "stalled", "after": 50, "every": 4, "times": 4, "gain": b2, "monitor": f1},
                {"name": "stalled", "after": 110, "every": 40, "times": 1, "gain": b3, "monitor": f1},
            ],
            "C": [
                {"name": "fold_floor", "below": {"macro_f1": c_macro_f1, "accuracy": c_accuracy}, "need": c_need},
            ],
        }
        super().__init__([rule for letter in sorted(set(classes)) for rule in conditions[letter]])


class Qualification2(Qualification):
    """The same with the stricter thresholds of the second qualification stage and the same arguments."""

    def __init__(
        self,
        classes: str = "ABC",
        a: Sequence[float] = (0.42, 0.45, 0.48, 0.51, 0.54, 0.56, 0.58),
        b2: float = 0.01,
        b3: float = 0.01,
        c_macro_f1: float = 0.60,
        c_accuracy: float = 0.60,
        c_need: str = "all",
    ) -> None:
        super().__init__(classes, a, b2, b3, c_macro_f1, c_accuracy, c_need)


RULES = Registry(
    "stopping rule",
    {
        "combined": Combined,
        "floor": Floor,
        "fold_floor": FoldFloor,
        "patience": Patience,
        "qualification": Qualification,
        "qualification_2": Qualification2,
        "stalled": Stalled,
    },
)


def build(name: str, **options: Any) -> Stopping:
    """Make a stopping rule by name.

    Raises:
        UserError: unknown name or option, or an invalid value.
    """
    rule: Stopping = RULES.make(name, options)
    return rule


def _sign(monitor: str) -> int:
    return -1 if monitor.endswith("loss") else 1


def _goodness(record: Epoch, monitor: str) -> float:
    """Return a value of the history, oriented so that more is better."""
    if monitor not in record:
        raise UserError(f"stopping rule watches '{monitor}'; the history has: {', '.join(record)}")
    value = _sign(monitor) * record[monitor]
    return -math.inf if math.isnan(value) else value  # NaN never compares as better


def _gravest(verdicts: Iterable[Verdict]) -> Verdict:
    order: tuple[Verdict, ...] = ("go", "stop", "abandon")
    return max(verdicts, key=order.index, default="go")
