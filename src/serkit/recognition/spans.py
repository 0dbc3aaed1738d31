"""Given segments: intervals of recordings that other tools found, e.g. a diarization or a transcript."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from serkit.errors import UserError, unknown
from serkit.text import composed


@dataclass(frozen=True)
class Span:
    """A given segment. It may overlap others, and may be wrong; it is checked when it is recognized.

    Args:
        start: start in s.
        end: end in s; None: end of the recording.
        speaker: who speaks; empty: not known.
        channel: channel, from 0; None: that of the call.
        file: name of the recording in the file of segments; empty: the file names none.
        columns: other columns, as text.
        place: place in the file of segments for messages, e.g. `line 3`.
    """

    start: float
    end: float | None
    speaker: str = ""
    channel: int | None = None
    file: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    place: str = ""

    def problem(self, duration: float) -> str:
        """Return why the segment cannot be recognized in a recording of `duration` s; empty if it can be."""
        end = duration if self.end is None else self.end
        if not math.isfinite(self.start) or not math.isfinite(end):
            return f"start and end must be finite numbers, got {self.start:g} and {end:g}"
        if self.start < 0:
            return f"the start must not be negative, got {self.start:g}"
        if self.end is not None and end <= self.start:
            return f"the end must be after the start, got {self.start:g} to {end:g}"
        if self.start >= duration:
            return f"starts at {self.start:g} s, after the end of the recording ({duration:.3f} s)"
        return ""


@dataclass(frozen=True)
class Spans:
    """The given segments of a file.

    Args:
        name: name of the file.
        spans: the segments, in the file's order.
        cautions: what was assumed about the file, one line each.
    """

    name: str
    spans: Sequence[Span]
    cautions: Sequence[str] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the other columns, in the order of their first use."""
        return tuple(dict.fromkeys(name for span in self.spans for name in span.columns))

    def by_recording(self, files: Sequence[str]) -> tuple[dict[str, list[Span]], list[str]]:
        """Return the segments of each recording.

        A name in the file is a path, or the name of a recording with or without its ending. If there is one recording
        and one name, they belong together.

        Args:
            files: recordings, as given by the user.

        Returns:
            The segments of each recording, and one line for each assumption.

        Raises:
            UserError: a name fits several recordings, no name fits any recording, or the file names no recording but
                there are several.
        """
        if not self.spans:
            return {file: [] for file in files}, [f"{self.name}: has no segments"]
        names = list(dict.fromkeys(span.file for span in self.spans))
        if not any(names):
            if len(files) > 1:
                raise UserError(
                    f"{self.name}: names no recording, but {len(files)} are given; give a folder with a file of "
                    "segments for each recording, or one recording"
                )
            return {files[0]: list(self.spans)}, []
        owners = {name: self._owner(name, files) for name in names if name}
        told = []
        if len(files) == 1 and len(names) == 1 and owners[names[0]] is None:
            told = [f"{self.name}: its segments of '{names[0]}' are taken as those of {files[0]}"]
            owners[names[0]] = files[0]
        lost = [name for name in names if owners.get(name) is None]
        if len(lost) == len(names):
            raise unknown(f"recording in {self.name}: recording", lost[0], map(_stem, files))
        if lost:
            listed = ", ".join(f"'{name}'" for name in lost[:3]) + (", ..." if len(lost) > 3 else "")
            told.append(f"{self.name}: segments of {len(lost)} recordings that are not given are left out: {listed}")
        found: dict[str, list[Span]] = {file: [] for file in files}
        for span in self.spans:
            if (owner := owners.get(span.file)) is not None:
                found[owner].append(span)
        return found, told

    def _owner(self, name: str, files: Sequence[str]) -> str | None:
        """Return the recording that a name in the file belongs to, or None."""
        folder = Path(self.name).parent
        plain = composed(Path(name).name)
        rules: tuple[Callable[[str], bool], ...] = (
            lambda file: Path(file) == Path(name) or Path(file).absolute() == (folder / name).absolute(),
            lambda file: composed(Path(file).name) == plain,
            lambda file: _stem(file) in (_stem(name), plain),
            lambda file: _stem(file).replace(" ", "_") == plain,  # RTTM has no blanks in names
        )
        for rule in rules:
            fits = [file for file in files if rule(file)]
            if len(fits) > 1:
                raise UserError(f"{self.name}: '{name}' may be {fits[0]} or {fits[1]}; write the path of the recording")
            if fits:
                return fits[0]
        return None


def of_values(values: Iterable[Any]) -> list[Span]:
    """Return the segments of Python values.

    Args:
        values: `Span`s; or (start, end) or (start, end, speaker); or mappings with `start`, `end`, and further columns
            of which `speaker` and `channel` have a meaning. Times are in s.

    Raises:
        UserError: a value is none of these.
    """
    found = []
    for number, value in enumerate(values):
        place = f"segment {number}"
        if isinstance(value, Span):
            found.append(value if value.place else replace(value, place=place))
            continue
        try:
            if isinstance(value, Mapping):
                given = dict(value)
                start, end = given.pop("start"), given.pop("end", None)
                speaker, channel = given.pop("speaker", "") or "", given.pop("channel", None)
            else:
                start, end, speaker = (*value, "") if len(value) == 2 else value
                given, channel = {}, None
            found.append(
                Span(
                    float(start),
                    None if end is None else float(end),
                    str(speaker),
                    None if channel is None else int(channel),
                    columns={str(name): str(one) for name, one in given.items()},
                    place=place,
                )
            )
        except (TypeError, ValueError, KeyError):
            raise UserError(
                f"{place} must be (start, end), (start, end, speaker), or a mapping with 'start' and 'end', "
                f"got {value!r}"
            ) from None
    return found


def _stem(file: str) -> str:
    return composed(Path(file).stem)
