"""An opened recording: its samples one after the other, whatever reads them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import soundfile

from serkit.audio.recording import AudioError
from serkit.audio.source import MOST_PARTS, Layout, Part, Source, View

# Samples, over all channels, that are decoded at a time only to pass over them.
_SKIPPED = 1 << 20
# Samples of an MP3 that are decoded in front of a place: 32 frames. The data of a frame may begin 511 bytes before it,
# and a frame be as short as 24.
_NEEDED = 32 * 1152


class Sound(Protocol):
    """A recording that is being read."""

    rate: int
    channels: int
    frames: int  # samples per channel
    lacking: float | None  # as in `Layout`
    notes: list[str]

    def read(self, count: int) -> np.ndarray:
        """Read the next samples: float32 (samples, channels); fewer at the end, or where the data end too early.

        Raises:
            AudioError: broken data.
        """

    def skip(self, count: int) -> None:
        """Pass over so many samples."""

    def close(self) -> None:
        """Close it, and end what decodes it."""


class Unsupported(Exception):
    """libsndfile knows the container and not the coding of what is in it."""


# libsndfile's number of the error "unsupported encoding".
_UNSUPPORTED = 4


class _File(soundfile.SoundFile):
    """A file that is read on from where it is.

    soundfile seeks to the very same place after each read, where it believes that it can. That takes time, and the
    next samples of an MP3 are others then: its decoder forgets what the frames before have left.
    """

    def seekable(self) -> bool:
        return False


class Sndfile:
    """A recording that libsndfile decodes, part by part.

    Args:
        source: its bytes; closed with it.
        layout: where they are sound.

    Raises:
        AudioError: not what it seems, or no sound in it.
        Unsupported: of a coding that libsndfile does not know.
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
            raise AudioError(f"{source.recording}: garbage (more than {MOST_PARTS} recordings one behind the other)")
        errors = [error for part in layout.parts if (error := self._add(part)) is not None]
        if not self._parts:
            self._close_file()
            raise errors[0] if errors else AudioError(f"{source.recording}: no audio in it (0 samples)")
        self.notes += [f"a recording in it is left out: {error}" for error in errors]
        self.frames = sum(self._lengths)
        self._index = 0  # of the part that is read
        self._done = 0  # samples of it
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
                self._index = len(self._parts)  # it ends too early
            elif self._done == self._lengths[self._index]:
                self._next()
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks) if blocks else np.empty((0, self.channels), dtype=np.float32)

    def skip(self, count: int) -> None:
        """Pass over so many samples; see `Sound`."""
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
        """Take a part, whose length becomes known by opening it; return why that fails."""
        self._close_file()
        try:
            self._file = file = self._open(part)
        except AudioError as error:
            return error
        if self._parts and (file.samplerate, file.channels) != (self.rate, self.channels):
            what = f"at {file.samplerate} Hz with {file.channels} channel(s)"
            self.notes.append(f"another recording behind its end is left out: it is {what}")
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
            return self._current().read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            reason = _reason(error)
        spare = self._parts[self._index].spare
        if spare is None or not spare.frames or spare.frames <= self._done:
            raise AudioError(f"{self._source.recording}: broken audio data ({reason})")
        # After an error the decoder is of no use.
        self._close_file()
        self._parts[self._index] = spare
        place, self._done = self._done, 0
        self._seek(place)
        return self._decode(min(count, spare.frames - self._done))

    def _seek(self, place: int) -> None:
        """Go to a place of the part."""
        file = self._current()
        # An MP3 frame needs those in front of it; libsndfile decodes fewer than it may need.
        near = place - (_NEEDED if file.subtype.startswith("MPEG") else 0)
        try:
            if near > self._done:
                file.seek(near)
                self._done = near
        except soundfile.LibsndfileError:
            # GSM, for one, can only be decoded from its beginning.
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
    # libsndfile's word for an MP3 without a frame that can be decoded.
    return "no sound in it" if "does not exist" in reason else reason
