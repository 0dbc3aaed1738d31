"""Finding the recordings below a folder, and making a corpus of those that fit its naming."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from serkit.audio import FFMPEG_SUFFIXES, SUFFIXES
from serkit.corpora.corpus import Corpus, Facts, Utterance
from serkit.errors import UserError


def recordings(folder: Path) -> list[Path]:
    """Find every recording in a folder and below it, in the order of their relative paths.

    The order is that of the names compared letter by letter, the same on every system. Hidden files and
    folders are left out: macOS keeps a file `._x.wav`, which is no sound, beside `x.wav`. Links to folders are
    followed, but not into a folder that holds them.

    Raises:
        UserError: `folder` is a file, or a folder below it may not be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; this corpus is read from a folder")
    found = []
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not _is_passed_over(Path(parent, name))]
        found += [Path(parent, name) for name in files if _is_recording(name)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def collect(facts: Facts, folder: Path, paths: Iterable[Path], parse: Callable[[Path], Utterance | str]) -> Corpus:
    """Make a corpus of the recordings whose name can be parsed.

    Args:
        facts: what the publishers say about the corpus.
        folder: where it lies.
        paths: its recordings.
        parse: returns the utterance of a recording, or the reason why it is none.

    Returns:
        The corpus, its utterances in the order of their ids. Of several recordings with one id (the same
        file as WAV and FLAC, or in two folders) the first of `paths` is kept; what only ffmpeg reads, such as
        a video beside its sound, gives way to all others.
    """
    found: dict[str, Utterance] = {}
    skipped = {}
    for path in sorted(paths, key=lambda path: path.suffix.lower() in FFMPEG_SUFFIXES):
        name = path.relative_to(folder).as_posix()
        result = parse(path)
        if isinstance(result, str):
            skipped[name] = result
        elif result.id in found:
            kept = found[result.id].path.relative_to(folder).as_posix()
            skipped[name] = f"second file of {result.id}; kept {kept}"
        else:
            found[result.id] = result
    return Corpus(facts, folder, tuple(found[key] for key in sorted(found)), skipped)


def companion(folder: Path, name: str) -> Path | None:
    """Find a corpus's list of speakers or ratings: in the folder, below it, or beside it.

    Beside it because many people name the folder that holds the sound, not the one that holds everything.
    """
    for place in (folder, folder.absolute().parent):
        if (place / name).is_file():
            return place / name
    return min(folder.rglob(name), default=None)


def _is_passed_over(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name == "__MACOSX":
        return True
    if not folder.is_symlink():
        return False
    # A link to a folder above it would be followed for ever, whether above the link or above another that led to it.
    return folder.resolve() in {*(parent.resolve() for parent in folder.parents), *folder.parent.resolve().parents}


def _is_recording(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
