import csv
import json

import pytest

from serkit.recognition import Failure, Segment, Statistics, Timeline, Window
from serkit.recognition.prediction import Prediction
from serkit.recognition.segments import Layout
from serkit.recognition.timeline_format_names import TimelineFormat
from serkit.recognition.timeline_formats import (
    FORMATS,
    as_dict,
    event_as_dict,
    render,
    segment_columns,
    statistics_as_dict,
)

PROBABILITIES = {"anger": 0.7234567, "joy": 0.2765433}
WINDOWS = (Window(0.0, 0.5, 0.0, None), Window(0.0, 1.0, 0.4444444, PROBABILITIES, latency=0.0123))
SEGMENTS = (Segment(0.56, 3.18, "anger", 0.7234567, PROBABILITIES),)
ANSWER = Prediction("a,b.wav", "joy", 0.5, {"joy": 0.5}, 3.2, sure=False, doubt="low confidence")
TIMELINE = Timeline("a,b.wav", 3.20001, ("anger", "joy"), WINDOWS, SEGMENTS, ("a,b.wav: truncated",), answers=(ANSWER,))

DOCUMENT = {
    "file": "a,b.wav",
    "duration": 3.2,
    "labels": ["anger", "joy"],
    "answers": [
        {
            "file": "a,b.wav",
            "label": "joy",
            "sure": False,
            "doubt": "low confidence",
            "confidence": 0.5,
            "probabilities": {"joy": 0.5},
            "duration": 3.2,
            "warnings": [],
        }
    ],
    "windows": [
        {"start": 0.0, "end": 0.5, "speech": 0.0, "probabilities": None},
        {"start": 0.0, "end": 1.0, "speech": 0.444, "probabilities": {"anger": 0.723457, "joy": 0.276543}},
    ],
    "segments": [
        {
            "start": 0.56,
            "end": 3.18,
            "label": "anger",
            "sure": True,
            "doubt": "",
            "confidence": 0.723457,
            "probabilities": {"anger": 0.723457, "joy": 0.276543},
        }
    ],
    "warnings": ["a,b.wav: truncated"],
}


def test_json():
    assert as_dict(TIMELINE) == DOCUMENT
    assert json.loads(render(TIMELINE, "json")) == DOCUMENT


def test_json_lines():
    [line] = render(TIMELINE, "jsonl").splitlines()
    assert json.loads(line) == DOCUMENT
    assert FORMATS["jsonl"].failure(Failure("x.wav", "x.wav: broken"), Layout()) == (
        '{"file": "x.wav", "error": "x.wav: broken"}\n'
    )


def test_csv():
    expected = """\
file,start,end,label,sure,doubt,confidence,p_anger,p_joy,error
"a,b.wav",0.56,3.18,anger,true,,0.723457,0.723457,0.276543,
"""
    assert render(TIMELINE, "csv") == expected
    failed = FORMATS["csv"].failure(Failure("x.wav", "x.wav: broken"), TIMELINE.layout)
    [row] = csv.DictReader((segment_columns(TIMELINE.layout) + failed).splitlines())
    assert (row["file"], row["label"], row["error"]) == ("x.wav", "", "x.wav: broken")


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in ("json", "jsonl", "csv")])
def test_the_others_have_no_place_for_a_failure(format):
    assert FORMATS[format].failure(Failure("x.wav", "x.wav: broken"), TIMELINE.layout) == ""
    assert "anger" in render(TIMELINE, format)


def test_the_command_line_names_all_formats():
    assert {"table", "audformat-db", *FORMATS} == {str(format) for format in TimelineFormat}


def test_events():
    assert event_as_dict(WINDOWS[1]) == {"type": "window", **DOCUMENT["windows"][1], "latency_ms": 12.3}
    assert event_as_dict(SEGMENTS[0]) == {"type": "segment", **DOCUMENT["segments"][0], "final": True}


def test_statistics():
    statistics = Statistics(received=3.20001, dropped=0.02, windows=3)
    assert statistics_as_dict(statistics)["latency_ms"] == {"p50": None, "p95": None}
    statistics.latencies.extend([0.001, 0.002, 0.003])
    assert statistics_as_dict(statistics) == {
        "type": "statistics",
        "received_s": 3.2,
        "dropped_s": 0.02,
        "windows": 3,
        "latency_ms": {"p50": 2.0, "p95": 2.9},
    }
