import json
import shutil
import struct

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.auditing.verify import Count, stats, verify
from serkit.corpora import load
from serkit.corpora.corpus import Channel, Corpus, Facts, Utterance
from serkit.corpora.synthetic import utterance

FACTS = Facts("x", "X", "en", "", "", "", counts={"anger": 2, "neutral": 1}, speakers=2)


def corpus_of(folder, *utterances, facts=FACTS):
    return Corpus(facts, folder, utterances, {"odd.wav": "odd name"})


def say(path, key, emotion="anger", **fields):
    return Utterance(f"x/{key}", path, targets={"emotion": emotion}, **fields)


def write(path, signal, rate=16000, subtype=None):
    soundfile.write(path, signal, rate, subtype=subtype)
    return path


def loud(samples_at_full_scale):
    """A tone at half of full scale with some samples at full scale, of either sign."""
    signal = 0.5 * np.sin(np.arange(1600) * 0.1)
    signal[100 : 100 + 50 * samples_at_full_scale : 50] = 1.0
    signal[100 : 100 + 100 * samples_at_full_scale : 100][: samples_at_full_scale // 2] = -1.0
    return signal


def test_a_sound_corpus_has_no_defects(tree):
    root = tree("a.wav", "b.wav", "c.wav")
    corpus = corpus_of(
        root,
        say(root / "a.wav", "a", speaker="x/1"),
        say(root / "b.wav", "b", speaker="x/2"),
        say(root / "c.wav", "c", "neutral", speaker="x/2"),
    )
    report = verify(corpus)
    assert report.classes == {"anger": Count(2, 2), "neutral": Count(1, 1)}
    assert report.speakers == Count(2, 2)
    assert report.duration == pytest.approx(0.3)
    assert report.rates == {16000: 3}
    assert report.skipped == {"odd.wav": "odd name"}
    assert not (report.unreadable or report.silent or report.clipped or report.truncated)
    assert not (report.identical or report.channels or report.loses_data)


def test_missing_and_surplus_are_counted_per_class(tree):
    root = tree("a.wav", "b.wav")
    report = verify(corpus_of(root, say(root / "a.wav", "a", "boredom"), say(root / "b.wav", "b", "neutral")))
    assert report.classes == {"anger": Count(0, 2), "boredom": Count(1, None), "neutral": Count(1, 1)}
    assert [report.classes[name].missing for name in ("anger", "boredom", "neutral")] == [2, 0, 0]
    assert report.loses_data


def test_unreadable_recordings_are_named_with_the_reason_and_lose_data(tree):
    root = tree("a.wav", "b.wav")
    (root / "b.wav").write_bytes(b"this is no sound")
    facts = Facts("x", "X", "en", "", "", "")
    report = verify(corpus_of(root, say(root / "a.wav", "a"), say(root / "b.wav", "b"), facts=facts))
    assert list(report.unreadable) == ["x/b"]
    assert "not audio" in report.unreadable["x/b"] and str(root) not in report.unreadable["x/b"]
    assert report.duration == pytest.approx(0.1)
    assert report.loses_data


def test_silence_is_found_and_a_faint_sound_is_none(tmp_path):
    silent = write(tmp_path / "silent.wav", np.zeros(1600))
    faint = write(tmp_path / "faint.wav", np.full(1600, 2 / 32768))
    report = verify(corpus_of(tmp_path, say(silent, "silent"), say(faint, "faint")))
    assert report.silent == ["x/silent"]


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_three_samples_at_full_scale_are_clipping_two_are_a_peak(subtype, tmp_path):
    twice = write(tmp_path / "2.wav", loud(2), subtype=subtype)
    often = write(tmp_path / "7.wav", loud(7), subtype=subtype)
    report = verify(corpus_of(tmp_path, say(twice, "2"), say(often, "7")))
    assert report.clipped == {"x/7": 7}


def test_truncated_recordings_are_named_once(tree):
    root = tree("a.wav", "b.wav")
    path = root / "a.wav"
    path.write_bytes(path.read_bytes()[:-1600])  # the last 800 samples, 0.05 s
    report = verify(corpus_of(root, say(path, "a"), say(root / "b.wav", "b")), jobs=2)
    assert len(report.truncated) == 1
    assert report.truncated[0].startswith(f"{path}: truncated (0.05 s of 0.10 s")


def test_identical_samples_are_found_in_whatever_container(tree):
    root = tree("a.wav", "b.wav")
    signal, rate = soundfile.read(root / "a.wav", dtype="int16")
    write(root / "copy.flac", signal, rate)
    write(root / "other_rate.wav", signal, 8000)
    names = ["a.wav", "b.wav", "copy.flac", "other_rate.wav"]
    report = verify(corpus_of(root, *(say(root / name, name) for name in names)))
    assert report.identical == [["x/a.wav", "x/copy.flac"]]
    assert audio.content_hash(root / "a.wav") == audio.content_hash(root / "copy.flac")


def test_changed_copies_are_found_where_asked_for(tmp_path):
    take = utterance(1, 1, "anger", 1, seed=0)
    for name, signal in (("a", take.speech), ("b", 0.5 * take.speech[800:]), ("c", take.speech)):
        write(tmp_path / f"{name}.wav", signal, take.rate)
    corpus = corpus_of(tmp_path, *(say(tmp_path / f"{name}.wav", name) for name in "abc"))
    assert verify(corpus).copies == []
    report = verify(corpus, copies=True)
    assert (report.identical, report.copies) == ([["x/a", "x/c"]], [["x/a", "x/b"], ["x/b", "x/c"]])


def test_one_recording_that_cannot_be_read_does_not_keep_copies_from_being_found(tmp_path):
    take = utterance(1, 1, "anger", 1, seed=0)
    for name, signal in (("a", take.speech), ("b", 0.5 * take.speech[800:])):
        write(tmp_path / f"{name}.wav", signal, take.rate)
    soundfile.write(tmp_path / "c.wav", [0.1, np.nan, 0.1], take.rate, subtype="FLOAT")
    beyond = say(tmp_path / "a.wav", "d", start=90.0, end=91.0)
    corpus = corpus_of(tmp_path, *(say(tmp_path / f"{name}.wav", name) for name in "abc"), beyond)
    report = verify(corpus, copies=True)
    assert sorted(report.unreadable) == ["x/c", "x/d"] and report.copies == [["x/a", "x/b"]]


def test_intervals_are_checked_for_themselves(tmp_path):
    half = np.concatenate([np.zeros(800), loud(5)[:800]])
    path = write(tmp_path / "a.wav", half)
    parts = [
        say(path, "first", start=0.0, end=0.05),
        say(path, "second", start=0.05, end=0.1),
        say(path, "beyond", start=0.5, end=0.6),
    ]
    report = verify(corpus_of(tmp_path, *parts))
    assert report.silent == ["x/first"]
    assert report.clipped == {"x/second": 5}
    assert report.duration == pytest.approx(0.1)
    assert "no interval 0.5 to 0.6 s" in report.unreadable["x/beyond"]


def test_only_the_channel_of_the_speech_is_measured(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([np.zeros(1600), loud(5)], axis=1))
    report = verify(corpus_of(tmp_path, say(path, "left", index=0), say(path, "right", index=1)))
    assert report.silent == ["x/left"]
    assert report.clipped == {"x/right": 5}


def test_further_channels_must_be_there_and_last_as_long_as_the_speech(tree):
    root = tree("a.wav", "egg.wav")  # 0.1 s each
    egg = root / "egg.wav"

    def with_egg(key, *channel, **fields):
        return say(root / "a.wav", key, channels={"egg": Channel(*channel)}, **fields)

    report = verify(
        corpus_of(
            root,
            with_egg("good", egg),
            with_egg("nearly", egg, 0, 0.005),
            with_egg("short", egg, 0, 0.03),
            with_egg("late", egg, 0, -0.02),
            with_egg("second", egg, 1),
            with_egg("gone", root / "gone.wav"),
            with_egg("part", egg, 0, 0.03, start=0.0, end=0.05),
            with_egg("end", egg, 0, 0.03, start=0.05, end=0.1),
            say(root / "a.wav", "none"),
        )
    )
    assert report.channels == {
        "x/short egg": "ends 0.030 s before the speech",
        "x/late egg": "begins 0.020 s after the speech",
        "x/second egg": "egg.wav has no channel 1; it has 1, counted from 0",
        "x/gone egg": "no such file",
        "x/end egg": "ends 0.030 s before the speech",
        "x/none egg": "missing",
    }


def test_threads_do_not_change_the_report_and_progress_is_told(tree):
    root = tree(*(f"{number}.wav" for number in range(12)))
    shutil.copy(root / "3.wav", root / "7.wav")
    corpus = corpus_of(root, *(say(root / f"{number}.wav", str(number)) for number in range(12)))
    steps = []
    assert verify(corpus, jobs=4, progress=steps.append) == verify(corpus)
    assert steps == [1] * 12
    assert verify(corpus).identical == [["x/3", "x/7"]]


def test_report_and_stats_are_json(tree):
    root = tree("a.wav")
    corpus = corpus_of(root, say(root / "a.wav", "a", speaker="x/1"))
    document = json.loads(json.dumps(verify(corpus).to_dict()))
    assert document["classes"]["anger"] == {"found": 1, "official": 2}
    assert document["loses_data"] is True
    assert json.loads(json.dumps(stats(corpus).to_dict()))["rates"] == {"16000": 1}


def test_stats_count_and_measure(tmp_path):
    utterances = []
    for key, seconds, emotion, speaker, sex in [
        ("a", 1.0, "anger", "x/1", "female"),
        ("b", 2.0, "anger", "x/1", "female"),
        ("c", 4.0, "anger", "x/2", "male"),
        ("d", 8.0, "neutral", None, None),
    ]:
        path = write(tmp_path / f"{key}.wav", np.zeros(int(seconds * 8000)), 8000)
        utterances.append(say(path, key, emotion, speaker=speaker, sex=sex))
    utterances.append(say(tmp_path / "d.wav", "part", "neutral", start=1.0, end=1.5))
    (tmp_path / "broken.wav").write_bytes(struct.pack("<4sI", b"RIFF", 0))
    utterances.append(say(tmp_path / "broken.wav", "broken", "neutral"))
    utterances.append(say(tmp_path / "a.wav", "beyond", "neutral", start=5.0, end=7.0))
    numbers = stats(corpus_of(tmp_path, *utterances))
    assert numbers.utterances == 7
    assert numbers.by_speaker == {"anger": {"x/1": 2, "x/2": 1}, "neutral": {"unknown": 4}}
    assert numbers.by_sex == {"anger": {"female": 2, "male": 1}, "neutral": {"unknown": 4}}
    # 0.5, 1, 2, 4, 8 s
    assert numbers.seconds == {"min": 0.5, "median": 2.0, "max": 8.0, "total": 15.5}
    assert numbers.rates == {8000: 5}
    assert list(numbers.unreadable) == ["x/broken", "x/beyond"]
    assert numbers.unreadable["x/beyond"] == "has no interval 5 to 7 s; it lasts 1.000 s"


def test_numbers_are_not_counted_as_classes(tree):
    path = tree("a.wav") / "my.csv"
    path.write_text("path,valence\na.wav,0.5\n")
    corpus = load("table", path)
    assert verify(corpus).classes == {} and stats(corpus).by_speaker == {}
    assert verify(corpus).utterances == 1 and not verify(corpus).loses_data
