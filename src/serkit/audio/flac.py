"""Length of a FLAC: the length in its header, checked against its last frame.

A FLAC from a pipe has no length in its header, so libsndfile fails at its end; it also fails on a truncated file. Each
frame holds its own position, so the last frame gives the length of the file.

Source: RFC 9639.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from serkit.audio.source import MOST_PARTS, Layout, Part, Source

_STREAMINFO = 42  # "fLaC", the header of the block and its 34 bytes
# Maximum distance of the last frame from the end, if the header does not give the size of frames.
_FAR = 1 << 17
_CHUNK = 1 << 20
# Maximum length that fits in the header.
_MOST_SAMPLES = 2**36 - 1
# Samples of a frame, by their code.
_SIZES = {1: 192} | {code: 144 << code for code in range(2, 6)} | {code: 1 << code for code in range(8, 16)}


@dataclass(frozen=True)
class _Stream:
    """Header of a FLAC in a file."""

    begin: int
    end: int
    header: bytes
    block: int  # samples per frame, if all frames but the last have the same size
    longest: int  # maximum bytes of a frame; 0: not known
    promised: int  # samples according to the header; 0: not known

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        return ((self.begin, self.end),)


@dataclass(frozen=True)
class _Frame:
    """A frame: its offset, the position of its first sample, and the position after its last sample."""

    offset: int
    begin: int
    end: int


def lay(source: Source, begin: int) -> Layout:
    """Find the sound, starting at an offset."""
    stream = _read(source, begin, source.size)
    if stream is None:  # libsndfile will raise the error
        return Layout((Part(((begin, source.size),)),))
    last = _last_frame(source, stream, stream.end)
    if last and last.end == stream.promised and not _may_be_joined(source, stream):
        return Layout((Part(stream.pieces, spare=_until(stream, last.begin)),))
    layouts = [_lay_one(source, each) for each in _split(source, stream)]
    lacking = next((each.lacking for each in layouts if each.lacking is not None), None)
    return Layout(tuple(part for each in layouts for part in each.parts), lacking)


def _lay_one(source: Source, stream: _Stream) -> Layout:
    last = _last_frame(source, stream, stream.end)
    if last is None or stream.promised == last.end:
        return Layout((Part(stream.pieces, spare=_until(stream, last.begin) if last else None),))
    found = last.end if _is_whole(source, stream, last) else last.begin
    if 0 < stream.promised <= found:
        return Layout((Part(stream.pieces),))
    parts = (_until(stream, found),) if found else ()
    if stream.promised:
        return Layout(parts, stream.promised / found if found else 0.0)
    return Layout(parts, None if found == last.end else 0.0)


def _until(stream: _Stream, samples: int) -> Part:
    """Return the part that libsndfile reads for a stream with the given number of samples."""
    header = bytearray(stream.header)
    header[21] = header[21] & 0xF0 | samples >> 32
    header[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    header[26:42] = bytes(16)  # the checksum of all samples
    return Part((bytes(header), (stream.begin + _STREAMINFO, stream.end)), frames=samples)


def _read(source: Source, begin: int, end: int) -> _Stream | None:
    header = source.at(begin, _STREAMINFO)
    if len(header) < _STREAMINFO or header[:4] != b"fLaC" or header[4] & 0x7F or header[5:8] != b"\x00\x00\x22":
        return None
    promised = int.from_bytes(header[21:26], "big") & _MOST_SAMPLES
    longest = int.from_bytes(header[15:18], "big")
    return _Stream(begin, end, header, int.from_bytes(header[10:12], "big"), longest, promised)


def _split(source: Source, stream: _Stream) -> Iterator[_Stream]:
    """Yield the recordings of a file that holds several in a row."""
    begins = [stream.begin]
    position = stream.begin + _STREAMINFO
    while position < stream.end and len(begins) <= MOST_PARTS:
        buffer = source.at(position, _CHUNK + 3)
        place = buffer.find(b"fLaC")
        while place >= 0:
            is_new = begins[-1] != position + place and len(begins) <= MOST_PARTS
            if is_new and _read(source, position + place, stream.end) is not None:
                begins.append(position + place)
            place = buffer.find(b"fLaC", place + 1)
        position += _CHUNK
    for begin, end in zip(begins, [*begins[1:], stream.end], strict=True):
        if (each := _read(source, begin, stream.end)) is not None:
            yield replace(each, end=end)


def _may_be_joined(source: Source, stream: _Stream) -> bool:
    """Return whether the positions of frames do not grow with their offsets in the file; three frames are checked.

    This finds concatenated recordings of equal length, for which the position of the last frame is right.
    """
    size = stream.end - stream.begin - _STREAMINFO
    frames = [_last_frame(source, stream, stream.end - size * tenths // 10) for tenths in (7, 5, 2)]
    places = [frame.begin for frame in frames if frame is not None]
    return places != sorted(set(places))


def _last_frame(source: Source, stream: _Stream, end: int) -> _Frame | None:
    """Return the last frame that begins before an offset, or None."""
    far = min(stream.longest + 16 if stream.longest else _FAR, end - stream.begin - _STREAMINFO)
    tail = source.at(end - far, far + 16) + bytes(1)  # so that each byte has a successor
    place = far
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        if tail[place + 1] & 0xFE == 0xF8 and (found := _parse(tail[place : place + 16], stream)) is not None:
            return _Frame(end - far + place, *found)
    return None


def _parse(head: bytes, stream: _Stream) -> tuple[int, int] | None:
    """Return the position of the first sample of a frame, and the position after its last, from its header.

    None: the bytes start with the mark of a frame but are not a frame.
    """
    if len(head) < 6 or head[3] & 1:
        return None
    code, rate = head[2] >> 4, head[2] & 15
    number, place = _number(head)
    if number is None or code == 0 or rate == 15:
        return None
    size = _SIZES.get(code)
    if size is None:  # 6 and 7: the size follows the number, in one or two bytes
        size = int.from_bytes(head[place : place + code - 5], "big") + 1
        place += code - 5
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(head) or _crc8(head[:place]) != head[place]:
        return None
    begin = number if head[1] & 1 else number * stream.block
    return (begin, begin + size) if begin + size <= _MOST_SAMPLES else None


def _is_whole(source: Source, stream: _Stream, frame: _Frame) -> bool:
    """Return whether a frame that ends the file has the right checksum."""
    data = source.at(frame.offset, min(stream.end - frame.offset, _FAR))
    sound = len(data.rstrip(b"\0"))
    found = 0
    for place, byte in enumerate(data):
        found = _crc16_of(found >> 8 ^ byte) ^ (found & 0xFF) << 8
        # The checksum may end with zeros, and further zeros may follow.
        if found == 0 and place + 1 >= sound:
            return place + 1 <= sound + 2
    return False


@cache
def _crc16_of(byte: int) -> int:
    """Return the CRC-16 of a byte (polynomial 0x8005)."""
    found = byte << 8
    for _ in range(8):
        found = (found << 1 ^ 0x8005) & 0xFFFF if found & 0x8000 else found << 1
    return found


def _number(head: bytes) -> tuple[int | None, int]:
    """Read a number in the coding of UTF-8; return it and the offset after it."""
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


def _crc8(data: bytes) -> int:
    """Return the CRC-8 of a frame's header (polynomial 0x07)."""
    found = 0
    for byte in data:
        found = _crc8_of(found ^ byte)
    return found


@cache
def _crc8_of(found: int) -> int:
    for _ in range(8):
        found = (found << 1 ^ 0x07) & 0xFF if found & 0x80 else found << 1
    return found
