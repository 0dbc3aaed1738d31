"""Given segments: the same twelve in the files of many tools, written by other libraries."""

import csv
import io
import json
from datetime import timedelta

import numpy as np
import pytest
import soundfile

from serkit import UserError, cli
from serkit.recognition import adaptation as adaptation_rule
from serkit.recognition import given, load, speechlike
from serkit.recognition.span_readers import read
from serkit.recognition.spans import Span, Spans

#: Twelve turns of two speakers; some overlap, some touch.
TURNS = [
    (round(0.4 * number + 0.1 * (number % 3), 3), round(0.4 * number + 0.35 + 0.15 * (number % 2), 3), "AB"[number % 2])
    for number in range(12)
]
TEXTS = [f"turn & {number}" for number in range(12)]


@pytest.fixture(scope="module")
def recognizer(shelf):
    return load(shelf / "toy")


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    generator = np.random.default_rng(3)
    swell = np.linspace(0.01, 0.5, 16000 * 6) ** 2
    left, right = generator.normal(0, 0.2, (2, len(swell))) * swell
    path = tmp_path_factory.mktemp("call") / "my call.wav"
    soundfile.write(path, np.stack([left, right[::-1]], axis=1).astype(np.float32), 16000, subtype="FLOAT")
    return path


def write_rttm(path):
    path.write_text(
        "".join(
            f"SPEAKER my_call 1 {start:.3f} {end - start:.3f} <NA> <NA> {speaker} <NA> <NA>\n"
            for start, end, speaker in TURNS
        )
    )


def write_srt(path):
    srt = pytest.importorskip("srt")
    subtitles = [
        srt.Subtitle(number, timedelta(seconds=start), timedelta(seconds=end), text)
        for number, ((start, end, _), text) in enumerate(zip(TURNS, TEXTS, strict=True), 1)
    ]
    path.write_text(srt.compose(subtitles))


def write_vtt(path):
    webvtt = pytest.importorskip("webvtt")
    captions = webvtt.WebVTT()
    for (start, end, speaker), text in zip(TURNS, TEXTS, strict=True):
        times = (f"00:00:{time:06.3f}" for time in (start, end))
        captions.captions.append(webvtt.Caption(*times, f"<v {speaker}>{text.replace('&', '&amp;')}</v>"))
    captions.save(str(path))


def write_textgrid(path, format="long_textgrid"):
    textgrid = pytest.importorskip("praatio.textgrid")
    grid = textgrid.Textgrid()
    for speaker in "AB":
        entries = [(start, end, text) for (start, end, who), text in zip(TURNS, TEXTS, strict=True) if who == speaker]
        grid.addTier(textgrid.IntervalTier(speaker, entries, 0, 6))
    grid.save(str(path), format=format, includeBlankSpaces=True)


def write_eaf(path):
    pympi = pytest.importorskip("pympi")
    document = pympi.Elan.Eaf()
    document.remove_tier("default")
    for speaker in "AB":
        document.add_tier(f"turns of {speaker}", part=speaker)
    for (start, end, speaker), text in zip(TURNS, TEXTS, strict=True):
        document.add_annotation(f"turns of {speaker}", round(1000 * start), round(1000 * end), text)
    document.to_file(str(path))


def write_audacity(path):
    path.write_text("".join(f"{a:.6f}\t{b:.6f}\t{text}\n" for (a, b, _), text in zip(TURNS, TEXTS, strict=True)))


def write_csv(path):
    rows = [f"{a},{b},{who},{text}" for (a, b, who), text in zip(TURNS, TEXTS, strict=True)]
    path.write_text("\n".join(["start,end,speaker,text", *rows]))


def write_tsv(path):
    rows = [f"{round(1000 * a)}\t{round(1000 * b)}\t{text}" for (a, b, _), text in zip(TURNS, TEXTS, strict=True)]
    path.write_text("\n".join(["start\tend\ttext", *rows]) + "\n")


def write_audformat(path):
    audformat = pytest.importorskip("audformat")
    starts, ends, who = zip(*TURNS, strict=True)
    seconds = [[timedelta(seconds=time) for time in times] for times in (starts, ends)]
    index = audformat.segmented_index(["my call.wav"] * 12, *seconds)
    frame = index.to_frame(index=False)
    frame["speaker"] = list(who)
    frame.to_csv(path, index=False)


def write_whisper(path):
    segments = [
        {"id": n, "start": a, "end": b, "text": f" {text}", "tokens": [1, 2], "temperature": 0.0}
        for n, ((a, b, _), text) in enumerate(zip(TURNS, TEXTS, strict=True))
    ]
    path.write_text(json.dumps({"text": "".join(TEXTS), "segments": segments, "language": "en"}))


