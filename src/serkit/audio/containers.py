"""Which kind of file it is, by its first bytes. What is not recognized is not opened.

libsndfile knows more kinds than these. Its rarer readers print to standard output, and nobody keeps a corpus in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serkit.audio import flac, mpeg, ogg, pcm
from serkit.audio.recording import AudioError
from serkit.audio.source import Layout, Source

# As much as any of the marks below reaches into a file.
_HEAD = 64
# How many ID3 tags in front of the sound are skipped.
_TAGS = 8


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Args:
        name: what errors call it.
        demuxer: the one that ffmpeg is told to use, so that no file can choose another.
        lay: finds the sound in it for libsndfile, from an offset on; None: it is read through ffmpeg. It returns
            None itself for a kind of sound that libsndfile does not know.
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

# By the first bytes; of IFF and RIFF files their kind, from the 9th byte on, decides.
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

# What libsndfile or ffmpeg would read and serkit does not, so that errors can name it.
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
    """Return what kind of file it is, and where it begins behind tags that were put in front.

    Raises:
        AudioError: none that is read; if it is known at all, the message names it.
    """
    begin = mpeg.skip_tags(source, 0, _TAGS)
    head = source.at(begin, _HEAD)
    container = _by_mark(head) or (_NATIVE["mp3"] if mpeg.starts_at(source, begin) else None)
    if container is None:
        refused = _REFUSED_KINDS.get(head[8:12]) if head.startswith(b"FORM") else None
        refused = refused or next((name for mark, name in _REFUSED.items() if head.startswith(mark)), None)
        reason = f"{refused}: convert it to WAV" if refused else "format not recognized"
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
