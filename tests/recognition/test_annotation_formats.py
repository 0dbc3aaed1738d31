"""Each format beside a text written by hand, and read by a library that is not ours where there is one."""

import datetime
import html
import io
from dataclasses import replace

import pytest

from serkit.recognition import Segment, Timeline, Window
from serkit.recognition.annotation_formats import (
    audacity,
    audformat,
    audformat_head,
    elan,
    rttm,
    rttm_names,
    subrip,
    textgrid,
    webvtt,
)
from serkit.recognition.segments import Layout
from serkit.recognition.timeline_formats import render


def segment(start, end, label, confidence):
    return Segment(start, end, label, confidence, {"anger": confidence, "no joy": 1 - confidence})


SEGMENTS = (
    segment(0.56, 3.18, "anger", 0.7236),
    segment(3.18, 4.0004, "no joy", 0.5),
    segment(3661.5, 3662.0, "anger", 1.0),
)


@pytest.fixture
def timeline():
    windows = (Window(0.0, 0.5, 0.0, None), Window(0.0, 1.0, 0.44, {"anger": 0.7236, "no joy": 0.2764}))
    return Timeline("calls/my call.wav", 3662.25, ("anger", "no joy"), windows, SEGMENTS)


@pytest.fixture
def silent():
    return Timeline("silent.wav", 2.5, ("anger", "no joy"), (), ())


def test_subrip(timeline, silent):
    expected = """\
1
00:00:00,560 --> 00:00:03,180
anger 72%

2
00:00:03,180 --> 00:00:04,000
no joy 50%

3
01:01:01,500 --> 01:01:02,000
anger 100%

"""
    assert subrip(timeline) == expected
    assert subrip(silent) == ""
    srt = pytest.importorskip("srt")
    read = list(srt.parse(subrip(timeline)))
    assert [one.content for one in read] == ["anger 72%", "no joy 50%", "anger 100%"]
    assert read[2].start == datetime.timedelta(seconds=3661.5)


def test_webvtt(timeline, silent):
    expected = """\
WEBVTT

00:00:00.560 --> 00:00:03.180
anger 72%

00:00:03.180 --> 00:00:04.000
no joy 50%

01:01:01.500 --> 01:01:02.000
anger 100%

"""
    assert webvtt(timeline) == expected
    assert webvtt(silent) == "WEBVTT\n\n"
    library = pytest.importorskip("webvtt")
    read = library.from_string(webvtt(timeline))
    assert [(one.start, one.end, one.text) for one in read][2] == ("01:01:01.500", "01:01:02.000", "anger 100%")


ODD = [
    "two\nlines",
    "a\ttab",
    "carriage\r\nreturn",
    "1\n00:00:00,000 --> 00:00:01,000",
    "<b>&amp; --> x",
    "a\x1b[31mb\x00c",
    "\u2028separated\x85",
    'quoted "\n"',
    "=1+1",
    "--> NOTE",
]
#: The same on one line.
LINES = [
    "two lines",
    "a tab",
    "carriage return",
    "1 00:00:00,000 --> 00:00:01,000",
    "<b>&amp; --> x",
    "a [31mb c",
    "separated",
    'quoted " "',
    "=1+1",
    "--> NOTE",
]


@pytest.fixture
def odd():
    """A segment for each label, one second long."""
    segments = tuple(Segment(2.0 * index, 2.0 * index + 1, label, 0.5, {}) for index, label in enumerate(ODD))
    return Timeline("calls/my\tcall\n1.wav", 2.0 * len(ODD), tuple(ODD), (), segments)


def test_odd_labels_in_subrip(odd):
    srt = pytest.importorskip("srt")
    read = list(srt.parse(subrip(odd)))
    assert [one.content for one in read] == [f"{line} 50%" for line in LINES]
    assert [one.index for one in read] == list(range(1, len(ODD) + 1))


def test_odd_labels_in_webvtt(odd):
    library = pytest.importorskip("webvtt")
    read = library.from_string(webvtt(odd))
    assert [html.unescape(one.raw_text) for one in read] == [f"{line} 50%" for line in LINES]
    assert "&lt;b&gt;&amp;amp; --&gt; x 50%\n" in webvtt(odd)
    assert webvtt(odd).count("-->") == len(ODD)


