"""How long is a recording: whole files give all they hold without a warning, and others a warning that names why."""

import io
import struct

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.audio import AudioError, AudioWarning, InMemory

RATE = 16000
RANDOM = np.random.default_rng(0)
#: Two seconds whose loudness changes, so that bits are spent unevenly and a guess of the length from its start fails.
SOUND = (RANDOM.uniform(-1, 1, 2 * RATE) * np.linspace(0.9, 0.01, 2 * RATE)).astype(np.float32)
NOISE = RANDOM.uniform(-0.9, 0.9, RATE // 2).astype(np.float32)

ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\x00\x00" + bytes([0, 0, 3, 0x74]) + bytes(3 * 128 + 0x74)
APE_HEADER = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 40, 1, 1 << 31 | 1 << 29) + bytes(8)
APE_FOOTER = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 40, 1, 1 << 31) + bytes(8)
APE = APE_HEADER + b"T" * 40 + APE_FOOTER
LYRICS = b"LYRICSBEGIN" + b"x" * 50 + b"000061LYRICS200"


def encode(format, subtype=None, signal=SOUND, rate=RATE, **options):
    file = io.BytesIO()
    soundfile.write(file, signal, rate, format=format, subtype=subtype, **options)
    return file.getvalue()


def frame_size(header):
    """Length in bytes of an MPEG-2 layer III frame at 16 kHz, all that is made here."""
    rates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    return 72 * 1000 * rates[header[2] >> 4] // RATE + (header[2] >> 1 & 1)


def frames_of(mp3):
    """Split an MP3 without tags into its frames."""
    found, place = [], 0
    while place < len(mp3):
        assert mp3[place] == 0xFF
        found.append(mp3[place : place + frame_size(mp3[place:])])
        place += len(found[-1])
    return found


XING = encode("MP3", bitrate_mode="VARIABLE", compression_level=0.9)
FRAMES = frames_of(XING)
#: The same without its Xing header: nothing says how long it is.
BARE = b"".join(FRAMES[1:])
CONSTANT = b"".join(frames_of(encode("MP3", bitrate_mode="CONSTANT"))[1:])
VBRI = FRAMES[0][:4] + bytes(32) + b"VBRI" + bytes(len(FRAMES[0]) - 40)
VORBIS, OPUS = encode("OGG", "VORBIS"), encode("OGG", "OPUS")
FLAC, WAV = encode("FLAC"), encode("WAV", "PCM_16")
SAMPLES = 576 * (len(FRAMES) - 1)


