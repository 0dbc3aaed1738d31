"""Find the recordings below a folder, and build a corpus from those that fit its naming scheme."""

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

#: Reason for skipping a file whose name fits a corpus.
UNREAD = "unsupported format"


@dataclass(frozen=True)
class Recordings:
    """Contents of a corpus's folder and below.

    Args:
        paths: recordings, sorted by name.
        unread: files that may be recordings in an unsupported format.
        passed_over: skipped files and folders by their path from the folder, with the reason.
    """

    paths: tuple[Path, ...]
    unread: tuple[Path, ...] = ()
    passed_over: Mapping[str, PassedOver] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def only(self, keep: Callable[[Path], bool]) -> Recordings:
        """Return the contents that pass a test."""
        return replace(self, paths=tuple(filter(keep, self.paths)), unread=tuple(filter(keep, self.unread)))


def recordings(folder: Path) -> Recordings:
    """Find all recordings in a folder and below it; see `serkit.finding`.

    Raises:
        UserError: `folder` is a file, or a folder below it is not readable.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; this corpus requires a folder")
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
    """Build a corpus from the recordings whose names can be parsed.

    Args:
        facts: the publishers' facts about the corpus.
        folder: folder of the corpus.
        found: contents of the folder.
        parse: returns the utterance of a recording, or the reason to skip it.

    Returns:
        The corpus, with utterances sorted by id. Of several recordings with one id (the same file as WAV and FLAC, or
        in two folders) the first is kept; formats that only ffmpeg reads, such as a video of the same take, come last.
        Files with the name of a recording and an unsupported format are skipped with a caution, unless there is a
        recording with the same id.
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
            # In one Unicode form, so that ids are the same on every system.
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
    """Find a corpus's list of speakers or ratings: in the folder, below it, or next to it.

    Next to it, because many users give the folder of the sound files instead of the corpus's root folder.
    """
    for place in (folder, folder.absolute().parent):
        if (place / name).is_file():
            return place / name
    return min(map(Path, finding.named(str(folder), name)), default=None)


def _lost(facts: Facts, lost: Mapping[Path, Utterance], kept: Iterable[Utterance]) -> str:
    """Describe the files that are skipped for their format, and the classes lost with them."""
    missing = {utterance.targets.get(facts.target) for utterance in lost.values()}
    missing -= {utterance.targets.get(facts.target) for utterance in kept}
    classes = ", ".join(sorted(f"'{label}'" for label in missing if isinstance(label, str)))
    formats = finding.formats(map(str, lost))
    text = f"{finding.count(lost, 'recording')} skipped, in unsupported formats ({formats})"
    return f"{text}; no recording remains of {facts.target} {classes}" if classes else text