def write_whisperx(path):
    segments = [
        {"start": a, "end": b, "text": text, "words": [{"word": "turn", "start": a, "end": b}], "speaker": who}
        for (a, b, who), text in zip(TURNS, TEXTS, strict=True)
    ]
    path.write_text(json.dumps({"segments": segments, "word_segments": []}))


def write_whisper_cpp(path):
    entries = [
        {"timestamps": {"from": "x", "to": "y"}, "offsets": {"from": round(1000 * a), "to": round(1000 * b)}, "text": t}
        for (a, b, _), t in zip(TURNS, TEXTS, strict=True)
    ]
    path.write_text(json.dumps({"result": {"language": "en"}, "transcription": entries}))


def write_transformers(path):
    chunks = [{"timestamp": [a, b], "text": text} for (a, b, _), text in zip(TURNS, TEXTS, strict=True)]
    path.write_text(json.dumps({"text": "all", "chunks": chunks}))


def write_pyannote(path):
    turns = [{"start": a, "end": b, "speaker": who} for a, b, who in TURNS]
    path.write_text(json.dumps({"diarization": turns, "exclusive_diarization": turns[:2]}))


def write_pyannote_core(path):
    content = [{"segment": {"start": a, "end": b}, "track": "A", "label": who} for a, b, who in TURNS]
    path.write_text(json.dumps({"pyannote": "Annotation", "content": content, "uri": "my call"}))


#: Writer, ending of the file, whether the format names speakers and texts.
TOOLS = [
    (write_rttm, ".rttm", True, False),
    (write_srt, ".srt", False, True),
    (write_vtt, ".vtt", True, True),
    (write_textgrid, ".TextGrid", True, True),
    (lambda path: write_textgrid(path, "short_textgrid"), ".TextGrid", True, True),
    (write_eaf, ".eaf", True, True),
    (write_audacity, ".txt", False, True),
    (write_csv, ".csv", True, True),
    (write_tsv, ".tsv", False, True),
    (write_audformat, ".csv", True, False),
    (write_whisper, ".json", False, True),
    (write_whisperx, ".json", True, True),
    (write_whisper_cpp, ".json", False, True),
    (write_transformers, ".json", False, True),
    (write_pyannote, ".json", True, False),
    (write_pyannote_core, ".json", True, False),
]


@pytest.fixture(scope="module")
def expected(recognizer, call):
    """The answers for the turns, cut out of the recording by hand."""
    samples, rate = soundfile.read(call, dtype="float32")
    cut = [samples[round(start * rate) : round(end * rate)] for start, end, _ in TURNS]
    return [recognizer.predict_signal(part, rate) for part in cut]


@pytest.mark.filterwarnings("ignore:.*tiers A, B were read")
@pytest.mark.parametrize(("write", "ending", "speakers", "texts"), TOOLS)
def test_the_same_turns_of_every_tool_have_the_same_answers(
    recognizer, call, expected, tmp_path, write, ending, speakers, texts
):
    path = tmp_path / f"turns{ending}"
    write(path)
    timeline = recognizer.predict_segments(call, path)
    segments = sorted(timeline.segments, key=lambda one: one.start)
    assert [one.start for one in segments] == pytest.approx([start for start, _, _ in TURNS])
    assert [one.end for one in segments] == pytest.approx([end for _, end, _ in TURNS])
    for segment, answer in zip(segments, expected, strict=True):
        assert segment.label == answer.label
        assert segment.probabilities == pytest.approx(answer.probabilities, abs=1e-6)
        assert segment.sure == answer.sure
    assert [one.speaker for one in segments] == [who if speakers else "" for _, _, who in TURNS]
    assert [one.columns.get("text") for one in segments] == (TEXTS if texts else [None] * 12)
    assert len({round(one.confidence, 6) for one in segments}) == 12


def test_a_stereo_call_diarized_by_channel(recognizer, call, tmp_path):
    path = tmp_path / "call.rttm"
    lines = [f"SPEAKER my_call {1 + 'AB'.index(who)} {a} {b - a} <NA> <NA> {who} <NA> <NA>" for a, b, who in TURNS]
    path.write_text("\n".join(lines))
    timeline = recognizer.predict_segments(call, path)
    samples, rate = soundfile.read(call, dtype="float32")
    for (start, end, who), segment in zip(TURNS, timeline.segments, strict=True):
        channel = "AB".index(who)
        alone = recognizer.predict_signal(samples[round(start * rate) : round(end * rate), channel], rate)
        assert segment.channel == channel
        assert segment.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    assert timeline.channels == (0, 1)
    assert timeline.speakers == ("A", "B")
    assert len(timeline.of_speaker("B").segments) == 6
    with pytest.raises(UserError, match=r"unknown speaker 'C'.*Available: A, B"):
        timeline.of_speaker("C")


