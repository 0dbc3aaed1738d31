"""What libsndfile lacks goes through ffmpeg: the same samples everywhere, within bounds, from no other file."""

import os
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.audio import AudioError, InMemory, ffmpeg

RATE = 16000

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

#: How each is made: the options of ffmpeg.
MADE = {
    "m4a": (),
    "mp4": (),
    "mov": (),
    "3gp": ("-c:a", "aac"),
    "aac": (),
    "mkv": ("-c:a", "pcm_s16le"),
    "mka": ("-c:a", "flac"),
    "webm": ("-c:a", "libopus"),
    "wma": (),
    "avi": ("-c:a", "pcm_s16le"),
}
LOSSLESS = ("mkv", "mka", "avi")


def run_ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True)
    if done.returncode and b"nknown encoder" in done.stderr:
        pytest.skip("this ffmpeg lacks the encoder")
    assert not done.returncode, done.stderr


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Two seconds of a sound that is nowhere the same."""
    times = np.arange(2 * RATE) / RATE
    signal = 0.5 * np.sin(2 * np.pi * (200 * times + 300 * times**2)) * np.hanning(len(times))
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    soundfile.write(path, signal, RATE)
    return path


@pytest.fixture
def make(speech, tmp_path):
    def make(suffix, *options, name="call"):
        path = tmp_path / f"{name}.{suffix}"
        run_ffmpeg("-i", speech, *(options or MADE[suffix]), f"file:{path}")
        return path

    return make


@pytest.fixture(autouse=True)
def forget():
    """Decode anew in each test."""
    ffmpeg._memory = ffmpeg._Memory()


@needs_ffmpeg
@pytest.mark.parametrize("suffix", MADE)
def test_every_function_hears_the_same(make, speech, suffix, recwarn):
    path = make(suffix)
    assert path.suffix in audio.SUFFIXES
    info = audio.info(path)
    signal, rate = audio.read(path)
    expected, _ = audio.read(speech, rate)
    assert (info.rate, info.channels, info.frames) == (rate, 1, len(signal))
    assert info.duration == pytest.approx(2.0, abs=0.15)
    if suffix in LOSSLESS:
        np.testing.assert_array_equal(signal, expected)
        assert audio.content_hash(path) == audio.content_hash(speech)
    # Coders add or take some milliseconds in front.
    shift = np.argmax(np.correlate(signal[: 2 * rate], expected[: rate * 2 - 4000], "full")) - (len(expected) - 4001)
    assert abs(shift / rate) < 0.1
    assert sum(len(block) for block, _ in audio.blocks(path, seconds=0.1)) == info.frames
    assert sum(len(block) for block in audio.frames(path, seconds=0.3)) == info.frames
    part, _ = audio.read(path, start=0.75, end=1.5)
    np.testing.assert_array_equal(part, signal[round(0.75 * rate) : round(1.5 * rate)])
    memory = InMemory(path.read_bytes(), whole=True)
    assert audio.info(memory) == info
    np.testing.assert_array_equal(audio.read(memory)[0], signal)
    assert audio.content_hash(memory) == audio.content_hash(path)
    assert not recwarn.list


@needs_ffmpeg
def test_the_sound_of_a_video(speech, tmp_path):
    path = tmp_path / "video.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=d=2:s=64x64", "-i", speech, path)
    assert audio.info(path).duration == pytest.approx(2.0, abs=0.1)
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", path)
    with pytest.raises(AudioError, match=r"video\.mp4: contains no sound, only pictures"):
        audio.info(path)


@needs_ffmpeg
def test_channels_and_rates(speech, tmp_path):
    soundfile.write(tmp_path / "two.wav", np.stack([audio.read(speech)[0], np.zeros(2 * RATE)], axis=1), RATE)
    run_ffmpeg("-i", tmp_path / "two.wav", "-c:a", "flac", "-ar", "44100", tmp_path / "two.mka")
    assert audio.info(tmp_path / "two.mka") == audio.Info(44100, 2, 88200)
    assert np.abs(audio.read(tmp_path / "two.mka", channel=1)[0]).max() < 1e-3
    assert np.abs(audio.read(tmp_path / "two.mka", channel=0)[0]).max() > 0.4
    with pytest.raises(AudioError, match="no channel 2; it has 2"):
        audio.read(tmp_path / "two.mka", channel=2)


@needs_ffmpeg
def test_codings_of_known_containers_that_libsndfile_lacks(make, speech):
    wma = make("wav", "-c:a", "wmav2")
    assert audio.info(wma).duration == pytest.approx(2.0, abs=0.1)
    alac = make("caf", "-c:a", "alac")
    np.testing.assert_array_equal(audio.read(alac)[0], audio.read(speech)[0])
    speex = make("ogg", "-c:a", "libspeex")
    assert audio.info(speex).duration == pytest.approx(2.0, abs=0.1)


@needs_ffmpeg
def test_amr_by_hand(tmp_path):
    # Each frame of 20 ms: a byte with the mode (0: 4.75 kbit/s) and a mark, and 12 bytes.
    frames = [b"\x04" + bytes(np.random.default_rng(index).integers(0, 256, 12, np.uint8)) for index in range(50)]
    path = tmp_path / "call.amr"
    path.write_bytes(b"#!AMR\n" + b"".join(frames))
    assert audio.info(path) == audio.Info(8000, 1, 50 * 160)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "aac", "mkv", "webm", "wma", "avi"])
def test_a_truncated_recording_is_told(make, suffix):
    path = make(suffix, *MADE[suffix], *(("-movflags", "+faststart") if suffix == "m4a" else ()))
    content = path.read_bytes()
    cut = InMemory(content[: int(0.6 * len(content))])
    with audio.collecting_warnings() as texts:
        signal, rate = audio.read(cut)
    assert 0.5 < len(signal) / rate < 1.7
    assert texts == [f"recording: truncated ({len(signal) / rate:.2f} s could be read; the end is missing)"]
    with pytest.raises(AudioError, match="recording: truncated"):
        audio.info(InMemory(cut.content, whole=True))


@needs_ffmpeg
def test_an_mp4_whose_index_is_cut_off(make):
    content = make("m4a").read_bytes()
    with pytest.raises(AudioError, match=r"recording: not audio that serkit can read \(MP4: moov atom not found"):
        audio.info(InMemory(content[: int(0.6 * len(content))]))


@needs_ffmpeg
@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
@pytest.mark.parametrize("name", ["-i", "-y", "concat:a", "http://", "pipe:0", "a%03d", "q\"uo'te $(x)", "n\nl", "é"])
def test_names_that_mean_something_to_ffmpeg(make, tmp_path, monkeypatch, name):
    folder = tmp_path / "names"
    target = folder / f"{name}.m4a"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(make("m4a"), target)
    monkeypatch.chdir(folder)
    relative = f"{name}.m4a"
    assert audio.info(relative).duration == pytest.approx(2.0, abs=0.1)


@needs_ffmpeg
@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_not_utf8(make, tmp_path):
    path = tmp_path / os.fsdecode(b"gr\xfcn.m4a")
    os.rename(make("m4a"), path)
    assert audio.info(path).duration == pytest.approx(2.0, abs=0.1)


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{secret}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>file://{secret}</BaseURL></Period></MPD>',
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{secret}"/></svg>',
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n{secret}\n",
    "lavfi": "amovie={secret}",
    "empty boxes": "\x00\x00\x00\x08ftyp",
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("suffix", ["m4a", "webm", "avi", "m3u8"])
def test_what_names_other_files_is_not_opened(speech, tmp_path, name, suffix):
    text = PLAYLISTS[name].format(secret=speech)
    path = tmp_path / f"call.{suffix}"
    path.write_text(text)
    for recording in (path, InMemory(text.encode())):
        with pytest.raises(AudioError):
            audio.info(recording)


@needs_ffmpeg
def test_a_video_that_refers_to_another_file(make, tmp_path):
    # QuickTime may keep its samples elsewhere: the entry of its table of places becomes an alias by name.
    content = make("mov").read_bytes()
    assert content.count(b"url \x00\x00\x00\x01") >= 1
    (tmp_path / "call.mov").write_bytes(content.replace(b"url \x00\x00\x00\x01", b"alis\x00\x00\x00\x00"))
    with audio.collecting_warnings():
        try:
            audio.info(tmp_path / "call.mov")
        except AudioError as error:
            assert "\n" not in str(error)


def test_without_ffmpeg_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "call.m4a"
    path.write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", str(tmp_path))
    for recording in (path, InMemory(path.read_bytes(), "call.m4a")):
        with pytest.raises(AudioError, match=r"call\.m4a: MP4 requires ffmpeg, .* apt install ffmpeg"):
            audio.info(recording)


# --- a program that misbehaves in the place of ffmpeg


@pytest.fixture
def instead(tmp_path, monkeypatch):
    """The function that puts a Python script in the place of ffmpeg, and makes a recording for it."""
    if os.name == "nt":
        pytest.skip("needs scripts that can be executed")

    def instead(script):
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\nimport os, struct, sys, time\nout = sys.stdout.buffer\n{script}")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        path = tmp_path / "call.m4a"
        path.write_bytes(b"\x00\x00\x00\x20ftypM4A " + bytes(100))
        return path

    return instead


HEADER = 'out.write(struct.pack(">4s5I", b".snd", 24, 0xFFFFFFFF, 6, 8000, 1)); out.flush()\n'


def test_it_is_ended_where_it_gives_nothing(instead, monkeypatch):
    monkeypatch.setattr(ffmpeg, "PATIENCE", 0.5)
    path = instead(HEADER + "time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(AudioError, match=r"call\.m4a: ffmpeg took more than 0\.5 s to decode a part"):
        audio.info(path)
    assert time.monotonic() - began < 20


def test_it_is_ended_where_it_never_ends(instead, monkeypatch):
    monkeypatch.setattr(ffmpeg, "LONGEST_HOURS", 1 / 3600)
    path = instead(HEADER + "while True: out.write(bytes(65536))")
    with pytest.raises(AudioError, match="longer than"):
        audio.info(path)


def test_what_it_says_is_one_short_line(instead):
    path = instead('sys.stderr.write("[mov @ 0x1f] it is\\nbroken \\x1b[31m" + "x" * 10_000_000); sys.exit(1)')
    with pytest.raises(AudioError) as caught:
        audio.info(path)
    text = str(caught.value)
    assert "it is; broken" in text
    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.parametrize("header", ["24, 0, 6, 8000, 0", "24, 0, 6, 8000, 9999", "24, 0, 6, 0, 1", "24, 0, 3, 8000, 1"])
def test_what_it_gives_is_checked(instead, header):
    path = instead(f'out.write(struct.pack(">4s5I", b".snd", {header}) + bytes(100))')
    with pytest.raises(AudioError, match="has an unsupported format"):
        audio.info(path)


def test_it_ends_with_the_reader(instead, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "_KEPT_EACH", 0)
    note = f'open({str(tmp_path / "pids")!r}, "a").write(f"{{os.getpid()}}\\n")\n'
    path = instead(note + HEADER + "out.write(bytes(4 * 8000 * 20))")
    blocks = audio.blocks(path, seconds=1.0)
    next(blocks)
    blocks.close()
    with pytest.raises(ZeroDivisionError):
        for _ in audio.frames(path, seconds=1.0):
            raise ZeroDivisionError
    for pid in (tmp_path / "pids").read_text().split():
        assert not Path(f"/proc/{pid}").exists()
    assert not [thread.name for thread in threading.enumerate() if "_listen" in thread.name]


def test_a_long_recording_is_not_kept(instead, monkeypatch):
    path = instead(HEADER + "for _ in range(1200): out.write(bytes(4 * 8000))")
    tracemalloc.start()
    assert audio.info(path).duration == 1200
    samples = sum(len(block) for block, _ in audio.blocks(path, rate=4000, seconds=10))
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 1200 * 4000
    assert highest < 25_000_000  # decoded it is 38 MB


def test_a_short_recording_is_decoded_once(instead, tmp_path):
    note = f'open({str(tmp_path / "runs")!r}, "a").write("x")\n'
    path = instead(note + HEADER + 'out.write(struct.pack(">f", 0.5) * 8000)')
    for _ in range(3):
        assert audio.info(path).frames == len(audio.read(path)[0]) == 8000
        audio.content_hash(path)
    signal, _ = audio.read(path)
    signal[:] = 0  # is the caller's own
    assert audio.read(path)[0][0] == 0.5
    assert (tmp_path / "runs").read_text() == "x"
    path.write_bytes(path.read_bytes() + b"changed")
    audio.info(path)
    assert (tmp_path / "runs").read_text() == "xx"


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(ffmpeg, "_KEPT", 3000)
    monkeypatch.setattr(ffmpeg, "_LENGTHS", 5)
    memory = ffmpeg._Memory()
    for index in range(8):
        memory.keep((index,), ffmpeg._Measured(8000, 1, 250, None, (), np.zeros((250, 1), np.float32)))
    found = [memory.find((index,)) for index in range(8)]
    assert [entry is not None for entry in found] == [False] * 3 + [True] * 5
    assert [entry.samples is not None for entry in found[3:]] == [False, False, True, True, True]


def test_it_cannot_be_started(tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("needs scripts that can be executed")
    (tmp_path / "ffmpeg").write_bytes(b"\x7fELF no program")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"recording: cannot start \S+ffmpeg"):
        audio.info(InMemory(b"\x00\x00\x00\x20ftypM4A " + bytes(100)))


def test_it_dies_amid_the_sound(instead):
    path = instead(HEADER + "out.write(bytes(32000)); out.flush(); os.kill(os.getpid(), 11)")
    with audio.collecting_warnings() as texts:
        assert audio.info(path).frames == 8000
    assert texts == [f"{path}: truncated (1.00 s could be read; the end is missing)"]


def test_a_header_of_au_may_be_longer(instead):
    header = 'out.write(struct.pack(">4s5I", b".snd", 40, 0, 6, 8000, 2) + bytes(16))\n'
    path = instead(header + 'out.write(struct.pack(">4f", 1, 2, 3, 4))')
    np.testing.assert_array_equal(next(audio.frames(path)), [[1, 2], [3, 4]])
