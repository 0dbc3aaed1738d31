"""The failures of a run as data for the report's template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from serkit.evaluation.intervals import Ends
from serkit.evaluation.robustness import Measured
from serkit.evaluation.slices import TITLES, Slice
from serkit.reports import recordings, robustness
from serkit.reports.errors import Error
from serkit.reports.failures import Failures
from serkit.reports.plots import INK, TRAINING, draw, percent_axis
from serkit.runs.folder import RunFolder

#: Maximum size of all sound of a page in characters; further errors have no sound.
MOST_SOUND = 4_000_000

# Number of classes whose probabilities an error shows, in addition to the true class.
_LIKELIEST = 4

# Minimum of the top of the attention's scale, as a multiple of the mean.
_LOWEST_TOP = 2.0

# Speakers have their own chart; a property with more slices is shown only in the table.
_MOST_ROWS = 12


def content(run: RunFolder, failures: Failures, sound: bool) -> Mapping[str, Any]:
    """Return the data of the template: slices, robustness, errors, and the script that filters them."""
    from markupsafe import Markup

    script = files("serkit.reports").joinpath("filter.js").read_text(encoding="utf-8")
    measured = run.path / f"{robustness.NAME}.json"
    charted = {name: rows for name, rows in failures.slices.items() if _is_charted(name, rows)}
    errors = list(_errors(failures.errors, sound))
    return {
        "missing": failures.missing,
        "slices": {TITLES[name]: rows for name, rows in failures.slices.items() if len(rows) > 1},
        "slices_chart": Markup(slices_chart(charted, run.scores.metrics["uar"])) if charted else None,
        "robustness_chart": Markup(robustness.chart(Measured.load(measured))) if measured.exists() else None,
        "errors": errors,
        "wrong": int((run.predictions.predicted != run.predictions.truth).sum()),
        "heard": sum(error["sound"] is not None for error in errors),
        "script": Markup(script),
        # Hash of the only script that may run.
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


def slices_chart(slices: Mapping[str, Sequence[Slice]], uar: Ends) -> str:
    """Draw the UAR of slices with their intervals, and the UAR of all predictions.

    Args:
        slices: slices by property.
        uar: UAR of all predictions.
    """
    places, place = [], 0.0
    for rows in slices.values():
        places.append(place + np.arange(len(rows)))
        place += len(rows) + 1.2

    def paint(figure: Any) -> None:
        axes = figure.add_subplot(xlim=(-0.02, 1.02), ylim=(place - 1.2, -1.2))
        axes.axvspan(uar.low, uar.high, color=TRAINING, alpha=0.22, linewidth=0)
        axes.axvline(uar.estimate, color=TRAINING, linewidth=1.5)
        for (name, rows), rows_at in zip(slices.items(), places, strict=True):
            axes.text(0, rows_at[0] - 0.75, TITLES[name], va="center", fontweight="bold", fontsize=8.5)
            for row, at in zip(rows, rows_at, strict=True):
                score = row.metrics["uar"]
                axes.plot([score.low, score.high], [at, at], color=INK, linewidth=1.2)
                # Open if the slice is too small.
                fill = "none" if row.warnings else "full"
                axes.plot(score.estimate, at, "o", color=INK, markersize=5, fillstyle=fill)
        names = [f"{row.value} ({row.utterances})" for rows in slices.values() for row in rows]
        axes.set_yticks(np.concatenate(places), names)
        axes.tick_params(axis="y", length=0)
        percent_axis(axes.xaxis, 0.25)
        axes.set_xlabel("UAR and its 95% interval; line and band: all; open: few utterances or classes")

    title = f"Unweighted average recall by {', '.join(TITLES[name] for name in slices)}"
    return draw("slices", title, 6.2, 0.9 + 0.25 * place, paint)


def _is_charted(name: str, rows: Sequence[Slice]) -> bool:
    return name != "speaker" and 1 < len(rows) <= _MOST_ROWS


def _errors(errors: Sequence[Error], sound: bool) -> Iterator[Mapping[str, Any]]:
    """Yield the data of the template for each error."""
    room = MOST_SOUND if sound else 0
    for error in errors:
        seconds = recordings.shown(error.signal, error.rate)
        heard: str | None = recordings.sound(error.signal, error.rate) if room > 0 else None
        room -= len(heard or "")
        peak = max((float(shares.max()) for _, shares in error.attention), default=0.0)
        # An even attention must look even.
        highest = max(peak, _LOWEST_TOP)
        likeliest = list(error.probabilities.items())
        likeliest = [entry for place, entry in enumerate(likeliest) if place < _LIKELIEST or entry[0] == error.truth]
        yield {
            "id": error.utterance.id,
            "speaker": error.utterance.speaker,
            "sex": error.utterance.sex,
            "fold": error.fold,
            "truth": error.truth,
            "predicted": error.predicted,
            "probabilities": likeliest,
            "duration": len(error.signal) / error.rate,
            "seconds": seconds,
            "picture": recordings.picture(error.signal, error.rate),
            "sound": heard,
            "attention": recordings.attention_path(error.attention, seconds, highest),
            "mean": round(recordings.HEIGHT * (1 - 1 / highest)),
            "peak": peak,
        }
