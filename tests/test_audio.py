import os
import re
import struct
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile
import soxr

from serkit import audio
from serkit.audio import AudioError, AudioWarning
from serkit.errors import UserError

RATE = 16000
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.uniform(-0.9, 0.9, RATE // 2).astype(np.float32)
FORMATS = {
    "wav": {"subtype": "PCM_16"},
    "aiff": {"subtype": "PCM_16"},
    "au": {"subtype": "PCM_16"},
    "flac": {},
    "ogg": {"subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
}


def sine(frequency, seconds, rate=RATE, level=0.5):
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def write(tmp_path):
    """Write a recording named `call.<suffix>`; noise of half a second unless told otherwise."""

    def write(suffix="wav", signal=NOISE, rate=RATE, **options):
        path = tmp_path / f"call.{suffix}"
        soundfile.write(path, signal, rate, **{**FORMATS.get(suffix, {}), **options})
        return path

    return write


@pytest.fixture
def strict():
    """Turn every warning into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        ("wav", "PCM_U8", 2**-7),
        ("wav", "PCM_16", 2**-15),
        ("wav", "PCM_24", 2**-23),
        ("wav", "PCM_32", 2**-24),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("flac", "PCM_16", 2**-15),
        ("flac", "PCM_24", 2**-23),
        ("aiff", "PCM_24", 2**-23),
        ("w64", "PCM_16", 2**-15),
        ("caf", "PCM_16", 2**-15),
    ],
)
def test_lossless_formats_keep_every_sample(write, strict, suffix, subtype, step):
    path = write(suffix, subtype=subtype)
    signal, rate = audio.read(path)
    assert (signal.dtype, rate, signal.shape) == (np.float32, RATE, NOISE.shape)
    assert np.abs(signal - NOISE).max() <= step
    assert audio.info(path) == audio.Info(rate=RATE, channels=1, frames=len(NOISE))
    assert audio.info(path).duration == 0.5


@pytest.mark.parametrize("suffix", ["ogg", "opus", "mp3"])
def test_lossy_formats_keep_sound_length_and_place(write, strict, suffix):
    expected = sine(440, 2.0) * np.hanning(2 * RATE)
    signal, rate = audio.read(write(suffix, expected))
    assert (rate, len(signal)) == (RATE, 2 * RATE)
    error = np.mean(np.square(signal - expected)) / np.mean(np.square(expected))
    assert 10 * np.log10(error) < -20  # a shift by one sample alone gives -15 dB


def test_channels_are_chosen_or_mixed_to_their_mean(write):
    signals = np.stack([NOISE, -0.5 * NOISE, np.roll(NOISE, 7)], axis=1)
    path = write(signal=signals, subtype="FLOAT")
    for channel in range(3):
        np.testing.assert_array_equal(audio.read(path, channel=channel)[0], signals[:, channel])
    np.testing.assert_allclose(audio.read(path)[0], signals.mean(axis=1), atol=1e-7)
    for channel in (3, -1):
        with pytest.raises(AudioError, match=f"no channel {channel}; it has 3, counted from 0"):
            audio.read(path, channel=channel)


@pytest.mark.parametrize("stored", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling_keeps_frequency_level_and_length(write, stored):
    path = write(signal=sine(1000, 1.0, stored), rate=stored, subtype="FLOAT")
    signal, rate = audio.read(path, RATE)
    assert (rate, signal.dtype, len(signal)) == (RATE, np.float32, RATE)
    inner = slice(500, -500)  # the filter rings at the ends
    np.testing.assert_allclose(signal[inner], sine(1000, 1.0)[inner], atol=5e-4)
    np.testing.assert_allclose(signal, soxr.resample(audio.read(path)[0], stored, RATE), atol=1e-6)


def test_what_the_new_rate_cannot_hold_is_removed(write):
    path = write(signal=sine(10000, 1.0, 44100), rate=44100)
    assert np.abs(audio.read(path, RATE)[0][500:-500]).max() < 1e-3


def test_resample_by_hand():
    signal = NOISE[:100]
    assert audio.resample(signal, RATE, RATE) is signal
    slow = audio.resample(sine(100, 1.0).astype(np.float32), RATE, 8000)
    assert slow.dtype == np.float32
    np.testing.assert_allclose(slow[200:-200], sine(100, 1.0, 8000)[200:-200], atol=5e-4)


@pytest.mark.parametrize("seconds", [0.001, 0.0371, 0.2, 30.0])
@pytest.mark.parametrize("rate", [None, 8000, 11025, 44100])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_blocks_joined_are_what_read_returns(write, suffix, rate, seconds):
    path = write(suffix, np.stack([NOISE, NOISE[::-1]], axis=1))
    whole, found = audio.read(path, rate, start=0.1, end=0.45)
    parts = list(audio.blocks(path, rate, start=0.1, end=0.45, seconds=seconds))
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), whole)
    assert {value for _, value in parts} == {found} == {rate or RATE}
    assert len(parts) == -(-5600 // min(5600, int(seconds * RATE)))


def test_a_block_shorter_than_a_sample_is_a_sample(write):
    path = write(signal=NOISE[:20])
    assert [len(part) for part, _ in audio.blocks(path, seconds=1e-9)] == [1] * 20


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("start", "end"), [(None, 0.2), (0.1, 0.3), (0.25004, None), (0.3, 0.30007), (0.1, 0.54)])
def test_intervals_are_exact_to_the_sample(write, suffix, start, end):
    path = write(suffix)
    whole, _ = audio.read(path)
    expected = whole[round((start or 0) * RATE) : len(whole) if end is None else round(end * RATE)]
    signal, _ = audio.read(path, start=start, end=end)
    np.testing.assert_array_equal(signal, expected)


@pytest.mark.parametrize(
    ("start", "end"), [(0.5, None), (-0.1, 0.2), (0.3, 0.2), (0.2, 0.2), (0.1, 0.56), (float("nan"), 0.2)]
)
def test_an_interval_outside_says_how_long_the_recording_is(write, start, end):
    with pytest.raises(AudioError, match=r"has no interval \S+ to \S+ s; it lasts 0\.500 s"):
        audio.read(write(), start=start, end=end)


def test_an_interval_between_two_samples_is_an_error(write):
    with pytest.raises(AudioError, match="contains no sample"):
        audio.read(write(), start=0.10001, end=0.10002)


def header_only(path):
    path.write_bytes(path.read_bytes()[:44])


def cut(path, part=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.wav", None, "no such file"),
        ("empty.wav", b"", r"empty file \(0 bytes\)"),
        ("text.wav", b"no sound at all\n" * 100, r"not audio that serkit can read \(format not recognized\)"),
        ("text.mp3", b"no sound at all\n" * 100, r"not audio that serkit can read \(format not recognized\)"),
        ("text.raw", b"no sound at all\n" * 100, "not audio that serkit can read"),
        ("junk.flac", b"fLaC" + bytes(500), "not audio that serkit can read"),
        ("junk.ogg", b"OggS" + bytes(500), "not audio that serkit can read"),
    ],
)
@pytest.mark.parametrize("function", [audio.info, audio.read, audio.content_hash])
def test_what_is_no_recording(tmp_path, strict, function, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        function(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UserError)


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(AudioError, match="is a folder, not a recording"):
        audio.read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_is_no_recording(tmp_path):
    os.mkfifo(tmp_path / "call.wav")
    with pytest.raises(AudioError, match=r"call\.wav: is a pipe or a device; save it to a file first"):
        audio.read(tmp_path / "call.wav")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_not_utf8(write, tmp_path):
    path = tmp_path / os.fsdecode(b"gr\xfcn.wav")
    os.rename(write(), path)
    assert len(audio.read(path)[0]) == len(audio.read(str(path))[0]) == len(NOISE)


@pytest.mark.parametrize("suffix", sorted(FORMATS.keys() - {"au"}))
def test_a_header_without_samples_is_an_error(write, suffix):
    path = write(suffix)
    header_only(path)
    with pytest.raises(AudioError, match=re.escape(str(path))):
        audio.read(path)


def test_a_flac_header_is_an_error_at_any_start(write):
    path = write("flac")
    header_only(path)
    with pytest.raises(AudioError, match=r"contains no audio \(0 samples could be decoded\)"):
        audio.read(path, start=0.2)


def test_a_wav_without_samples(write):
    with pytest.raises(AudioError, match=r"contains no audio \(0 samples\)"):
        audio.info(write(signal=np.zeros(0)))


@pytest.mark.parametrize("rate", [1, 999])
def test_a_rate_without_speech_is_refused_at_once(write, rate):
    path = write(signal=np.full(50_000, 0.5), rate=rate)  # at 1 Hz 14 hours, which resampling would make 800 million
    for read in (audio.info, audio.read):
        with pytest.raises(AudioError, match=rf"call\.wav: its sampling rate must be at least 1000 Hz, got {rate} Hz$"):
            read(path)
    assert audio.info(write(rate=1000)).rate == 1000


@pytest.mark.parametrize(("samples", "rate", "left"), [(1, 96000, 0), (5, 192000, 0), (3, 96000, 1), (1, 22050, 1)])
def test_a_recording_of_which_resampling_leaves_nothing(write, samples, rate, left):
    path = write(signal=np.full(samples, 0.5), rate=rate)
    assert len(audio.read(path)[0]) == samples
    if left:
        assert len(audio.read(path, RATE)[0]) == left
    else:
        with pytest.raises(AudioError, match=r"call\.wav: too short: it has no sample at 16000 Hz"):
            audio.read(path, RATE)


@pytest.mark.parametrize("value", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf]])
def test_what_is_not_a_number_is_found(write, strict, value):
    signal = NOISE.copy()
    signal[4000 : 4000 + len(value)] = value
    path = write(signal=signal, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"not a number or infinite at 0\.250 s"):
        audio.read(path)
    with pytest.raises(AudioError, match=r"not a number or infinite at 0\.250 s"):
        list(audio.blocks(path, seconds=0.06))
    with pytest.raises(AudioError, match=r"not a number or infinite at 0\.250 s"):
        audio.content_hash(path)
    assert len(audio.read(path, end=0.25)[0]) == 4000


@pytest.mark.parametrize(("level", "good"), [(2.0**31, True), (-(2.0**31), True), (1e20, False), (-3e38, False)])
def test_no_sample_is_far_beyond_full_scale(write, strict, level, good):
    signal = NOISE.copy()
    signal[4000] = level
    path = write(signal=signal, subtype="FLOAT")
    if good:
        assert audio.read(path)[0][4000] == np.float32(level)
        return
    with pytest.raises(AudioError, match=r"a sample of [13]e\+\d+ times full scale at 0\.250 s"):
        audio.read(path)


@pytest.mark.parametrize(("level", "silent"), [(0.0, True), (1e-5, True), (1e-4, False)])
def test_silence_is_told(write, level, silent):
    path = write(signal=np.full(RATE, level), subtype="FLOAT")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        signal, _ = audio.read(path)
    assert len(signal) == RATE
    assert [issubclass(warning.category, AudioWarning) for warning in caught] == [True] * silent
    assert all(f"{path}: silent" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("wav", r"truncated \(0\.30 s of 0\.50 s could be read\)"),
        ("aiff", r"truncated \(0\.30 s of 0\.50 s could be read\)"),
        ("au", r"truncated \(0\.30 s of 0\.50 s could be read\)"),
        ("mp3", r"truncated \(0\.\d\d s of 0\.50 s could be read\)"),
    ],
)
def test_a_truncated_recording_is_told_and_gives_what_is_there(write, suffix, message):
    path = write(suffix)
    whole, _ = audio.read(path)
    cut(path)
    with pytest.warns(AudioWarning, match=message):
        signal, _ = audio.read(path)
    assert 0.4 * len(whole) < len(signal) < 0.7 * len(whole)
    end = len(signal) - 1200  # the decoder of an MP3 mends its last frames
    np.testing.assert_allclose(signal[:end], whole[:end], rtol=0, atol=5e-7)


@pytest.mark.parametrize("suffix", ["ogg", "opus"])
def test_a_truncated_ogg_is_told_by_its_missing_end_mark(write, suffix):
    path = write(suffix, np.tile(NOISE, 6))
    cut(path)
    with pytest.warns(AudioWarning, match=r"truncated \(\d\.\d\d s could be read; the end is missing\)"):
        signal, _ = audio.read(path)
    assert 0 < len(signal) < 0.7 * 3 * RATE
    with pytest.warns(AudioWarning, match="truncated"):
        assert audio.info(path).frames == len(signal)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_is_not_truncated(write, strict, size):
    path = write()
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + struct.pack("<I", size) + content[place + 4 :])
    assert len(audio.read(path)[0]) == len(NOISE)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_content_of_a_file_is_read_as_the_file(write, strict, suffix):
    path = write(suffix)
    memory = audio.InMemory(path.read_bytes())
    assert audio.info(memory) == audio.info(path)
    np.testing.assert_array_equal(audio.read(memory, 8000)[0], audio.read(path, 8000)[0])
    assert audio.content_hash(memory) == audio.content_hash(path)


def test_errors_call_a_recording_in_memory_by_its_name(write):
    for content, message in [(b"", "call: empty"), (b"hello", "call: not audio"), (b"\0" * 100, "call: not audio")]:
        with pytest.raises(AudioError, match=message):
            audio.info(audio.InMemory(content, "call"))
    with pytest.raises(AudioError, match="call: has no channel 1"):
        audio.read(audio.InMemory(write().read_bytes(), "call"), channel=1)


@pytest.mark.parametrize("suffix", ["wav", "mp3", "ogg"])
def test_a_recording_in_memory_may_have_to_be_whole(write, strict, suffix):
    path = write(suffix, np.tile(NOISE, 6))
    audio.read(audio.InMemory(path.read_bytes(), whole=True))
    cut(path)
    with pytest.raises(AudioError, match="recording: truncated"):
        audio.read(audio.InMemory(path.read_bytes(), whole=True))
    with pytest.warns(AudioWarning, match="recording: truncated"):
        audio.read(audio.InMemory(path.read_bytes()))


def test_warnings_can_be_collected(write, strict):
    path = write()
    cut(path)
    with audio.collecting_warnings() as texts:
        audio.info(path)
        list(audio.blocks(path))
    assert texts == [f"{path}: truncated (0.30 s of 0.50 s could be read)"]


def test_many_channels_make_no_larger_blocks(tmp_path):
    path = tmp_path / "eight.flac"
    with soundfile.SoundFile(path, "w", 384000, 8, "PCM_16") as file:
        file.write(np.zeros((10 * 384000, 8), dtype=np.int16))
    content = path.read_bytes()
    assert len(content) < 2_000_000
    tracemalloc.start()
    samples = sum(len(block) for block, _ in audio.blocks(audio.InMemory(content), rate=16000))
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 10 * 16000
    assert highest < 40_000_000  # decoded it is 123 MB


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_whole_recording_gives_no_warning(write, strict, suffix):
    path = write(suffix)
    audio.info(path)
    audio.read(path)
    audio.content_hash(path)


def test_the_content_hash_is_of_what_is_heard(write):
    signal = np.round(NOISE * 32767) / 32768
    base = audio.content_hash(write("wav", signal))
    assert re.fullmatch("[0-9a-f]{32}", base)
    assert audio.content_hash(write("flac", signal)) == base
    assert audio.content_hash(write("aiff", signal)) == base
    assert audio.content_hash(write("wav", signal, subtype="FLOAT")) == base
    assert audio.content_hash(write("wav", 0.9 * signal)) != base
    assert audio.content_hash(write("wav", signal[:-1])) != base
    assert audio.content_hash(write("wav", np.append(signal[:-1], 0.5))) != base
    assert audio.content_hash(write("wav", signal, rate=8000)) != base
    # The same samples as two channels of half the length are another recording.
    assert audio.content_hash(write("wav", signal.reshape(-1, 2))) != base


def test_memory_does_not_grow_with_length(tmp_path):
    path = tmp_path / "long.wav"
    minutes = 10
    with soundfile.SoundFile(path, "w", 8000, 2, "PCM_16") as file:
        for _ in range(minutes):
            file.write(np.full((60 * 8000, 2), 0.1))
    tracemalloc.start()
    samples = sum(len(block) for block, _ in audio.blocks(path, rate=4000))
    audio.content_hash(path)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == minutes * 60 * 4000
    assert highest < 8_000_000  # decoded it is 38 MB


@pytest.mark.parametrize("channel", [None, 0, 1])
def test_frames_are_what_blocks_mix(tmp_path, noise, channel):
    noise(tmp_path / "stereo.wav", seconds=0.5, rate=22050, channels=2)
    parts = list(audio.frames(tmp_path / "stereo.wav", seconds=0.1))
    assert [part.shape for part in parts] == [(2205, 2)] * 5
    mixed = np.concatenate([audio.mix(part, channel) for part in parts])
    np.testing.assert_array_equal(mixed, audio.read(tmp_path / "stereo.wav", channel=channel)[0])


def test_warnings_are_collected_or_shown(tmp_path, recwarn):
    soundfile.write(tmp_path / "silent.wav", np.zeros(800), 8000)
    with audio.collecting_warnings() as texts:
        audio.read(tmp_path / "silent.wav")
        audio.read(tmp_path / "silent.wav")
    assert [text.partition(": ")[2][:6] for text in texts] == ["silent"]
    assert not recwarn.list
    with pytest.warns(AudioWarning, match="silent") as caught:
        audio.read(tmp_path / "silent.wav")
    assert len(texts) == 1
    assert caught[0].filename == __file__
