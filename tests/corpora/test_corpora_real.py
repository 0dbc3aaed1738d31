"""The real recordings, in the folder named by SERKIT_CORPORA."""

import csv
from collections import Counter

import pytest

from serkit.auditing.verify import verify
from serkit.corpora import load

pytestmark = pytest.mark.corpora


@pytest.mark.parametrize(
    ("name", "utterances", "speakers", "clipped", "identical"),
    [
        ("emodb", 535, 10, 2, []),
        ("ravdess", 1440, 24, 3, [["ravdess/03-01-03-01-02-01-07", "ravdess/03-01-03-01-02-02-07"]]),
        ("savee", 480, 4, 158, []),
        ("tava", 352, 22, 4, []),
    ],
)
def test_every_official_recording_is_there_and_the_known_defects_are_found(
    recordings, name, utterances, speakers, clipped, identical
):
    corpus = load(name, recordings / name)
    assert len(corpus) == utterances and not corpus.skipped
    report = verify(corpus, jobs=2)
    assert not report.loses_data
    assert all(count.found == count.official for count in report.classes.values())
    assert (report.speakers.found, report.rates) == (speakers, {16000: utterances})
    assert not (report.unreadable or report.silent or report.truncated)
    assert len(report.clipped) == clipped
    assert report.identical == identical


def test_emodb_is_read_from_its_folder_wav_too(recordings):
    assert len(load("emodb", recordings / "emodb/wav")) == 535


def test_tava_quadrants_and_egg(recordings):
    utterances = load("tava", recordings / "tava").utterances
    assert Counter(utterance.targets["quadrant"] for utterance in utterances) == {
        "positive_high": 101,
        "negative_high": 98,
        "negative_low": 79,
        "positive_low": 74,
    }
    assert sum(float(utterance.attributes["axis_distance"]) < 0.1 for utterance in utterances) == 99
    assert Counter(utterance.sex for utterance in utterances) == {"female": 176, "male": 176}
    assert all("egg" in utterance.channels for utterance in utterances)
    assert {utterance.id: utterance.channels["egg"].start for utterance in utterances}[
        "tava/s01_annoyed_audio"
    ] == 0.4475


def test_tava_channels_that_miss_an_end_of_the_speech_are_named(recordings):
    channels = verify(load("tava", recordings / "tava")).channels
    assert Counter(defect.split()[0] for defect in channels.values()) == {"ends": 11, "begins": 9}
    assert channels["tava/s07_confident_audio egg"] == "ends 0.128 s before the speech"


@pytest.mark.parametrize("name", ["emodb", "ravdess", "savee", "tava", "casia", "nemo", "emotiontts_ko"])
def test_links_to_a_corpus_find_each_recording_once(recordings, tmp_path, name):
    for link in ("first", "second"):
        (tmp_path / link).symlink_to(recordings / name)
    (tmp_path / "first-again").symlink_to(tmp_path)
    linked, direct = load(name, tmp_path), load(name, recordings / name)
    assert [utterance.id for utterance in linked.utterances] == [utterance.id for utterance in direct.utterances]
    assert all(utterance.path.is_relative_to(tmp_path / "first") for utterance in linked.utterances)
    assert not linked.skipped.keys() - {f"first/{path}" for path in direct.skipped}


def test_the_korean_sample_agrees_with_the_corrected_list(recordings):
    folder = recordings / "emotiontts_ko"
    rows = list(csv.DictReader((folder / "labels.tsv").open(encoding="utf-8"), delimiter="\t"))
    found = {str(u.path.relative_to(folder)): u.targets["emotion"] for u in load("emotiontts_ko", folder).utterances}
    assert found == {row["file"]: row["emotion"] for row in rows} and len(found) == 300
