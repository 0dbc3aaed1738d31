"""Length of uncompressed recordings: the existing bytes, compared with the size in the header.

Covers WAV with RF64 and big-endian RIFX, Wave64, AIFF, AU, CAF and NIST SPHERE. libsndfile handles a wrong size
differently in each format. Therefore it gets a header with the right size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from serkit.audio import mpeg
from serkit.audio.source import Layout, Part, Source

# Byte order of numbers.
Order = Literal["big", "little"]

# Programs that cannot return to the header (in a pipe) write a size near 2 or 4 GiB, which is not a length.
_NO_LENGTH = 0x7FFFF000
# Surplus in bytes if a program also counts its header, or the byte that makes a size even.
_MISCOUNTED = 64
# Programs fill the last block of a file with less than this many bytes.
_PADDED = 4096
# Maximum number of chunks before the sound; more are garbage.
_CHUNKS = 10_000
# Codings of WAV: MP2 and MP3, and others that libsndfile decodes.
_MPEG = (0x50, 0x55)
_WAV = (1, 2, 3, 6, 7, 0x11, 0x31, 0x40, 0x64, 0xFFFE, *_MPEG)
# Codings of CAF that libsndfile decodes.
_CAF = (b"lpcm", b"ulaw", b"alaw", b"alac")
# First bytes of files that are concatenated.
_BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"caff", b"NIST", b"fLaC", b"OggS")


def lay_riff(source: Source, begin: int) -> Layout | None:
    """Find the sound of a WAV; None: libsndfile does not support its coding."""
    head = source.at(begin, 12)
    order: Order = "big" if head[:4] == b"RIFX" else "little"
    wide = None
    format = 0
    for name, size, offset in _chunks(source, begin + 12, order, even=True):
        body = source.at(offset, 24)
        if name == b"ds64":
            wide = (int.from_bytes(body[8:16], "little"), offset + 8)
        elif name == b"fmt ":
            format = int.from_bytes(body[:2], order)
            if format not in _WAV:
                return None
        elif name == b"data" and wide and size == 0xFFFFFFFF:
            return _lay(source, begin, offset, wide[0], wide[1], 8, order)
        elif name == b"data" and format in _MPEG:
            return mpeg.lay_between(source, offset, min(offset + size, source.size) if size else source.size)
        elif name == b"data":
            return _lay(source, begin, offset, size, offset - 4, 4, order)
    return _as_it_is(source, begin)


def lay_w64(source: Source, begin: int) -> Layout:
    """Find the sound of a Wave64. Its sizes have 8 bytes and include the 24 bytes of a chunk's head."""
    position = begin + 40
    for _ in range(_CHUNKS):
        head = source.at(position, 24)
        if len(head) < 24:
            break
        size = int.from_bytes(head[16:], "little")
        if head[:4] == b"data":
            data, size = position + 24, max(0, size - 24)
            if 0 < size < source.size - data:  # libsndfile counts the bytes of the file
                return Layout((Part(((begin, data + size),)),))
            return _lay(source, begin, data, size, position + 16, 8, "little", 24)
        position += max(24, size + 7 & ~7)
    return _as_it_is(source, begin)


def lay_aiff(source: Source, begin: int) -> Layout:
    """Find the sound of an AIFF or AIFF-C."""
    for name, size, offset in _chunks(source, begin + 12, "big", even=True):
        if name == b"SSND":
            # Offset and size of a block precede the samples; the size of the chunk includes them.
            skipped = int.from_bytes(source.at(offset, 4), "big")
            return _lay(source, begin, offset + 8 + skipped, size - 8 - skipped, offset - 4, 4, "big", 8 + skipped)
    return _as_it_is(source, begin)


def lay_au(source: Source, begin: int) -> Layout:
    """Find the sound of an AU."""
    order: Order = "big" if source.at(begin, 4) == b".snd" else "little"
    head = source.at(begin + 4, 8)
    data, size = int.from_bytes(head[:4], order), int.from_bytes(head[4:], order)
    return _lay(source, begin, begin + data, size, begin + 8, 4, order)


def lay_caf(source: Source, begin: int) -> Layout | None:
    """Find the sound of a CAF; None: libsndfile does not support its coding."""
    for name, size, offset in _chunks(source, begin + 8, "big", width=8):
        if name == b"desc" and source.at(offset + 8, 4) not in _CAF:
            return None
        if name == b"data":
            # The size includes 4 bytes before the samples.
            return _lay(source, begin, offset + 4, max(0, size - 4), offset - 8, 8, "big", 4)
    return _as_it_is(source, begin)


