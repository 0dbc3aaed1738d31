"""What people type at a Python prompt and in notebooks."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import serkit
from serkit import audio
from serkit.recognition import Failure, Prediction, Segment, Timeline

LABELS = ("anger", "joy", "neutral", "sadness")


@pytest.fixture
def recognizer(toy):
    return serkit.load("toy")


@pytest.fixture
def call(tmp_path, noise):
    noise(tmp_path / "call.wav")
    return tmp_path / "call.wav"


def forms(path):
    """One recording in every form, with the name that its answer has."""
    samples, rate = soundfile.read(path)
    content = path.read_bytes()
    yield str(path), str(path), {}
    yield path, str(path), {}
    yield content, "recording", {}
    yield bytearray(content), "recording", {}
    yield memoryview(content), "recording", {}
    yield audio.InMemory(content, "mine"), "mine", {}
    yield samples, "signal", {"rate": rate}
    yield samples[:, None], "signal", {"rate": np.int64(rate)}
    yield (samples, rate), "signal", {}
    yield {"array": samples, "sampling_rate": rate}, "signal", {}
    yield {"array": samples, "sampling_rate": rate, "path": "elsewhere.wav"}, "signal", {}
    yield {"raw": samples, "sampling_rate": rate}, "signal", {}
    yield {"bytes": content, "path": None}, "recording", {}
    yield {"bytes": content, "path": "entry.wav"}, "entry.wav", {}
    yield {"bytes": None, "path": str(path)}, str(path), {}
    yield Decoder(samples, rate), "signal", {}


class Decoder:
    """Like the decoder that newer versions of Hugging Face's `datasets` return."""

    def __init__(self, samples, rate):
        self.entry = {"array": samples, "sampling_rate": rate}

    def get_all_samples(self):
        raise AssertionError

    def __getitem__(self, key):
        return self.entry[key]


def test_a_sound_in_any_form_has_the_same_answer(recognizer, call):
    expected = recognizer.predict_file(call).probabilities
    found = [(recognizer(sound, **options), name) for sound, name, options in forms(call)]
    with open(call, "rb") as file:
        found.append((recognizer(file), str(call)))
    assert len(found) == 17
    for prediction, name in found:
        assert prediction.file == name
        assert prediction.probabilities == pytest.approx(expected, abs=1e-6)


def test_a_list_has_an_answer_or_the_failure_of_each(recognizer, call):
    samples, rate = soundfile.read(call)
    found = recognizer([call, "none.wav", b"junk", {"array": samples, "sampling_rate": rate}])
    assert [type(one) for one in found] == [Prediction, Failure, Failure, Prediction]
    assert found[1] == Failure("none.wav", "none.wav: no such file")
    assert recognizer([]) == []
    assert [one.label for one in recognizer([samples, samples], rate=rate)] == [found[0].label] * 2


@pytest.mark.parametrize(
    ("sound", "options", "message"),
    [
        (np.zeros(99), {}, r"samples require their rate in Hz: recognizer\(samples, rate=16000\)"),
        ("call.wav", {"rate": 16000}, "rate must be given with samples only, got str"),
        ({"array": np.zeros(99), "sampling_rate": 1}, {"rate": 16000}, "rate must not be given twice"),
        ((np.zeros(99), 16000), {"rate": 16000}, "rate must not be given twice"),
        ({"array": np.zeros(99)}, {}, "an entry with 'array' requires 'sampling_rate', got array"),
        ({"audio": "x"}, {}, "an entry must have 'array' and 'sampling_rate', or 'path' or 'bytes', got audio"),
        ({}, {}, "got nothing"),
        (7, {}, "a recording must be a path, got int"),
        ([["a.wav"]], {}, "a recording must be a path, got list"),
        (["a.wav"], {"channel": "eg"}, "channel must be a number from 0, or 'egg', got 'eg'"),
    ],
)
def test_mistakes(recognizer, sound, options, message):
    with pytest.raises(serkit.UserError, match=message):
        recognizer(sound, **options)


