"""An answer and a timeline of each channel of a recording."""

import csv
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from serkit import cli
from serkit.app.limits import Limits
from serkit.app.tasks import Task
from serkit.audio import InMemory
from serkit.errors import UserError
from serkit.recognition import Failure, TimelineOptions, load
from serkit.recognition.timeline_formats import FORMATS, as_dict, render

pytestmark = pytest.mark.usefixtures("toy")

OPTIONS = TimelineOptions(detector="none")


@pytest.fixture
def call(tmp_path):
    """Two parties: the first is loud at first, the second later."""
    generator = np.random.default_rng(0)
    samples = generator.normal(0, 0.02, (16000 * 4, 2))
    samples[:32000, 0] *= 10
    samples[32000:, 1] *= 5
    soundfile.write(tmp_path / "call.wav", samples, 16000)
    return tmp_path / "call.wav"


@pytest.fixture
def recognizer(toy):
    return load("toy")


def run(*arguments):
    return cli.run([str(argument) for argument in arguments])


def test_each_channel_has_the_answer_that_it_has_alone(recognizer, call):
    found = recognizer.predict_channels(call)
    assert [one.channel for one in found] == [0, 1] and found[0].probabilities != found[1].probabilities
    assert [one.probabilities for one in found] == [recognizer.predict_file(call, n).probabilities for n in (0, 1)]
    gone = call.with_name("gone.wav")
    listed = list(recognizer.predict_files([call, gone], "each"))
    assert listed[:2] == found and isinstance(listed[2], Failure) and len(listed) == 3


def test_a_warning_names_its_channel(recognizer, call, tmp_path):
    samples, rate = soundfile.read(call)
    samples[:, 1] = 0
    soundfile.write(tmp_path / "half.wav", samples, rate)
    soundfile.write(tmp_path / "none.wav", samples[:, 1], rate)
    half, none = tmp_path / "half.wav", tmp_path / "none.wav"
    silent = "silent (no sample above -96 dB of full scale)"
    assert [one.warnings for one in recognizer.predict_channels(half)] == [(), (f"{half}: channel 1: {silent}",)]
    assert [one.warnings for one in recognizer.predict_channels(none)] == [(f"{none}: {silent}",)]
    assert recognizer.timeline(half, "each", OPTIONS).warnings == (f"{half}: channel 1: {silent}",)


def test_each_channel_has_the_timeline_that_it_has_alone(recognizer, call):
    both = recognizer.timeline(call, "each", OPTIONS)
    assert both.channels == (0, 1)
    for number in (0, 1):
        alone = recognizer.timeline(call, number, OPTIONS)
        part = both.of_channel(number)
        assert (part.windows, part.segments, part.channels) == (alone.windows, alone.segments, None)
    assert [one.start for one in both.segments] == sorted(one.start for one in both.segments)
    with pytest.raises(UserError, match="channel 2 has no timeline"):
        both.of_channel(2)


def test_samples_have_channels_too(recognizer, call):
    samples, rate = soundfile.read(call, dtype="float32")
    both = recognizer.timeline_signal(samples, rate, "each", OPTIONS)
    assert both.segments == recognizer.timeline(call, "each", OPTIONS).segments


def test_a_recording_of_one_channel_has_one_timeline(recognizer, tmp_path, noise):
    noise(tmp_path / "mono.wav", 2.0)
    found = recognizer.timeline(tmp_path / "mono.wav", "each", OPTIONS)
    assert found.channels == (0,) and {one.channel for one in found.segments} == {0}


def test_warnings_name_the_channel(recognizer, tmp_path):
    samples = np.zeros((16000, 2))
    samples[:, 1] = np.random.default_rng(0).normal(0, 0.1, 16000)
    soundfile.write(tmp_path / "half.wav", samples, 16000)
    found = recognizer.timeline(tmp_path / "half.wav", "each", OPTIONS)
    path = tmp_path / "half.wav"
    assert found.warnings == (f"{path}: channel 0: silent (no sample above -96 dB of full scale)",)


def test_each_adapts_to_each_channel_alone(tmp_path, network, description, call):
    table = {"means": {"mel": [-50.0] * 64}, "narrow": 0.001, "wide": 0.002}
    description(adaptation=table).save(tmp_path / "adaptable", network({"mel": 64})[0], "# Adaptable\n")
    recognizer, running = load(tmp_path / "adaptable"), TimelineOptions(detector="none", adapt=True)
    both = recognizer.timeline(call, "each", running)
    assert both.of_channel(1).windows == recognizer.timeline(call, 1, running).windows


@pytest.fixture
def timeline(recognizer, call):
    return recognizer.timeline(call, "each", OPTIONS)


def test_json_names_the_channel_of_each_window_and_segment(timeline, recognizer, call):
    found = as_dict(timeline)
    assert found["channels"] == [0, 1]
    assert {one["channel"] for one in found["segments"]} == {one["channel"] for one in found["windows"]} == {0, 1}
    alone = as_dict(recognizer.timeline(call, 0, OPTIONS))
    assert "channels" not in alone and "channel" not in alone["segments"][0]


