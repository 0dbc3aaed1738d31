"""The bytes of a recording, and the ranges of them that are sound."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from serkit import remote
from serkit.audio.recording import AudioError, InMemory, Recording

# Well within the range of a C `off_t`.
_FURTHEST = 2**62
#: Maximum number of recordings in a row in one file; more are garbage.
MOST_PARTS = 1000
# Size of an ID3 tag at the end of an MP3.
_TAIL = 128


class Source:
    """The bytes of a file, or of a recording in memory; a context manager that closes the file.

    Args:
        recording: path or content of the recording.

    Raises:
        AudioError: the recording is missing, empty, a folder, a pipe, or not permitted.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        if isinstance(recording, InMemory):
            self._file: io.BufferedIOBase = io.BytesIO(recording.content)
            self.size = len(recording.content)
            if not self.size:
                raise AudioError(f"{recording}: empty (0 bytes)")
            return
        if remote.is_url(recording):
            raise AudioError(f"{remote.name(str(recording))}: a URL cannot be read here; download it first")
        try:
            state = os.stat(recording)
            _check_kind(recording, state.st_mode)
            self._file = open(recording, "rb")  # noqa: SIM115 - `close` closes it
        except FileNotFoundError:
            raise AudioError(f"{recording}: no such file") from None
        except (OSError, ValueError) as error:
            raise AudioError(f"{recording}: cannot be opened ({getattr(error, 'strerror', None) or error})") from None
        self.size = state.st_size
        if not self.size:
            self._file.close()
            raise AudioError(f"{recording}: empty file (0 bytes)")

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def at(self, offset: int, count: int) -> bytes:
        """Return bytes from an offset on; fewer at the end."""
        if not 0 <= offset < self.size:  # a header may hold any offset
            return b""
        self._file.seek(offset)
        return self._file.read(max(0, min(count, self.size - offset)))

    @property
    def path(self) -> str | bytes | None:
        """The file's path for libsndfile and ffmpeg; None for a recording in memory."""
        if isinstance(self.recording, InMemory):
            return None
        # soundfile cannot encode a name that is not UTF-8.
        return str(self.recording) if os.name == "nt" else os.fsencode(self.recording)


def _check_kind(recording: Recording, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise AudioError(f"{recording}: is a folder, not a recording")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{recording}: is a pipe or a device; save it to a file first")


@dataclass(frozen=True)
class Part:
    """Bytes that libsndfile reads as a separate recording.

    Args:
        pieces: ranges of the source, each from its first byte to the one after its last, or bytes to insert.
        frames: length in samples per channel, if libsndfile only guesses it; None: libsndfile knows it.
        claim: length in bytes to report to libsndfile; None: the true length.
        spare: part to read instead if decoding shows that the very end is broken; None: nothing.
    """

    pieces: tuple[tuple[int, int] | bytes, ...]
    frames: int | None = None
    claim: int | None = None
    spare: Part | None = None


@dataclass(frozen=True)
class Layout:
    """Location of the sound in a recording. It decides the length of the recording.

    Args:
        parts: parts to read in order.
        lacking: for a truncated recording, its full length divided by the existing length; 0 if the full length is
            unknown; None for a recording that is not truncated.
        notes: further defects.
    """

    parts: tuple[Part, ...]
    lacking: float | None = None
    notes: tuple[str, ...] = ()


class View:
    """A part of a source as a readable file. Its methods never raise an error.

    libsndfile calls them as callbacks, where an error would be printed and ignored.
    """

    def __init__(self, source: Source, part: Part) -> None:
        self._source = source
        self._pieces = part.pieces
        sizes = [len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in part.pieces]
        self._begins = [0, *accumulate(sizes)]
        self._claim = part.claim
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset; an offset before the first byte means the first byte."""
        size = self._claim if self._claim is not None else self._begins[-1]
        offset += {os.SEEK_CUR: self._position, os.SEEK_END: size}.get(whence, 0)
        self._position = min(max(0, offset), _FURTHEST)
        return self._position

    def tell(self) -> int:
        """Return the offset."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the available bytes, and return their number."""
        done, wanted = 0, len(buffer)
        if self._claim is not None and self._claim - _TAIL <= self._position < self._claim:
            # There is no tag at the end of a file of the claimed length.
            done = min(wanted, self._claim - self._position)
            buffer[:done] = bytes(done)
            self._position += done
            return done
        while done < wanted and self._position < self._begins[-1]:
            index = bisect_right(self._begins, self._position) - 1
            piece, within = self._pieces[index], self._position - self._begins[index]
            count = min(wanted - done, self._begins[index + 1] - self._position)
            data = (
                piece[within : within + count]
                if isinstance(piece, bytes)
                else self._source.at(piece[0] + within, count)
            )
            if not data:
                break  # the file has shrunk
            buffer[done : done + len(data)] = data
            done += len(data)
            self._position += len(data)
        return done
