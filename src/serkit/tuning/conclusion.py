"""What to conclude from a search, in one sentence."""

from __future__ import annotations

import numpy as np

from serkit.evaluation.metrics import CLASSES, named
from serkit.tuning.results import HELD_OUT, HeldOut, Row, Search


def of_search(search: Search, held_out: bool) -> str:
    """Return how far the best trial leads, and what its value is worth: as the highest of many, it is optimistic.

    Args:
        search: the search, as far as it has progressed.
        held_out: whether there are recordings that no trial has seen.
    """
    best = search.best
    if best is None:
        return "No trial is done: there is nothing to choose from yet."
    metric = named(search.definition.metric, CLASSES)
    scores = [fold[metric.key] for fold in best.folds]
    value = f"{metric.in_words(best.value or 0.0)} over {len(scores)} inner folds"
    if len(scores) > 1:
        value += f", which range over {metric.range(min(scores), max(scores))}"
    remedy = f"--protocol {HELD_OUT}" if held_out else "other recordings"
    verdict = f"only its score on {remedy} says how well it works"
    if search.held_out is not None:
        verdict = of_test(search.held_out)
        if not search.best_is_tested:
            verdict = f"it was not tested, unlike the one that was the best before: {verdict}"
    done = [row for row in search.rows if row.state == "done" and row.round == best.round]
    if len(done) == 1:
        return f"One trial is done ({value}): nothing was compared; {verdict}."
    close = sum(_is_close(best, row, metric.key) for row in done if row is not best)
    lead = f"{close} within one standard error of it" if close else "none within one standard error of it"
    return (
        f"Trial {best.slot} is the best of {len(done)}, with {lead}: {value}; chosen as the highest, it is too "
        f"optimistic: {verdict}."
    )


def of_test(tested: HeldOut) -> str:
    """Return what a trial scored on recordings that no trial has seen, without a full stop."""
    metric = named(tested.metric, CLASSES)
    interval = f"95% interval {metric.range(tested.low, tested.high)}"
    speakers = f"{tested.speakers} speaker{'s' if tested.speakers != 1 else ''}"
    where = f"{tested.utterances} held-out utterances of {speakers}, which no trial has seen"
    said = f"on {where}, trial {tested.trial} has {metric.in_words(tested.value)} ({interval})"
    if tested.baseline is not None:
        said += f", the linear baseline {metric.amount(tested.baseline)}"
    return "; ".join([said, *(flag.text for flag in tested.flags if flag.severity != "note")])


def _is_close(best: Row, other: Row, metric: str) -> bool:
    """Return whether the mean difference on the same folds is at most its standard error.

    Source: the rule of one standard error of Breiman et al. 1984 (Classification and regression trees), here for
    paired folds.
    """
    a, b = (np.array([fold[metric] for fold in row.folds]) for row in (best, other))
    if len(a) != len(b):  # a stopping rule ended one of them
        return False
    difference = a - b
    error = difference.std(ddof=1) / np.sqrt(len(a)) if len(a) > 1 else 0.0
    return bool(difference.mean() <= error)
