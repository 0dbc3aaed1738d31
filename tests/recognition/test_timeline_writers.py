import io
import json

import pytest

from serkit.errors import UserError
from serkit.recognition import Failure, Segment, Timeline
from serkit.recognition.segments import Layout
from serkit.recognition.timeline_format_names import TimelineFormat
from serkit.recognition.timeline_writers import Folder, clock, places, writer

LABELS = ("anger", "joy")


def timeline(file, *spans, warnings=()):
    segments = tuple(Segment(start, end, label, 0.75, {"anger": 0.75, "joy": 0.25}) for start, end, label in spans)
    return Timeline(file, 10.0, LABELS, (), segments, warnings)


RESULTS = [
    timeline("a.wav", (0.5, 1.0, "anger"), (1.0, 62.25, "joy"), warnings=("a.wav: truncated",)),
    Failure("broken.wav", "broken.wav: not audio"),
    timeline("silent.wav", warnings=("silent.wav: silent",)),
]


def written(format, begun=False):
    stream = io.StringIO(newline="")
    out = writer(stream, TimelineFormat(format), Layout(LABELS), begun)
    for result in RESULTS:
        out.write(result)
    out.finish()
    return stream.getvalue()


def test_a_table():
    lines = [line.split() for line in written("table").splitlines() if line.strip()]
    assert lines[0] == ["file", "start", "end", "label", "confidence", "remarks"]
    assert lines[2:] == [
        ["a.wav", "0:00.50", "0:01.00", "anger", "0.75", "truncated"],
        ["0:01.00", "1:02.25", "joy", "0.75"],
        ["broken.wav", "-", "not", "audio"],
        ["silent.wav", "-", "silent"],
    ]


def test_json_is_one_list():
    assert [entry.get("error", len(entry.get("segments", []))) for entry in json.loads(written("json"))] == [
        2,
        "broken.wav: not audio",
        0,
    ]


def test_joined_formats_begin_once():
    lines = written("csv").splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "a.wav", "a.wav", "broken.wav"]
    assert written("csv", begun=True).splitlines() == lines[1:]
    assert [line.split()[1] for line in written("rttm").splitlines()] == ["a", "a"]


def test_lines_are_written_at_once():
    stream = io.StringIO(newline="")
    out = writer(stream, TimelineFormat.jsonl, Layout(LABELS))
    out.write(RESULTS[0])
    assert json.loads(stream.getvalue())["file"] == "a.wav"


def test_a_folder(tmp_path):
    files = ["x/a.wav", "y/broken.wav"]
    out = Folder(tmp_path / "new" / "folder", "srt", files)
    out.write(timeline("x/a.wav", (0.5, 1.0, "anger")))
    out.write(Failure("y/broken.wav", "y/broken.wav: not audio"))
    out.finish()
    [path] = (tmp_path / "new" / "folder").iterdir()
    assert path.name == "a.srt"
    assert path.read_text() == "1\n00:00:00,500 --> 00:00:01,000\nanger 75%\n\n"


def test_a_folder_overwrites_nothing(tmp_path):
    (tmp_path / "a.srt").write_text("mine")
    with pytest.raises(UserError, match=r"a\.srt: already exists"):
        Folder(tmp_path, "srt", ["a.wav"])
    with pytest.raises(UserError, match=r"a\.png: would be the file of both x/a\.wav and y/a\.mp3"):
        places(tmp_path / "other", ["x/a.wav", "b.wav", "y/a.mp3"], ".png")
    assert not (tmp_path / "other").exists()
    assert (tmp_path / "a.srt").read_text() == "mine"


def test_recordings_of_one_name_stay_apart_in_rttm():
    stream = io.StringIO(newline="")
    out = writer(stream, TimelineFormat.rttm, Layout(LABELS), files=["x/a.wav", "y/a.wav", "y/b.wav"])
    for file in ("x/a.wav", "y/a.wav", "y/b.wav"):
        out.write(timeline(file, (0.5, 1.0, "anger")))
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["x/a", "y/a", "b"]


@pytest.mark.parametrize("names", [("x/A.wav", "y/a.wav"), ("x/Gr\u00f6.wav", "y/Gro\u0308.wav"), ("a.wav", "a.flac")])
def test_a_folder_refuses_names_that_some_systems_do_not_tell_apart(tmp_path, names):
    with pytest.raises(UserError, match=r"would be the file of both .* and "):
        places(tmp_path / "new", names, ".srt")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.00"), (59.994, "0:59.99"), (59.996, "1:00.00"), (3599.999, "1:00:00.00"), (3723.5, "1:02:03.50")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text
