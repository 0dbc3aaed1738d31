"""An opened recording, whose samples are read in order."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import soundfile

from serkit.audio.recording import AudioError
from serkit.audio.source import MOST_PARTS, Layout, Part, Source, View

# Samples over all channels per read, when samples are decoded only to be skipped.
_SKIPPED = 1 << 20
# Samples of an MP3 to decode before a position: 32 frames. The data of a frame may begin 511 bytes before it, and a
# frame may have only 24 bytes.
_NEEDED = 32 * 1152


class Sound(Protocol):
    """An opened recording."""

    rate: int
    channels: int
    frames: int  # samples per channel
    lacking: float | None  # as in `Layout`
    notes: list[str]

    def read(self, count: int) -> np.ndarray:
        """Read the next samples as float32 (samples, channels); fewer at the end, or if the data end too early.

        Raises:
            AudioError: broken data.
        """

    def skip(self, count: int) -> None:
        """Skip the given number of samples."""

    def close(self) -> None:
        """Close the recording, and stop its decoder."""


class Unsupported(Exception):
    """libsndfile supports the container, but not the coding in it."""


# libsndfile's code of the error "unsupported encoding".
_UNSUPPORTED = 4


class _File(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read sequentially.

    After each read, soundfile seeks to the current position if it can. That takes time, and it changes the next
    samples of an MP3, because the decoder loses the state of the previous frames.
    """

    def seekable(self) -> bool:
        return False


class Sndfile:
    """A recording that libsndfile decodes part by part.

    Args:
        source: bytes of the recording; closed together with it.
        layout: where the sound is.

    Raises:
        AudioError: the recording is broken, or contains no sound.
        Unsupported: libsndfile does not support the coding.
    """

    def __init__(self, source: Source, layout: Layout) -> None:
        self.rate = self.channels = 0
        self._source = source
        self._file: _File | None = None
        self._parts: list[Part] = []
        self._lengths: list[int] = []
        self.lacking = layout.lacking
        self.notes = list(layout.notes)
        if len(layout.parts) > MOST_PARTS:
            raise AudioError(f"{source.recording}: is garbage (more than {MOST_PARTS} recordings in a row)")
        errors = [error for part in layout.parts if (error := self._add(part)) is not None]
        if not self._parts:
            self._close_file()
            raise errors[0] if errors else AudioError(f"{source.recording}: contains no audio (0 samples)")
        self.notes += [f"one of its recordings is skipped: {error}" for error in errors]
        self.frames = sum(self._lengths)
        self._index = 0  # of the current part
        self._done = 0  # samples read from the current part
        if len(layout.parts) > 1:
            self._close_file()

    def read(self, count: int) -> np.ndarray:
        """Read the next samples; see `Sound`."""
        blocks: list[np.ndarray] = []
        while count > 0 and self._index < len(self._parts):
            wanted = min(count, self._lengths[self._index] - self._done)
            blocks.append(self._decode(wanted))
            self._done += len(blocks[-1])
            count -= wanted
            if len(blocks[-1]) < wanted:
                self._index = len(self._parts)  # the data end too early
            elif self._done == self._lengths[self._index]:
                self._next()
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks) if blocks else np.empty((0, self.channels), dtype=np.float32)

    def skip(self, count: int) -> None:
        """Skip samples; see `Sound`."""
        while self._index < len(self._parts) and count >= (left := self._lengths[self._index] - self._done):
            count -= left
            self._next()
        if count and self._index < len(self._parts):
            self._seek(self._done + count)

    def close(self) -> None:
        """Close the file."""
        self._close_file()
        self._source.close()

    def _add(self, part: Part) -> AudioError | None:
        """Open a part to get its length; return the error if that fails."""
        self._close_file()
        try:
            self._file = file = self._open(part)
        except AudioError as error:
            return error
        if self._parts and (file.samplerate, file.channels) != (self.rate, self.channels):
            what = f"at {file.samplerate} Hz with {file.channels} channel(s)"
            self.notes.append(f"another recording after its end is skipped: it is {what}")
            return None
        self.rate, self.channels = file.samplerate, file.channels
        frames = file.frames if part.frames is None else min(part.frames, file.frames)
        if frames > 0:
            self._parts.append(part)
            self._lengths.append(frames)
        return None

    def _open(self, part: Part) -> _File:
        path = self._source.path
        plain = part.pieces == ((0, self._source.size),) and part.claim is None
        try:
            return _File(path if plain and path is not None else View(self._source, part))
        except soundfile.LibsndfileError as error:
            if error.code == _UNSUPPORTED:
                raise Unsupported from None
            reason = _reason(error)
        except (TypeError, OSError) as error:
            reason = str(error)
        raise AudioError(f"{self._source.recording}: not audio that serkit can read ({reason})")

    def _current(self) -> _File:
        if self._file is None:
            self._file = self._open(self._parts[self._index])
        return self._file

    def _decode(self, count: int) -> np.ndarray:
        try:
            values: np.ndarray = self._current().read(count, dtype="float32", always_2d=True)
            return values
        except soundfile.LibsndfileError as error:
            reason = _reason(error)
        spare = self._parts[self._index].spare
        if spare is None or not spare.frames or spare.frames <= self._done:
            raise AudioError(f"{self._source.recording}: broken audio data ({reason})")
        # After an error, the decoder is unusable.
        self._close_file()
        self._parts[self._index] = spare
        place, self._done = self._done, 0
        self._seek(place)
        return self._decode(min(count, spare.frames - self._done))

    def _seek(self, place: int) -> None:
        """Go to a position in the part."""
        file = self._current()
        # An MP3 frame needs earlier frames; libsndfile decodes fewer than it may need.
        near = place - (_NEEDED if file.subtype.startswith("MPEG") else 0)
        try:
            if near > self._done:
                file.seek(near)
                self._done = near
        except soundfile.LibsndfileError:
            # GSM, for example, can only be decoded from the start.
            self._close_file()
            self._done = 0
        while self._done < place:
            block = self._decode(min(place - self._done, max(1, _SKIPPED // self.channels)))
            if not len(block):
                break
            self._done += len(block)

    def _next(self) -> None:
        self._index += 1
        self._done = 0
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _reason(error: soundfile.LibsndfileError) -> str:
    reason = error.error_string.strip().rstrip(".")
    # libsndfile's message for an MP3 without a decodable frame.
    return "contains no sound" if "does not exist" in reason else reason