def test_long_segments_and_blocks(recognizer, tmp_path, monkeypatch):
    path = tmp_path / "long.flac"
    generator = np.random.default_rng(0)
    soundfile.write(path, generator.normal(0, 0.1, 8000 * 70) * np.linspace(0, 1, 8000 * 70), 8000)
    spans = [(25.0, 35.0), (0.0, None), (59.5, 61.0), (29.9, 30.1), (69.0, 70.04)]
    kept = recognizer.predict_segments(path, spans)
    assert kept.segments[4].end == 70.0
    whole = recognizer.predict_file(path)
    assert kept.segments[1].probabilities == pytest.approx(whole.probabilities, abs=1e-6)
    monkeypatch.setattr(given, "LONGEST_KEPT", 0.0)
    read_alone = recognizer.predict_segments(path, spans)
    for one, other in zip(kept.segments, read_alone.segments, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_the_blocks_of_a_recording_are_released():
    wanted = [given._Wanted(index, 10 * index, 10 * index + 15) for index in range(5)]
    blocks = iter([np.arange(20 * number, 20 * number + 20)[:, None] for number in range(3)])
    for index, samples in given._gather(blocks, wanted):
        assert samples[:, 0].tolist() == list(range(10 * index, 10 * index + 15))
        assert wanted[index].pieces == []
    assert not any(one.pieces for one in wanted)


def test_wrong_segments_do_not_stop_the_others(recognizer, call):
    nan = float("nan")
    spans = [(1.0, 1.5), (2.0, 2.0), (3.0, 2.5), (nan, 3.0), (-1.0, 1.0), (7.0, 8.0), (5.5, 9.0), (1, 1.00001)]
    timeline = recognizer.predict_segments(call, spans)
    errors = [one.error for one in timeline.segments]
    assert [bool(error) for error in errors] == [False, True, True, True, True, True, False, True]
    assert "after the start" in errors[1]
    assert "finite" in errors[3]
    assert "negative" in errors[4]
    assert "after the end of the recording" in errors[5]
    assert timeline.segments[6].end == 6.0
    assert any("1 segments end after the recording (9 s of 6.000 s)" in text for text in timeline.warnings)
    # Every format can hold it.
    from serkit.recognition.timeline_formats import FORMATS, render

    for format in FORMATS:
        render(timeline, format)
    rows = list(csv.DictReader(io.StringIO(render(timeline, "csv"))))
    assert [row["error"] for row in rows] == errors
    document = json.loads(render(timeline, "json"))
    assert document["segments"][3] == {"start": None, "end": 3.0, "error": errors[3]}


def test_adaptation_to_each_speaker(call, shelf, tmp_path, network, description, monkeypatch):
    # So that less than a second of like answers counts.
    monkeypatch.setattr(adaptation_rule, "PLENTY", 0.1)
    monkeypatch.setattr(speechlike, "probability", lambda samples, rate: 1.0)
    adaptation = {"means": {"mel": [-60.0] * 64}, "narrow": 0.0, "wide": 0.001}
    description(adaptation=adaptation).save(tmp_path / "able", network({"mel": 64})[0], "# Able\n")
    able = load(tmp_path / "able")
    timeline = able.predict_segments(call, TURNS, adapt_speakers=True)
    samples, rate = soundfile.read(call, dtype="float32")
    parts = [(samples[round(a * rate) : round(b * rate)], who) for a, b, who in TURNS]
    for who in "AB":
        voice = able.new_voice()
        for part, speaker in parts:
            if speaker == who:
                able.hear_signal(part, rate, voice)
        adapted = able.adapted(voice)
        for segment, (part, speaker) in zip(timeline.segments, parts, strict=True):
            if speaker == who:
                assert segment.probabilities == pytest.approx(
                    adapted.predict_signal(part, rate).probabilities, abs=1e-5
                )
                assert segment.probabilities != pytest.approx(able.predict_signal(part, rate).probabilities, abs=1e-5)
    assert len(timeline.labels) == 4
    with pytest.raises(UserError, match="name no speakers"):
        able.predict_segments(call, [(0, 1)], adapt_speakers=True)
    with pytest.raises(UserError, match="cannot adapt"):
        load(shelf / "toy").predict_segments(call, TURNS, adapt_speakers=True)


def test_a_speaker_without_speech_is_told_once(call, tmp_path, network, description, monkeypatch):
    monkeypatch.setattr(speechlike, "probability", lambda samples, rate: 0.0)
    adaptation = {"means": {"mel": [-60.0] * 64}, "narrow": 0.0, "wide": 0.001}
    description(adaptation=adaptation).save(tmp_path / "able", network({"mel": 64})[0], "# Able\n")
    able = load(tmp_path / "able")
    timeline = able.predict_segments(call, TURNS, adapt_speakers=True)
    told = [text.removeprefix(f"{call}: ") for text in timeline.warnings]
    assert sorted(text for text in told if "adapt" in text) == [f"{who}: no speech to adapt to" for who in "AB"]
    plain = able.predict_segments(call, TURNS)
    assert [one.probabilities for one in timeline.segments] == [one.probabilities for one in plain.segments]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize(("write", "ending"), [(write_csv, ".csv"), (write_srt, ".srt"), (write_textgrid, ".TextGrid")])
def test_encodings(tmp_path, write, ending, encoding):
    plain = tmp_path / f"plain{ending}"
    write(plain)
    coded = tmp_path / f"coded{ending}"
    coded.write_bytes(plain.read_text("utf-8").replace("turn", "Zürich").encode(encoding))
    found = read(coded).spans
    assert [(one.start, one.end) for one in found] == [(one.start, one.end) for one in read(plain).spans]
    assert found[0].columns["text"] == "Zürich & 0"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.rttm", "SPEAKER x 1 one 2 <NA> <NA> A <NA>\n", r"line 1: a time must be a number in s, got 'one'"),
        ("a.rttm", "SPEAKER x 1\n", r"line 1: must have 9 or 10 fields, got 3"),
        ("a.srt", "1\n00:00 --> 00:01\nhello\n", r"line 2: must be as 00:00:01.500 --> 00:00:03.000"),
        ("a.TextGrid", "ooBinaryFile\x08TextGrid", "is not a TextGrid in text form"),
        ("a.TextGrid", 'File type = "ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n5\n"IntervalTier"', "ends early"),
        ("a.eaf", "<ANNOTATION_DOCUMENT>", "is not XML"),
        ("a.eaf", '<!DOCTYPE x [<!ENTITY a "b">]><x/>', "declares a document type"),
        ("a.json", '{"segments": [{"text": "no times"}]}', "segment 1: has no start"),
        ("a.json", '{"segments": [3]}', "segment 1: must be a JSON object"),
        ("a.csv", "begin_of_turn,end\n1,2\n", "unknown column 'start'"),
        ("a.csv", "start,end,word\n0,1500,hello\n1500,2000,you\n", "add --times s or --times ms"),
        ("a.csv", "start,end\n1,two\n", r"row 2: end must be a time in s or as .*, got 'two'"),
        ("a.doc", "", r"is not a file of segments; supported are \.rttm"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.rttm", "a.srt", "a.vtt", "a.txt"])
def test_empty_files_have_no_segments(recognizer, call, tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.warns(UserWarning, match="has no segments"):
        assert recognizer.predict_segments(call, tmp_path / name).segments == ()


def test_several_recordings_in_one_file():
    spans = Spans("all.rttm", [Span(0, 1, file="b"), Span(1, 2, file="a"), Span(2, 3, file="c"), Span(3, 4, file="a")])
    found, told = spans.by_recording(["x/a.wav", "x/b.flac"])
    assert {file: [one.start for one in given] for file, given in found.items()} == {"x/a.wav": [1, 3], "x/b.flac": [0]}
    assert told == ["all.rttm: segments of 1 recordings that are not given are left out: 'c'"]
    with pytest.raises(UserError, match=r"'a' may be x/a\.wav or y/a\.wav"):
        spans.by_recording(["x/a.wav", "y/a.wav"])
    with pytest.raises(UserError, match="unknown recording in all"):
        spans.by_recording(["other.wav"])
    with pytest.raises(UserError, match="names no recording, but 2 are given"):
        Spans("x.srt", [Span(0, 1)]).by_recording(["a.wav", "b.wav"])
    alone, told = Spans("all.rttm", [Span(0, 1, file="waveform")]).by_recording(["a.wav"])
    assert len(alone["a.wav"]) == 1
    assert told == ["all.rttm: its segments of 'waveform' are taken as those of a.wav"]


def test_overlapping_segments_are_on_tiers_of_their_own(recognizer, call):
    pympi = pytest.importorskip("pympi")
    textgrid = pytest.importorskip("praatio.textgrid")
    timeline = recognizer.predict_segments(call, [(1, 3, "A"), (2, 4, "A"), (2.5, 3.5, "B"), (5, 7, "A")])
    from serkit.recognition.timeline_formats import render

    def by_praatio(path):
        return {tier.name: len(tier.entries) for tier in textgrid.openTextgrid(str(path), False).tiers}

    def by_pympi(path):
        document = pympi.Elan.Eaf(str(path))
        assert document.tiers["emotion A"][2]["PARTICIPANT"] == "A"
        return {name: len(document.get_annotation_data_for_tier(name)) for name in document.get_tier_names()}

    wanted = {"emotion A": 2, "emotion A (2)": 1, "emotion B": 1}
    wanted |= {name.replace("emotion", "confidence"): count for name, count in wanted.items()}
    for format, by in (("textgrid", by_praatio), ("eaf", by_pympi)):
        place = call.parent / f"overlap.{format}"
        place.write_text(render(timeline, format), "utf-8")
        assert by(place) == wanted


@pytest.fixture
def run(toy, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(call.read_bytes())
    write_csv(tmp_path / "turns.csv")
    return lambda *arguments: cli.run(["predict", "--model", "toy", *map(str, arguments)])


def test_the_command_line_keeps_the_columns(run, capsys, tmp_path, expected):
    (tmp_path / "t.csv").write_text('start,end,agent,label,text\n0.5,1,Ann,x,"hello, you"\n9,10,Bob,y,late\n')
    assert run("a.wav", "--segments", "t.csv", "--format", "csv", "--csv-safe") == 0
    out, err = capsys.readouterr()
    first, second = csv.DictReader(out.splitlines())
    assert list(first)[:7] == ["file", "start", "end", "label", "sure", "doubt", "confidence"]
    assert list(first)[-4:] == ["agent", "given_label", "text", "error"]
    assert (first["agent"], first["given_label"], first["text"], first["error"]) == ("Ann", "x", "hello, you", "")
    assert second["error"].startswith("starts at 9 s")
    assert "row 3: starts at 9 s" in err


def test_the_command_line_with_a_folder_of_segments(run, capsys, tmp_path):
    (tmp_path / "spans").mkdir()
    write_srt(tmp_path / "spans" / "a.srt")
    assert run("a.wav", "b.wav", "--segments", "spans", "--format", "eaf", "--out", "answers") == 1
    assert "b.wav: has no file of its segments in spans" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "answers").iterdir()] == ["a.eaf"]
    write_vtt(tmp_path / "spans" / "b.wav.vtt")
    assert run("a.wav", "b.wav", "--segments", "spans", "--format", "csv", "--jobs", 2) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["file"], row["speaker"]) for row in rows] == [
        *[("a.wav", "")] * 12,
        *[("b.wav", who) for _, _, who in TURNS],
    ]
    assert [row["confidence"] for row in rows[:12]] == [row["confidence"] for row in rows[12:]]


