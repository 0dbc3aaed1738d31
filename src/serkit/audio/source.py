"""The bytes of a recording, and the stretches of them that are sound."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from serkit.audio.recording import AudioError, InMemory, Recording

# What a C `off_t` holds, and to spare.
_FURTHEST = 2**62
#: More recordings than this, one behind the other in a file, are garbage.
MOST_PARTS = 1000
# Length of an ID3 tag at the end of an MP3.
_TAIL = 128


class Source:
    """The bytes of a file, or of a recording in memory; a context manager that closes the file.

    Args:
        recording: what is read.

    Raises:
        AudioError: missing, empty, a folder, a pipe, or not permitted.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        if isinstance(recording, InMemory):
            self._file: io.BufferedIOBase = io.BytesIO(recording.content)
            self.size = len(recording.content)
            if not self.size:
                raise AudioError(f"{recording}: empty (0 bytes)")
            return
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
        """Return so many bytes from an offset on, fewer at the end."""
        if not 0 <= offset < self.size:  # a header may say anything
            return b""
        self._file.seek(offset)
        return self._file.read(max(0, min(count, self.size - offset)))

    @property
    def path(self) -> str | bytes | None:
        """The file's path as libsndfile and ffmpeg take it; None in memory."""
        if isinstance(self.recording, InMemory):
            return None
        # soundfile itself cannot encode a name that is not UTF-8.
        return str(self.recording) if os.name == "nt" else os.fsencode(self.recording)


def _check_kind(recording: Recording, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise AudioError(f"{recording}: is a folder, not a recording")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{recording}: is no file but a pipe or a device; write what comes from it to a file first")


@dataclass(frozen=True)
class Part:
    """Bytes that libsndfile reads as a recording of its own.

    Args:
        pieces: stretches of the source, each from its first byte to the one behind its last, and bytes in their place.
        frames: its length in samples per channel, where libsndfile only guesses it; None: libsndfile knows.
        claim: length in bytes that is claimed towards libsndfile; None: the true one.
        spare: what is read in its place where decoding shows that its very end is broken; None: nothing.
    """

    pieces: tuple[tuple[int, int] | bytes, ...]
    frames: int | None = None
    claim: int | None = None
    spare: Part | None = None


@dataclass(frozen=True)
class Layout:
    """Where the sound of a recording lies. This decides how long it is.

    Args:
        parts: read one after the other.
        lacking: what is missing of a truncated recording: a factor, its full length over what is there; 0 where only
            the fact is known; None for one that is not truncated.
        notes: what else looks wrong.
    """

    parts: tuple[Part, ...]
    lacking: float | None = None
    notes: tuple[str, ...] = ()


class View:
    """A part of a source as a file that can be read. Nothing that is asked of it raises an error.

    libsndfile asks through callbacks, where an error would be printed and ignored.
    """

    def __init__(self, source: Source, part: Part) -> None:
        self._source = source
        self._pieces = part.pieces
        sizes = [len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in part.pieces]
        self._begins = [0, *accumulate(sizes)]
        self._claim = part.claim
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset; what lies in front of the first byte is the first byte."""
        size = self._claim if self._claim is not None else self._begins[-1]
        offset += {os.SEEK_CUR: self._position, os.SEEK_END: size}.get(whence, 0)
        self._position = min(max(0, offset), _FURTHEST)
        return self._position

    def tell(self) -> int:
        """Return the offset."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes, and return their number."""
        done, wanted = 0, len(buffer)
        if self._claim is not None and self._claim - _TAIL <= self._position < self._claim:
            # Where a tag would stand at the end of a file of the claimed length, there is none.
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
                break  # the file has shrunk since
            buffer[done : done + len(data)] = data
            done += len(data)
            self._position += len(data)
        return done
