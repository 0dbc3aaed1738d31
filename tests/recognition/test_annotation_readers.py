"""Segments given by other programs."""

import json

import pytest

from serkit.errors import UserError
from serkit.recognition.annotation_readers import Stretch, read
from serkit.recognition.segments import Segment
from serkit.recognition.timeline import Timeline
from serkit.recognition.timeline_formats import FORMATS, render

TIMES = [(0.0, 1.25), (1.5, 2.0), (3.0, 3661.125)]


def times(annotation):
    return [(stretch.start, stretch.end) for stretch in annotation.stretches]


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def timeline():
    segments = [Segment(start, end, label, 0.9, {label: 0.9}) for (start, end), label in zip(TIMES, "abc", strict=True)]
    return Timeline("call.wav", 3700.0, ("a", "b", "c"), (), tuple(segments))


@pytest.mark.parametrize("format", ["json", "srt", "vtt", "audacity", "rttm"])
def test_serkit_reads_what_it_writes(format, timeline, tmp_path):
    assert times(read(write(tmp_path, f"call{FORMATS[format].suffix}", render(timeline, format)))) == TIMES


def test_tiers_of_a_textgrid_of_serkit(timeline, tmp_path):
    path = write(tmp_path, "call.TextGrid", render(timeline, "textgrid"))
    with pytest.raises(UserError, match=r"has 2 tiers \('emotion', 'confidence'\); choose with --tier"):
        read(path)
    with pytest.raises(UserError, match="no segments in a tier 'word'; its tiers are 'emotion', 'confidence'"):
        read(path, ["word"])
    found = read(path, ["emotion"])
    assert times(found) == TIMES
    assert [(stretch.text, stretch.speaker, stretch.tier) for stretch in found.stretches] == [
        ("a", "", "emotion"),
        ("b", "", "emotion"),
        ("c", "", "emotion"),
    ]
    assert {stretch.speaker for stretch in read(path, ["emotion", "confidence"]).stretches} == {"emotion", "confidence"}


@pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids_of_another_library(form, encoding, tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    grid = textgrid.Textgrid()
    spoken = [(0.0, 1.25, 'er sagt: "ja" [2]'), (1.5, 2.0, "Öl 3.5"), (3.0, 3661.125, "7")]
    grid.addTier(textgrid.IntervalTier("Änne 1", spoken, 0, 3700))
    grid.addTier(textgrid.PointTier("clicks", [(1.0, "click"), (2.0, "3")], 0, 3700))
    grid.save(str(tmp_path / "a.TextGrid"), format=form, includeBlankSpaces=True)
    path = write(tmp_path, "b.TextGrid", (tmp_path / "a.TextGrid").read_text("utf-8"), encoding)
    found = read(path)
    assert [(stretch.start, stretch.end, stretch.text) for stretch in found.stretches] == spoken
    assert {stretch.tier for stretch in found.stretches} == {"Änne 1"}


def test_rttm_names_recording_channel_and_speaker(tmp_path):
    text = (
        ";; a comment\n"
        "SPKR-INFO call 1 <NA> <NA> <NA> unknown A <NA> <NA>\n"
        "SPEAKER call 1 0.000 1.250 <NA> <NA> A <NA> <NA>\n"
        "SPEAKER call 2 1.5 0.5 <NA> <NA> B\n"
        "SPEAKER talk 1 3 1 <NA> <NA> <NA> 0.9\n"
    )
    assert read(write(tmp_path, "a.rttm", text)).stretches == (
        Stretch(0.0, 1.25, "A", recording="call", channel=0),
        Stretch(1.5, 2.0, "B", recording="call", channel=1),
        Stretch(3.0, 4.0, recording="talk", channel=0),
    )


def test_bad_entries_are_reported_and_the_others_read(tmp_path):
    text = "SPEAKER a 1 0 x <NA> <NA> A\nSPEAKER a 1\nSPEAKER a 1 -1 2 <NA> <NA> A\nSPEAKER a 1 2 0 <NA> <NA> A\n"
    path = write(tmp_path, "a.rttm", f"{text}SPEAKER a 1 nan 1 <NA> <NA> A\nSPEAKER a 1 0 1 <NA> <NA> A\n")
    found = read(path)
    assert times(found) == [(0.0, 1.0)]
    assert found.problems == (
        f"{path}: line 1: a time must be a number, got 'x'",
        f"{path}: line 2: SPEAKER requires at least 8 fields, got 3",
        f"{path}: line 3: start must be a time from 0 s, got -1",
        f"{path}: line 4: end must be after the start at 2 s, got 2",
        f"{path}: line 5: start must be a time from 0 s, got nan",
    )


def test_subtitles_have_voices_tags_and_settings(tmp_path):
    text = (
        "WEBVTT\n\nNOTE 00:00 is no cue\n\nfirst\r\n00:00.000 --> 00:01.250 align:start\r\n<v.loud Ann>Hello "
        "<i>you</i> &amp; me\r\nagain\r\n\r\n00:01.500 --> 00:02.000\n\n1:00:03.000 --> 1:00:04.000\nbye\n"
    )
    assert read(write(tmp_path, "a.vtt", text)).stretches == (
        Stretch(0.0, 1.25, "Ann", "Hello you & me again"),
        Stretch(1.5, 2.0),
        Stretch(3603.0, 3604.0, text="bye"),
    )


def test_subtitles_of_other_libraries(tmp_path):
    srt, webvtt = pytest.importorskip("srt"), pytest.importorskip("webvtt")
    from datetime import timedelta

    cues = [
        srt.Subtitle(number, timedelta(seconds=start), timedelta(seconds=end), f"line\n{number}")
        for number, (start, end) in enumerate(TIMES, 1)
    ]
    path = write(tmp_path, "a.srt", srt.compose(cues))
    assert times(read(path)) == TIMES
    webvtt.from_srt(str(path)).save(str(tmp_path / "a.vtt"))
    assert times(read(tmp_path / "a.vtt")) == TIMES
    assert [stretch.text for stretch in read(tmp_path / "a.vtt").stretches] == ["line 1", "line 2", "line 3"]


def test_audacity_labels(tmp_path):
    text = "0.0\t1.25\thello\n\\\t100.0\t200.0\n1.5\t2.0\n\n4.0\t4.0\ta point\n"
    found = read(write(tmp_path, "labels.txt", text))
    assert times(found) == [(0.0, 1.25), (1.5, 2.0)]
    assert found.problems == (f"{tmp_path}/labels.txt: line 5: end must be after the start at 4 s, got 4",)
    with pytest.raises(UserError, match="line 1: must hold start, end and text between tabs"):
        read(write(tmp_path, "prose.txt", "Dear all\n"))


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT FORMAT="3.0" VERSION="3.0">
 <TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
  <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="ts4"/>
 </TIME_ORDER>
 <TIER TIER_ID="A-words" PARTICIPANT="Ann" LINGUISTIC_TYPE_REF="default">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
   <ANNOTATION_VALUE>hello</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
   <ANNOTATION_VALUE>again</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
 </TIER>
 <TIER TIER_ID="gloss" PARENT_REF="A-words"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
  <ANNOTATION_VALUE>greeting</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>
"""


def test_elan_annotations_that_are_aligned(tmp_path):
    path = write(tmp_path, "a.eaf", ELAN)
    found = read(path)
    assert found.stretches == (Stretch(0.0, 1.25, "Ann", "hello", tier="A-words"),)
    assert found.problems == (f"{path}: tier 'A-words', annotation a2: a time must be a number, got ''",)


@pytest.mark.parametrize(
    "document",
    [
        {"text": "a b", "language": "en", "segments": [{"id": 0, "start": 0.0, "end": 1.25, "text": " a"}]},
        {"segments": [{"start": "0:00:00.000", "end": "00:01,250", "text": "a", "words": [{"word": "a", "start": 0}]}]},
        {"chunks": [{"timestamp": [0.0, 1.25], "text": "a"}]},
        {"output": {"diarization": [{"start": 0.0, "end": 1.25, "label": "a"}]}, "status": "succeeded"},
        {"diarization": [{"start": 0, "end": 1.25, "text": "a"}]},
        [{"start": 0.0, "end": 1.25, "text": "a"}],
    ],
)
def test_json_of_transcribers_and_diarizers(document, tmp_path):
    assert read(write(tmp_path, "a.json", json.dumps(document))).stretches == (Stretch(0.0, 1.25, text="a"),)


def test_json_speakers_open_ends_and_bad_entries(tmp_path):
    entries = [{"start": 1, "end": None, "speaker": "SPEAKER_00"}, {"start": 1}, "x", {"end": 2}, {"start": True}]
    found = read(write(tmp_path, "a.json", json.dumps({"file": "call.wav", "segments": entries})))
    assert found.stretches == (
        Stretch(1.0, None, "SPEAKER_00", recording="call.wav"),
        Stretch(1.0, None, recording="call.wav"),
    )
    assert [problem.removeprefix(f"{tmp_path}/a.json: ") for problem in found.problems] == [
        "segment 3: must be an object with start and end, got 'x'",
        "segment 4: a time must be a number, got None",
        "segment 5: a time must be a number, got True",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", '{"text": "a"}', "must be a list of segments, or hold one in 'segments', 'diarization', "),
        ("a.json", "[]", "contains no segments"),
        ("a.rttm", "hello", "contains no segments"),
        ("a.srt", "", "contains no segments"),
        ("a.TextGrid", 'File type = "ooTextFile"', "is not a TextGrid in text form"),
        ("a.TextGrid", '"ooTextFile"\n"TextGrid"\n0\n3\n<exists>\n1\n"IntervalTier"', "the TextGrid ends early"),
        ("a.eaf", "<a/>", "must be an ELAN document, got <a>"),
        ("a.eaf", "no xml", "is not XML"),
        ("a.docx", "", "format '.docx' is not known; known are .rttm, .srt"),
    ],
)
def test_other_files_are_refused_in_one_line(name, text, message, tmp_path):
    with pytest.raises(UserError) as refused:
        read(write(tmp_path, name, text))
    assert str(refused.value).startswith(f"{tmp_path / name}: {message}")
    assert "\n" not in str(refused.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"missing\.rttm: No such file"):
        read(tmp_path / "missing.rttm")
