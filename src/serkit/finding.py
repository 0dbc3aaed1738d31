"""Find recordings: one search for all commands and corpora.

Folders are searched recursively, and `**` in a pattern matches any depth of folders. Links to folders are followed, but
each folder is searched once. Hidden folders and folders of systems and tools are skipped. A file is found once, however
many links and arguments lead to it, under its own name rather than that of a link; a hard link counts as a separate
file. Names are compared in one Unicode form. Files are sorted by name, letter by letter, in the same order on every
system.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from serkit import audio, remote
from serkit.text import clean, composed

#: Folders of systems and tools, in lower case; names that start with a dot are hidden anyway.
SYSTEM_FOLDERS = frozenset(
    {
        "$recycle.bin",
        "#recycle",
        "#snapshot",
        "@eadir",
        "@recycle",
        "__macosx",
        "__pycache__",
        "lost+found",
        "recycler",
        "system volume information",
    }
)

#: Suffixes of files that often accompany recordings; they are skipped without a report.
COMPANIONS = frozenset(
    f".{suffix}"
    for suffix in (
        *("csv", "db", "json", "jsonl", "pickle", "pkl", "toml", "tsv", "xls", "xlsx", "xml", "yaml", "yml"),
        *("doc", "docx", "html", "log", "md", "pdf", "rst", "rtf", "txt"),
        *("gif", "jpeg", "jpg", "png", "svg"),
        *("eaf", "lab", "rttm", "srt", "textgrid", "trn", "vtt"),
        *("cfg", "ini", "ipynb", "ps1", "py", "sh"),
    )
)
_COMPANIONS_BY_NAME = frozenset(
    {"authors", "citation", "copying", "licence", "license", "makefile", "notice", "readme"}
)

#: Answer of `problem` for a path that does not exist.
NONE = "no such file or folder"

_MAGIC = frozenset("*?[")
_NAMED = 3


class PassedOver(StrEnum):
    """Reason why a file or folder is skipped."""

    other_format = "not a recording in a supported format"
    hidden_file = "hidden file"
    hidden_folder = "hidden or system folder"
    second_name = "second name of a file already found"


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Args:
        files: each recording once.
        problems: arguments that give no recording or cannot be searched, with the reason.
        passed_over: skipped files and folders, with the reason.
    """

    files: Sequence[str]
    problems: Mapping[str, str]
    passed_over: Mapping[str, PassedOver]

    def summary(self) -> str:
        """Count and name what was passed over, in one line; empty where that is nothing to tell."""
        return summary(self.passed_over)


def find(paths: Sequence[str]) -> Found:
    """Find the recordings that the arguments of a command refer to.

    Args:
        paths: recordings with any suffix; folders; URLs; patterns, which are expanded here because not every shell
            expands them. A pattern with a suffix (`*.xyz`) matches files with that suffix; other patterns match
            recordings.

    Returns:
        Recordings in the order of the arguments; those of one argument are sorted by name.
    """
    search = _Search()
    for path in paths:
        search.argument(path)
    return search.found()


def below(folder: str) -> Found:
    """Find the recordings in a folder and below it."""
    search = _Search()
    search.take(search.recordings([folder]))
    return search.found()


def named(folder: str, pattern: str) -> list[str]:
    """Find files of any format in a folder and below it by their name, e.g. `*.alignment.txt`."""
    search = _Search()
    search.take(
        _Candidate(place.linked or _is_link(entry), entry.path, _real(place, entry))
        for place in search.folders([folder])
        for entry in place.files
        if not entry.name.startswith(".") and fnmatch.fnmatchcase(composed(entry.name), composed(pattern))
    )
    return list(search.found().files)


