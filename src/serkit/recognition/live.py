"""Sources of live sound: the microphone, raw samples from a pipe, a file in real time."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from serkit import audio
from serkit.errors import UserError
from serkit.recognition.stream import Chunk

#: Length of a chunk in s: the maximum delay of the end of a window.
CHUNK = 0.02

# First bytes of recordings that users are most likely to send instead of raw samples.
_MARKS = {
    b"RIFF": "WAV",
    b"RIFX": "WAV",
    b"RF64": "WAV",
    b"BW64": "WAV",
    b"riff\x2e\x91\xcf\x11": "Wave64",
    b"FORM": "AIFF",
    b".snd": "AU",
    b"caff": "CAF",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"\x1a\x45\xdf\xa3": "WebM",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "WMA",
    b"#!AMR": "AMR",
}
_HEAD = max(map(len, _MARKS))

# Maximum delay of recognition behind the microphone before sound is dropped, in s.
_PATIENCE = 10.0


def from_file(path: str | Path, fast: bool = False) -> Iterator[Chunk]:
    """Yield a recording as float32 (samples, channels), chunk by chunk in real time, or at once if `fast`.

    Raises:
        AudioError: the recording cannot be read.
    """
    rate = audio.info(path).rate
    began = time.perf_counter()
    position = 0
    for frames in audio.frames(path, seconds=1.0 if fast else CHUNK):
        position += len(frames)
        if fast:
            yield Chunk(frames)
            continue
        due = began + position / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        yield Chunk(frames, due)


def from_pipe(pipe: BufferedReader, rate: int, channels: int = 1) -> Iterator[Chunk]:
    """Yield interleaved signed 16-bit little-endian samples as they arrive: int16 (samples, channels).

    Raises:
        UserError: the stream is a sound file, not raw samples.
    """
    frame = 2 * channels
    head = rest = b""
    # read1 returns available data at once, even if it is less than a chunk.
    while data := pipe.read1(round(CHUNK * rate) * frame):
        if len(head) < _HEAD:
            head += data[:_HEAD]
            _refuse_recording(head, rate, channels)
        data = rest + data
        whole = len(data) - len(data) % frame
        rest = data[whole:]
        yield Chunk(np.frombuffer(data[:whole], dtype="<i2").reshape(-1, channels))


def _refuse_recording(head: bytes, rate: int, channels: int) -> None:
    """Raise UserError if the first bytes are those of a sound file instead of raw samples."""
    kind = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if head[4:8] == b"ftyp":
        kind = "MP4"
    if kind is not None:
        raise UserError(
            f"standard input is a recording ({kind}) but must be raw 16-bit samples; decode it first: "
            f"ffmpeg -i - -f s16le -ac {channels} -ar {rate} -, or save it and give --source FILE"
        )


def from_microphone(rate: int, channels: int = 1, device: str | int | None = None) -> Iterator[Chunk]:
    """Record until the generator is closed: float32 (samples, channels).

    Args:
        rate: sampling rate in Hz.
        channels: number of channels to record.
        device: number of the input or part of its name; None: the system's default.

    Raises:
        UserError: sounddevice, PortAudio or the input is missing.
    """
    sounddevice = _sounddevice()
    size = round(CHUNK * rate)
    waiting: queue.Queue[Chunk] = queue.Queue(maxsize=round(_PATIENCE / CHUNK))
    lost = 0

    def hear(samples: np.ndarray, frames: int, times: Any, status: Any) -> None:
        # Runs in PortAudio's own thread and must never wait.
        nonlocal lost
        try:
            waiting.put_nowait(Chunk(samples.copy(), time.perf_counter(), lost))
            lost = 0
        except queue.Full:
            lost += frames

    try:
        with sounddevice.InputStream(
            samplerate=rate, blocksize=size, device=device, channels=channels, dtype="float32", callback=hear
        ):
            while True:
                yield waiting.get()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(f"microphone: {str(error).splitlines()[0]}") from None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise UserError("the microphone requires sounddevice: pip install 'serkit[mic]'") from None
    except OSError as error:  # the PortAudio library is not installed
        raise UserError(f"microphone: {error}; install PortAudio (Debian: libportaudio2)") from None
    return sounddevice
