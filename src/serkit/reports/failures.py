"""Where a run fails: its scores slice by slice, and its worst errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serkit.data.store import Store
from serkit.errors import UserError
from serkit.evaluation.properties import measure
from serkit.evaluation.slices import slices
from serkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from serkit.reports.errors import Error

#: File of the slices in a run's folder.
SLICES = "slices.json"

#: Errors that are shown unless another number is asked for.
ERRORS = 24


@dataclass(frozen=True)
class Failures:
    """What was found.

    Args:
        slices: of `serkit.evaluation.slices.slices`.
        errors: the worst.
        missing: why there is nothing, where the recordings are not found; otherwise empty.
    """

    slices: Mapping[str, Sequence[Mapping[str, Any]]]
    errors: Sequence[Error] = ()
    missing: str = ""


def find(run: RunFolder, corpora: Sequence[str] = (), errors: int = ERRORS) -> Failures:
    """Look where a run fails.

    Args:
        run: finished.
        corpora: `name=folder` of those that no longer lie where they lay.
        errors: number of the worst errors to be read.

    Raises:
        UserError: a corpus that is named is not what the run learned from.
    """
    from serkit.reports.errors import collect
    from serkit.runs.tested import experiments

    places = run.places(corpora)
    try:
        _, experiment = next(experiments(run, places))
        measured = measure(experiment.scored, Store())
        by_id = {utterance.id: utterance for utterance in experiment.scored}
        return Failures(slices(run.predictions, by_id, measured), collect(run, places, errors))
    except UserError as error:
        if corpora:
            raise
        return Failures({}, missing=str(error))
