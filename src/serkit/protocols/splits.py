"""Cut utterances into training, validation and test parts with scikit-learn's splitters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from serkit.corpora import Utterance
from serkit.protocols import lists
from serkit.protocols.protocol import DEFAULT_FOLDS, Protocol
from serkit.protocols.requirements import Requirements, group_key

#: Of a quick protocol: number of folds, and most utterances of each part of a fold.
QUICK_FOLDS, QUICK_UTTERANCES = 2, 32


@dataclass(frozen=True)
class Split:
    """One division of the utterances: sorted ids of its three parts.

    Args:
        name: unique name in its protocol, usable as a folder name: `seed-0-fold-1`.
        train: ids for training.
        validation: ids for choosing epochs and the like; may be empty.
        test: ids for testing.
        fold: number of the fold, from 1.
        seed: seed of this repeat, also for the training.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    fold: int = 1
    seed: int = 0


def splits(
    protocol: Protocol, utterances: Iterable[Utterance], target: str, seed: int = 0, name: str | None = None
) -> list[Split]:
    """Cut utterances by a protocol: one `Split` for each fold of each repetition.

    The result depends on the utterances' ids, labels and groups and on the seed, but not on their order. The
    test parts of `group_kfold` are those of `sklearn.model_selection.GroupKFold` (largest group first, into
    the smallest fold), which do not depend on the order either. With `unit = "item"`, the caller passes one
    utterance per item, under the item's id.

    Args:
        protocol: the protocol.
        utterances: utterances to cut; all have the target.
        target: target whose values are the labels.
        seed: seed of the first repetition, >= 0; each further repetition uses the next number.
        name: name of the protocol in errors.

    Raises:
        UserError: the utterances do not meet the protocol's requirements; the message suggests a solution.
    """
    cutter = _Cutter(protocol, sorted(utterances, key=lambda utterance: utterance.id), target, name)
    found = []
    for repeat in range(seed, seed + (1 if protocol.quick else protocol.repeats)):
        folds = islice(cutter.folds(repeat), QUICK_FOLDS if protocol.quick else None)
        for fold, parts in enumerate(folds, start=1):
            train, validation, test = parts
            if protocol.validation:
                # The fold is part of the seed; otherwise every fold would draw the same positions.
                train, validation = cutter.carve(train, [repeat, fold])
            elif protocol.validate_on_test:
                validation = test
            if protocol.quick:
                train, validation, test = map(cutter.thin, (train, validation, test))
            names = (cutter.names(train), cutter.names(validation), cutter.names(test))
            found.append(Split(f"seed-{repeat}-fold-{fold}", *names, fold=fold, seed=repeat))
    return found


def everything(
    protocol: Protocol, utterances: Iterable[Utterance], target: str, seed: int = 0, name: str | None = None
) -> Split:
    """Return the split for a final training on all utterances, without a test part.

    The protocol sets the validation part; if its test part is the validation part, the size is that of the test part.
    Arguments and errors are those of `splits`.
    """
    if protocol.validate_on_test:
        protocol = protocol.model_copy(update={"validation": protocol.test})
    cutter = _Cutter(protocol, sorted(utterances, key=lambda utterance: utterance.id), target, name)
    train, validation = np.arange(len(cutter.utterances)), np.array([], dtype=int)
    if protocol.validation:
        train, validation = cutter.carve(train, [seed, 0])
    if protocol.quick:
        train, validation = cutter.thin(train), cutter.thin(validation)
    return Split(f"seed-{seed}-final", cutter.names(train), cutter.names(validation), (), fold=0, seed=seed)


_Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


