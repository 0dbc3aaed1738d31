"""How long a FLAC is: what its header says, checked against its last frame.

A FLAC from a pipe has no length in its header, and libsndfile then fails at its end; a truncated one fails there too.
Each frame bears its own place, so that the last one tells how long the file is.

Source: RFC 9639.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from serkit.audio.source import Layout, Part, Source

_STREAMINFO = 42  # "fLaC", the header of the block and its 34 bytes
# How far from the end the last frame may begin, where the header does not say how long frames are.
_FAR = 1 << 17
_CHUNK = 1 << 20
_SIZES = {
    1: 192,
    **{code: 576 << (code - 2) for code in range(2, 6)},
    **{code: 256 << (code - 8) for code in range(8, 16)},
}


@dataclass(frozen=True)
class _Stream:
    """A FLAC in a file: its header's numbers, and the number of samples up to the end of its last frame."""

    begin: int
    end: int
    header: bytes
    block: int  # samples per frame, where all frames but the last are alike
    longest: int  # bytes of a frame; 0: not known
    promised: int  # samples; 0: not known

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        return ((self.begin, self.end),)


def lay(source: Source, begin: int) -> Layout:
    """Find the sound from an offset on."""
    stream = _read(source, begin, source.size)
    if stream is None:  # libsndfile will say what is wrong with it
        return Layout((Part(((begin, source.size),)),))
    found = _last_sample(source, stream)
    if found == stream.promised or found is None:
        return Layout((Part(stream.pieces),))
    streams = list(_split(source, stream))
    if len(streams) > 1:
        layouts = [_lay_one(source, each) for each in streams]
        return Layout(tuple(part for each in layouts for part in each.parts), layouts[-1].lacking)
    return _lay_one(source, stream)


def _lay_one(source: Source, stream: _Stream) -> Layout:
    found = _last_sample(source, stream)
    if found is None or found == stream.promised:
        return Layout((Part(stream.pieces),))
    if 0 < stream.promised < found:  # what lies behind the end is not of this recording
        return Layout((Part(stream.pieces),), None, ("its header says less than there is",))
    header = bytearray(stream.header)
    header[21] = header[21] & 0xF0 | found >> 32
    header[22:26] = (found & 0xFFFFFFFF).to_bytes(4, "big")
    header[26:42] = bytes(16)  # the checksum of all samples
    part = Part((bytes(header), (stream.begin + _STREAMINFO, stream.end)))
    return Layout((part,), stream.promised / found if stream.promised else None)


def _read(source: Source, begin: int, end: int) -> _Stream | None:
    header = source.at(begin, _STREAMINFO)
    if len(header) < _STREAMINFO or header[:4] != b"fLaC" or header[4] & 0x7F or header[5:8] != b"\x00\x00\x22":
        return None
    promised = int.from_bytes(header[21:26], "big") & 0xFFFFFFFFF
    longest = int.from_bytes(header[15:18], "big")
    return _Stream(begin, end, header, int.from_bytes(header[10:12], "big"), longest, promised)


def _split(source: Source, stream: _Stream) -> Iterator[_Stream]:
    """Yield the recordings of a file in which several lie one behind the other."""
    begins = [stream.begin]
    position = stream.begin + _STREAMINFO
    while position < stream.end:
        buffer = source.at(position, _CHUNK + 3)
        place = buffer.find(b"fLaC")
        while place >= 0:
            if _read(source, position + place, stream.end) is not None and begins[-1] != position + place:
                begins.append(position + place)
            place = buffer.find(b"fLaC", place + 1)
        position += _CHUNK
    for begin, end in zip(begins, [*begins[1:], stream.end], strict=True):
        if (each := _read(source, begin, stream.end)) is not None:
            yield replace(each, end=end)


def _last_sample(source: Source, stream: _Stream) -> int | None:
    """Return the place behind the last sample of the last frame; None where no frame is found."""
    far = min(stream.longest + 16 if stream.longest else _FAR, stream.end - stream.begin - _STREAMINFO)
    tail = source.at(stream.end - far, far)
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        if (found := _end_of_frame(tail[place : place + 16], stream)) is not None:
            return found
    return None


def _end_of_frame(head: bytes, stream: _Stream) -> int | None:
    """Return the place behind the last sample of the frame whose header begins here; None: no header does."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    code, rate = head[2] >> 4, head[2] & 15
    number, place = _number(head)
    if number is None or code == 0 or rate == 15:
        return None
    size = _SIZES.get(code)
    if size is None:  # 6 and 7: it stands behind the number, in one byte or two
        size = int.from_bytes(head[place : place + code - 5], "big") + 1
        place += code - 5
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(head) or _checksum(head[:place]) != head[place]:
        return None
    return (number if head[1] & 1 else number * stream.block) + size


def _number(head: bytes) -> tuple[int | None, int]:
    """Read a number that is written as UTF-8 writes a letter, and return it and the offset behind it."""
    first = head[4]
    if first < 0x80:
        return first, 5
    ones = 8 - (first ^ 0xFF).bit_length()
    rest = head[5 : 4 + ones]
    if not 2 <= ones <= 7 or len(rest) < ones - 1 or any(byte >> 6 != 2 for byte in rest):
        return None, 0
    number = first & ((1 << (7 - ones)) - 1)
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, 4 + ones


def _checksum(data: bytes) -> int:
    """Return the CRC-8 of a frame's header (polynomial 0x07)."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = (found << 1 ^ 0x07) & 0xFF if found & 0x80 else found << 1
    return found
