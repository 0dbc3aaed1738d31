"""What a server is sent: whole recordings of every format are answered, truncated ones are not."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from serkit.app.limits import Limits


def encode(format, subtype=None, seconds=2.0, **options):
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(16000 * seconds))
    soundfile.write(file, noise, 16000, format=format, subtype=subtype, **options)
    return file.getvalue()


@pytest.fixture
def convert(tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")

    def convert(suffix, *options, seconds=2.0):
        (tmp_path / "made.wav").write_bytes(encode("WAV", seconds=seconds))
        made = tmp_path / f"made.{suffix}"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", tmp_path / "made.wav", *options, made], check=True)
        return made.read_bytes()

    return convert


def post(client, content):
    return client.post("/v1/predict", content=content)


def test_an_mp3_without_a_length(client):
    content = encode("MP3", bitrate_mode="CONSTANT")
    # Its Xing header is a frame of 144 bytes, as all of them are at 32 kbit/s and 16 kHz.
    size = content.index(b"\xff\xf3", 4)
    bare = content[size:]
    assert b"Xing" not in bare
    assert b"Info" not in bare
    answer = post(client, bare)
    assert answer.status_code == 200, answer.text
    assert answer.json()["warnings"] == []
    assert answer.json()["duration"] == pytest.approx(2.0, abs=0.1)


def test_a_wav_that_counts_its_header(client):
    content = bytearray(encode("WAV", "PCM_16"))
    content[40:44] = len(content).to_bytes(4, "little")
    answer = post(client, bytes(content))
    assert (answer.status_code, answer.json()["warnings"]) == (200, [])


@pytest.mark.parametrize("kind", ["OGG VORBIS", "OGG OPUS", "MP3", "FLAC", "WAV", "AIFF"])
def test_joined_and_truncated(client, kind):
    format, _, subtype = kind.partition(" ")
    content = encode(format, subtype or None)
    answer = post(client, content + content)
    assert answer.status_code == 200
    if format in ("WAV", "AIFF"):
        assert answer.json()["warnings"] == ["recording: another recording after its end is skipped"]
    else:
        assert answer.json()["duration"] == pytest.approx(4.0, abs=0.1)
    cut = post(client, content[: int(0.8 * len(content))])
    assert cut.status_code == 422
    assert cut.json()["error"].startswith("recording: truncated (")


@pytest.mark.parametrize(("suffix", "options"), [("m4a", ()), ("webm", ("-c:a", "libopus")), ("mkv", ("-c:a", "flac"))])
def test_what_goes_through_ffmpeg(client, convert, suffix, options):
    content = convert(suffix, *options)
    answer = post(client, content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["duration"] == pytest.approx(2.0, abs=0.1)
    assert client.post("/v1/timeline", content=content).status_code == 200
    assert post(client, content[: len(content) // 2]).status_code == 422


def test_a_long_one_is_not_decoded_to_its_end(serve, convert):
    content = convert("mka", "-c:a", "flac", seconds=30.0)
    answer = post(serve(longest=5.0), content)
    assert answer.status_code == 413
    assert answer.json() == {"error": f"recording: lasts 6 s; the maximum is 5 s; {Limits().remedy()}"}


def test_without_ffmpeg(client, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = post(client, b"\x00\x00\x00\x20ftypM4A " + bytes(100))
    assert answer.status_code == 422
    assert "MP4 requires ffmpeg" in answer.json()["error"]


def test_a_recording_that_prints(client, capfd):
    answer = post(client, encode("SDS", seconds=0.1))
    assert answer.status_code == 422
    assert "MIDI sample dump" in answer.json()["error"]
    assert capfd.readouterr().out == ""
