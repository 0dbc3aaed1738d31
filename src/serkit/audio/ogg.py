"""Length of an Ogg file: pages are followed from header to header, without decoding.

A file may hold several recordings in a row ("chained"); libsndfile reads only the first. A recorder that is switched
off leaves a file that ends in the middle of a page, or whose last page lacks the end mark; libsndfile then loses that
page, or gets the length wrong. Therefore it gets each recording separately, with an end mark.

Source: RFC 3533.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from serkit.audio.recording import AudioError
from serkit.audio.source import MOST_PARTS, Layout, Part, Source

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_HEADER = struct.Struct("<4sBBqIIIB")
_CHECKSUM = 22
# First packets of content that libsndfile does not decode: Speex, pictures, and the index of a file with both.
_FOREIGN = (b"Speex", b"\x80theora", b"BBCD", b"\x80kate", b"fishead", b"\x01video", b"\x01audio", b"CELT")
_NO_POSITION = -1
_CHUNK = 1 << 16


@dataclass(frozen=True)
class _Page:
    offset: int
    size: int
    flags: int
    position: int  # of the last sample that ends in the page; -1: none
    body: int


@dataclass
class _Link:
    """The pages of one recording of a chain."""

    begin: int
    codecs: list[bytes] = field(default_factory=list)  # start of the first packet of each stream
    end: int = 0
    last: _Page | None = None  # the last page in which a sample ends
    is_ended: bool = False
    has_sound: bool = False


def lay(source: Source, begin: int) -> Layout | None:
    """Find the recordings of a chain, starting at an offset; None: libsndfile does not decode their content.

    Raises:
        AudioError: garbage interrupts the pages too often.
    """
    links: list[_Link] = []
    notes: list[str] = []
    cut = False
    for page in _pages(source, begin):
        if page.flags < 0:
            place = "after" if page.offset + page.size == source.size else "between"
            notes.append(f"{page.size} bytes {place} its pages are not sound")
        elif page.offset + page.size > source.size:
            cut = True
        else:
            _add(links, source, page)
        if len(notes) > MOST_PARTS or len(links) > MOST_PARTS:
            raise AudioError(f"{source.recording}: broken Ogg: pages are interrupted more than {MOST_PARTS} times")
    if any(len(link.codecs) > 1 or link.codecs[0].startswith(_FOREIGN) for link in links):
        return None
    links = [link for link in links if link.has_sound]
    if not links:  # libsndfile will raise the error
        return Layout((Part(((begin, source.size),)),))
    if links and not links[-1].is_ended and not cut:
        notes.append("its end mark is missing; it may be truncated")
    return Layout(tuple(_part(source, link) for link in links), 0.0 if cut else None, tuple(notes))


def _pages(source: Source, position: int) -> Iterator[_Page]:
    """Yield the pages; garbage comes as a page with flags below 0."""
    while position < source.size:
        head = source.at(position, _HEADER.size + 255)
        if len(head) >= _HEADER.size and head[:5] == b"OggS\0":
            _, _, flags, reached, _, _, _, segments = _HEADER.unpack_from(head)
            body = _HEADER.size + segments
            size = body + sum(head[_HEADER.size : body])
            yield _Page(position, size, flags & 7, reached, body)
        elif head[:5] == b"OggS\0"[: len(head)]:
            size = source.size + 1 - position  # cut off in its header
            yield _Page(position, size, 0, _NO_POSITION, 0)
        else:
            size = _find(source, position) - position
            yield _Page(position, size, -1, _NO_POSITION, 0)
        position += size


def _find(source: Source, position: int) -> int:
    """Return the offset of the next page, or the end of the file."""
    while position < source.size:
        buffer = source.at(position, _CHUNK + 4)
        if (place := buffer.find(b"OggS\0")) >= 0:
            return position + place
        position += _CHUNK
    return source.size


def _add(links: list[_Link], source: Source, page: _Page) -> None:
    """Add a page to the recording it belongs to, or start another."""
    if page.flags & _FIRST:
        if not links or (links[-1].end > links[-1].begin and links[-1].has_sound):
            links.append(_Link(page.offset))
        links[-1].codecs.append(source.at(page.offset + page.body, 8))
    elif not links:
        links.append(_Link(page.offset, [b""]))  # the file begins in the middle of a recording
    link = links[-1]
    link.end = page.offset + page.size
    link.is_ended = bool(page.flags & _LAST)
    if page.position > 0:
        link.has_sound = True
    if page.position != _NO_POSITION:
        link.last = page


def _part(source: Source, link: _Link) -> Part:
    """Return the part that libsndfile reads: the last page in which a sample ends gets the end mark."""
    last = link.last
    if link.is_ended or last is None:
        return Part(((link.begin, link.end),))
    page = bytearray(source.at(last.offset, last.size))
    page[5] |= _LAST
    page[_CHECKSUM : _CHECKSUM + 4] = bytes(4)
    page[_CHECKSUM : _CHECKSUM + 4] = _checksum(page).to_bytes(4, "little")
    return Part(((link.begin, last.offset), bytes(page)))


def _checksum(page: bytes | bytearray) -> int:
    """Return Ogg's checksum of a page: zlib's, with the bits of all bytes and of the result reversed."""
    turned = zlib.crc32(bytes(page).translate(_TURNED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{turned:032b}"[::-1], 2)


_TURNED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
