"""Requirements of a protocol on the utterances, with the errors for those that do not meet them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from serkit.corpora import Utterance
from serkit.errors import UserError, unknown
from serkit.protocols.protocol import DEFAULT_FOLDS, Protocol

_FIELDS = frozenset({"speaker", "sentence", "sex", "language", "corpus"})
_PLURALS = {"corpus": "corpora", "sex": "sexes"}


def group_key(utterance: Utterance, group: str) -> str | None:
    """Return the group of an utterance; like speakers, attributes get the corpus as prefix."""
    if group in _FIELDS:
        result: str | None = getattr(utterance, group)
        return result
    value = utterance.attributes.get(group)
    return None if value is None else f"{utterance.corpus}/{value}"


class Requirements:
    """The checks of one protocol. Each raises a `UserError` that suggests a solution.

    Args:
        protocol: the protocol to check.
        name: name of the protocol in errors; None: its kind.
        target: name of the labels.
    """

    def __init__(self, protocol: Protocol, name: str | None, target: str) -> None:
        self.protocol = protocol
        self.who = f"protocol '{name or protocol.kind}'"
        self.target = target

    def check_labels(self, utterances: Sequence[Utterance]) -> None:
        """Check for utterances, unique ids, all labels, at least two classes, and text labels if stratified."""
        if not utterances:
            raise UserError(f"{self.who}: there are no utterances to cut")
        counts = Counter(utterance.id for utterance in utterances)
        twice = [id for id, count in counts.items() if count > 1]
        if twice:
            raise UserError(
                f"{self.who}: {len(twice)} of {len(counts)} ids occur more than once (first: '{twice[0]}'); "
                "give every utterance a unique id"
            )
        where = _corpora(utterances)
        without = [utterance for utterance in utterances if self.target not in utterance.targets]
        if without:
            there = ", ".join(sorted({name for utterance in utterances for name in utterance.targets}))
            raise UserError(
                f"{_corpora(without)}: {len(without)} of {len(utterances)} utterances have no target "
                f"'{self.target}' (first: '{without[0].id}'). Available targets: {there or 'none'}"
            )
        values = {utterance.targets[self.target] for utterance in utterances}
        if len(values) < 2:
            raise UserError(
                f"{where}: all of {_count(len(utterances))} have the same {self.target}, '{values.pop()}'; "
                "at least two classes are required"
            )
        if self._stratified and not all(isinstance(value, str) for value in values):
            raise UserError(
                f"{self.who} keeps the shares of the classes, but target '{self.target}' of {where} "
                "is a number; set stratify = false"
            )

    @property
    def _stratified(self) -> bool:
        drawn = self.protocol.kind in {"random", "kfold"} or self.protocol.validation > 0
        return self.protocol.stratify and not self.protocol.grouped and drawn

    def groups(self, utterances: Sequence[Utterance], group: str) -> np.ndarray:
        """Return the group of every utterance, and check that none is missing."""
        apart = f"{self.who} keeps {_plural(group)} apart, but"
        keys = [group_key(utterance, group) for utterance in utterances]
        without = [utterance for utterance, key in zip(utterances, keys, strict=True) if key is None]
        if without:
            raise UserError(
                f"{apart} {_corpora(without)} has no {group} for {len(without)} of {len(utterances)} "
                f"utterances (first: '{without[0].id}'); give one, or {_instead(utterances)}"
            )
        return np.array(keys)

    def given_parts(self, utterances: Sequence[Utterance]) -> np.ndarray:
        """Return the part of every utterance, and check that all have one, and that some are to train and to test."""
        takes = f"{self.who} takes the parts that the data name, but"
        parts = [utterance.attributes.get("part") for utterance in utterances]
        without = [utterance for utterance, part in zip(utterances, parts, strict=True) if part is None]
        if without:
            raise UserError(
                f"{takes} {_corpora(without)} names none for {len(without)} of {len(utterances)} utterances "
                f"(first: '{without[0].id}'); add a column 'part' or folders train and test, or choose another protocol"
            )
        for part in ("train", "test"):
            if part not in parts:
                there = ", ".join(sorted({str(part) for part in parts}))
                raise UserError(
                    f"{takes} {_corpora(utterances)} has no {part} part, only {there}; choose another protocol"
                )
        if self.protocol.validation and "validation" in parts:
            raise UserError(f"{takes} these have a validation part already; set validation = 0")
        return np.array(parts)

    def check_groups(self, utterances: Sequence[Utterance], groups: np.ndarray) -> None:
        """Check for enough groups, and that the groups to test exist."""
        group, where = self.protocol.group, _corpora(utterances)
        apart = f"{self.who} keeps {_plural(group)} apart, but"
        names = sorted(set(groups.tolist()))
        count = len(names)
        if count < 2:
            raise UserError(f"{apart} {where} has only one, '{names[0]}'; give more, or {_instead(utterances)}")
        for name in self.protocol.tested or ():
            if name not in names:
                raise UserError(f"{self.who}: {unknown(f'{group} to test', name, names)}")
        if self.protocol.kind == "group_kfold" and count < (self.protocol.folds or 0):
            raise UserError(
                f"{apart} {where} has {count} for {self.protocol.folds} folds; set folds = {count}, "
                f"or choose --protocol leave-one-{group}-out"
            )

    def check_training_groups(self, groups: np.ndarray, group: str) -> None:
        """Check for at least two groups, because one is set aside for validation."""
        if len(groups) < 2:
            raise UserError(
                f"{self.who} sets a {group} aside for validation, but a training part has only "
                f"'{groups[0]}'; set validation = 0, or give more {_plural(group)}"
            )

    def check_folds(self, labels: np.ndarray) -> None:
        """Check for enough utterances, of every class if stratified, for every fold."""
        folds = self.protocol.folds or DEFAULT_FOLDS
        label, size = _smallest(labels)
        if self.protocol.stratify and size < folds:
            raise UserError(
                f"{self.who} puts every class into each of its {folds} folds, but {self.target} '{label}' "
                f"has only {_count(size)}; leave that class out, set fewer folds, or stratify = false"
            )
        if len(labels) < folds:
            raise UserError(f"{self.who} has {folds} folds, but there are only {_count(len(labels))}; set fewer folds")

    def check_share(self, labels: np.ndarray, share: float, part: str) -> None:
        """Check for enough utterances to draw a part, with every class on both sides if stratified."""
        drawn = int(np.ceil(share * len(labels)))  # rounded as in scikit-learn
        draws = f"{self.who} draws {part} = {share:g} of {_count(len(labels))}"
        if drawn >= len(labels):
            raise UserError(f"{draws}, which leaves none to train on; set {part} lower")
        if not self.protocol.stratify:
            return
        label, size = _smallest(labels)
        if size < 2:
            raise UserError(
                f"{draws} with every class on both sides, but {self.target} '{label}' has only "
                f"{_count(size)} there; leave that class out, or set stratify = false"
            )
        classes = len(set(labels.tolist()))
        fewest = min(drawn, len(labels) - drawn)
        if fewest < classes:
            raise UserError(
                f"{draws} with every class on both sides, but one side would hold {_count(fewest)} for "
                f"{classes} classes; change {part}, or set stratify = false"
            )


def _smallest(labels: np.ndarray) -> tuple[str, int]:
    return min(Counter(labels.tolist()).items(), key=lambda item: (item[1], item[0]))


def _corpora(utterances: Sequence[Utterance]) -> str:
    return ", ".join(sorted({utterance.corpus for utterance in utterances}))


def _instead(utterances: Sequence[Utterance]) -> str:
    """Suggest a protocol that keeps no groups apart."""
    given = all("part" in utterance.attributes for utterance in utterances)
    return f"choose --protocol {'given (the parts that the data name) or ' if given else ''}random (flagged)"


def _plural(group: str) -> str:
    return _PLURALS.get(group, f"{group}s")


def _count(utterances: int) -> str:
    return "1 utterance" if utterances == 1 else f"{utterances} utterances"
