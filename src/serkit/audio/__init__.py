"""Read sound: any format, any rate, one channel, with a clear error for broken recordings.

All sound in serkit is read through `blocks`, so that training and recognition of short and long files
use the same samples. The length of a recording is decided in one place: `_open`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soxr

from serkit.audio.containers import recognize
from serkit.audio.ffmpeg import Ffmpeg
from serkit.audio.recording import AudioError as AudioError
from serkit.audio.recording import AudioWarning as AudioWarning
from serkit.audio.recording import Info as Info
from serkit.audio.recording import InMemory as InMemory
from serkit.audio.recording import Recording as Recording
from serkit.audio.recording import collecting_warnings as collecting_warnings
from serkit.audio.recording import warn as warn
from serkit.audio.sound import Sndfile, Sound, Unsupported
from serkit.audio.source import Source

#: File name endings of formats that only ffmpeg reads.
FFMPEG_SUFFIXES = frozenset(
    {".m4a", ".mp4", ".m4v", ".aac", ".webm", ".wma", ".amr", ".3gp", ".mka", ".mkv", ".mov", ".avi"}
)

#: File name endings that count as recordings when a folder is searched.
SUFFIXES = FFMPEG_SUFFIXES | frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64", ".caf", ".sph"}
)

#: A recording with a peak below this is silent: half a step of 16-bit audio.
SILENCE_PEAK = 0.5 / 32768

#: A recording shorter than this, in s, holds no syllable.
SHORTEST = 0.1

#: Lowest sampling rate in Hz. Below it there is no speech, and a wrong header of 1 Hz would make hours of seconds.
LOWEST_RATE = 1000

#: Largest absolute sample value. Integers of 32 bits stored as floats reach it; far beyond it, features overflow.
LOUDEST = 2.0**31

_BLOCK_SECONDS = 30.0
# Maximum samples of a block over all channels (16 MB), however many channels a header claims.
_BLOCK_SAMPLES = 2**22
# An interval may end this many s after the last sample, because users round numbers.
_END_TOLERANCE = 0.05
# A recording that lacks less than this many s counts as complete, because programs miscount.
_LEAST = 0.01


def info(path: Recording) -> Info:
    """Read rate, channels and length. Only formats that ffmpeg decodes need to be decoded for this.

    Raises:
        AudioError: the file is missing, empty, or not audio.

    Warns:
        AudioWarning: the file is truncated, or its header is wrong.
    """
    with _open(path) as sound:
        return Info(sound.rate, sound.channels, sound.frames)


def read(
    path: Recording,
    rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read a recording or an interval of it.

    Args:
        path: a file that libsndfile (WAV, FLAC, OGG, Opus, MP3, ...) or ffmpeg (M4A, MP4, ...) reads, or its content.
        rate: sampling rate of the result in Hz; None keeps the file's rate.
        channel: channel, counted from 0; None returns the mean of all channels.
        start: start of the interval in s; None: start of the file.
        end: end of the interval in s; None: end of the file.

    Returns:
        float32 samples of shape (samples,), full scale 1.0, and their rate in Hz.

    Raises:
        AudioError: the file is missing, empty, unreadable, not finite, or has a sample beyond `LOUDEST`; the channel
            or interval does not exist; or resampling leaves no sample.

    Warns:
        AudioWarning: the recording is silent or truncated, or its header is wrong.
    """
    parts = list(blocks(path, rate, channel, start, end))
    signal = np.concatenate([part for part, _ in parts]) if len(parts) > 1 else parts[0][0]
    if not len(signal):
        raise AudioError(f"{path}: too short: it has no sample at {parts[0][1]} Hz")
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
    """Read a recording block by block, in constant memory.

    The joined blocks equal the result of `read`; arguments and errors are the same. `seconds` is the length
    of a block in the file. Blocks are shorter if there are very many channels, and resampling moves some
    samples from one block into the next.

    Yields:
        float32 samples of shape (samples,) and their rate in Hz.
    """
    with _open(path) as sound:
        begin, stop = interval(path, Info(sound.rate, sound.channels, sound.frames), start, end)
        if channel is not None and not 0 <= channel < sound.channels:
            raise AudioError(f"{path}: has no channel {channel}; it has {sound.channels}, counted from 0")
        rate = rate or sound.rate
        stream = soxr.ResampleStream(sound.rate, rate, 1, dtype="float32") if rate != sound.rate else None
        for block, last in _decoded(path, sound, begin, stop, seconds):
            mono = mix(block, channel)
            yield mono if stream is None else stream.resample_chunk(mono, last=last), rate