def on_disk(path: str, listings: dict[str, dict[str, str]] | None = None) -> str | None:
    """Return a path with its names as they are on disk, where they may have another Unicode form.

    Args:
        path: path of a file or folder.
        listings: cache of the contents of folders between calls.

    Returns:
        None if there is no such file.
    """
    if os.path.lexists(path):
        return path
    head, tail = os.path.split(path)
    if head == path:
        return None
    folder = on_disk(head, listings) if head else ""
    if folder is None or not tail:
        return folder
    listings = {} if listings is None else listings
    if folder not in listings:
        try:
            # In reverse, so that the first of two equivalent names wins.
            listings[folder] = {clean(name): name for name in sorted(os.listdir(folder or "."), reverse=True)}
        except OSError:
            listings[folder] = {}
    name = listings[folder].get(clean(tail))
    return None if name is None else os.path.join(folder, name)


def problem(path: str) -> str | None:
    """Return why a path cannot be opened, or None. It may not exist, or its folder may be forbidden."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is a link to a file that does not exist" if os.path.islink(path) else NONE
    except OSError as error:
        return NONE if error.errno == errno.ENAMETOOLONG else _unreadable(error)
    except ValueError:  # a null byte
        return NONE
    return None


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is skipped because of its name."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def is_companion(path: str) -> bool:
    """Return whether a file that is not a recording often accompanies recordings."""
    stem, suffix = os.path.splitext(os.path.basename(path).lower())
    return suffix in COMPANIONS or (not suffix and stem in _COMPANIONS_BY_NAME)


def summary(passed_over: Mapping[str, PassedOver], companions: bool = False) -> str:
    """Count and name what was passed over, in one line; empty where that is nothing to tell.

    Args:
        passed_over: reason by path.
        companions: whether to report text, tables and pictures even if nothing else was skipped.
    """
    by_reason: dict[PassedOver, list[str]] = {reason: [] for reason in PassedOver}
    for path, reason in sorted(passed_over.items(), key=lambda item: order(item[0])):
        by_reason[reason].append(path)
    others = by_reason[PassedOver.other_format]
    if not companions and all(map(is_companion, others)):
        others = []
    parts = [f"{count(others, 'file')} in other formats ({formats(others)})"] if others else []
    # macOS creates a file `._NAME.wav`, which is not a recording, for each recording.
    hidden = [path for path in by_reason[PassedOver.hidden_file] if not os.path.basename(path).startswith("._")]
    for names, thing, of in (
        (hidden, "hidden file", ""),
        (by_reason[PassedOver.hidden_folder], "hidden or system folder", ""),
        (by_reason[PassedOver.second_name], "second name", " of files already found"),
    ):
        parts += [f"{count(names, thing)}{of} ({_names(names)})"] if names else []
    return f"skipped {'; '.join(parts)}" if parts else ""


def formats(paths: Iterable[str]) -> str:
    """Count files by suffix, most common first: `.xyz 10, .txt 2`."""
    counts = Counter(os.path.splitext(path)[1].lower() or "no suffix" for path in paths)
    return ", ".join(f"{suffix} {count}" for suffix, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def count(things: Collection[object], word: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


def order(path: str) -> str:
    """Return the sort key of a path."""
    return composed(path).replace(os.sep, "/")


@dataclass(frozen=True)
class _Place:
    """A visited folder: path as reached, path without links, whether a link led to it, and its unsorted files."""

    path: str
    real: str
    linked: bool
    files: Sequence[os.DirEntry[str]] = ()


@dataclass(frozen=True)
class _Candidate:
    linked: bool
    path: str
    real: str


class _Search:
    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # name by path without links
        self._problems: dict[str, str] = {}
        self._passed_over: dict[str, PassedOver] = {}

    def found(self) -> Found:
        files = list(self._names.values())
        for file in files:
            # One argument may find a file that another has skipped.
            self._passed_over.pop(file, None)
        return Found(files, self._problems, self._passed_over)

    def argument(self, path: str) -> None:
        """Add the recordings of one argument."""
        if remote.is_url(path):
            self._url(path)
            return
        path = on_disk(path) or path
        reason = problem(path)
        problems, passed_over = len(self._problems), len(self._passed_over)
        candidates: list[_Candidate] = []
        if reason is None and os.path.isdir(path):
            candidates = list(self.recordings([path]))
            reason = f"contains no recording; looked for {', '.join(sorted(audio.SUFFIXES))}"
        elif reason is None:
            candidates = [_Candidate(os.path.islink(path), path, os.path.realpath(path))]
        elif _MAGIC.intersection(path):
            candidates = list(self._matches(path))
            reason = "no recording matches"
        self.take(candidates)
        if not candidates and len(self._problems) == problems:
            told = summary(dict(islice(self._passed_over.items(), passed_over, None)), companions=True)
            self._problems[path] = f"{reason}; {told}" if told else str(reason)

    def _url(self, url: str) -> None:
        try:
            found = remote.find(url, audio.SUFFIXES)
        except remote.RemoteError as error:
            self._problems[remote.redacted(url)] = str(error).removeprefix(f"{remote.redacted(url)}: ")
            return
        self._names |= {one: one for one in found}
        if not found:
            self._problems[remote.redacted(url)] = "contains no recording"

    def take(self, candidates: Iterable[_Candidate]) -> None:
        """Add the recordings of one argument, each real file once; its own name takes precedence over a link's."""
        chosen: dict[str, str] = {}
        for one in sorted(candidates, key=lambda one: (one.linked, order(one.path), one.path)):
            if one.real not in self._names and one.real not in chosen:
                chosen[one.real] = one.path
            elif os.path.abspath(one.path) != os.path.abspath(self._names.get(one.real) or chosen[one.real]):
                self._passed_over[one.path] = PassedOver.second_name
        self._names |= dict(sorted(chosen.items(), key=lambda item: (order(item[1]), item[1])))

    def recordings(self, tops: Sequence[str]) -> Iterator[_Candidate]:
        """Yield the recordings in folders and below them."""
        for place in self.folders(tops):
            yield from self._recordings(place, place.files)

    def folders(self, tops: Sequence[str]) -> Iterator[_Place]:
        """Yield folders and every folder below them once; those reached by links come last."""
        places = [_Place(top, os.path.realpath(top), len(tops) > 1 and os.path.islink(top)) for top in tops]
        ahead = deque(place for place in places if not place.linked)
        links = deque(place for place in places if place.linked)
        seen: set[str] = set()
        while ahead or links:
            place = ahead.popleft() if ahead else links.popleft()
            if place.real in seen:
                if place.linked:
                    self._passed_over[place.path] = PassedOver.second_name
                continue
            seen.add(place.real)
            files = []
            for entry in self._entries(place.path):
                if not self._is_folder(entry):
                    files.append(entry)
                elif is_hidden(entry.name):
                    self._passed_over[entry.path] = PassedOver.hidden_folder
                elif not _is_link(entry):
                    ahead.append(_Place(entry.path, os.path.join(place.real, entry.name), place.linked))
                else:
                    real = os.path.realpath(entry.path)
                    if any(_holds(real, other) for other in (place.real, *(top.real for top in places))):
                        self._passed_over[entry.path] = PassedOver.second_name
                    else:
                        links.append(_Place(entry.path, real, True))
            yield _Place(place.path, place.real, place.linked, files)

    def _recordings(self, place: _Place, entries: Iterable[os.DirEntry[str]]) -> Iterator[_Candidate]:
        for entry in entries:
            is_format = os.path.splitext(entry.name)[1].lower() in audio.SUFFIXES
            if is_format and not entry.name.startswith("."):
                yield _Candidate(place.linked or _is_link(entry), entry.path, _real(place, entry))
            elif not entry.name.startswith("."):
                self._passed_over[entry.path] = PassedOver.other_format
            elif is_format:
                self._passed_over[entry.path] = PassedOver.hidden_file

    def _matches(self, pattern: str) -> Iterator[_Candidate]:
        """Yield the files that match a pattern, and the recordings in matching folders."""
        suffix = os.path.splitext(pattern)[1]
        takes_any = bool(suffix) and not _MAGIC.intersection(suffix)
        base = pattern
        while _MAGIC.intersection(base):
            base = os.path.dirname(base)
        base = on_disk(base or os.curdir) or base
        real_base = os.path.realpath(base)
        # A pattern without a folder refers to the current folder.
        here = os.path.join(os.curdir, "")
        unnamed = "" if pattern.startswith(here) else here
        folders = []
        for path in self._expand(pattern):
            path = path.removeprefix(unnamed)
            if os.path.islink(path) and _holds(os.path.realpath(path), os.path.realpath(os.path.dirname(path))):
                self._passed_over[path] = PassedOver.second_name
            elif os.path.isdir(path):
                folders.append(path)
            elif takes_any or os.path.splitext(path)[1].lower() in audio.SUFFIXES:
                real = os.path.realpath(path)
                linked = real != os.path.normpath(os.path.join(real_base, os.path.relpath(path, base)))
                yield _Candidate(linked, path, real)
            else:
                self._passed_over[path] = PassedOver.other_format
        yield from (replace(one, path=one.path.removeprefix(unnamed)) for one in self.recordings(folders))

    def _expand(self, pattern: str, inner: bool = False) -> Iterator[str]:
        """Yield the matching files and folders; `inner`: only folders, and for `**` every folder below."""
        if not _MAGIC.intersection(pattern):
            path = on_disk(pattern)
            yield from [] if path is None else [path]
            return
        head, tail = os.path.split(pattern)
        folders = list(self._expand(head, inner=True)) if head else [os.curdir]
        if not tail:
            yield from folders
        elif tail != "**":
            for folder in folders:
                found = sorted(self._children(folder, tail), key=order)
                yield from (path for path in found if not inner or os.path.isdir(path))
        elif inner:
            yield from (place.path for place in self.folders(folders))
        else:
            # The search of a folder is recursive anyway.
            yield from folders

    def _children(self, folder: str, pattern: str) -> Iterator[str]:
        """Yield matching entries of a folder; hidden entries only if the pattern starts with a dot."""
        if not _MAGIC.intersection(pattern):
            named = os.path.join(folder, pattern)
            path = on_disk(named)
            if path is not None:
                yield path
            elif (reason := problem(named)) not in (None, NONE):
                self._problems[named] = str(reason)
            return
        for entry in self._entries(folder):
            if not fnmatch.fnmatch(composed(entry.name), composed(pattern)):
                continue
            if not is_hidden(entry.name) or (pattern.startswith(".") and entry.name.startswith(".")):
                yield entry.path
            elif self._is_folder(entry):
                self._passed_over[entry.path] = PassedOver.hidden_folder
            elif os.path.splitext(entry.name)[1].lower() in audio.SUFFIXES:
                self._passed_over[entry.path] = PassedOver.hidden_file

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except NotADirectoryError:
            return []
        except OSError as error:
            self._problems[folder] = _unreadable(error)
            return []

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir()
        except OSError as error:
            # A circular link counts as a file that cannot be opened.
            if error.errno != errno.ELOOP:
                self._problems[entry.path] = _unreadable(error)
            return False


def _real(place: _Place, entry: os.DirEntry[str]) -> str:
    return os.path.realpath(entry.path) if _is_link(entry) else os.path.join(place.real, entry.name)


def _is_link(entry: os.DirEntry[str]) -> bool:
    # Windows also has junctions.
    reparse = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0) if os.name == "nt" else 0
    return entry.is_symlink() or bool(attributes & reparse)


def _holds(folder: str, other: str) -> bool:
    """Return whether a folder equals another or contains it; both without links."""
    return other == folder or other.startswith(os.path.join(folder, ""))


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"


def _names(paths: Sequence[str]) -> str:
    names = list(dict.fromkeys(os.path.basename(path) for path in paths))
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