def test_odd_labels_in_audacity(odd):
    assert [line.split("\t")[2] for line in audacity(odd).split("\n")[:-1]] == LINES
    assert all(line.count("\t") == 2 for line in audacity(odd).split("\n")[:-1])


def test_odd_labels_in_rttm(odd):
    rows = [line.split() for line in rttm(odd).splitlines()]
    assert [row[7] for row in rows] == [line.replace(" ", "_") for line in LINES]
    assert {(len(row), row[0], row[1]) for row in rows} == {(10, "SPEAKER", "my_call_1")}
    nameless = Timeline("x.wav", 1.0, (" ",), (), (Segment(0.0, 1.0, " ", 0.5, {}),))
    assert rttm(nameless) == "SPEAKER x 1 0.000 1.000 <NA> <NA> <NA> 0.500 <NA>\n"


def test_odd_labels_in_a_textgrid(odd, tmp_path):
    library = pytest.importorskip("praatio.textgrid")
    (tmp_path / "odd.TextGrid").write_text(textgrid(odd), encoding="utf-8")
    grid = library.openTextgrid(str(tmp_path / "odd.TextGrid"), includeEmptyIntervals=False)
    # praatio leaves quotes as they are written.
    assert [one.label.replace('""', '"') for one in grid.getTier("emotion").entries] == LINES


def test_odd_labels_in_tables(odd):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(io.StringIO(audformat_head(Layout()) + audformat(odd), newline=""), lineterminator="\n")
    assert set(table["file"]) == {odd.file}
    assert table["emotion"].tolist() == ODD
    table = pandas.read_csv(io.StringIO(render(odd, "csv", csv_safe=True), newline=""), lineterminator="\n")
    assert table["label"].tolist() == [*ODD[:8], "'=1+1", "'--> NOTE"]


def test_captions_show_what_is_unsure():
    unsure = Segment(0.0, 1.0, "anger", 0.3, {}, sure=False)
    assert "anger? 30%" in subrip(Timeline("x.wav", 1.0, ("anger",), (), (unsure,)))


def test_audacity(timeline):
    expected = "0.560000\t3.180000\tanger\n3.180000\t4.000400\tno joy\n3661.500000\t3662.000000\tanger\n"
    assert audacity(timeline) == expected


def test_rttm(timeline):
    # Fields are parted by spaces: names have none.
    expected = """\
SPEAKER my_call 1 0.560 2.620 <NA> <NA> anger 0.724 <NA>
SPEAKER my_call 1 3.180 0.820 <NA> <NA> no_joy 0.500 <NA>
SPEAKER my_call 1 3661.500 0.500 <NA> <NA> anger 1.000 <NA>
"""
    assert rttm(timeline) == expected


def test_audformat(timeline):
    expected = """\
file,start,end,emotion,confidence,doubt
calls/my call.wav,0 days 00:00:00.560,0 days 00:00:03.180,anger,0.723600,
calls/my call.wav,0 days 00:00:03.180,0 days 00:00:04.000,no joy,0.500000,
calls/my call.wav,0 days 01:01:01.500,0 days 01:01:02.000,anger,1.000000,
"""
    assert audformat_head(timeline.layout) + audformat(timeline) == expected


def test_audformat_as_audformat_reads_it(timeline):
    library = pytest.importorskip("audformat")
    table = library.utils.read_csv(io.StringIO(audformat_head(Layout()) + audformat(timeline)))
    assert library.is_segmented_index(table.index)
    assert table["emotion"].tolist() == ["anger", "no joy", "anger"]
    assert table.index.get_level_values("start").total_seconds().tolist() == [0.56, 3.18, 3661.5]


def test_textgrid_of_silence(silent):
    expected = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.500
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "emotion"
        xmin = 0
        xmax = 2.500
        intervals: size = 1
        intervals [1]:
            xmin = 0.000
            xmax = 2.500
            text = ""
    item [2]:
        class = "IntervalTier"
        name = "confidence"
        xmin = 0
        xmax = 2.500
        intervals: size = 1
        intervals [1]:
            xmin = 0.000
            xmax = 2.500
            text = ""
