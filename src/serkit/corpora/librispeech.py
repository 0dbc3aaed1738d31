"""LibriSpeech: read English speech, for learning speakers and words.

Names: `19/198/19-198-0001.flac` holds speaker, chapter and utterance; `SPEAKERS.TXT` lists the sex.
Source: OpenSLR 12.

Words require the word alignments published at github.com/CorentinJ/librispeech-alignments (made with the
Montreal Forced Aligner), unpacked over the recordings or into a separate folder.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from serkit import finding
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.corpora.search import collect, companion, recordings
from serkit.errors import UserError

#: Number of speakers of each subset; no speaker is in two subsets.
SPEAKERS = {
    "dev-clean": 40,
    "dev-other": 33,
    "test-clean": 40,
    "test-other": 33,
    "train-clean-100": 251,
    "train-clean-360": 921,
    "train-other-500": 1166,
}
FACTS = Facts(
    name="librispeech",
    title="LibriSpeech",
    language="en",
    style="read",
    licence="CC BY 4.0: name the source",
    citation="Panayotov, V., Chen, G., Povey, D., Khudanpur, S. (2015). LibriSpeech: an ASR corpus based on "
    "public domain audio books. ICASSP 2015.",
    url="https://www.openslr.org/12",
    speakers=sum(SPEAKERS.values()),
    target="speaker",
)
LAYOUT = "It should hold recordings such as train-clean-100/19/198/19-198-0001.flac; SPEAKERS.TXT adds the sex."

_SEXES = {"F": "female", "M": "male"}
_NAME = re.compile(r"(\d+)-(\d+)-\d{4}")
_ALIGNMENT = re.compile(r'(\d+-\d+-\d{4}) "([^"]*)" "([\d.,]*)"')

_log = logging.getLogger(__name__)


class Word(NamedTuple):
    """A word (lower case) with its start and end in s."""

    text: str
    start: float
    end: float


def read(folder: Path) -> Corpus:
    """Read LibriSpeech or a subset with target `speaker`; subset and chapter are attributes."""
    sexes = _sexes(companion(folder, "SPEAKERS.TXT"))
    corpus = collect(FACTS, folder, recordings(folder), lambda path: _parse(path, sexes))
    subsets = {str(utterance.attributes.get("subset")) for utterance in corpus.utterances}
    known = subsets <= set(SPEAKERS)
    official = sum(SPEAKERS[subset] for subset in subsets) if known else None
    return replace(corpus, facts=replace(FACTS, speakers=official))


def words(
    folder: Path,
    alignments: Path | None = None,
    most_frequent: int = 1000,
    min_letters: int = 4,
    min_seconds: float = 0.1,
) -> Corpus:
    """Cut LibriSpeech into its most frequent words.

    `vocabulary` selects the words, counted over all words in `folder` that are long enough. The vocabulary is
    logged. Spec C.8.

    Args:
        folder: folder of the recordings.
        alignments: folder with `<speaker>-<chapter>.alignment.txt` at any depth; None: `folder`.
        most_frequent: number of words to keep.
        min_letters: minimum letters of a word; without it, the most frequent words are `the`, `and`, `of`.
        min_seconds: minimum length of an occurrence, in s.

    Returns:
        One utterance per occurrence, with `start` and `end` and the targets `word` and `speaker`.
        Recordings without an alignment are skipped.

    Raises:
        UserError: there are no alignment files, or a line in them is malformed.
    """
    corpus = read(folder)
    place = folder if alignments is None else alignments
    aligned = _alignments(place)
    if corpus.utterances and not aligned:
        raise UserError(
            f"{place}: contains no word alignments (<speaker>-<chapter>.alignment.txt at any depth). "
            "They are published at https://github.com/CorentinJ/librispeech-alignments"
        )
    occurrences = []
    skipped = dict(corpus.skipped)
    for utterance in corpus.utterances:
        if utterance.path.stem not in aligned:
            skipped[utterance.path.relative_to(folder).as_posix()] = "has no word alignment"
        for word in aligned.get(utterance.path.stem, ()):
            if word.end - word.start >= min_seconds:
                occurrences.append((utterance, word))
    kept = set(vocabulary((word.text for _, word in occurrences), most_frequent, min_letters))
    _log.info("LibriSpeech vocabulary, %d words: %s", len(kept), " ".join(sorted(kept)))
    cut = [_cut(utterance, word) for utterance, word in occurrences if word.text in kept]
    cut.sort(key=lambda utterance: utterance.id)
    return replace(corpus, facts=replace(corpus.facts, target="word"), utterances=tuple(cut), skipped=skipped)


def vocabulary(texts: Iterable[str], most_frequent: int = 1000, min_letters: int = 4) -> list[str]:
    """Return the most frequent words of at least `min_letters` letters; ties are in alphabetical order.

    >>> vocabulary(["house", "the", "the", "garden", "house", "apple"], most_frequent=2)
    ['house', 'apple']
    """
    counts = Counter(text for text in texts if len(text) >= min_letters)
    return sorted(counts, key=lambda text: (-counts[text], text))[:most_frequent]


def parse_alignment(line: str) -> tuple[str, list[Word]]:
    """Read one line of an alignment file: `84-121123-0000 ",GO,,DO," "0.490,0.890,1.270,1.380,1.5"`.

    The second list holds the end of each item. An item begins at the end of the previous one; an item without
    letters is silence.

    Returns:
        The utterance's id and its words, without silences.

    Raises:
        UserError: the line has another form, or its lists differ in length or run backwards.
    """
    match = _ALIGNMENT.fullmatch(line.strip())
    if not match:
        raise UserError(f"malformed line of a word alignment: {line.strip()[:60]}")
    texts, ends = match[2].split(","), [float(end) for end in match[3].split(",")]
    if len(texts) != len(ends):
        raise UserError(f"word alignment of {match[1]} has {len(texts)} words but {len(ends)} times")
    starts = [0.0, *ends[:-1]]
    if any(end < start for start, end in zip(starts, ends, strict=True)):
        raise UserError(f"word alignment of {match[1]} runs backwards in time")
    items = zip(texts, starts, ends, strict=True)
    return match[1], [Word(text.lower(), start, end) for text, start, end in items if text]


def _parse(path: Path, sexes: dict[str, str]) -> Utterance | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return "name does not have the form 19-198-0001"
    speaker, chapter = match.groups()
    attributes = {"chapter": chapter}
    if subset := next((part for part in path.absolute().parts if part in SPEAKERS), None):
        attributes["subset"] = subset
    return Utterance(
        id=f"librispeech/{path.stem}",
        path=path,
        speaker=f"librispeech/{speaker}",
        sex=sexes.get(speaker),
        language="en",
        targets={"speaker": f"librispeech/{speaker}"},
        attributes=attributes,
    )


def _sexes(path: Path | None) -> dict[str, str]:
    """Read `SPEAKERS.TXT`: columns id, sex, subset, minutes, name, separated by bars; comments begin with `;`."""
    if path is None:
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if line and not line.startswith(";")]
    return {row[0]: _SEXES[row[1]] for row in rows if len(row) > 1 and row[1] in _SEXES}


def _alignments(folder: Path) -> dict[str, list[Word]]:
    found = {}
    for path, number, line in _alignment_lines(folder):
        try:
            utterance, aligned = parse_alignment(line)
        except UserError as error:
            raise UserError(f"{path}, line {number}: {error}") from None
        found[utterance] = aligned
    return found


def _alignment_lines(folder: Path) -> Iterator[tuple[Path, int, str]]:
    for path in map(Path, finding.named(str(folder), "*.alignment.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                yield path, number, line


def _cut(utterance: Utterance, word: Word) -> Utterance:
    return replace(
        utterance,
        id=f"{utterance.id}@{word.start:.3f}",
        start=word.start,
        end=word.end,
        targets={**utterance.targets, "word": word.text},
    )