def lay_nist(source: Source, begin: int) -> Layout | None:
    """Find the sound of a NIST SPHERE file; None: the file is compressed."""
    head = source.at(begin, 16).split()
    header = int(head[1]) if len(head) > 1 and head[1].isdigit() else 1024
    text = source.at(begin, min(header, 1 << 16)).partition(b"end_head")[0]
    fields = dict(re.findall(rb"^(\w+) -\w+ (\S+)", text, re.MULTILINE))
    if fields.get(b"sample_coding", b"pcm").lower() not in (b"pcm", b"ulaw", b"mu-law", b"alaw"):
        return None
    numbers = [fields.get(name, b"") for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    if not all(number.isdigit() and len(number) < 16 for number in numbers) or not int(numbers[0]):
        return _as_it_is(source, begin)
    declared = int(numbers[0]) * int(numbers[1]) * int(numbers[2])
    available = max(0, source.size - begin - header)
    # libsndfile counts the bytes of the file.
    part = Part(((begin, begin + header + min(declared, available)),))
    return Layout((part,), _lacking(declared, available, header))


def _lay(
    source: Source, begin: int, data: int, declared: int, field: int, width: int, order: Order, more: int = 0
) -> Layout:
    """Compare the declared size of the sound with the existing bytes.

    Args:
        source: the file.
        begin: where the header begins.
        data: where the sound begins.
        declared: declared size of the sound in bytes.
        field: where the header holds that size.
        width: size of this field in bytes.
        order: byte order of this field, `big` or `little`.
        more: bytes that the declared size includes in addition to the sound.
    """
    available = max(0, source.size - data)
    if 0 < declared <= available:
        end = data + declared
        if source.at(end + declared % 2, 4) in _BEGINNINGS:
            return Layout((Part(((begin, end),)),), None, ("another recording after its end is skipped",))
        rest = source.size - end
        if width == 4 and rest >= _PADDED and _may_be_sound(source.at(end + declared % 2, _PADDED)):
            note = f"its header declares {declared} bytes of sound; {rest} more bytes, perhaps of sound, are skipped"
            return Layout(_as_it_is(source, begin).parts, None, (note,))
        return _as_it_is(source, begin)
    if declared <= 0 and (available == 0 or _are_chunks(source, data, order)):
        return _as_it_is(source, begin)
    true = ((available + more) % (1 << 8 * width)).to_bytes(width, order)
    part = Part(((begin, field), true, (field + width, source.size)))
    if declared <= 0:
        return Layout((part,), None, ("its header declares 0 bytes of sound; the bytes after it are read as sound",))
    unknown = declared + more >= (_NO_LENGTH if width == 4 else 1 << 62)
    return Layout((part,), None if unknown else _lacking(declared, available, data - begin))


def _lacking(declared: int, available: int, header: int) -> float | None:
    missing = declared - available
    if missing <= _MISCOUNTED or missing in (header, header - 8) or not available:
        return None
    return declared / available


def _chunks(
    source: Source, position: int, order: Order, even: bool = False, width: int = 4
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, size and offset of the content of each chunk."""
    for _ in range(_CHUNKS):
        head = source.at(position, 4 + width)
        if len(head) < 4 + width:
            return
        size = int.from_bytes(head[4:], order)
        position += len(head)
        yield head[:4], size, position
        position += size + (size % 2 if even else 0)


def _are_chunks(source: Source, position: int, order: Order) -> bool:
    """Return whether only further chunks follow, up to the end of the file."""
    end = position
    for name, size, offset in _chunks(source, position, order, even=True):
        if not all(32 <= letter < 127 for letter in name):
            return False
        end = offset + size
    return source.size - end < 8 and end <= source.size + 1


def _may_be_sound(rest: bytes) -> bool:
    """Return whether bytes after the declared end of the sound are neither a chunk or a tag nor zeros.

    A size of 4 bytes is too small after 4 GiB of sound, and that of a program that crashed is too old.
    """
    return any(rest) and not all(32 <= letter < 127 for letter in rest[:3])


def _as_it_is(source: Source, begin: int) -> Layout:
    return Layout((Part(((begin, source.size),)),))
