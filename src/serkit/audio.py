"""Reading sound: any format libsndfile knows, any rate, one channel, with a clear error for what is broken.

Every reader of sound in serkit goes through `blocks`, so that training, recognition of a short file and
of an hour-long one see the same samples.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from serkit.errors import UserError

#: File name endings taken for recordings when a folder is searched.
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".w64", ".caf"}
)

#: Below this peak a recording is silent: half a step of 16-bit audio.
SILENCE_PEAK = 0.5 / 32768

#: A recording below this many seconds holds no syllable.
SHORTEST = 0.1

#: No sample is beyond this. Integers of 32 bits written as floats reach it; far beyond it features overflow.
LOUDEST = 2.0**31

_BLOCK_SECONDS = 30.0
# A block holds no more samples than this over all channels (16 MB), however many channels a header claims.
_BLOCK_SAMPLES = 2**22
# An end that lies this far behind the last sample is a rounded number, not a mistake.
_END_TOLERANCE = 0.05

# What libsndfile notes in its log when it corrects the length of a cut-off WAV, AIFF or AU by itself.
_CORRECTED = re.compile(r"^\s*(?:data|data size|SSND)\s*:\s*(\d+)\s*\(should be (\d+)\)", re.MULTILINE | re.IGNORECASE)
# Near 2 or 4 GiB the size is what a program writes that cannot go back to the header (a pipe): not a length.
_NO_LENGTH = 0x7FFFF000
# What libsndfile says of a FLAC without a length; it cannot read such a one to its end.
_UNKNOWN_FRAMES = 2**63 - 1


# Python's own record of warnings belongs to the process: two threads would collect each other's.
_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


class AudioError(UserError):
    """A recording that cannot be used; the message begins with its path."""


class AudioWarning(UserWarning):
    """A recording that can be used but looks wrong: silent or truncated."""


@contextmanager
def collecting_warnings() -> Iterator[list[str]]:
    """Put the texts of this thread's AudioWarnings into a list, each once, instead of showing them."""
    texts: list[str] = []
    token = _collected.set(texts)
    try:
        yield texts
    finally:
        _collected.reset(token)


def warn(text: str, stacklevel: int = 2) -> None:
    """Warn of a recording that looks wrong; `stacklevel` counts from the caller, as in `warnings.warn`."""
    texts = _collected.get()
    if texts is None:
        warnings.warn(text, AudioWarning, stacklevel=stacklevel + 1)
    elif text not in texts:
        texts.append(text)


@dataclass(frozen=True)
class InMemory:
    """A recording that lies in memory, not in a file: one that came over a network, say.

    Args:
        content: what the file would hold, in any format libsndfile reads.
        name: what results and errors call it.
        whole: whether a truncated recording is an error; otherwise it is a warning, as for a file.
    """

    content: bytes = field(repr=False)
    name: str = "recording"
    whole: bool = False

    def __str__(self) -> str:
        return self.name


#: What can be read: the path of a file, or the content of one.
Recording = str | Path | InMemory


@dataclass(frozen=True)
class Info:
    """What the header says: `rate` in Hz, number of `channels`, length in `frames` (samples per channel)."""

    rate: int
    channels: int
    frames: int

    @property
    def duration(self) -> float:
        """Length in s."""
        return self.frames / self.rate


def info(path: Recording) -> Info:
    """Read rate, channels and length without decoding.

    Raises:
        AudioError: the file is missing, empty, or not audio.
    """
    with _open(path) as file:
        return Info(file.samplerate, file.channels, file.frames)


