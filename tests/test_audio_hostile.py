"""Recordings that an attacker made: refused in one line, and nothing is printed by any library."""

import contextlib
import io
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.audio import AudioError, InMemory

NOISE = np.random.default_rng(0).uniform(-0.9, 0.9, 1600)

#: What libsndfile knows and serkit does not, by libsndfile's name, and how an error calls it.
REFUSED = {
    "SDS": "MIDI sample dump",
    "VOC": "Creative Voice",
    "AVR": "Audio Visual Research",
    "IRCAM": "IRCAM",
    "PVF": "Portable Voice Format",
    "PAF": "Ensoniq PARIS",
    "SVX": "Amiga",
    "MAT4": "MATLAB 4",
    "MAT5": "MATLAB",
    "XI": "FastTracker",
    "WVE": "Psion",
    "MPC2K": "Akai",
    "HTK": "format not recognized",
}


def encode(format, subtype=None, **options):
    file = io.BytesIO()
    rate = 8000 if format == "WVE" else 16000
    soundfile.write(file, NOISE, rate, format=format, subtype=subtype, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", REFUSED)
def test_what_serkit_does_not_read_is_named(tmp_path, capfd, name):
    content = encode(name)
    (tmp_path / "call.wav").write_bytes(content)
    for recording in (tmp_path / "call.wav", InMemory(content), InMemory(content[:148])):
        for function in (audio.info, audio.read, audio.content_hash):
            with pytest.raises(AudioError, match=f"not audio that serkit can read .*{REFUSED[name]}") as caught:
                function(recording)
            assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content",
    [
        *(b"MThd\0\0\0\6", b"#EXTM3U\n", b"ffconcat version 1.0", b"%PDF-1.7", b"PK\x03\x04", b"\x1f\x8b\x08"),
        *(b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP", b"FORM\0\0\0\0ILBM", b"GIF89a", b"<html>", b"\0"),
        *(b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"RIFF", b"RIFX", b"OggS", b"fLaC", b".snd", b"caff", b"NIST_1A\n"),
    ],
)
@pytest.mark.parametrize("more", [0, 7, 500])
def test_beginnings_of_other_files(capfd, content, more):
    with pytest.raises(AudioError) as caught:
        audio.read(InMemory(content + bytes(more)))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


FUZZ = """
import io, random, sys, warnings
import numpy as np, soundfile
from serkit import audio

warnings.simplefilter("ignore")
# What ffmpeg would decode is not the matter here.
sys.modules["serkit.audio"].Ffmpeg = lambda source, *_: (_ for _ in ()).throw(audio.AudioError("ffmpeg"))
noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1600)
SIZES = [bytes(4), b"\\xff" * 4, b"\\x7f\\xff\\xff\\xff", b"\\xff\\xff\\xff\\x7f"]
SIZES += [b"\\x80" + bytes(3), b"\\xff" * 8, bytes(8)]
KINDS = ["WAV", "WAV IMA_ADPCM", "WAV MS_ADPCM", "WAV GSM610", "WAV G721_32", "WAV NMS_ADPCM_16", "WAV DOUBLE", "WAVEX"]
KINDS += ["RF64", "W64", "W64 GSM610", "AIFF", "AIFF IMA_ADPCM", "AIFF DWVW_16", "AIFF GSM610", "AIFF ULAW", "AU"]
KINDS += ["AU G723_24", "AU G721_32", "CAF", "CAF ALAC_16", "NIST", "FLAC", "OGG VORBIS", "OGG OPUS", *sys.argv[2:]]
seeds = []
for kind in KINDS:
    format, _, subtype = kind.partition(" ")
    file = io.BytesIO()
    soundfile.write(file, noise, 16000, format=format, subtype=subtype or None)
    seeds.append(file.getvalue())
chance = random.Random(7)
for _ in range(int(sys.argv[1])):
    content = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        place = chance.randrange(min(len(content), chance.choice((16, 64, 128, 512, len(content)))) or 1)
        size = chance.choice(SIZES)
        what = chance.random()
        if what < 0.4:
            content[place : place + 1] = chance.randbytes(1)
        elif what < 0.7:
            content[place : place + len(size)] = size
        elif what < 0.8:
            del content[place : place + chance.randrange(1, 64)]
        elif what < 0.9:
            content[place:place] = chance.randbytes(chance.randrange(1, 32))
        else:
            del content[max(1, place) :]
    recording = audio.InMemory(bytes(content))
    for function in (audio.info, audio.read, audio.content_hash, lambda it: audio.read(it, start=0.03, end=0.05)):
        try:
            if audio.info(recording).frames < 1e7:
                function(recording)
        except audio.AudioError as error:
            assert str(error).isprintable(), error
print("done", file=sys.stderr)
"""


def fuzz(rounds, *kinds):
    command = [sys.executable, "-c", FUZZ, str(rounds), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_changed_headers_print_nothing():
    assert fuzz(1500) == ("", "done\n")


def test_changed_mp3_prints_only_the_remarks_of_its_decoder():
    printed, said = fuzz(300, *["MP3"] * 40)
    assert printed == ""
    # libmpg123 cannot be told to be quiet through libsndfile.
    rest = [line for line in said.splitlines() if not line.startswith(("[src/libmpg123", "Note: ", "Warning: Xing"))]
    assert [line for line in rest if line] == ["done"]


LONG = {
    "ones": b"\xff" * 3_000_000,
    "MP3 headers": b"\xff\xfb\x90" * 300_000,
    "MP3 headers that lead nowhere": (b"\xff\xfb\x90\x00" + bytes(7)) * 200_000,
    "Ogg marks": b"OggS\0" * 600_000,
    "Ogg pages without sound": (b"OggS\0\2" + bytes(20) + b"\0") * 100_000,
    "FLAC marks": b"fLaC" * 700_000,
    "FLAC headers": encode("FLAC")[:42] * 50_000,
    "ID3 tags": b"ID3\x04\0\0\0\0\0\0" * 300_000,
    "chunks": b"RIFF\xff\xff\xff\xffWAVE" + b"JUNK\0\0\0\0" * 300_000,
    "chunks of CAF": b"caff\0\1\0\0" + b"free\0\0\0\0\0\0\0\0" * 200_000,
    "chunks of Wave64": b"riff\x2e\x91\xcf\x11" + bytes(32) + bytes(24) * 100_000,
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_made_to_take_long_does_not(capfd, name):
    began = time.process_time()
    with audio.collecting_warnings(), contextlib.suppress(AudioError):
        audio.read(InMemory(LONG[name]))
    assert time.process_time() - began < 5
    assert capfd.readouterr().out == ""
