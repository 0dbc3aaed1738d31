"""Answers for people at a Python prompt or in a notebook: one line, a table in HTML, a data frame."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from serkit.errors import UserError

if TYPE_CHECKING:
    import pandas

    from serkit.recognition.bundle import Bundle
    from serkit.recognition.model import Prediction
    from serkit.recognition.timeline import Timeline

# Segments and labels in one line.
_MOST = 4


def line_of_prediction(prediction: Prediction) -> str:
    """Return a prediction in one line: `Prediction('call.wav', 2.3 s: anger 0.91)`."""
    if prediction.values:
        answer = ", ".join(f"{name} {value:.3g}" for name, value in prediction.values.items())
    else:
        answer = f"{prediction.label} {prediction.confidence:.2f}{'' if prediction.sure else ', unsure'}"
    return f"Prediction({prediction.file!r}, {prediction.duration:.4g} s: {answer})"


def line_of_timeline(timeline: Timeline) -> str:
    """Return a timeline in one line, with its first segments."""
    segments = [f"{one.start:.1f}-{one.end:.1f} {one.label}" for one in timeline.segments]
    count = f"{len(segments)} segment{'' if len(segments) == 1 else 's'}"
    told = f"{count}: {_first(segments)}" if segments else "no speech"
    return f"Timeline({timeline.file!r}, {timeline.duration:.4g} s, {told})"


def line_of_bundle(bundle: Bundle) -> str:
    """Return a bundle in one line: its name, system and outputs."""
    return f"Bundle({bundle.name!r}, {bundle.system}: {_first(list(bundle.outputs), 12)})"


def _first(names: Sequence[str], most: int = _MOST) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """Return a table in HTML; everything is escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    told = f"<caption>{html.escape(caption)}</caption>"
    return f"<table>{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_of_prediction(prediction: Prediction) -> str:
    """Return the probabilities, or the numbers, of a prediction as a table, most probable first."""
    if prediction.values:
        rows = [(name, f"{value:.3g}") for name, value in prediction.values.items()]
        return table(("name", "value"), rows, line_of_prediction(prediction))
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return table(
        ("label", "probability"), [(name, f"{value:.3f}") for name, value in ranked], line_of_prediction(prediction)
    )


def html_of_timeline(timeline: Timeline) -> str:
    """Return the segments of a timeline as a table."""
    rows = [
        (f"{one.start:.2f}", f"{one.end:.2f}", one.label, f"{one.confidence:.2f}", "" if one.sure else "unsure")
        for one in timeline.segments
    ]
    caption = f"{timeline.file}, {timeline.duration:.4g} s"
    return table(("start in s", "end in s", "label", "confidence", ""), rows, caption)


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Return rows as a data frame.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("to_frame requires pandas: pip install 'serkit[lab]'") from None
    return pandas.DataFrame(list(rows), columns=list(columns))
