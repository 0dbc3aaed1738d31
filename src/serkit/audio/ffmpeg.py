"""Decode formats that libsndfile does not support (M4A, MP4, WebM, WMA, AMR, videos) with the program ffmpeg.

ffmpeg also reads playlists, scripts and addresses that make it open other files. Therefore serkit names the container,
allows ffmpeg to open only the one file, and passes no name that ffmpeg could misread. The samples come through a pipe,
block by block, and ffmpeg ends with the reader.

The length of such a recording is only known after decoding. Lengths are cached, and so are the samples of short
recordings, so that a recording opened several times in a row is decoded once. An interval is decoded from the start of
the file, because only that is exact to the sample.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from serkit.audio.recording import AudioError, InMemory
from serkit.audio.source import Source

#: Maximum length of a recording that ffmpeg decodes, in hours.
LONGEST_HOURS = 24

#: Maximum time in s that ffmpeg may take without returning a sample, and in total.
PATIENCE = 30.0
PATIENCE_IN_ALL = 1800.0

#: Maximum size of one memory allocation by ffmpeg, in bytes.
LARGEST_MEMORY = 1 << 28

#: Maximum number of channels, and maximum rate in Hz.
MOST_CHANNELS = 64
HIGHEST_RATE = 768_000

# An AU header: mark, length of the header, size, coding (6: float32), rate, channels; all big-endian.
_AU = struct.Struct(">4s5I")
_FLOAT = 6
# Bytes per read.
_CHUNK = 1 << 18
# Maximum size in bytes of the kept messages of ffmpeg, and of each line.
_SAID = 4096
_LINE = 120
# Messages of ffmpeg for a file that ends too early.
_CUT = re.compile(r"partial file|prematurely|truncat|Invalid data found|exhausted|end of file|too small", re.IGNORECASE)
# Sizes from here on mark files that were not finished.
_NO_SIZE = 0x7FFFF000
# Number of recordings whose lengths are cached, and bytes of cached samples.
_LENGTHS = 4096
_KEPT = 64 << 20
_KEPT_EACH = 16 << 20


@dataclass(frozen=True)
class _Measured:
    """Result of decoding a recording."""

    rate: int
    channels: int
    frames: int
    lacking: float | None
    notes: tuple[str, ...]
    samples: np.ndarray | None = None


class Ffmpeg:
    """A recording that ffmpeg decodes; see `serkit.audio.sound.Sound`.

    Args:
        source: bytes of the recording; closed together with it.
        demuxer: ffmpeg's name of the container.
        name: name of the container in errors.

    Raises:
        AudioError: ffmpeg is missing, the file has no sound, or it exceeds the limits above.
    """

    def __init__(self, source: Source, demuxer: str, name: str) -> None:
        self._source = source
        self._demuxer = demuxer
        self._name = name
        self._place = 0
        self._process: _Process | None = None
        self._key = _identify(source, demuxer)
        measured = _memory.find(self._key)
        if measured is None:
            measured = self._measure()
            _memory.keep(self._key, measured)
        self._samples = measured.samples
        self.rate, self.channels, self.frames = measured.rate, measured.channels, measured.frames
        self.lacking, self.notes = measured.lacking, list(measured.notes)

    def read(self, count: int) -> np.ndarray:
        """Read the next samples; see `Sound`."""
        if self._samples is not None:
            # A copy, because the cached samples must not change.
            block = self._samples[self._place : self._place + count].copy()
        else:
            self._process = self._process or _Process(self._source, self._demuxer, self._name)
            block = self._process.read(count)
        self._place += len(block)
        return block

    def skip(self, count: int) -> None:
        """Skip samples; see `Sound`."""
        if self._samples is not None:
            self._place += count
            return
        while count and len(block := self.read(min(count, self.rate))):
            count -= len(block)

    def close(self) -> None:
        """Stop ffmpeg."""
        if self._process is not None:
            self._process.close()
            self._process = None
        self._source.close()

    def _measure(self) -> _Measured:
        """Decode the recording to its end."""
        recording = self._source.recording
        process = _Process(self._source, self._demuxer, self._name)
        try:
            kept: list[np.ndarray] | None = []
            frames = 0
            while len(block := process.read(process.rate)):
                frames += len(block)
                if frames > 3600 * LONGEST_HOURS * process.rate:
                    raise AudioError(f"{recording}: is longer than {LONGEST_HOURS} h; cut it into shorter files")
                if kept is not None:
                    kept.append(block)
                    if 4 * frames * process.channels > _KEPT_EACH:
                        kept = None
            said = process.finish()
        finally:
            process.close()
        if not frames:
            raise AudioError(f"{recording}: contains no audio (0 samples)")
        is_cut = bool(_CUT.search(said)) or _is_cut(self._source, self._demuxer)
        notes = (f"ffmpeg reports: {said}",) if said and not is_cut else ()
        samples = None if kept is None else np.concatenate(kept)
        return _Measured(process.rate, process.channels, frames, 0.0 if is_cut else None, notes, samples)


def _is_cut(source: Source, demuxer: str) -> bool:
    """Return whether an AVI claims to be larger than it is; ffmpeg does not report this."""
    size = int.from_bytes(source.at(4, 4), "little")
    return demuxer == "avi" and source.size - 8 < size < _NO_SIZE


class _Process:
    """A process of ffmpeg that decodes one recording.

    Raises:
        AudioError: as `Ffmpeg` does.
    """

    def __init__(self, source: Source, demuxer: str, name: str) -> None:
        self._recording, self._name = source.recording, name
        program = shutil.which("ffmpeg")
        if program is None:
            raise AudioError(
                f"{source.recording}: {name} requires ffmpeg, which is not on the PATH; install it "
                "(Debian: apt install ffmpeg; macOS: brew install ffmpeg), or convert the recording to WAV"
            )
        self._is_late = False
        self._waited = 0.0
        longest = 3600.0 * LONGEST_HOURS
        if isinstance(source.recording, InMemory) and source.recording.longest is not None:
            longest = min(longest, source.recording.longest)
        self._input = _Input(source)
        try:
            self._process = subprocess.Popen(
                [program, *_ARGUMENTS, "-f", demuxer, "-i", self._input.name, "-t", f"{longest + 1:.3f}", *_OUTPUT],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=self._input.descriptors,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            self._input.close()
            raise AudioError(f"{source.recording}: cannot start {program} ({error.strerror})") from None
        self._said = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self.rate, self.channels = self._read_header()
        except BaseException:
            self.close()
            raise

    def read(self, count: int) -> np.ndarray:
        """Return the next samples as float32 (samples, channels); fewer at the end."""
        frame = 4 * self.channels
        data = self._take(count * frame)
        whole = len(data) - len(data) % frame
        return np.frombuffer(data[:whole], dtype=">f4").astype(np.float32).reshape(-1, self.channels)

    def finish(self) -> str:
        """Return the messages of ffmpeg on one line after it has ended; empty if all is well."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._listener.join()
        # Control characters become visible and cannot affect a terminal.
        lines = re.sub(r"[^\x20-\x7e\n]", "?", self._said.decode("utf-8", "replace")).splitlines()
        # In `[aac @ 0x55e0] text`, the prefix is a part of ffmpeg. The input's name is removed, as memory has none.
        said = [re.sub(r"^(\[[^]]*\] )+", "", line).strip()[:_LINE] for line in lines if "file:" not in line]
        text = "; ".join(list(dict.fromkeys(filter(None, said)))[:3])
        return text or (f"truncated: ffmpeg ended with code {code}" if code else "")

    def close(self) -> None:
        """Stop the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._input.close()

    def _read_header(self) -> tuple[int, int]:
        head = self._take(_AU.size)
        if len(head) < _AU.size:
            said = self.finish()
            if "matches no streams" in said:
                raise AudioError(f"{self._recording}: contains no sound, only pictures")
            reason = f"{self._name}: {said or 'ffmpeg gives no reason'}"
            raise AudioError(f"{self._recording}: not audio that serkit can read ({reason})")
        _, length, _, coding, rate, channels = _AU.unpack(head)
        if coding != _FLOAT or not 0 < channels <= MOST_CHANNELS or not 0 < rate <= HIGHEST_RATE:
            raise AudioError(f"{self._recording}: has an unsupported format ({rate} Hz, {channels} channels)")
        self._take(length - _AU.size)
        return rate, channels

    def _take(self, count: int) -> bytearray:
        """Read bytes from the pipe, fewer at the end; stop ffmpeg if it takes too long."""
        assert self._process.stdout is not None
        data = bytearray()
        while len(data) < count:
            began = time.monotonic()
            alarm = threading.Timer(min(PATIENCE, PATIENCE_IN_ALL - self._waited), self._give_up)
            alarm.daemon = True
            alarm.start()
            chunk = self._process.stdout.read(min(_CHUNK, count - len(data)))
            alarm.cancel()
            self._waited += time.monotonic() - began
            if self._is_late:
                raise AudioError(f"{self._recording}: ffmpeg took more than {PATIENCE:g} s to decode a part")
            if not chunk:
                break
            data += chunk
        return data

    def _give_up(self) -> None:
        self._is_late = True
        self._process.kill()

    def _listen(self) -> None:
        # Read to the end, so that ffmpeg never waits for a reader.
        assert self._process.stderr is not None
        while chunk := self._process.stderr.read1(_SAID):  # type: ignore[attr-defined]
            self._said = (self._said + chunk)[:_SAID]


# One thread, because recordings are decoded in parallel anyway. Pictures, subtitles and data are ignored.
_ARGUMENTS = (
    *("-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"),
    *("-protocol_whitelist", "file,pipe", "-max_alloc", str(LARGEST_MEMORY), "-vn", "-sn", "-dn"),
)
_OUTPUT = (*("-map", "0:a:0", "-map_metadata", "-1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"),)


class _Input:
    """The input of ffmpeg: the file itself, or a file in memory.

    An MP4 cannot be read from a pipe, because its index may be at its end. If the system has no files in memory, a
    temporary file is used.
    """

    def __init__(self, source: Source) -> None:
        self.descriptors: tuple[int, ...] = ()
        self._temporary: str | None = None
        if not isinstance(source.recording, InMemory):
            # The protocol as prefix prevents that a name is read as an address or an option.
            self.name: str | bytes = b"file:" + os.fsencode(os.path.abspath(source.recording))
            if os.name == "nt":
                self.name = os.fsdecode(self.name)
        elif hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
            descriptor = os.memfd_create("recording")
            self.descriptors = (descriptor,)
            self.name = f"file:/proc/self/fd/{descriptor}"
            with open(descriptor, "wb", closefd=False) as file:
                file.write(source.recording.content)
        else:
            with tempfile.NamedTemporaryFile(delete=False) as file:
                self._temporary = file.name
                file.write(source.recording.content)
            self.name = f"file:{self._temporary}"

    def close(self) -> None:
        """Remove the temporary file."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        if self._temporary is not None:
            os.unlink(self._temporary)
        self.descriptors, self._temporary = (), None


#: What tells recordings apart: their content, or their path, size and time of change.
_Key = tuple[str | int | float | None, ...]


class _Memory:
    """Cache of results by recording: the last few thousand lengths, and some megabytes of samples."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[_Key, _Measured] = OrderedDict()

    def find(self, key: _Key) -> _Measured | None:
        """Return the cached result of a recording, or None."""
        with self._lock:
            return self._found.get(key)

    def keep(self, key: _Key, measured: _Measured) -> None:
        """Cache a result, and drop the oldest."""
        with self._lock:
            self._found[key] = measured
            size = 0
            for old, entry in reversed(self._found.items()):
                size += entry.samples.nbytes if entry.samples is not None else 0
                if size > _KEPT and entry.samples is not None:
                    self._found[old] = replace(entry, samples=None)
            while len(self._found) > _LENGTHS:
                self._found.popitem(last=False)


_memory = _Memory()


def _identify(source: Source, demuxer: str) -> _Key:
    """Return the cache key of a recording."""
    if isinstance(source.recording, InMemory):
        return (hash(source.recording.content), source.size, source.recording.longest, demuxer)
    path = os.path.abspath(source.recording)
    state = os.stat(path)
    return (path, state.st_size, state.st_mtime_ns, state.st_ino, demuxer)