def test_a_database_of_audformat(run, capsys, tmp_path):
    audformat = pytest.importorskip("audformat")
    assert run("a.wav", "--segments", "turns.csv", "--format", "audformat-db", "--out", "db") == 0
    database = audformat.Database.load(str(tmp_path / "db"))
    frame = database["emotion"].get()
    assert len(frame) == 12
    assert {"confidence", "doubt", "emotion", "speaker", "sure"} <= set(database.schemes)
    assert database.schemes["emotion"].labels == ["anger", "joy", "neutral", "sadness"]
    assert list(frame["speaker"]) == [who for _, _, who in TURNS]
    assert list(frame["text"]) == TEXTS
    assert frame.index.get_level_values("start")[1].total_seconds() == pytest.approx(TURNS[1][0])
    assert run("a.wav", "--timeline", "--format", "audformat-db", "--out", "db") == 2
    assert "db: already exists" in capsys.readouterr().err
    assert run("a.wav", "--timeline", "--format", "audformat-db", "--out", "db2") == 0
    assert audformat.Database.load(str(tmp_path / "db2"))["emotion"].is_segmented


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--segments", "turns.csv", "--timeline"], "--segments cannot be combined with --timeline"),
        (["--adapt-speakers"], "--adapt-speakers requires --segments"),
        (["--segments", "none.rttm"], "none.rttm: no such file (segments)"),
        (["--segments", "turns.csv", "--tier", "x"], "turns.csv: has no tiers"),
        (["--segments", "turns.csv", "--format", "audformat-db"], "--format audformat-db requires --out FOLDER"),
        (["--segments", "turns.csv", "--hop", "1"], "--hop requires --timeline"),
    ],
)
def test_mistakes_on_the_command_line(run, capsys, arguments, message):
    assert run("a.wav", *arguments) == 2
    assert message in capsys.readouterr().err
