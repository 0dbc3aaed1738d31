import csv

import numpy as np
import pytest
import soundfile

from serkit import audio, features
from serkit.corpora.corpus import Utterance
from serkit.data.feature_table import columns, write
from serkit.data.store import Store
from serkit.errors import UserError


def utterances(tmp_path, noise, count=3):
    paths = [tmp_path / "in" / f"{number}.wav" for number in range(count)]
    for seed, path in enumerate(paths):
        noise(path, seconds=0.5 + 0.1 * seed, seed=seed)
    return [Utterance(id=f"x/{path.stem}", path=path) for path in paths]


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_vector_is_a_row_per_recording(tmp_path, noise):
    found = utterances(tmp_path, noise)
    feature = features.build("log_mel_functionals", bands=8)
    assert write(feature, found, tmp_path / "out.csv", store=Store(tmp_path / "store")) == {}
    header, *rows = rows_of(tmp_path / "out.csv")
    assert header == ["file", *feature.columns] and len(header) == 41
    assert [row[0] for row in rows] == [str(utterance.path) for utterance in found]
    for row, utterance in zip(rows, found, strict=True):
        expected = feature(audio.read(utterance.path, 16000)[0])
        np.testing.assert_array_equal(np.array(row[1:], dtype=np.float32), expected)


def test_a_feature_over_time_is_a_row_per_frame(tmp_path, noise):
    found = utterances(tmp_path, noise, 1)
    feature = features.build("log_mel", bands=4)
    write(feature, found, tmp_path / "out.csv", store=Store(tmp_path / "store"))
    header, *rows = rows_of(tmp_path / "out.csv")
    assert header == ["file", "time", "log_mel_0", "log_mel_1", "log_mel_2", "log_mel_3"]
    values = np.array([row[1:] for row in rows], dtype=np.float32)
    np.testing.assert_allclose(values[:, 0], np.arange(len(rows)) * 0.01, rtol=1e-5)
    np.testing.assert_array_equal(values[:, 1:].T, feature(audio.read(found[0].path, 16000)[0]))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("log_mel", {}),
        ("log_mel", {"fft": 2048, "length": 2048, "center": False}),
        ("stft_magnitude", {}),
        ("stft_magnitude", {"fft": 2048, "length": 2048, "center": False}),
        ("speech_log_mel", {}),
    ],
)
def test_the_time_of_a_frame_is_that_of_its_middle(tmp_path, name, options):
    # A second without any sound, then faint noise with a loud burst of 50 ms around 1.5 s.
    signal = 0.01 * np.random.default_rng(0).standard_normal(32000)
    signal[:16000] = 0
    signal[23600:24400] += 0.5 * np.sin(np.arange(800))
    soundfile.write(tmp_path / "burst.wav", signal, 16000)
    feature = features.build(name, **options)
    utterance = Utterance("x/burst", tmp_path / "burst.wav")
    write(feature, [utterance], tmp_path / "out.csv", store=Store(tmp_path / "store"))
    values = np.array([row[1:] for row in rows_of(tmp_path / "out.csv")[1:]], dtype=float)
    loudness = values[:, 1:].max(axis=1)
    loud = values[loudness > loudness.max() - 0.05 * np.ptp(loudness), 0]
    assert loud.mean() == pytest.approx(1.5, abs=0.008)


def test_parquet_holds_the_same(tmp_path, noise):
    pandas = pytest.importorskip("pandas")
    found = utterances(tmp_path, noise)
    for name, options in (("log_mel", {"bands": 4}), ("log_mel_functionals", {"bands": 4})):
        feature = features.build(name, **options)
        for suffix in ("csv", "parquet"):
            write(feature, found, tmp_path / f"out.{suffix}", store=Store(tmp_path / "store"))
        table = pandas.read_parquet(tmp_path / "out.parquet")
        expected = pandas.read_csv(tmp_path / "out.csv", dtype=dict.fromkeys(table.columns[1:], np.float32))
        pandas.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=1e-6)


def test_a_broken_recording_is_left_out_and_named(tmp_path, noise):
    found = utterances(tmp_path, noise)
    found[1].path.write_bytes(b"no sound")
    failed = write(features.build("log_mel_functionals"), found, tmp_path / "out.csv", store=Store(tmp_path / "store"))
    assert list(failed) == ["x/1"] and "not audio" in failed["x/1"]
    assert [row[0] for row in rows_of(tmp_path / "out.csv")[1:]] == [str(found[0].path), str(found[2].path)]


def test_a_recording_that_is_no_sound_inside_is_left_out_and_named(tmp_path, noise):
    found = utterances(tmp_path, noise)
    not_a_number = np.full(8000, 0.1, dtype=np.float32)
    not_a_number[4000] = np.nan
    soundfile.write(found[0].path, not_a_number, 16000, subtype="FLOAT")
    soundfile.write(found[2].path, [0.1], 96000)
    failed = write(features.build("f0_robust"), found, tmp_path / "out.csv", store=Store(tmp_path / "store"))
    assert set(failed) == {"x/0", "x/2"}
    assert "not a number" in failed["x/0"] and "too short" in failed["x/2"]
    assert {row[0] for row in rows_of(tmp_path / "out.csv")[1:]} == {str(found[1].path)}


def test_what_cannot_be_a_table_is_refused(tmp_path, noise):
    found = utterances(tmp_path, noise, 1)
    with pytest.raises(UserError, match=r"out\.txt: must end in \.csv, \.parquet or \.arff"):
        write(features.build("log_mel"), found, tmp_path / "out.txt")

    class Image:
        name, shape = "image", (3, 8, 8)

    with pytest.raises(UserError, match="shape"):
        columns(Image())
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*"))