def unknown_length(flac):
    """A FLAC as it comes out of a pipe: its header says neither length nor checksum."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(20) + flac[42:]


def in_wav(mp3, more=0):
    """An MP3 inside a WAV, as ffmpeg writes it; its data chunk may claim more bytes than there are."""
    head = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 8000, 1, 0, 12, 1, 2, 288, 1, 1393)
    fact = b"fact" + struct.pack("<II", 4, 12345)
    body = b"fmt " + struct.pack("<I", len(head)) + head + fact + b"data" + struct.pack("<I", len(mp3) + more) + mp3
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def sized(content, place, size, code="<I"):
    """A file whose field at a place says another size."""
    return content[:place] + struct.pack(code, size) + content[place + struct.calcsize(code) :]


def pages(ogg):
    """Split an Ogg into its pages."""
    begins = [place for place in range(len(ogg)) if ogg.startswith(b"OggS\x00", place)]
    return [ogg[begin:end] for begin, end in zip(begins, [*begins[1:], len(ogg)], strict=True)]


def without_end_mark(ogg):
    """An Ogg whose last page does not say that it is the last, with a right checksum."""
    last = bytearray(pages(ogg)[-1])
    last[5] &= ~4
    last[22:26] = bytes(4)
    check = 0
    for byte in last:
        check ^= byte << 24
        for _ in range(8):
            check = (check << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if check >> 31 else check << 1
    last[22:26] = check.to_bytes(4, "little")
    return ogg[: -len(last)] + bytes(last)


def everything(recording):
    """Length by each of the five functions, which must agree, and what they warned of."""
    with audio.collecting_warnings() as texts:
        info = audio.info(recording)
        signal, rate = audio.read(recording)
        lengths = {
            "info": info.frames,
            "read": len(signal),
            "blocks": sum(len(block) for block, _ in audio.blocks(recording, seconds=0.1)),
            "frames": sum(len(block) for block in audio.frames(recording, seconds=0.3)),
        }
        audio.content_hash(recording)
    assert rate == info.rate
    assert len(set(lengths.values())) == 1, lengths
    return info.frames, [text.partition(": ")[2] for text in texts]


def check(tmp_path, content, samples, warning=None, refused=False):
    """Check a file and the same in memory: its length, its warning, and whether a server takes it."""
    path = tmp_path / "call"
    path.write_bytes(content)
    for recording in (path, InMemory(content)):
        found, texts = everything(recording)
        assert found == samples
        assert len(texts) == (warning is not None), texts
        assert all(text.startswith(warning or "") for text in texts), texts
    whole = InMemory(content, whole=True)
    if refused:
        with pytest.raises(AudioError, match="recording: truncated"):
            audio.read(whole)
    else:
        with audio.collecting_warnings():
            assert len(audio.read(whole)[0]) == samples


WHOLE = {
    "constant rate": (CONSTANT, SAMPLES),
    "variable rate": (BARE, SAMPLES),
    "xing": (XING, len(SOUND)),
    "constant rate in a WAV": (in_wav(CONSTANT), SAMPLES),
    "variable rate in a WAV": (in_wav(BARE), SAMPLES),
    "xing in a WAV": (in_wav(XING), len(SOUND)),
    "VBRI": (VBRI + BARE, SAMPLES),
    "ID3v1 behind": (BARE + ID3V1, SAMPLES),
    "ID3v2 in front": (ID3V2 + BARE, SAMPLES),
    "two ID3v2 in front": (ID3V2 + ID3V2 + XING, len(SOUND)),
    "all tags": (ID3V2 + BARE + APE + LYRICS + ID3V1, SAMPLES),
    "all tags, xing": (ID3V2 + XING + APE + ID3V1, len(SOUND)),
    "ID3v2 in front of a FLAC": (ID3V2 + FLAC, len(SOUND)),
    "ID3v2 in front of a WAV": (ID3V2 + WAV, len(SOUND)),
    "two frames": (FRAMES[1] + FRAMES[2], 2 * 576),
    "FLAC": (FLAC, len(SOUND)),
    "FLAC from a pipe": (unknown_length(FLAC), len(SOUND)),
    "FLAC with a tag behind": (FLAC + ID3V1, len(SOUND)),
    "FLAC of one short frame": (encode("FLAC", signal=NOISE[:100]), 100),
    "short FLAC from a pipe": (unknown_length(encode("FLAC", signal=NOISE[:100])), 100),
    "Vorbis": (VORBIS, len(SOUND)),
    "Opus": (OPUS, len(SOUND)),
    "WAV": (WAV, len(SOUND)),
    "WAV with a chunk behind": (WAV + b"LIST" + struct.pack("<I4s", 4, b"INFO"), len(SOUND)),
    "WAV with junk behind": (WAV + b"\x01junk" * 10, len(SOUND)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_recordings(tmp_path, name):
    check(tmp_path, *WHOLE[name])


@pytest.mark.parametrize("more", [1, 2, 4, 8, 36, 44])
def test_a_wav_that_counts_a_few_bytes_too_many_is_whole(tmp_path, more):
    check(tmp_path, sized(WAV, 40, len(WAV) - 44 + more), len(SOUND))


def test_a_wav_that_counts_its_own_long_header_is_whole(tmp_path):
    content = WAV[:36] + b"JUNK" + struct.pack("<I", 4000) + bytes(4000) + WAV[36:]
    check(tmp_path, sized(content, 36 + 4008 + 4, len(content)), len(SOUND))


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000])
def test_a_size_that_is_no_length_is_none(tmp_path, size):
    check(tmp_path, sized(WAV, 40, size), len(SOUND))
    aiff = encode("AIFF", "PCM_16")
    check(tmp_path, sized(aiff, aiff.index(b"SSND") + 4, size, ">I"), len(SOUND))
    check(tmp_path, sized(encode("AU", "PCM_16"), 8, size, ">I"), len(SOUND))


@pytest.mark.parametrize("format", ["W64", "CAF", "RF64"])
def test_a_size_of_all_ones_is_none(tmp_path, format):
    content = encode(format, "PCM_16")
    place = {"W64": content.index(b"data") + 16, "CAF": content.rindex(b"data") + 4, "RF64": 28}[format]
    check(tmp_path, sized(content, place, -1, "<q"), len(SOUND))


@pytest.mark.parametrize("format", ["WAV", "AIFF", "AU"])
def test_a_size_that_is_too_small(tmp_path, format):
    content = encode(format, "PCM_16")
    places = {"WAV": (40, "<I", 0), "AU": (8, ">I", 0), "AIFF": (content.find(b"SSND") + 4, ">I", 8)}
    place, order, more = places[format]
    text = f"its header declares 1000 bytes of sound; {2 * len(SOUND) - 1000} more bytes, perhaps of sound, are skipped"
    check(tmp_path, sized(content, place, 1000 + more, order), 500, text)


@pytest.mark.parametrize(
    "rest", [bytes(5000), b"LIST" + struct.pack("<I", 5000) + bytes(5000), ID3V2 * 20, b"\xff" * 4095]
)
def test_what_is_no_sound_after_the_end_is_not_reported(tmp_path, rest):
    check(tmp_path, WAV + rest, len(SOUND))


EMPTY = "its header declares 0 bytes of sound; the bytes after it are read as sound"


def test_a_size_of_zero_with_samples_behind(tmp_path):
    check(tmp_path, sized(WAV, 40, 0), len(SOUND), EMPTY)
    riff = sized(sized(WAV, 40, 0), 4, 0)
    check(tmp_path, riff, len(SOUND), EMPTY)
    check(tmp_path, sized(encode("AU", "PCM_16"), 8, 0, ">I"), len(SOUND), EMPTY)
    aiff = encode("AIFF", "PCM_16")
    check(tmp_path, sized(aiff, aiff.index(b"SSND") + 4, 0, ">I"), len(SOUND), EMPTY)
    caf = encode("CAF", "PCM_16")
    check(tmp_path, sized(caf, caf.rindex(b"data") + 4, 0, ">q"), len(SOUND), EMPTY)
    w64 = encode("W64", "PCM_16")
    check(tmp_path, sized(w64, w64.index(b"data") + 16, 24, "<q"), len(SOUND), EMPTY)
    check(tmp_path, sized(encode("RF64", "PCM_16"), 28, 0, "<q"), len(SOUND), EMPTY)


def test_a_size_of_zero_with_nothing_but_chunks_behind():
    content = sized(WAV, 40, 0)[:44] + b"LIST" + struct.pack("<I4s", 4, b"INFO")
    with pytest.raises(AudioError, match=r"contains no audio \(0 samples\)"):
        audio.info(InMemory(content))


def test_an_aiff_that_counts_no_frames(tmp_path):
    content = encode("AIFF", "PCM_16")
    check(tmp_path, sized(content, content.index(b"COMM") + 10, 0, ">I"), len(SOUND))


@pytest.mark.parametrize(("promised", "samples"), [(len(SOUND), None), (0, None), (1000, 1000)])
def test_a_sphere_is_as_long_as_its_header_says(tmp_path, promised, samples):
    old, new = b"sample_count -i %d\n" % len(SOUND), b"sample_count -i %d\n" % promised
    content = encode("NIST", "PCM_16")
    assert old in content
    content = content.replace(old, new)[:1024].ljust(1024, b"\0") + content[1024:]
    check(tmp_path, content, samples or len(SOUND))


JOINED = {
    "Vorbis": (VORBIS + VORBIS, 2 * len(SOUND)),
    "Opus": (OPUS + OPUS, 2 * len(SOUND)),
    "Vorbis and Opus": (VORBIS + OPUS, 2 * len(SOUND)),
    "three": (OPUS + VORBIS + OPUS, 3 * len(SOUND)),
    "Vorbis without an end mark in front": (without_end_mark(VORBIS) + VORBIS, 2 * len(SOUND)),
    "xing": (XING + XING, 2 * len(SOUND)),
    "xing with tags": (ID3V2 + XING + ID3V1 + ID3V2 + XING + ID3V1, 2 * len(SOUND)),
    "bare": (BARE + BARE, 2 * SAMPLES),
    "bare with tags": (ID3V2 + BARE + ID3V1 + ID3V2 + BARE + ID3V1, 2 * SAMPLES),
    "xing and bare": (XING + BARE, len(SOUND) + SAMPLES),
    "bare and xing": (BARE + XING, len(SOUND) + SAMPLES),
    "constant and variable rate": (CONSTANT + BARE, 2 * SAMPLES),
    "FLAC": (FLAC + FLAC, 2 * len(SOUND)),
    "three FLAC": (3 * FLAC, 3 * len(SOUND)),
    "FLAC of two lengths": (FLAC + encode("FLAC", signal=NOISE), len(SOUND) + len(NOISE)),
    "FLAC and one from a pipe": (FLAC + unknown_length(FLAC), 2 * len(SOUND)),
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_recordings_are_read_to_the_end(tmp_path, name):
    check(tmp_path, *JOINED[name])


@pytest.mark.parametrize("first", [VORBIS, OPUS, XING, FLAC])
def test_joined_recordings_sound_as_each_alone(first):
    alone, _ = audio.read(InMemory(first))
    twice, _ = audio.read(InMemory(first + first))
    np.testing.assert_allclose(twice, np.concatenate([alone, alone]), rtol=0, atol=1e-6)
    middle, _ = audio.read(InMemory(first + first), start=1.5, end=2.75)
    np.testing.assert_allclose(middle, twice[round(1.5 * RATE) : round(2.75 * RATE)], rtol=0, atol=1e-6)


LEFT_OUT = "another recording after its end is skipped"


@pytest.mark.parametrize(
    "content",
    [
        VORBIS + encode("OGG", "VORBIS", NOISE, 8000),
        OPUS + encode("OGG", "OPUS", np.stack([NOISE, NOISE], axis=1)),
        XING + encode("MP3", signal=NOISE, rate=44100),
        FLAC + encode("FLAC", signal=NOISE, rate=8000),
        WAV + WAV,
        encode("AIFF", "PCM_16") + encode("AIFF", "PCM_16"),
    ],
    ids=["Vorbis", "Opus", "MP3", "FLAC", "WAV", "AIFF"],
)
def test_what_cannot_be_joined_is_named(tmp_path, content):
    check(tmp_path, content, len(SOUND), LEFT_OUT)


def test_a_broken_recording_behind_a_whole_one(tmp_path):
    second = bytearray(OPUS)
    second[second.index(b"OpusHead") + 8] = 0xFF  # a version that nobody knows; the checksum is wrong too
    check(tmp_path, OPUS + bytes(second), len(SOUND), "one of its recordings is skipped: ")


def test_a_page_that_is_cut_is_a_truncation(tmp_path):
    for ogg in (VORBIS, OPUS):
        kept = b"".join(pages(ogg)[:-1])
        with audio.collecting_warnings():
            left = audio.info(InMemory(kept)).frames
        assert 0.4 * len(SOUND) < left < len(SOUND)
        for more in (1, 20, 30, 500):
            what = f"truncated ({left / RATE:.2f} s could be read; the end is missing)"
            check(tmp_path, kept + pages(ogg)[-1][:more], left, what, refused=True)


def test_whole_pages_without_an_end_mark_are_read_with_a_warning(tmp_path):
    warning = "its end mark is missing; it may be truncated"
    for ogg in (VORBIS, OPUS):
        check(tmp_path, without_end_mark(ogg), len(SOUND), warning)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_recording_without_a_length(tmp_path, share):
    for content in (BARE, CONSTANT, in_wav(BARE)):
        cut = content[: int(share * len(content))]
        with audio.collecting_warnings():
            left = audio.info(InMemory(cut)).frames
        assert 0 < left < SAMPLES
        check(tmp_path, cut, left, f"truncated ({left / RATE:.2f} s could be read", refused=True)


CUT = {
    "PCM WAV": WAV,
    "PCM RIFX": encode("WAV", endian="BIG"),
    **{f"PCM {format}": encode(format, "PCM_16") for format in ("AIFF", "AU", "CAF", "W64", "RF64", "NIST")},
    "FLAC": FLAC,
    "MP3": XING,
    "ADPCM": encode("WAV", "IMA_ADPCM"),
    "GSM": encode("WAV", "GSM610", rate=8000),
}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", CUT)
def test_a_truncated_recording_says_how_much_is_left(tmp_path, name, share):
    content = CUT[name]
    whole = audio.info(InMemory(content))
    cut = content[: int(share * len(content))]
    with audio.collecting_warnings() as texts:
        left = audio.info(InMemory(cut)).frames
    assert 0 < left < whole.frames
    words = texts[0].split()
    assert words[:2] == ["recording:", "truncated"]
    assert float(words[2][1:]) == pytest.approx(left / whole.rate, abs=0.006)
    # Blocks of ADPCM and GSM are cut whole; what they lack is told to within one.
    block = 0.07 / share if name in ("ADPCM", "GSM") else 0.01
    assert float(words[5]) == pytest.approx(whole.duration, abs=block)
    check(tmp_path, cut, left, "truncated", refused=True)


def test_a_flac_from_a_pipe_that_is_truncated(tmp_path):
    cut = unknown_length(FLAC)[: len(FLAC) // 2]
    with audio.collecting_warnings():
        left = audio.info(InMemory(cut)).frames
    assert 0 < left < len(SOUND)
    assert left % 4096 == 0  # whole frames
    np.testing.assert_array_equal(quiet(cut), quiet(FLAC)[:left])
    check(tmp_path, cut, left, f"truncated ({left / RATE:.2f} s could be read", refused=True)


def test_a_flac_whose_last_frame_is_broken(tmp_path):
    for content in (FLAC[:-100], FLAC[:-1000] + bytes(1000)):
        with audio.collecting_warnings() as texts:
            signal, _ = audio.read(InMemory(content))
        np.testing.assert_array_equal(signal, quiet(FLAC)[: len(signal)])
        assert len(SOUND) - 4096 <= len(signal) < len(SOUND)
        assert [text[:21] for text in texts] == ["recording: truncated "]


def quiet(content):
    with audio.collecting_warnings():
        return audio.read(InMemory(content))[0]


def test_what_lies_around_the_frames_of_an_mp3_is_told(tmp_path):
    # 600 bytes of garbage: none of it looks like frames one behind the other.
    garbage = RANDOM.bytes(600)
    half = b"".join(FRAMES[1:40])
    rest = BARE[len(half) :]
    check(tmp_path, XING + bytes(1000), len(SOUND), "1000 bytes after its frames are not sound")
    check(tmp_path, BARE + bytes(1000), SAMPLES, "1000 bytes after its frames are not sound")
    check(tmp_path, bytes(1000) + BARE, SAMPLES, "1000 bytes before its frames are not sound")
    check(tmp_path, half + garbage + rest, SAMPLES, "600 bytes between its frames are not sound")
    check(tmp_path, FRAMES[1][30:] + half, 39 * 576, f"{len(FRAMES[1]) - 30} bytes before its frames")
    check(tmp_path, OPUS + bytes(1000), len(SOUND), "1000 bytes after its pages are not sound")


def test_an_mp3_that_breaks_off_where_another_begins(tmp_path):
    broken = b"".join(FRAMES[:30]) + FRAMES[30][:20] + XING
    with audio.collecting_warnings() as texts:
        found = audio.info(InMemory(broken)).frames
    assert len(SOUND) + 26 * 576 < found < len(SOUND) + 29 * 576
    assert texts[0].startswith("recording: truncated")
    assert float(texts[0].split()[5]) == pytest.approx(2 * len(SOUND) / RATE, abs=0.02)


def test_an_mp3_that_is_mostly_garbage():
    garbage = 1100 * (b"".join(FRAMES[1:6]) + b"junk")
    with pytest.raises(AudioError, match="broken MP3: more garbage than frames"):
        audio.info(InMemory(garbage))


def test_intervals_of_what_cannot_be_sought_in(tmp_path):
    for content in (encode("WAV", "GSM610", rate=8000), encode("WAV", "G721_32", rate=8000)):
        whole, rate = audio.read(InMemory(content))
        part, _ = audio.read(InMemory(content), start=1.2, end=1.7)
        np.testing.assert_array_equal(part, whole[round(1.2 * rate) : round(1.7 * rate)])


@pytest.mark.parametrize("content", [BARE, CONSTANT, in_wav(BARE), unknown_length(FLAC), ID3V2 + XING])
def test_intervals_of_what_has_no_length(content):
    whole = quiet(content)
    part, _ = audio.read(InMemory(content), start=0.7, end=1.9)
    np.testing.assert_allclose(part, whole[round(0.7 * RATE) : round(1.9 * RATE)], rtol=0, atol=5e-7)


def test_a_table_of_silence_in_front_does_not_make_a_flac_look_joined(tmp_path):
    signal = np.concatenate([np.zeros(10 * RATE, np.float32), SOUND])
    check(tmp_path, encode("FLAC", signal=signal), len(signal))


def test_warnings_reach_python_too(tmp_path):
    (tmp_path / "call.mp3").write_bytes(XING + bytes(100))
    with pytest.warns(AudioWarning, match=r"call\.mp3: 100 bytes after its frames are not sound"):
        audio.info(tmp_path / "call.mp3")
