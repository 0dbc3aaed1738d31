"""Length of an MP3: frames are counted by their headers, which is exact and needs no decoding.

Without a Xing header, libsndfile guesses the length from the size of the file; with one, it stops there even if another
recording follows. Therefore it gets each recording of a file separately, with the true number of frames.

Source of the headers: ISO/IEC 11172-3 and 13818-3; of the Xing, LAME and VBRI tags: files of encoders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from serkit.audio.recording import AudioError
from serkit.audio.source import MOST_PARTS, Layout, Part, Source

# kbit/s by index, for MPEG-1 layers I, II, III and MPEG-2 layers I, II and III.
_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
# Samples that every decoder adds at the start. libsndfile removes them if LAME's tag gives the encoder's delay.
_DECODER_DELAY = 529
# Maximum size of a frame.
_LONGEST = 2881
_CHUNK = 1 << 18
# Pattern of a possible header; it skips most garbage quickly.
_CANDIDATE = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]")
# In garbage, two headers of one format at the right distance are rare, and four do not occur.
_SURE = 4
# Maximum offset of the first frame: a recording cut from a stream begins within a frame.
_LEAD = 2 * _LONGEST
# A file with at least this share of frames has no large tags.
_MOST = 0.99
# A file with more false headers than this is not a recording.
_CANDIDATES = 100_000


@dataclass(frozen=True)
class Format:
    """Properties that all frames of a recording share."""

    version: int  # 1, 2, or 25 for "MPEG 2.5"
    layer: int
    rate: int
    mono: bool


class _Broken(Exception):
    """More garbage than sound."""


@dataclass
class _Stretch:
    """Frames of one recording."""

    format: Format
    samples: int  # of each frame
    pieces: list[tuple[int, int]] = field(default_factory=list)
    frames: int = 0
    promised: int | None = None  # number of frames in its Xing header, which is then the first piece
    delay: int = 0  # samples added at the start and the end, from the same header
    padding: int = 0

    @property
    def length(self) -> int:
        """Audible samples of the existing frames."""
        return self.frames * self.samples - (self.delay + _DECODER_DELAY if self.delay else 0)

    @property
    def full_length(self) -> int:
        """Audible samples of all promised frames."""
        return max(self.length, (self.promised or 0) * self.samples - self.delay - self.padding)

    def add(self, begin: int, end: int) -> None:
        if self.pieces and self.pieces[-1][1] == begin:
            self.pieces[-1] = (self.pieces[-1][0], end)
        else:
            self.pieces.append((begin, end))


# One object per format, so that comparisons are fast.
_format = cache(Format)


@cache
def _parse(second: int, third: int, mono: bool) -> tuple[int, int, Format] | None:
    """Return length in bytes, samples and format of a frame, from bytes 2 and 3 of its header."""
    version = {0: 25, 2: 2, 3: 1}.get(second >> 3 & 3)
    layer = {1: 3, 2: 2, 3: 1}.get(second >> 1 & 3)
    bitrate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second < 0xE0 or version is None or layer is None or bitrate in (0, 15) or rate == 3:
        return None
    hertz = _RATES[rate] // {1: 1, 2: 2, 25: 4}[version]
    bits = 1000 * _BITRATES[1 if version == 1 else 2, layer][bitrate - 1]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 1 else 1152
    size = 4 * (12 * bits // hertz + padding) if layer == 1 else samples // 8 * bits // hertz + padding
    return size, samples, _format(version, layer, hertz, mono)


def _header(buffer: bytes, at: int) -> tuple[int, int, Format] | None:
    if at + 4 > len(buffer) or buffer[at] != 0xFF:
        return None
    return _parse(buffer[at + 1], buffer[at + 2], buffer[at + 3] >> 6 == 3)


def is_adts(head: bytes) -> bool:
    """Return whether AAC begins here. It shares its first bits with MP3 but has a layer that MP3 lacks."""
    return len(head) > 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13


def skip_tags(source: Source, offset: int, most: int = 1) -> int:
    """Return the offset after ID3v2 tags."""
    for _ in range(most):
        head = source.at(offset, 10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
            break
        offset += 10 + _seven_bits(head[6:10]) + (10 if head[5] & 0x10 else 0)
    return offset


def starts_at(source: Source, begin: int) -> bool:
    """Return whether an MP3 begins here, or within the next frame."""
    try:
        return _Frames(source, source.size).find(begin, min(begin + _LEAD, source.size)) is not None
    except _Broken:
        return False


def lay(source: Source, begin: int) -> Layout:
    """Find the frames, starting at an offset; errors are those of `lay_between`."""
    end = _without_tags(source, begin, source.size)
    layout = lay_between(source, begin, end)
    if layout.parts == (Part(((begin, end),)),) and end - begin > _MOST * source.size:
        # libsndfile reads a file faster without callbacks, but counts large tags as sound.
        return replace(layout, parts=(Part(((0, source.size),)),))
    return layout


def lay_between(source: Source, begin: int, end: int) -> Layout:
    """Find the frames in a range of the source.

    Raises:
        AudioError: the range is mostly garbage.
    """
    if _is_all(source, begin, end):
        return Layout((Part(((begin, end),)),))
    stretches: list[_Stretch] = []
    notes, cut = [], False
    frames = _Frames(source, end)
    try:
        for run in frames.walk(begin):
            if run.format is None:
                place = "after" if run.end == end else "between" if stretches else "before"
                notes.append(f"{run.end - run.begin} bytes {place} its frames are not sound")
                if len(notes) > MOST_PARTS:
                    raise _Broken
            elif run.end > end:
                cut = True
            else:
                stretch = _stretch(stretches, source, run)
                frames.limit = (stretch.promised or 0) - stretch.frames
    except _Broken:
        raise AudioError(f"{source.recording}: broken MP3: more garbage than frames") from None
    stretches = [stretch for stretch in stretches if stretch.frames]
    parts = tuple(_part(source, stretch) for stretch in stretches)
    return Layout(parts, _lacking(stretches, cut), tuple(notes))


def _is_all(source: Source, begin: int, end: int) -> bool:
    """Return whether the size in a Xing header matches the file, so that frames need not be counted."""
    frame = source.at(begin, _LONGEST)
    parsed = _header(frame, 0)
    if parsed is None or (tag := _tag(frame, 0, parsed[2])) not in (b"Xing", b"Info"):
        return False
    place = _xing(frame)
    size = int.from_bytes(frame[place + 12 : place + 16], "big")
    # Some encoders do not count the frame of the header.
    return _promise(frame, tag) is not None and bool(frame[place + 7] & 2) and end - begin in (size, size + parsed[0])


@dataclass(frozen=True)
class _Run:
    """Consecutive frames, or garbage with format None; `tag` is the tag of a frame without sound."""

    begin: int
    end: int
    format: Format | None = None
    samples: int = 0  # of each frame
    frames: int = 0
    tag: bytes = b""


class _Frames:
    """The frames of a source up to `end`; a run has at most `limit` frames if this is above 0."""

    def __init__(self, source: Source, end: int) -> None:
        self._source = source
        self._end = end
        self._candidates = 0
        self.limit = 0

    def walk(self, position: int) -> Iterator[_Run]:
        """Yield frames and the bytes between them; tags of other kinds are skipped."""
        while position + 4 <= self._end:
            buffer = self._source.at(position, min(_CHUNK, self._end - position + _LONGEST))
            parsed = _header(buffer, 0)
            if parsed is None:
                if skipped := _skip_tag(self._source, position, buffer[:32]):
                    position += skipped
                    continue
                end = self.find(position, self._end) or self._end
                yield _Run(position, end)
            elif position + parsed[0] > self._end:
                end = position + parsed[0]
                yield _Run(position, end, parsed[2])
            elif tag := _tag(buffer, 0, parsed[2]):
                end = position + parsed[0]
                yield _Run(position, end, parsed[2], parsed[1], tag=tag)
            else:
                length, frames = self._count(position, buffer, parsed[2])
                end = position + length if frames else self.find(position + 1, self._end) or self._end
                yield _Run(position, end, parsed[2], parsed[1], frames) if frames else _Run(position, end)
            position = end

    def _count(self, position: int, buffer: bytes, format: Format) -> tuple[int, int]:
        """Return size in bytes and number of the frames of a format at the start of a buffer."""
        at = frames = last = 0
        while parsed := _header(buffer, at):
            beyond = at + parsed[0]
            if parsed[2] is not format or 0 < self.limit == frames or beyond > len(buffer):
                return at, frames
            if position + beyond > self._end or _tag(buffer, at, format):
                return at, frames
            frames += 1
            last, at = at, beyond
        # If no frame follows, another recording may begin within the last frame, which is then cut off.
        if at + 32 <= len(buffer) and position + at + 4 <= self._end:
            is_tag = _skip_tag(self._source, position + at, buffer[at : at + 32]) > 0
            if not is_tag and self.find(position + last + 4, position + at) is not None:
                return last, frames - 1
        return at, frames

    def find(self, begin: int, stop: int) -> int | None:
        """Return the offset before `stop` of the next frame that is followed by others of its format."""
        position = begin
        while position < stop:
            # Three more bytes, because a header may cross the border.
            buffer = self._source.at(position, min(_CHUNK, stop - position) + 3)
            for match in _CANDIDATE.finditer(buffer):
                self._candidates += 1
                if self._candidates > _CANDIDATES:
                    raise _Broken
                if position + match.start() < stop and self._is_sure(position + match.start(), begin):
                    return position + match.start()
            position += _CHUNK
        return None

    def _is_sure(self, offset: int, begin: int) -> bool:
        # At the very start, a single frame is enough.
        least = 1 if offset == begin else 2
        formats = set()
        for count in range(_SURE):
            parsed = _header(self._source.at(offset, 4), 0)
            if parsed is None:
                ends = offset >= self._end or _skip_tag(self._source, offset, self._source.at(offset, 32)) > 0
                return count >= least and ends
            formats.add(parsed[2])
            if len(formats) > 1:
                return False
            offset += parsed[0]
        return True


def _stretch(stretches: list[_Stretch], source: Source, run: _Run) -> _Stretch:
    """Add frames to the stretch they belong to, or start another, and return it."""
    assert run.format is not None
    last = stretches[-1] if stretches else None
    if run.tag:
        last = _Stretch(run.format, run.samples)
        header = source.at(run.begin, run.end - run.begin)
        if (promised := _promise(header, run.tag)) is not None:
            last.add(run.begin, run.end)
            last.promised = promised
            place = _added(header)
            added = int.from_bytes(header[place : place + 3], "big")
            last.delay, last.padding = added >> 12, added & 0xFFF
        stretches.append(last)
        return last
    if last is None or last.frames == last.promised or last.format != run.format:
        last = _Stretch(run.format, run.samples)
        stretches.append(last)
    last.add(run.begin, run.end)
    last.frames += run.frames
    return last


def _lacking(stretches: list[_Stretch], cut: bool) -> float | None:
    # Some encoders also count the frame of the header.
    slack = 0 if cut else 1
    if any((stretch.promised or 0) > stretch.frames + slack for stretch in stretches):
        found = sum(stretch.length for stretch in stretches)
        return sum(stretch.full_length for stretch in stretches) / found if found > 0 else 0.0
    return 0.0 if cut else None


def _part(source: Source, stretch: _Stretch) -> Part:
    """Return the part that libsndfile reads: with a correct Xing header, or without one."""
    if stretch.promised is None:
        # Without a header, libsndfile guesses the length from the number of bytes. The claim makes the guess too long,
        # and reading ends at the true number of frames.
        claim = (stretch.frames + 2) * 2 * _LONGEST
        return Part(tuple(stretch.pieces), stretch.frames * stretch.samples, claim)
    if stretch.promised == stretch.frames:
        return Part(tuple(stretch.pieces))
    begin, end = stretch.pieces[0]
    parsed = _header(source.at(begin, 4), 0)
    assert parsed is not None
    header = source.at(begin, parsed[0])
    true = _promising(header, stretch)
    return Part((true, (begin + len(header), end), *stretch.pieces[1:]))


def _tag(buffer: bytes, at: int, format: Format) -> bytes:
    """Return the name of the tag in a frame without sound: Xing, Info or VBRI."""
    if format.layer != 3:
        return b""
    # After the side information.
    place = at + 4 + ((17 if format.mono else 32) if format.version == 1 else (9 if format.mono else 17))
    name = buffer[place : place + 4]
    if name in (b"Xing", b"Info"):
        return name
    return b"VBRI" if buffer[at + 36 : at + 40] == b"VBRI" else b""


def _promise(frame: bytes, tag: bytes) -> int | None:
    """Return the number of frames in a tag; None if libsndfile would find none."""
    place = frame.find(tag)
    # libsndfile does not support VBRI.
    if tag == b"VBRI" or len(frame) < place + 12 or not frame[place + 7] & 1:
        return None
    return int.from_bytes(frame[place + 8 : place + 12], "big")


def _promising(frame: bytes, stretch: _Stretch) -> bytes:
    """Return the frame of a correct Xing header."""
    changed = bytearray(frame)
    place = _xing(frame)
    changed[place + 8 : place + 12] = stretch.frames.to_bytes(4, "big")
    if frame[place + 7] & 2:
        size = sum(end - begin for begin, end in stretch.pieces)
        changed[place + 12 : place + 16] = min(size, 0xFFFFFFFF).to_bytes(4, "big")
    added = _added(frame)
    if (
        stretch.frames < (stretch.promised or 0) and len(changed) >= added + 3
    ):  # the samples added at the end are cut off
        changed[added + 1] &= 0xF0
        changed[added + 2] = 0
    return bytes(changed)


def _xing(frame: bytes) -> int:
    """Return the offset of the Xing tag."""
    return max(frame.find(b"Xing"), frame.find(b"Info"))


def _added(frame: bytes) -> int:
    """Return the offset of LAME's fields for the samples added at the start and the end, 12 bits each."""
    place = _xing(frame)
    flags = frame[place + 7]
    return place + 12 + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8) + 21


def _skip_tag(source: Source, offset: int, head: bytes) -> int:
    """Return the length of the tag that begins here; 0: no tag."""
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX":
        return 32 + int.from_bytes(head[12:16], "little")
    return skip_tags(source, offset) - offset


def _without_tags(source: Source, begin: int, end: int) -> int:
    """Return the offset where the sound ends, before the tags at the end of the file."""
    for _ in range(4):
        tail = source.at(max(begin, end - 128), min(128, end - begin))
        footer = tail[-32:]
        if len(tail) == 128 and tail[:3] == b"TAG":
            end -= 128
        elif len(footer) == 32 and footer[:8] == b"APETAGEX":
            end -= int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end -= int(tail[-15:-9]) + 15
        elif tail[-10:-7] == b"3DI" and max(tail[-4:]) < 128:
            end -= _seven_bits(tail[-4:]) + 20
        else:
            break
        end = max(begin, end)
    return end


def _seven_bits(four: bytes) -> int:
    return four[0] << 21 | four[1] << 14 | four[2] << 7 | four[3]
