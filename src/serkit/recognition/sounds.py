"""A sound in the forms in which Python programs hold one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serkit import audio, remote
from serkit.errors import UserError
from serkit.recognition.samples import check_recording

#: Samples with their rate in Hz.
Samples = tuple[Any, int]

# Names of samples in entries of Hugging Face's data sets and pipelines.
_SAMPLES = ("array", "raw")


def resolve(sound: Any, rate: int | None = None) -> audio.Recording | Samples:
    """Return a sound as a recording to read, or as samples with their rate.

    Args:
        sound: path or URL of a file; an open binary file; the content of a file as bytes; samples, with `rate` or as a
            pair `(samples, rate)`, as `soundfile.read` returns them; or an entry of a Hugging Face data set:
            `{"array": ..., "sampling_rate": ...}` (also `raw`), `{"path": ..., "bytes": ...}`.
        rate: rate of samples in Hz.

    Raises:
        UserError: the value is no sound, samples have no rate, or something else has one.

    >>> resolve(b"RIFF...")
    InMemory(name='recording', whole=False, longest=None)
    """
    has_rate = isinstance(sound, tuple) and len(sound) == 2 and hasattr(sound[0], "__array__")
    if rate is not None and (has_rate or _is_entry(sound)):
        raise UserError("rate must not be given twice: these samples come with a rate")
    if has_rate:
        return sound[0], sound[1]
    if _is_entry(sound):
        return _of_entry(sound)
    if hasattr(sound, "__array__"):
        if rate is None:
            raise UserError("samples require their rate in Hz: recognizer(samples, rate=16000)")
        return sound, rate
    if rate is not None:
        raise UserError(f"rate must be given with samples only, got {type(sound).__name__}")
    if isinstance(sound, (bytes, bytearray, memoryview)):
        return audio.InMemory(bytes(sound))
    if hasattr(sound, "read"):
        return audio.InMemory(_content(sound), name=str(getattr(sound, "name", "recording")))
    check_recording(sound)
    if remote.is_url(sound):
        return audio.InMemory(remote.fetch(sound), remote.redacted(sound))
    recording: audio.Recording = sound if isinstance(sound, (str, audio.InMemory)) else Path(os.fspath(sound))
    return recording


def _is_entry(sound: Any) -> bool:
    # Decoders of newer versions of `datasets` are no mappings, but answer to the same keys.
    return isinstance(sound, Mapping) or hasattr(sound, "get_all_samples")


def _of_entry(sound: Any) -> audio.Recording | Samples:
    if not isinstance(sound, Mapping):
        return sound["array"], int(sound["sampling_rate"])
    name = next((name for name in _SAMPLES if sound.get(name) is not None), None)
    if name is not None:
        if sound.get("sampling_rate") is None:
            raise UserError(
                f"an entry with '{name}' requires 'sampling_rate', got {', '.join(map(str, sound)) or 'nothing'}"
            )
        return sound[name], sound["sampling_rate"]
    path, content = sound.get("path"), sound.get("bytes")
    if content is not None:
        return audio.InMemory(content, name=str(path or "recording"))
    if path is not None:
        return str(path)
    raise UserError(
        "an entry must have 'array' and 'sampling_rate', or 'path' or 'bytes', "
        f"got {', '.join(map(str, sound)) or 'nothing'}"
    )


def _content(file: Any) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise UserError(f"{getattr(file, 'name', 'file')}: is open as text; open it with mode 'rb'")
    return content
