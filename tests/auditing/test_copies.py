import itertools

import numpy as np
import pytest
import soundfile

from serkit import corpora
from serkit.audio import resample
from serkit.auditing import fingerprint
from serkit.auditing.copies import copies
from serkit.auditing.fingerprint import Fingerprint
from serkit.corpora import Utterance
from serkit.corpora.synthetic import utterance
from serkit.data.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def take():
    return utterance(1, 1, "anger", 1, seed=0)


def write(path, signal, rate):
    soundfile.write(path, signal, rate)
    return Utterance(f"table/{path.stem}", path)


def compare(found, store):
    hashes, _ = store.hashes([utterance.path for utterance in found])
    return [(pair.first, pair.second) for pair in copies(found, hashes, store)]


def test_copies_are_pairs_in_the_order_given(tmp_path, store, take):
    other = utterance(2, 2, "sadness", 1, seed=0)
    found = [
        write(tmp_path / "z.wav", 0.5 * take.speech, take.rate),
        write(tmp_path / "other.wav", other.speech, other.rate),
        write(tmp_path / "a.flac", 0.4 * take.speech[take.rate // 10 :], take.rate),
        write(tmp_path / "m.mp3", 0.5 * take.speech, take.rate),
    ]
    assert compare(found, store) == [("table/z", "table/a"), ("table/z", "table/m"), ("table/a", "table/m")]


def test_two_takes_whose_prints_agree_are_no_copies(tmp_path, store, take, monkeypatch):
    again = utterance(1, 1, "anger", 2, seed=0)
    found = [write(tmp_path / f"{name}.wav", each.speech, each.rate) for name, each in (("a", take), ("b", again))]
    monkeypatch.setattr(fingerprint, "similar", lambda prints, others=None: [(0, 1)])
    assert compare(found, store) == []
    assert compare([found[0], write(tmp_path / "c.wav", 0.1 * take.speech, take.rate)], store) == [
        ("table/a", "table/c")
    ]


def test_copies_at_the_usual_speeds_are_found(tmp_path, store, take):
    found = [
        write(tmp_path / "fast.wav", resample(take.speech, round(1.1 * take.rate), take.rate), take.rate),
        write(tmp_path / "plain.wav", take.speech, take.rate),
        write(tmp_path / "slow.wav", resample(take.speech, round(0.9 * take.rate), take.rate), take.rate),
    ]
    hashes, _ = store.hashes([utterance.path for utterance in found])
    pairs = {(pair.first, pair.second): pair.speed for pair in copies(found, hashes, store)}
    assert pairs == {("table/fast", "table/plain"): 1.1, ("table/plain", "table/slow"): 0.9}


def test_intervals_of_one_file_are_copies_only_where_they_overlap(tmp_path, store, take):
    path = tmp_path / "call.wav"
    speech = np.concatenate([utterance(1, text, "anger", 1, seed=0).speech for text in (1, 2)])
    soundfile.write(path, speech, take.rate)
    half, end = len(take.speech) / take.rate, len(speech) / take.rate
    first, second = Utterance("t/1", path, end=half), Utterance("t/2", path, start=half)
    assert compare([first, second, Utterance("t/3", path, start=half / 5, end=end)], store) == [
        ("t/1", "t/3"),
        ("t/2", "t/3"),
    ]


def test_what_cannot_be_read_is_passed_over_and_prints_are_kept(tmp_path, store, take, monkeypatch):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    found = [write(tmp_path / f"{name}.wav", take.speech, take.rate) for name in "ab"]
    found.append(Utterance("table/broken", broken))
    assert compare(found, store) == [("table/a", "table/b")]
    monkeypatch.setattr(Fingerprint, "__call__", lambda self, signal: pytest.fail("computed again"))
    assert compare(found, store) == [("table/a", "table/b")]


@pytest.mark.corpora
def test_repetitions_by_precise_actors_and_takes_are_no_copies(recordings, store):
    """Actors 2 and 23 repeat sentences more precisely than any other; 7 has one recording under two names."""
    ravdess = corpora.load("ravdess", recordings / "ravdess").utterances
    chosen = [each for each in ravdess if each.speaker in {f"ravdess/{actor}" for actor in ("02", "07", "23")}]
    twins = ("ravdess/03-01-03-01-02-01-07", "ravdess/03-01-03-01-02-02-07")
    assert compare(chosen, store) == [twins]
    emodb = corpora.load("emodb", recordings / "emodb").utterances
    groups = [list(group) for _, group in itertools.groupby(emodb, key=lambda each: each.id[:-1])]
    takes = [each for group in groups if len(group) > 1 for each in group]
    assert len(takes) > 100
    assert compare(takes, store) == []
