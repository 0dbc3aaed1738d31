"""The failures of a run: scores by slice, and the worst errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serkit.data.store import Store
from serkit.errors import UserError
from serkit.evaluation.properties import measure
from serkit.evaluation.slices import Slice, slices
from serkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from serkit.reports.errors import Error

#: Name of the file with the slices in a run's folder.
SLICES = "slices.json"

#: Default number of shown errors.
ERRORS = 24


@dataclass(frozen=True)
class Failures:
    """The failures of a run.

    Args:
        slices: result of `serkit.evaluation.slices.slices`.
        errors: worst errors.
        missing: reason why the recordings are missing; otherwise empty.
    """

    slices: Mapping[str, Sequence[Slice]]
    errors: Sequence[Error] = ()
    missing: str = ""


def find(run: RunFolder, corpora: Sequence[str] = (), errors: int = ERRORS) -> Failures:
    """Find the failures of a run.

    Args:
        run: a finished run.
        corpora: `name=folder` of corpora that have moved.
        errors: number of the worst errors to read.

    Raises:
        UserError: a named corpus differs from the run's.
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
