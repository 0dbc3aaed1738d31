"""A bundle that gives numbers, computed by hand."""

import csv
import io
import json

import numpy as np
import pytest

from serkit import audio, features
from serkit.cli import run
from serkit.errors import UserError
from serkit.recognition import formats
from serkit.recognition.bundle import Bundle, BundleError
from serkit.recognition.formats import Format
from serkit.recognition.recognizer import Failure, Prediction, load

NUMBERS = [{"name": "valence", "low": -1.0, "high": 1.0}, {"name": "arousal", "low": 0.0, "high": 9.0}]
NAMES = ["valence", "arousal"]


@pytest.fixture(scope="module")
def linear(network):
    """`model.onnx` without a softmax, weights and bias."""
    return network({"mel": 64}, labels=2, output="values", softmax=False)


@pytest.fixture
def folder(tmp_path, linear, description):
    described = description(numbers=NUMBERS, labels=[], target="valence")
    return described.save(tmp_path / "levels", linear[0], "# Levels\n").folder


def test_numbers_are_the_mean_over_the_windows(folder, linear, noise, tmp_path):
    noise(tmp_path / "call.wav", seconds=2.5)
    found = load(folder)(tmp_path / "call.wav")
    assert (found.label, found.confidence, found.probabilities) == ("", 0.0, {})
    samples, rate = audio.read(tmp_path / "call.wav", 16000)
    mel = features.build("log_mel")
    windows = [samples[begin : begin + rate] for begin in range(0, len(samples), rate)]
    expected = np.mean([mel(window).mean(axis=1) @ linear[1] + linear[2] for window in windows], axis=0)
    assert list(found.values) == NAMES
    assert list(found.values.values()) == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_description_says_what_the_outputs_are(folder):
    bundle = Bundle.load(folder)
    assert (bundle.output, bundle.outputs, bundle.labels) == ("values", NAMES, [])
    assert [(number.low, number.high) for number in bundle.numbers] == [(-1, 1), (0, 9)]


def test_numbers_do_not_adapt(tmp_path, linear, description, noise):
    statistics = {"means": {"mel": [0.0] * 64}, "narrow": 1.0, "wide": 2.0}
    for name, adaptation in (("plain", None), ("able", statistics)):
        described = description(numbers=NUMBERS, labels=[], target="valence", adaptation=adaptation)
        levels = load(described.save(tmp_path / name, linear[0], "# Levels\n").folder)
        with pytest.raises(UserError, match="cannot adapt to a voice: it predicts numbers, not classes"):
            levels.adapt(noise(tmp_path / "call.wav"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": NUMBERS, "labels": ["joy", "fear"]}, "a bundle with numbers cannot have labels"),
        ({"numbers": [], "labels": []}, "at least 2 labels, unless there are numbers"),
        ({"numbers": [{"name": "valence"}], "labels": []}, "key 'numbers.0.low' is missing"),
    ],
)
def test_labels_and_numbers_exclude_each_other(folder, changes, message):
    content = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_a_network_that_does_not_fit_is_refused(tmp_path, description, network):
    described = description(numbers=NUMBERS, labels=[])
    probabilities = network({"mel": 64}, labels=2)[0]
    with pytest.raises(BundleError, match="its only output must be 'values', got 'probabilities'"):
        load(described.save(tmp_path / "other", probabilities, "").folder)
    three = network({"mel": 64}, labels=3, output="values", softmax=False)[0]
    with pytest.raises(BundleError, match=r"\(batch, 3\); 2 numbers require tensor\(float\) \(batch, 2\)"):
        load(described.save(tmp_path / "three", three, "").folder)


def test_values_that_are_not_finite_are_refused(folder, noise, tmp_path, monkeypatch):
    recognizer = load(folder)
    monkeypatch.setattr(recognizer, "_session", type("Broken", (), {"run": lambda *_: [np.array([[np.nan, 0.0]])]})())
    with pytest.raises(BundleError, match="not finite"):
        recognizer.predict_signal(noise(tmp_path / "a.wav", seconds=0.5), 16000)


# --- how it is written

ANSWER = Prediction("a.wav", "", 0.0, {}, 1.5, values={"valence": -0.25, "arousal": 7.0})
FAILED = Failure("b.wav", "b.wav: no audio in it")


def written(format):
    stream = io.StringIO(newline="")
    writer = formats.writer(format, stream, NAMES, numbers=True)
    for result in (ANSWER, FAILED):
        writer.write(result)
    writer.finish()
    return stream.getvalue()


def test_json_has_values_and_neither_label_nor_probabilities():
    answer, failure = map(json.loads, written(Format.jsonl).splitlines())
    assert answer == {"file": "a.wav", "values": ANSWER.values, "duration": 1.5, "warnings": []}
    assert failure == {"file": "b.wav", "error": FAILED.error}
    assert json.loads(written(Format.json)) == [answer, failure]


def test_csv_has_a_column_for_each_number():
    rows = list(csv.reader(io.StringIO(written(Format.csv))))
    assert rows == [
        ["file", "duration", "valence", "arousal", "error"],
        ["a.wav", "1.5", "-0.25", "7.0", ""],
        ["b.wav", "", "", "", "b.wav: no audio in it"],
    ]


def test_the_table_has_a_column_for_each_number():
    lines = written(Format.table).splitlines()
    head = next(line for line in lines if "file" in line)
    assert head.split() == ["file", "valence", "arousal", "seconds", "remarks"]
    assert ["a.wav", "-0.250", "7.000", "1.50"] in [line.split() for line in lines]
    assert any(line.split()[:2] == ["b.wav", "-"] and "no audio in it" in line for line in lines)


@pytest.mark.parametrize("format", [Format.jsonl, Format.csv])
def test_an_interrupted_file_is_gone_on_with_by_the_same_numbers_only(tmp_path, format):
    path = tmp_path / "answers"
    path.write_text(written(format), newline="")
    assert formats.resume(path, format, NAMES, numbers=True) == {"a.wav": True, "b.wav": False}
    with pytest.raises(UserError, match=r"other labels than valence, age \(from another model\)"):
        formats.resume(path, format, ["valence", "age"], numbers=True)
    with pytest.raises(UserError, match=r"other labels than anger, joy \(from another model\)"):
        formats.resume(path, format, ["anger", "joy"])


def test_the_command_writes_numbers(folder, noise, tmp_path, capsys):
    noise(tmp_path / "call.wav")
    assert run(["predict", str(tmp_path / "call.wav"), "--model", str(folder), "--format", "json"]) == 0
    [answer] = json.loads(capsys.readouterr().out)
    assert list(answer["values"]) == NAMES and "label" not in answer
