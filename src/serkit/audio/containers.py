"""Recognize the container of a file by its first bytes. Unknown files are not opened.

libsndfile supports more containers than these. Its rarer readers print to standard output, and corpora do not use them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serkit.audio import flac, mpeg, ogg, pcm
from serkit.audio.recording import AudioError
from serkit.audio.source import Layout, Source

# All marks below lie within this many bytes.
_HEAD = 64
# Maximum number of ID3 tags before the sound.
_TAGS = 8


@dataclass(frozen=True)
class Container:
    """A container format.

    Args:
        name: name in errors.
        demuxer: demuxer that ffmpeg must use, so that no file can choose another.
        lay: finds the sound for libsndfile, from an offset on; None: ffmpeg reads the container. It returns None
            for a coding that libsndfile does not support.
    """

    name: str
    demuxer: str
    lay: Callable[[Source, int], Layout | None] | None = None


_WAV = Container("WAV", "wav", pcm.lay_riff)
_NATIVE = {
    "aiff": Container("AIFF", "aiff", pcm.lay_aiff),
    "au": Container("AU", "au", pcm.lay_au),
    "caf": Container("CAF", "caf", pcm.lay_caf),
    "flac": Container("FLAC", "flac", flac.lay),
    "mp3": Container("MP3", "mp3", mpeg.lay),
    "nist": Container("NIST SPHERE", "nistsphere", pcm.lay_nist),
    "ogg": Container("Ogg", "ogg", ogg.lay),
    "w64": Container("Wave64", "w64", pcm.lay_w64),
}
_MP4 = Container("MP4", "mov")
_AVI = Container("AVI", "avi")
_AAC = Container("AAC", "aac")

# By the first bytes; IFF and RIFF files by their kind, which starts at the 9th byte.
_MARKS = {
    b".snd": _NATIVE["au"],
    b"dns.": _NATIVE["au"],
    b"caff": _NATIVE["caf"],
    b"fLaC": _NATIVE["flac"],
    b"OggS": _NATIVE["ogg"],
    b"NIST_1A\n": _NATIVE["nist"],
    b"riff\x2e\x91\xcf\x11": _NATIVE["w64"],
    b"\x1a\x45\xdf\xa3": Container("WebM or Matroska", "matroska"),
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": Container("WMA", "asf"),
    b"#!AMR": Container("AMR", "amr"),
    b"FLV\x01": Container("FLV", "flv"),
    b"\x00\x00\x01\xba": Container("MPEG video", "mpeg"),
}
_KINDS = {b"WAVE": _WAV, b"AIFF": _NATIVE["aiff"], b"AIFC": _NATIVE["aiff"], b"AVI ": _AVI}
# The first box of an MP4, M4A, 3GP or QuickTime file.
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

# Formats that libsndfile or ffmpeg read but serkit does not, for error messages.
_REFUSED = {
    b"Creative Voice File": "Creative Voice (VOC)",
    b"2BIT": "Audio Visual Research (AVR)",
    b"\x64\xa3": "IRCAM",
    b"\x00\x00\xa3\x64": "IRCAM",
    b"PVF1\n": "Portable Voice Format (PVF)",
    b"PVF2\n": "Portable Voice Format (PVF)",
    b" paf": "Ensoniq PARIS (PAF)",
    b"fap ": "Ensoniq PARIS (PAF)",
    b"\xf0\x7e": "MIDI sample dump (SDS)",
    b"MATLAB": "MATLAB",
    b"\x00\x00\x03\xe8": "MATLAB 4",
    b"\x00\x00\x00\x00\x01\x00\x00\x00": "MATLAB 4",
    b"Extended Instrument: ": "FastTracker instrument (XI)",
    b"ALawSoundFile**": "Psion (WVE)",
    b"\x01\x04": "Akai MPC 2000 (MPC2K)",
    b"MThd": "MIDI",
    b"#EXTM3U": "a playlist",
    b"ffconcat": "a playlist",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
_REFUSED_KINDS = {b"8SVX": "Amiga (8SVX)", b"16SV": "Amiga (16SV)"}


def recognize(source: Source) -> tuple[Container, int]:
    """Return the container of a file, and its offset after leading tags.

    Raises:
        AudioError: the format is not supported; the message names it if it is known.
    """
    begin = mpeg.skip_tags(source, 0, _TAGS)
    head = source.at(begin, _HEAD)
    container = _by_mark(head) or (_NATIVE["mp3"] if mpeg.starts_at(source, begin) else None)
    if container is None:
        refused = _REFUSED_KINDS.get(head[8:12]) if head.startswith(b"FORM") else None
        refused = refused or next((name for mark, name in _REFUSED.items() if head.startswith(mark)), None)
        reason = f"{refused}; convert it to WAV" if refused else "format not recognized"
        raise AudioError(f"{source.recording}: not audio that serkit can read ({reason})")
    return container, begin


def _by_mark(head: bytes) -> Container | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM"):
        return _KINDS.get(head[8:12])
    if head[4:8] in _BOXES:
        return _MP4
    if mpeg.is_adts(head):
        return _AAC
    return next((container for mark, container in _MARKS.items() if head.startswith(mark)), None)