def read(
    path: Recording,
    rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read a recording or an interval of it.

    Args:
        path: any file libsndfile reads (WAV, FLAC, OGG, Opus, MP3, ...), or its content.
        rate: wanted sampling rate in Hz; None keeps the file's.
        channel: channel from 0; None mixes all channels down to their mean.
        start: beginning in s; None: of the file.
        end: end in s; None: of the file.

    Returns:
        float32 samples of shape (samples,), full scale 1.0, and their rate in Hz.

    Raises:
        AudioError: missing, empty, unreadable or non-finite file, or a sample beyond `LOUDEST`; no such channel or
            interval; so short that resampling leaves nothing.

    Warns:
        AudioWarning: the recording is silent, or shorter than its header says.
    """
    parts = list(blocks(path, rate, channel, start, end))
    signal = np.concatenate([part for part, _ in parts]) if len(parts) > 1 else parts[0][0]
    if not len(signal):
        raise AudioError(f"{path}: too short: no sample is left of it at {parts[0][1]} Hz")
    if np.abs(signal).max() < SILENCE_PEAK:
        warn(f"{path}: silent (no sample above -96 dB of full scale)")
    return signal, parts[0][1]


def blocks(
    path: Recording,
    rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
    seconds: float = _BLOCK_SECONDS,
) -> Iterator[tuple[np.ndarray, int]]:
    """Read a recording block by block, in memory that does not grow with its length.

    The blocks joined are what `read` returns; arguments and errors are the same. `seconds` is the length
    of a block in the file, which is shorter where there are very many channels; resampling moves some samples
    from one block into the next.

    Yields:
        float32 samples of shape (samples,) and their rate in Hz.
    """
    with _open(path) as file:
        begin, stop = interval(path, Info(file.samplerate, file.channels, file.frames), start, end)
        if channel is not None and not 0 <= channel < file.channels:
            raise AudioError(f"{path}: no channel {channel}; it has {file.channels}, counted from 0")
        rate = rate or file.samplerate
        stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32") if rate != file.samplerate else None
        for block, last in _decoded(path, file, begin, stop, seconds):
            mono = mix(block, channel)
            yield mono if stream is None else stream.resample_chunk(mono, last=last), rate


def frames(path: Recording, seconds: float = _BLOCK_SECONDS) -> Iterator[np.ndarray]:
    """Read a recording as it is, block by block, in memory that does not grow with its length.

    Errors and warnings are those of `read`.

    Yields:
        float32 of shape (samples, channels), full scale 1.0, at the file's own rate.
    """
    with _open(path) as file:
        for block, _ in _decoded(path, file, 0, file.frames, seconds):
            yield block


def mix(frames: np.ndarray, channel: int | None = None) -> np.ndarray:
    """Return one channel, or the mean of all, of float32 (samples, channels): float32 (samples,)."""
    if channel is None and frames.shape[1] > 1:
        return frames.mean(axis=1)
    return np.ascontiguousarray(frames[:, channel or 0])


def resample(signal: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample float32 samples of shape (samples,) from `rate` to `wanted` Hz (soxr, high quality)."""
    return signal if rate == wanted else soxr.resample(signal, rate, wanted).astype(np.float32, copy=False)


def content_hash(path: Recording) -> str:
    """Hash what is heard: rate, channels and decoded samples, whatever the container.

    A WAV and its FLAC copy have the same hash; a copy at another gain or rate has not.

    Returns:
        32 hexadecimal digits (BLAKE2b).

    Raises:
        AudioError: missing, empty, unreadable or non-finite file, as in `read`.
    """
    digest = hashlib.blake2b(digest_size=16)
    with _open(path) as file:
        digest.update(f"{file.samplerate} {file.channels} ".encode())
        position = 0
        while len(block := _decode(path, file, _block_frames(file, _BLOCK_SECONDS))):
            _check_samples(path, block, position, file.samplerate)
            digest.update(block.tobytes())
            position += len(block)
    return digest.hexdigest()


def _open(path: Recording) -> soundfile.SoundFile:
    try:
        file = soundfile.SoundFile(_source(path))
    except (soundfile.LibsndfileError, TypeError, OSError) as error:
        reason = getattr(error, "error_string", None) or str(error)
        if "does not exist" in reason:  # libsndfile's word for an MP3 without a single frame
            reason = "Format not recognised"
        raise AudioError(f"{path}: not audio that libsndfile can read ({reason.strip().rstrip('.')})") from None
    try:
        _check_length(path, file)
    except AudioError:
        file.close()
        raise
    return file


def _source(path: Recording) -> Path | bytes | io.BytesIO:
    """Return what libsndfile reads from, which holds at least one byte."""
    if isinstance(path, InMemory):
        if not path.content:
            raise AudioError(f"{path}: empty (0 bytes)")
        return io.BytesIO(path.content)
    file = Path(path)
    if not file.exists():
        raise AudioError(f"{path}: no such file")
    if file.is_dir():
        raise AudioError(f"{path}: is a folder, not a recording")
    if not file.is_file():
        raise AudioError(f"{path}: is no file but a pipe or a device; write what comes from it to a file first")
    if file.stat().st_size == 0:
        raise AudioError(f"{path}: empty file (0 bytes)")
    # soundfile itself cannot encode a name that is not UTF-8.
    return file if os.name == "nt" else os.fsencode(file)


def _check_length(path: Recording, file: soundfile.SoundFile) -> None:
    if file.frames == 0:
        raise AudioError(f"{path}: no audio in it (0 samples)")
    if file.frames == _UNKNOWN_FRAMES:
        raise AudioError(f"{path}: its header says no length, as that of a FLAC from a pipe; write it to a file first")
    found = file.frames / file.samplerate
    cut = _CORRECTED.search(file.extra_info)
    if cut and _NO_LENGTH > int(cut[1]) > int(cut[2]) > 0:
        _truncated(path, f"{found:.2f} s of {found * int(cut[1]) / int(cut[2]):.2f} s could be read")
    elif "Last page lacks an end-of-stream bit" in file.extra_info:
        _truncated(path, f"{found:.2f} s could be read, then its end mark is missing")


def _block_frames(file: soundfile.SoundFile, seconds: float) -> int:
    return max(1, min(int(seconds * file.samplerate), _BLOCK_SAMPLES // file.channels))


def _seek(path: Recording, file: soundfile.SoundFile, begin: int) -> None:
    try:
        if begin > 0:
            file.seek(begin)
    except soundfile.LibsndfileError as error:
        place = f"{begin / file.samplerate:.3f} s"
        raise AudioError(f"{path}: cannot go to {place} ({error.error_string.strip().rstrip('.')})") from None


def _decoded(
    path: Recording, file: soundfile.SoundFile, begin: int, stop: int, seconds: float
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield float32 (samples, channels) blocks of an interval in samples, and whether each is the last."""
    _seek(path, file, begin)
    position = begin
    while position < stop:
        wanted = min(stop - position, _block_frames(file, seconds))
        block = _decode(path, file, wanted)
        _check_samples(path, block, position, file.samplerate)
        short = len(block) < wanted
        if short and position + len(block) == begin:
            raise AudioError(f"{path}: no audio in it (0 samples could be decoded)")
        if short:
            found, wanted_end = (position + len(block)) / file.samplerate, stop / file.samplerate
            _truncated(path, f"{found:.2f} s of {wanted_end:.2f} s could be read")
        position = stop if short else position + wanted
        yield block, position >= stop


def _decode(path: Recording, file: soundfile.SoundFile, frames: int) -> np.ndarray:
    try:
        return file.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: broken audio data ({error.error_string.strip().rstrip('.')})") from None


def interval(path: Recording, info: Info, start: float | None, end: float | None) -> tuple[int, int]:
    """Turn an interval in s into samples of a recording.

    Args:
        path: what errors call it.
        info: its rate and length.
        start: beginning in s; None: of the file.
        end: end in s; None: of the file.

    Returns:
        The first sample, and the one behind the last.

    Raises:
        AudioError: no such interval in it.
    """
    duration = info.duration
    start = start or 0.0
    end = duration if end is None else end
    if not 0 <= start < end or start >= duration or end > duration + _END_TOLERANCE:
        raise AudioError(f"{path}: no interval {start:g} to {end:g} s in it; it lasts {duration:.3f} s")
    begin = round(start * info.rate)
    stop = min(info.frames, round(end * info.rate))
    if stop <= begin:
        raise AudioError(f"{path}: interval {start:g} to {end:g} s holds no sample")
    return begin, stop


def _check_samples(path: Recording, block: np.ndarray, position: int, rate: int) -> None:
    # Both are not a number where a sample is not.
    if max(block.max(initial=0.0), -block.min(initial=0.0)) <= LOUDEST:
        return
    first = int(np.argmax(~(np.abs(block) <= LOUDEST).all(axis=1)))
    peak = np.abs(block[first]).max()
    what = f"a sample of {peak:.3g} times full scale" if np.isfinite(peak) else "not a number or infinite"
    raise AudioError(f"{path}: {what} at {(position + first) / rate:.3f} s")


def _truncated(path: Recording, what: str) -> None:
    text = f"{path}: truncated ({what})"
    if isinstance(path, InMemory) and path.whole:
        raise AudioError(text)
    warn(text, stacklevel=3)
