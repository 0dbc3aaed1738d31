"""300 request bodies that a server must refuse: broken, of a wrong kind, or made to exhaust it.

They share nothing with the server: they are made with NumPy, soundfile and bytes, from a seed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

#: How many of each kind there are.
COUNTS = {
    "truncated": 45,
    "wrong type": 40,
    "huge header": 40,
    "expanding FLAC": 20,
    "few samples": 20,
    "not a number": 20,
    "many channels": 20,
    "rate": 20,
    "path as file name": 30,
    "broken form": 30,
    "too large": 5,
    "slow client": 10,
}

BOUNDARY = "----serkit-hostile"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Hostile:
    """A body, and how it is sent.

    Args:
        kind: key of `COUNTS`.
        content: of the body.
        content_type: header.
        slow: whether it is sent in drops that never come to an end.
    """

    kind: str
    content: bytes
    content_type: str = "audio/wav"
    slow: bool = False


def make(seed: int = 0) -> Iterator[Hostile]:
    """Make all of them, one after the other: some are large."""
    generator = np.random.default_rng(seed)
    for kind, count in COUNTS.items():
        for index in range(count):
            yield MAKERS[kind](generator, index)


def noise(generator: np.random.Generator, seconds: float = 1.5, rate: int = 16000, channels: int = 1) -> np.ndarray:
    """Make noise of shape (samples, channels)."""
    return generator.uniform(-0.5, 0.5, (round(seconds * rate), channels))


def encode(signal: np.ndarray, rate: int = 16000, format: str = "WAV", subtype: str | None = None) -> bytes:
    """Encode samples as a file."""
    file = io.BytesIO()
    soundfile.write(file, signal, rate, format=format, subtype=subtype)
    return file.getvalue()


def _truncated(generator: np.random.Generator, index: int) -> Hostile:
    format, subtype = [("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("AIFF", None), ("MP3", None)][index % 5]
    content = encode(noise(generator, 3.0), format=format, subtype=subtype)
    return Hostile("truncated", content[: int(len(content) * generator.uniform(0.05, 0.9))])


def _wrong_type(generator: np.random.Generator, index: int) -> Hostile:
    heads = [b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"%PDF-1.7\n", b"\x7fELF", b"\x1f\x8b\x08", b"<!doctype html>"]
    heads += [b'{"file": "/etc/passwd"}', b"#!/bin/sh\n", b"\x80\x04\x95", b"RIFF", b"fLaC", b"OggS", b"\x00" * 64]
    return Hostile("wrong type", heads[index % len(heads)] + generator.bytes(int(generator.integers(0, 5000))))


def _huge_header(generator: np.random.Generator, index: int) -> Hostile:
    content = bytearray(encode(noise(generator)))
    length = 2_000_000
    match index % 8:
        case 0:  # a length of the data far beyond what is there
            content[40:44] = struct.pack("<I", int(generator.integers(2**24, 2**30)))
        case 1:  # a length of the format chunk
            content[16:20] = struct.pack("<I", int(generator.integers(2**16, 2**31)))
        case 2:  # no channel at all, or 65535
            content[22:24] = struct.pack("<H", 65535 * (index // 8 % 2))
        case 3:  # bytes per frame that do not fit
            content[32:34] = struct.pack("<H", 0xFFFF)
            content[34:36] = struct.pack("<H", 0xFFFF)
        case 4:  # a FLAC that claims 2**36 - 1 samples
            content = _flac_of_length(generator, 2**36 - 1 - index)
        case 5:  # a FLAC that does not say how many, and is cut off
            content = _flac_of_length(generator, 0)[:-1000]
        case 6:  # a chunk in front of the data that is longer than the file
            content[36:36] = b"LIST" + struct.pack("<I", length + index)
        case 7:  # an AU with its data behind its end
            content = bytearray(encode(noise(generator), format="AU"))
            content[4:8] = struct.pack(">I", length + index)
    return Hostile("huge header", bytes(content))


def _flac_of_length(generator: np.random.Generator, samples: int) -> bytearray:
    content = bytearray(encode(noise(generator), format="FLAC"))
    # The lowest 36 bits of the 18 bytes from the 9th on.
    content[21] = (content[21] & 0xF0) | samples >> 32
    content[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)
    return content


def _expanding_flac(generator: np.random.Generator, index: int) -> Hostile:
    """Make hours of silence, of which FLAC needs a few bytes per 4096 samples."""
    rate, minutes = [(8000, 60), (8000, 30), (16000, 20), (48000, 11)][index % 4]
    file = io.BytesIO()
    silence = np.zeros((60 * rate, 1 + index % 2), dtype=np.int16)
    with soundfile.SoundFile(file, "w", rate, silence.shape[1], "PCM_16", format="FLAC") as sound:
        for _ in range(minutes):
            sound.write(silence)
    return Hostile("expanding FLAC", file.getvalue())


def _few_samples(generator: np.random.Generator, index: int) -> Hostile:
    format = ["WAV", "FLAC", "AIFF", "AU"][index % 4]
    return Hostile("few samples", encode(generator.uniform(-1, 1, 1 if index < 10 else index), format=format))


def _not_a_number(generator: np.random.Generator, index: int) -> Hostile:
    signal = noise(generator, channels=1 + index % 2)
    signal[generator.integers(len(signal)), -1] = [np.nan, np.inf, -np.inf][index % 3]
    if index == 0:
        signal[:] = np.nan
    return Hostile("not a number", encode(signal, subtype=["FLOAT", "DOUBLE"][index % 2]))


def _many_channels(generator: np.random.Generator, index: int) -> Hostile:
    channels = [8, 3, 4, 6, 5, 7, 16, 64, 255, 1000][index % 10]
    return Hostile("many channels", encode(noise(generator, 0.2, channels=channels)))


def _rate(generator: np.random.Generator, index: int) -> Hostile:
    rates = [384_000, 352_800, 1_000_000, 2**31 - 1, 1, 10, 1000, 3999, 192_001, 768_000]
    return Hostile("rate", encode(noise(generator, 0.5), rates[index % len(rates)]))


def _path(generator: np.random.Generator, index: int) -> Hostile:
    names = ["../a.wav", "/etc/passwd", "..\\a.wav", "C:/a.wav", "a/b.wav", "..", ".", "a\x00.wav", "a\x01.wav"]
    names += ["../" * 50 + "a.wav", "n" * 300 + ".wav", "/", "\\\\server\\share\\a.wav", "file:///a.wav", "a\x7f.wav"]
    return Hostile("path as file name", _form(_part(encode(noise(generator)), names[index % len(names)])), FORM)


def _broken_form(generator: np.random.Generator, index: int) -> Hostile:
    sound = encode(noise(generator))
    whole = _part(sound, "a.wav")
    content, kind = _form(whole), FORM
    match index % 10:
        case 0:
            kind = "multipart/form-data"
        case 1:
            kind = "multipart/form-data; boundary=another"
        case 2:
            content = _form(_part(sound, "a.wav", field="sound"))
        case 3:
            content = _form(whole + whole)
        case 4:
            content = _form(b"")
        case 5:
            content = content[: len(content) // 2]
        case 6:
            content = b""
        case 7:
            content = _form(_part(sound, None))
        case 8:
            content = _form(whole.replace(b"Content-Disposition", b"X" * 5000))
        case 9:
            content = _form(b"".join(_part(b"x", None, field=f"f{number}") for number in range(2000)) + whole)
    return Hostile("broken form", content, kind)


def _part(content: bytes, name: str | None, field: str = "file") -> bytes:
    named = "" if name is None else f'; filename="{name}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def _form(parts: bytes) -> bytes:
    return parts + f"--{BOUNDARY}--\r\n".encode()


def _too_large(generator: np.random.Generator, index: int) -> Hostile:
    return Hostile("too large", encode(noise(generator)) + bytes(33_000_000 + index))


def _slow_client(generator: np.random.Generator, index: int) -> Hostile:
    return Hostile("slow client", encode(noise(generator)), slow=True)


#: Kind -> what makes the body of a number.
MAKERS: dict[str, Callable[[np.random.Generator, int], Hostile]] = {
    "truncated": _truncated,
    "wrong type": _wrong_type,
    "huge header": _huge_header,
    "expanding FLAC": _expanding_flac,
    "few samples": _few_samples,
    "not a number": _not_a_number,
    "many channels": _many_channels,
    "rate": _rate,
    "path as file name": _path,
    "broken form": _broken_form,
    "too large": _too_large,
    "slow client": _slow_client,
}