def frames(path: Recording, seconds: float = _BLOCK_SECONDS) -> Iterator[np.ndarray]:
    """Read all channels of a recording at its own rate, block by block, in constant memory.

    Errors and warnings are those of `read`.

    Yields:
        float32 of shape (samples, channels), full scale 1.0, at the file's own rate.
    """
    with _open(path) as sound:
        for block, _ in _decoded(path, sound, 0, sound.frames, seconds):
            yield block


def mix(frames: np.ndarray, channel: int | None = None) -> np.ndarray:
    """Return one channel of float32 (samples, channels), or the mean of all, as float32 (samples,)."""
    if channel is None and frames.shape[1] > 1:
        values: np.ndarray = frames.mean(axis=1)
        return values
    return np.ascontiguousarray(frames[:, channel or 0])


def resample(signal: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample float32 samples of shape (samples,) from `rate` to `wanted` Hz (soxr, high quality)."""
    return signal if rate == wanted else soxr.resample(signal, rate, wanted).astype(np.float32, copy=False)


def content_hash(path: Recording) -> str:
    """Return a hash of the sound: rate, channels and decoded samples, independent of the container.

    A WAV file and its FLAC copy have the same hash; a copy at another gain or rate has another.

    Returns:
        32 hexadecimal digits (BLAKE2b).

    Raises:
        AudioError: the file is missing, empty, unreadable or not finite, as in `read`.
    """
    digest = hashlib.blake2b(digest_size=16)
    with _open(path) as sound:
        digest.update(f"{sound.rate} {sound.channels} ".encode())
        for block, _ in _decoded(path, sound, 0, sound.frames, _BLOCK_SECONDS):
            digest.update(block.tobytes())
    return digest.hexdigest()


@contextmanager
def _open(path: Recording) -> Iterator[Sound]:
    """Open a recording, decide its length, and warn if its header is wrong."""
    sound = _decoder(Source(path))
    try:
        if sound.rate < LOWEST_RATE:
            raise AudioError(f"{path}: its sampling rate must be at least {LOWEST_RATE} Hz, got {sound.rate} Hz")
        found = sound.frames / sound.rate
        if sound.lacking is not None and not found < found * sound.lacking < found + _LEAST:
            there = f" of {found * sound.lacking:.2f} s" if sound.lacking else ""
            _truncated(path, f"{found:.2f} s{there} could be read{'' if there else '; the end is missing'}")
        for note in sound.notes:
            warn(f"{path}: {note}", stacklevel=4)
        yield sound
    finally:
        sound.close()


def _decoder(source: Source) -> Sound:
    """Return a decoder of a recording: libsndfile's if it supports the format, otherwise ffmpeg's."""
    try:
        container, begin = recognize(source)
        layout = container.lay(source, begin) if container.lay else None
        if layout is not None:
            try:
                return Sndfile(source, layout)
            except Unsupported:
                pass
        return Ffmpeg(source, container.demuxer, container.name)
    except BaseException:
        source.close()
        raise


def _decoded(path: Recording, sound: Sound, begin: int, stop: int, seconds: float) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield float32 (samples, channels) blocks of an interval in samples, and whether each is the last."""
    sound.skip(begin)
    most = max(1, min(int(seconds * sound.rate), _BLOCK_SAMPLES // sound.channels))
    position = begin
    while position < stop:
        wanted = min(stop - position, most)
        block = sound.read(wanted)
        _check_samples(path, block, position, sound.rate)
        short = len(block) < wanted
        if short and position + len(block) == begin:
            raise AudioError(f"{path}: contains no audio (0 samples could be decoded)")
        if short:
            found, wanted_end = (position + len(block)) / sound.rate, stop / sound.rate
            _truncated(path, f"{found:.2f} s of {wanted_end:.2f} s could be read")
        position = stop if short else position + wanted
        yield block, position >= stop


def interval(path: Recording, info: Info, start: float | None, end: float | None) -> tuple[int, int]:
    """Convert an interval from s to samples of a recording.

    Args:
        path: name of the recording in errors.
        info: its rate and length.
        start: start of the interval in s; None: start of the file.
        end: end of the interval in s; None: end of the file.

    Returns:
        The first sample, and the one after the last.

    Raises:
        AudioError: the interval is not in the recording.
    """
    duration = info.duration
    start = start or 0.0
    end = duration if end is None else end
    if not 0 <= start < end or start >= duration or end > duration + _END_TOLERANCE:
        raise AudioError(f"{path}: has no interval {start:g} to {end:g} s; it lasts {duration:.3f} s")
    begin = round(start * info.rate)
    stop = min(info.frames, round(end * info.rate))
    if stop <= begin:
        raise AudioError(f"{path}: interval {start:g} to {end:g} s contains no sample")
    return begin, stop


def _check_samples(path: Recording, block: np.ndarray, position: int, rate: int) -> None:
    # Both are NaN if a sample is NaN.
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
