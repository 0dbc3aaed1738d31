"""The classes of a stage's targets, and problems of its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from serkit import methods
from serkit.auditing import doubts
from serkit.auditing.audit import heard
from serkit.corpora.corpus import Utterance
from serkit.data import items
from serkit.errors import UserError
from serkit.flags import Flag
from serkit.runs import selection
from serkit.systems.schema import Stage, System


def classes_of(
    stage: Stage, system: System, utterances: Sequence[Utterance]
) -> tuple[dict[str, list[str]], list[Flag]]:
    """Return the classes of each target of a stage, None for numbers, and a flag for each target without labels.

    Raises:
        UserError: a target has only one class, or labels that the stage's method cannot learn.
    """
    data = system.stage_data(stage)
    classes: dict[str, list[str]] = {}
    flags: list[Flag] = []
    for target in data.target:
        values = [value for utterance in utterances if (value := items.label(utterance, target)) is not None]
        if not values and data.labels == "any":
            text = f"stage '{stage.name}' learns no {target}: no utterance has it"
            flags.append(Flag("target", "caution", text))
            continue
        if target == data.target[0]:
            _check_kind(stage, target, values)
        classes[target] = _classes(stage, target, values)
    return classes, flags


def shared_classes(
    system: System, utterances: Sequence[Utterance], corpora: Sequence[str], fewest: int
) -> tuple[set[str], list[Flag]]:
    """Return the classes of the scored target that enough corpora have, and a flag if others are left out.

    Args:
        system: system with the data table.
        utterances: readable utterances.
        corpora: names of the scored corpora.
        fewest: number of corpora that must have a class.

    Raises:
        UserError: fewer than two classes are left.
    """
    data = system.stage_data(system.deployed)
    found: dict[str, set[str]] = {name: set() for name in corpora}
    for utterance in selection.labelled([utterance for utterance in utterances if utterance.corpus in found], data):
        found[utterance.corpus].add(str(items.label(utterance, data.target[0])))
    counts = Counter(label for classes in found.values() for label in classes)
    shared = {label for label, count in counts.items() if count >= fewest}
    which = "every corpus has" if fewest == len(corpora) else f"at least {fewest} corpora have"
    if len(shared) < 2:
        lists = "; ".join(f"{name}: {', '.join(sorted(classes)) or 'none'}" for name, classes in found.items())
        raise UserError(
            f"classes of '{data.target[0]}' that {which}: {', '.join(shared) or 'none'}; two are required. "
            f"Rename some with data.map, or leave a corpus out ({lists})"
        )
    others = sorted(counts.keys() - shared)
    if not others:
        return shared, []
    named = [f"{label} ({', '.join(name for name in found if label in found[name])})" for label in others]
    why = "not every corpus has them" if fewest == len(corpora) else f"fewer than {fewest} corpora have them"
    text = f"classes left out, since {why}: {', '.join(named)}"
    return shared, [Flag("left out", "note", text)]


def contradictions(utterances: Sequence[Utterance], target: str, hashes: Mapping[Path, str]) -> list[Flag]:
    """Return a flag if bit-identical recordings have different classes."""
    values = {utterance.id: items.label(utterance, target) for utterance in utterances}
    labels = {id: [value] for id, value in values.items() if isinstance(value, str)}
    by_id = {utterance.id: hashes[utterance.path] for utterance in utterances}
    groups = doubts.contradictions(labels, {utterance.id: heard(utterance, by_id) for utterance in utterances})
    if not groups:
        return []
    text = doubts.tell_contradictions(doubts.name_contradictions(groups, labels))
    return [Flag("contradiction", "caution", text)]


def _check_kind(stage: Stage, target: str, labels: Sequence[str | float]) -> None:
    """Raise UserError for texts if a stage learns numbers, and for fractions if it learns classes."""
    method = stage.method.name
    learns = f"stage '{stage.name}': method '{method}' learns"
    if methods.method_class(method).numbers:
        text = next((label for label in labels if isinstance(label, str)), None)
        if text is not None:
            raise UserError(f"{learns} numbers, but target '{target}' holds '{text}'")
        return
    fraction = next((label for label in labels if isinstance(label, float) and not label.is_integer()), None)
    if fraction is not None:
        raise UserError(
            f"{learns} classes, but target '{target}' holds {fraction:g}; to learn numbers: "
            f"--set stages.{stage.name}.method=regression"
        )


def _classes(stage: Stage, target: str, labels: Sequence[str | float]) -> list[str]:
    """Return the sorted classes of a target; None if the stage learns numbers.

    Raises:
        UserError: all labels are equal.
    """
    found = sorted({str(label) for label in labels})
    if methods.method_class(stage.method.name).numbers:
        if len(found) < 2:
            raise UserError(f"stage '{stage.name}': '{target}' is {', '.join(found) or 'missing'} for all utterances")
        return []
    if len(found) < 2:
        raise UserError(
            f"stage '{stage.name}': only one class of '{target}' is left ({', '.join(found) or 'none'}); "
            "a classifier requires two. Check the labels, data.map and data.classes"
        )
    return found