class _Cutter:
    """Cuts positions in the list of utterances, which is sorted by id."""

    def __init__(self, protocol: Protocol, utterances: list[Utterance], target: str, name: str | None) -> None:
        self.protocol = protocol
        self.utterances = utterances
        self.needs = Requirements(protocol, name, target)
        self.needs.check_labels(utterances)
        self.labels = np.array([str(utterance.targets[target]) for utterance in utterances])
        self.groups = None
        if protocol.grouped:
            self.groups = self.needs.groups(utterances, protocol.group)
            self.needs.check_groups(utterances, self.groups)

    def names(self, positions: np.ndarray) -> tuple[str, ...]:
        return tuple(self.utterances[position].id for position in np.sort(positions))

    def folds(self, seed: int) -> Iterator[_Parts]:
        """Yield training, validation and test parts; validation is empty unless a list names it."""
        from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, StratifiedKFold

        protocol = self.protocol
        none = np.array([], dtype=int)
        everything = np.arange(len(self.utterances))
        if protocol.lists is not None:
            yield from lists.folds(protocol.lists, self.utterances, carved=protocol.validation > 0)
            return
        if protocol.kind == "given":
            parts = self.needs.given_parts(self.utterances)
            train, validation, test = (np.flatnonzero(parts == part) for part in lists.PARTS[:-1])
            yield train, validation, test
            return
        if protocol.kind == "random":
            train, test = self._draw(everything, protocol.test, "test", seed)
            yield train, none, test
            return
        if protocol.kind == "group_random":
            assert self.groups is not None
            train, test = self._draw_groups(everything, self.groups, protocol.test, np.random.default_rng(seed))
            yield train, none, test
            return
        if protocol.kind == "kfold":
            self.needs.check_folds(self.labels)
            kind = StratifiedKFold if protocol.stratify else KFold
            splitter = kind(protocol.folds or DEFAULT_FOLDS, shuffle=True, random_state=seed)
        elif protocol.kind == "group_kfold":
            groups = self.needs.groups(self.utterances, protocol.group)
            splitter = GroupKFold(protocol.folds or min(DEFAULT_FOLDS, len(np.unique(groups))))
        else:
            splitter = LeaveOneGroupOut()
        for train, test in splitter.split(everything, self.labels, self.groups):
            if protocol.tested is None or group_key(self.utterances[test[0]], protocol.group) in protocol.tested:
                yield train, none, test

    def thin(self, positions: np.ndarray) -> np.ndarray:
        """Keep at most about `QUICK_UTTERANCES` positions: as many of each label, spread over its groups."""
        labels = self.labels[positions]
        if len(np.unique(labels)) > QUICK_UTTERANCES:  # numbers
            labels = np.full(len(positions), "")
        each = max(1, QUICK_UTTERANCES // max(1, len(np.unique(labels))))
        kept = []
        for label in np.unique(labels):
            of_label = positions[labels == label]
            if self.groups is not None:
                of_label = of_label[np.argsort(self.groups[of_label], kind="stable")]
            chosen = np.linspace(0, len(of_label) - 1, min(each, len(of_label))).round().astype(int)
            kept.append(of_label[chosen])
        return np.sort(np.concatenate(kept)) if kept else positions

    def carve(self, train: np.ndarray, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Split a training part into the remaining training part and the validation part."""
        generator = np.random.default_rng(seed)
        share = self.protocol.validation
        if self.groups is None:
            return self._draw(train, share, "validation", int(generator.integers(2**31)))
        group = self.protocol.validation_group or self.protocol.group
        groups = self.needs.groups([self.utterances[position] for position in train], group)
        self.needs.check_training_groups(np.unique(groups), group)
        return self._draw_groups(train, groups, share, generator)

    def _draw_groups(
        self, positions: np.ndarray, of: np.ndarray, share: float, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw a share of the groups, at least one and not all; return the remaining and the drawn positions.

        Args:
            positions: positions to draw from.
            of: group of each position.
        """
        groups = np.unique(of)
        count = min(len(groups) - 1, max(1, round(share * len(groups))))
        drawn = np.isin(of, generator.choice(groups, count, replace=False))
        return positions[~drawn], positions[drawn]

    def _draw(self, positions: np.ndarray, share: float, part: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw a share of positions; return the remaining and the drawn positions."""
        from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

        labels = self.labels[positions]
        self.needs.check_share(labels, share, part)
        splitter = StratifiedShuffleSplit if self.protocol.stratify else ShuffleSplit
        left, drawn = next(splitter(1, test_size=share, random_state=seed).split(positions, labels))
        return positions[left], positions[drawn]