@pytest.mark.parametrize(("format", "column"), [("csv", "p_anger"), ("audformat", "confidence")])
def test_tables_have_a_column_for_the_channel(timeline, recognizer, call, format, column):
    rows = list(csv.DictReader(io.StringIO(render(timeline, format))))
    assert [row["channel"] for row in rows] == [str(one.channel) for one in timeline.segments]
    alone = list(csv.DictReader(io.StringIO(render(recognizer.timeline(call, 1, OPTIONS), format))))
    assert "channel" not in alone[0]
    assert [row[column] for row in rows if row["channel"] == "1"] == [row[column] for row in alone]


@pytest.mark.parametrize("format", ["srt", "vtt", "audacity"])
def test_captions_begin_with_the_channel(timeline, format):
    text = render(timeline, format)
    assert text.count("channel 0: ") + text.count("channel 1: ") == len(timeline.segments) >= 2


def test_rttm_counts_channels_from_one(timeline):
    fields = [line.split() for line in render(timeline, "rttm").splitlines()]
    assert [field[2] for field in fields] == [str(one.channel + 1) for one in timeline.segments]


def test_a_textgrid_has_tiers_for_each_channel(timeline):
    text = render(timeline, "textgrid")
    names = [line.split('"')[1] for line in text.splitlines() if "name = " in line]
    assert names == ["emotion 0", "confidence 0", "emotion 1", "confidence 1"] and "size = 4" in text
    assert timeline.segments[0].label in text


def test_an_elan_document_has_tiers_for_each_channel(timeline):
    root = ElementTree.fromstring(render(timeline, "eaf"))
    tiers = {tier.get("TIER_ID"): len(tier) for tier in root.iterfind("TIER")}
    counts = [len(timeline.of_channel(number).segments) for number in (0, 1)]
    names = ["emotion 0", "confidence 0", "emotion 1", "confidence 1"]
    assert tiers == dict(zip(names, [counts[0], counts[0], counts[1], counts[1]], strict=True))


@pytest.mark.parametrize("format", ["table", *FORMATS])
def test_every_format_is_written(call, format, capsys, tmp_path):
    out = tmp_path / f"out{'.txt' if format in ('table', 'audacity') else FORMATS[format].suffix}"
    arguments = ("predict", call, "--model", "toy", "--timeline", "--detector", "none", "--channel", "each")
    assert run(*arguments, "--format", format, "--out", out) == 0
    expected = {"rttm": "SPEAKER call 2 ", "textgrid": "emotion 1", "eaf": "emotion 1"}.get(format, "channel")
    assert expected in out.read_text()


def test_pictures_are_drawn_for_each_channel(call, tmp_path, capsys):
    plot = tmp_path / "call.png"
    assert run("predict", call, "--model", "toy", "--timeline", "--channel", "each", "--plot", plot) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["call-channel-0.png", "call-channel-1.png"]


def test_answers_in_every_format(call, capsys, recognizer):
    def written(format):
        assert run("predict", call, "--model", "toy", "--channel", "each", "--format", format) == 0
        return capsys.readouterr().out

    labels = [one.label for one in recognizer.predict_channels(call)]
    rows = list(csv.DictReader(io.StringIO(written("csv"))))
    assert [(row["channel"], row["label"]) for row in rows] == list(zip("01", labels, strict=True))
    lines = [json.loads(line) for line in written("jsonl").splitlines()]
    assert lines == json.loads(written("json")) and [line["channel"] for line in lines] == [0, 1]
    assert "channel" in written("table")


def test_a_failure_fits_the_columns(call, capsys):
    for extra in ([], ["--timeline"]):
        assert run("predict", call, "gone.wav", "--model", "toy", "--channel", "each", "--format", "csv", *extra) == 1
        header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
        assert {len(row) for row in rows} == {len(header)} and "gone.wav" in rows[0][-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["predict", "--channel", "each", "--resume", "--out", "o.csv"],
            "--resume cannot be combined with --channel each",
        ),
        (["predict", "--channel", "each", "--adapt", "call.wav"], "--adapt cannot be combined with --channel each"),
        (["predict", "--channel", "eech"], "--channel must be a number from 0, 'egg' or 'each', got 'eech'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments, message, call, capsys, monkeypatch):
    monkeypatch.chdir(call.parent)
    assert run(*arguments, "call.wav", "--model", "toy") == 2
    assert message in capsys.readouterr().err


def test_a_stream_reads_one_channel(call, capsys, recognizer):
    assert run("stream", "--source", call, "--fast", "--model", "toy", "--channel", "each") == 2
    assert "a stream reads one channel" in capsys.readouterr().err
    for use in (lambda: recognizer.stream(16000, "each"), lambda: recognizer.predict_file(call, "each")):
        with pytest.raises(UserError, match="channel 'each' is for timelines, predict_files and predict_channels"):
            use()


def test_the_server_s_task_answers_for_each_channel(recognizer, call):
    pytest.importorskip("fastapi")
    recording = InMemory(call.read_bytes(), "call.wav")
    found = json.loads(Task("toy", recording, "each", "json")({"toy": recognizer}, Limits()).text)
    expected = as_dict(recognizer.timeline(recording, "each"))
    assert (found["channels"], found["windows"]) == ([0, 1], expected["windows"])
    plain = json.loads(Task("toy", recording, None, "json")({"toy": recognizer}, Limits()).text)
    assert "channels" not in plain and "channel" not in plain["windows"][0]
    with pytest.raises(UserError, match="channel 'each' is for a timeline"):
        Task("toy", recording, "each")({"toy": recognizer}, Limits())
