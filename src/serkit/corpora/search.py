"""Finding the recordings below a folder, and making a corpus of those that fit its naming."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from serkit import finding
from serkit.audio import FFMPEG_SUFFIXES
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.errors import UserError
from serkit.finding import PassedOver
from serkit.text import composed

#: Why a file whose name fits a corpus is none of its utterances.
UNREAD = "a format that serkit does not read"


@dataclass(frozen=True)
class Recordings:
    """What lies in a corpus's folder and below it.

    Args:
        paths: recordings, in the order of their names.
        unread: files that may be recordings in a format serkit does not read.
        passed_over: all that is left out, by its path from the folder, with the reason.
    """

    paths: tuple[Path, ...]
    unread: tuple[Path, ...] = ()
    passed_over: Mapping[str, PassedOver] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def only(self, keep: Callable[[Path], bool]) -> Recordings:
        """Return those that pass a test."""
        return replace(self, paths=tuple(filter(keep, self.paths)), unread=tuple(filter(keep, self.unread)))


def recordings(folder: Path) -> Recordings:
    """Find every recording in a folder and below it; see `serkit.finding`.

    Raises:
        UserError: `folder` is a file, or a folder below it may not be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; this corpus is read from a folder")
    found = finding.below(str(folder))
    for place, problem in found.problems.items():
        raise UserError(f"{place}: {problem}")
    unread = [
        Path(path)
        for path, reason in sorted(found.passed_over.items())
        if reason is PassedOver.other_format and not finding.is_companion(path)
    ]
    passed_over = {Path(path).relative_to(folder).as_posix(): reason for path, reason in found.passed_over.items()}
    return Recordings(tuple(map(Path, found.files)), tuple(unread), passed_over)


def collect(facts: Facts, folder: Path, found: Recordings, parse: Callable[[Path], Utterance | str]) -> Corpus:
    """Make a corpus of the recordings whose name can be parsed.

    Args:
        facts: what the publishers say about the corpus.
        folder: where it lies.
        found: what is in it.
        parse: returns the utterance of a recording, or the reason why it is none.

    Returns:
        The corpus, its utterances in the order of their ids. Of several recordings with one id (the same
        file as WAV and FLAC, or in two folders) the first is kept; what only ffmpeg reads, such as a video beside
        its sound, gives way to all others. Files that have the name of a recording and a format that is not read are
        skipped, with a caution, unless there is a recording of the same id.
    """
    utterances: dict[str, Utterance] = {}
    skipped = {}
    for path in sorted(found, key=lambda path: path.suffix.lower() in FFMPEG_SUFFIXES):
        name = path.relative_to(folder).as_posix()
        result = parse(path)
        if isinstance(result, str):
            skipped[name] = result
            continue
        if not result.id.isascii():
            # The same on every system, whichever form it gives to names.
            result = replace(result, id=composed(result.id))
        if result.id in utterances:
            kept = utterances[result.id].path.relative_to(folder).as_posix()
            skipped[name] = f"second file of {result.id}; kept {kept}"
        else:
            utterances[result.id] = result
    lost = {}
    for path in found.unread:
        result = parse(path)
        if isinstance(result, Utterance) and composed(result.id) not in utterances:
            lost[path] = result
            skipped[path.relative_to(folder).as_posix()] = UNREAD
    cautions = [_lost(facts, lost, utterances.values())] if lost else []
    chosen = tuple(utterances[key] for key in sorted(utterances))
    return Corpus(facts, folder, chosen, skipped, found.passed_over, tuple(cautions))


def companion(folder: Path, name: str) -> Path | None:
    """Find a corpus's list of speakers or ratings: in the folder, below it, or beside it.

    Beside it because many people name the folder that holds the sound, not the one that holds everything.
    """
    for place in (folder, folder.absolute().parent):
        if (place / name).is_file():
            return place / name
    return min(map(Path, finding.named(str(folder), name)), default=None)


def _lost(facts: Facts, lost: Mapping[Path, Utterance], kept: Iterable[Utterance]) -> str:
    """Tell which files are left out for their format, and which classes with them."""
    missing = {utterance.targets.get(facts.target) for utterance in lost.values()}
    missing -= {utterance.targets.get(facts.target) for utterance in kept}
    classes = ", ".join(sorted(f"'{label}'" for label in missing if isinstance(label, str)))
    formats = finding.formats(map(str, lost))
    text = f"{finding.count(lost, 'recording')} left out, in formats that serkit does not read ({formats})"
    return f"{text}; nothing is left of {facts.target} {classes}" if classes else text