def test_a_file_that_is_open_as_text(recognizer, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with open(tmp_path / "a.txt") as file, pytest.raises(serkit.UserError, match=r"a\.txt: is open as text; .*'rb'"):
        recognizer(file)


@pytest.fixture
def timeline():
    probabilities = dict(zip(LABELS, (0.6, 0.2, 0.1, 0.1), strict=True))
    segments = [Segment(float(n), n + 1.0, "anger", 0.6, probabilities, sure=n % 2 == 0) for n in range(500)]
    return Timeline("a<b>.wav", 500.0, LABELS, (), tuple(segments))


def test_representations_fit_on_a_screen(recognizer, call, timeline, description):
    many = [f"{number:016x}" for number in range(5000)]
    bundle = description(trained_on={"corpora": ["emodb"], "recordings": many})
    prediction = recognizer(call)
    for one in (recognizer, bundle, str(bundle), prediction, timeline, serkit.models()):
        assert len(repr(one)) < 400 and "\n" not in repr(one)
    assert repr(recognizer) == "Recognizer(Bundle('toy', small: anger, joy, neutral, sadness))".replace(
        "small", recognizer.bundle.system
    )
    assert (
        repr(prediction)
        == f"Prediction({str(call)!r}, 1.7 s: {prediction.label} {prediction.confidence:.2f}, unsure: no speech)"
    )
    assert repr(replace(prediction, sure=True)).endswith(f" {prediction.confidence:.2f})")
    assert repr(replace(prediction, values={"valence": 0.25, "arousal": 1.0})).endswith(
        "1.7 s: valence 0.25, arousal 1)"
    )
    first = "0.0-1.0 anger, 1.0-2.0 anger, 2.0-3.0 anger, 3.0-4.0 anger, ..."
    assert repr(timeline) == f"Timeline('a<b>.wav', 500 s, 500 segments: {first})"
    assert repr(replace(timeline, segments=())) == "Timeline('a<b>.wav', 500 s, no speech)"
    assert repr(replace(timeline, segments=timeline.segments[:1])).endswith("1 segment: 0.0-1.0 anger)")


def test_short_representations_hide_nothing_from_programs(recognizer, call, description):
    prediction = recognizer(call)
    assert pickle.loads(pickle.dumps(prediction)) == prediction
    assert description().model_dump()["trained_on"]["recordings"] == ["0123456789abcdef"]


def test_dictionaries_are_those_of_the_command_line(recognizer, call, timeline):
    from serkit.recognition import formats, timeline_formats

    prediction = recognizer(call)
    assert prediction.to_dict() == formats.as_dict(prediction)
    assert timeline.to_dict() == timeline_formats.as_dict(timeline)
    assert json.loads(json.dumps(timeline.to_dict()))["segments"][0]["label"] == "anger"


def test_frames_have_the_columns_of_the_command_line(recognizer, call, timeline):
    pytest.importorskip("pandas")
    from serkit.recognition.formats import csv_columns
    from serkit.recognition.segments import Layout
    from serkit.recognition.timeline_formats import segment_columns

    prediction = recognizer(call)
    frame = prediction.to_frame()
    assert [*frame.columns, "error"] == csv_columns(LABELS)
    assert frame.loc[0, "label"] == prediction.label and frame.loc[0, "p_joy"] == prediction.probabilities["joy"]
    numbers = replace(prediction, values={"valence": 0.25}).to_frame()
    assert list(numbers.columns) == ["file", "duration", "valence"] and numbers.loc[0, "valence"] == 0.25
    frame = timeline.to_frame()
    assert ",".join([*frame.columns, "error"]) == segment_columns(Layout(tuple(LABELS))).strip()
    assert len(frame) == 500 and frame.loc[3, "start"] == 3.0 and not frame.loc[3, "sure"]
    assert len(replace(timeline, segments=()).to_frame()) == 0


def test_frames_require_pandas(recognizer, call, monkeypatch):
    prediction = recognizer(call)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(serkit.UserError, match=r"to_frame requires pandas: pip install 'serkit\[lab\]'"):
        prediction.to_frame()


def test_tables_of_notebooks_are_escaped(recognizer, call, timeline):
    page = timeline._repr_html_()
    assert "a&lt;b&gt;.wav" in page and "<b>" not in page
    assert page.count("<tr>") == 501 and page.count("unsure") == 250
    prediction = recognizer(call)
    page = prediction._repr_html_()
    ranked = sorted(prediction.probabilities, key=lambda label: -prediction.probabilities[label])
    assert [page.index(f"<td>{label}</td>") for label in ranked] == sorted(
        page.index(f"<td>{label}</td>") for label in LABELS
    )
    assert "<td>valence</td><td>0.25</td>" in replace(prediction, values={"valence": 0.25})._repr_html_()


@pytest.mark.parametrize(
    ("name", "format", "begins"),
    [
        ("a.srt", None, "1\n00:00:00,000 --> "),
        ("A.SRT", None, "1\n"),
        ("a.vtt", None, "WEBVTT"),
        ("a.TextGrid", None, 'File type = "ooTextFile"'),
        ("a.json", None, "{"),
        ("a.csv", None, "file,start,end,label"),
        ("a.csv", "audformat", "file,start,end,emotion"),
        ("a.txt", None, "0"),
        ("a.whatever", "srt", "1\n"),
    ],
)
def test_a_timeline_is_written_in_the_format_of_its_ending(timeline, tmp_path, name, format, begins):
    timeline.write(tmp_path / name, format)
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [
        ("a.doc", None, r"a\.doc: no format has this ending; give one of \.csv, \.eaf, \.json"),
        ("a", None, "no format has this ending"),
        ("a.srt", "sr", "unknown format 'sr'. Did you mean 'srt'?"),
        ("no/folder/a.srt", None, r"a\.srt: cannot be written \(No such file or directory\)"),
    ],
)
def test_mistakes_in_writing(timeline, tmp_path, name, format, message):
    with pytest.raises(serkit.UserError, match=message):
        timeline.write(tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


def test_models_are_those_that_can_be_named(toy):
    assert sorted(bundle.name for bundle in serkit.models()) == ["default", "emodb", "toy"]


def test_a_broken_bundle_is_left_out_with_a_warning(shelf, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(shelf, tmp_path / "shelf")
    (tmp_path / "shelf" / "broken").mkdir()
    (tmp_path / "shelf" / "broken" / "bundle.json").write_text("{")
    monkeypatch.setenv("SERKIT_BUNDLES", str(tmp_path / "shelf"))
    with pytest.warns(UserWarning, match="broken"):
        found = serkit.models()
    assert "toy" in [bundle.name for bundle in found]