"""
    assert textgrid(silent) == expected


def test_textgrid(tmp_path):
    named = Timeline("x.wav", 2.0, ("a",), (), (Segment(0.5, 1.25, 'so-called "joy"', 0.5, {}),))
    lines = textgrid(named).splitlines()
    first = lines.index("        intervals: size = 3")
    assert lines[first + 1 : first + 13] == [
        "        intervals [1]:",
        "            xmin = 0.000",
        "            xmax = 0.500",
        '            text = ""',
        "        intervals [2]:",
        "            xmin = 0.500",
        "            xmax = 1.250",
        '            text = "so-called ""joy"""',
        "        intervals [3]:",
        "            xmin = 1.250",
        "            xmax = 2.000",
        '            text = ""',
    ]


def test_textgrid_as_praatio_reads_it(timeline, tmp_path):
    library = pytest.importorskip("praatio.textgrid")
    (tmp_path / "call.TextGrid").write_text(textgrid(timeline))
    grid = library.openTextgrid(str(tmp_path / "call.TextGrid"), includeEmptyIntervals=True)
    assert grid.tierNames == ("emotion", "confidence")
    assert grid.maxTimestamp == 3662.25
    entries = [(one.start, one.end, one.label) for one in grid.getTier("emotion").entries]
    assert entries == [
        (0.0, 0.56, ""),
        (0.56, 3.18, "anger"),
        (3.18, 4.0, "no joy"),
        (4.0, 3661.5, ""),
        (3661.5, 3662.0, "anger"),
        (3662.0, 3662.25, ""),
    ]
    assert [one.label for one in grid.getTier("confidence").entries if one.label] == ["0.724", "0.500", "1.000"]


@pytest.mark.parametrize(
    "names",
    [
        {"calls/1.wav": "1", "calls/my call.wav": "my_call"},
        {"a/1.wav": "a/1", "b/1.wav": "b/1", "b/2.wav": "2"},
        {"a/1.wav": "a/1.wav", "a/1.flac": "a/1.flac", "b/1.wav": "b/1"},
        {"1.wav": "1", "a/1.wav": "a/1"},
        {"my call.wav": "my%20call.wav", "my_call.wav": "my_call.wav"},
        {"1.wav": "1", "a/1.wav": "a/1", "1.wav.flac": "1.wav"},
        {"1.wav": "1.wav", "1.flac": "1.flac", "a/1.wav.ogg": "a/1.wav", "b/1.wav.ogg": "b/1.wav"},
    ],
)
def test_rttm_calls_no_two_recordings_the_same(names):
    assert rttm_names(list(names)) == names


def test_rttm_under_another_name(timeline):
    assert rttm(timeline, "calls/x").split()[1] == "calls/x"


def test_elan(timeline, silent):
    assert elan(silent).count("<ANNOTATION>") == 0
    expected = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="serkit" DATE="1970-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="./my%20call.wav" RELATIVE_MEDIA_URL="./my%20call.wav" MIME_TYPE="audio/x-wav" />
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="560" />
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="3180" />
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="560" />
    <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="3180" />
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="emotion">
    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
        <ANNOTATION_VALUE>anger</ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="confidence">
    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
        <ANNOTATION_VALUE>0.724</ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>
  </TIER>
  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true" />
</ANNOTATION_DOCUMENT>
"""
    assert elan(replace(timeline, segments=timeline.segments[:1])) == expected


def test_elan_is_read_by_another_library(timeline, tmp_path):
    pympi = pytest.importorskip("pympi")
    (tmp_path / "a.eaf").write_text(elan(timeline), encoding="utf-8")
    document = pympi.Eaf(str(tmp_path / "a.eaf"))
    assert document.get_annotation_data_for_tier("emotion") == [
        (560, 3180, "anger"),
        (3180, 4000, "no joy"),
        (3661500, 3662000, "anger"),
    ]
