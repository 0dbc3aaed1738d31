import json

import numpy as np
import pytest
import soundfile

from serkit import audio, corpora
from serkit.corpora import synthetic
from serkit.errors import UserError

SPEAKERS, SENTENCES = 6, 4


@pytest.fixture(scope="module")
def takes():
    """The default corpus: `{(speaker, sentence, emotion): Take}`."""
    return {
        (speaker, sentence, emotion): synthetic.utterance(speaker, sentence, emotion)
        for speaker in range(1, SPEAKERS + 1)
        for sentence in range(1, SENTENCES + 1)
        for emotion in synthetic.MANNERS
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    return synthetic.generate(folder, speakers=2, sentences=1, takes=2, emotions=["anger", "sadness"])


def semitones(take):
    return 12 * np.log2(take.f0[take.f0 > 0])


def speech_seconds(take):
    voiced = np.flatnonzero(take.f0)
    return (voiced[-1] - voiced[0]) * 0.01


def spoken(take):
    """The samples of voiced frames."""
    return take.speech[np.repeat(take.f0 > 0, synthetic.HOP)]


def level(take):
    return 10 * np.log10(np.mean(spoken(take) ** 2))


def high_frequency_share(take):
    """Energy of voiced frames from 1.5 to 5 kHz against that below 1 kHz, in dB."""
    power = np.abs(np.fft.rfft(spoken(take))) ** 2
    frequencies = np.fft.rfftfreq(len(spoken(take)), 1 / take.rate)
    return 10 * np.log10(power[(frequencies >= 1500) & (frequencies < 5000)].sum() / power[frequencies < 1000].sum())


def periodicity(frame, rate, lowest=60, highest=500):
    """F0 in Hz by the highest peak of the autocorrelation, interpolated."""
    frame = frame - frame.mean()
    correlation = np.correlate(frame, frame, "full")[len(frame) - 1 :]
    correlation = correlation / np.arange(len(frame), 0, -1)
    lags = np.arange(rate // highest, rate // lowest)
    # The smallest lag of the equally high ones: its multiples correlate as well.
    best = next(lag for lag in lags if correlation[lag] >= 0.85 * correlation[lags].max() and is_peak(correlation, lag))
    left, middle, right = correlation[best - 1 : best + 2]
    return rate / (best + 0.5 * (left - right) / (left - 2 * middle + right))


def is_peak(values, index):
    return values[index - 1] < values[index] >= values[index + 1]


class TestTruth:
    def test_shapes(self, takes):
        for take in takes.values():
            assert take.rate == 16000
            assert take.speech.dtype == take.egg.dtype == np.float32
            assert take.speech.shape == take.egg.shape
            assert take.f0.shape == (len(take.speech) // 160,)
            assert 1.1 < len(take.speech) / take.rate < 2.7

    @pytest.mark.parametrize("emotion", synthetic.MANNERS)
    def test_f0_is_that_of_the_egg(self, takes, emotion):
        for speaker in (1, 2):
            take = takes[speaker, 3, emotion]
            frames = [i for i in range(2, len(take.f0) - 2) if np.all(take.f0[i - 2 : i + 3] > 0)]
            found = [periodicity(take.egg[i * 160 - 320 : i * 160 + 320], 16000) for i in frames]
            error = np.abs(np.array(found) / take.f0[frames] - 1)
            assert len(frames) > 30
            assert np.median(error) < 0.015
            assert np.mean(error < 0.06) > 0.95

    def test_f0_is_that_of_the_speech(self, takes):
        librosa = pytest.importorskip("librosa")
        take = takes[2, 1, "neutral"]
        found, voiced, _ = librosa.pyin(
            take.speech, fmin=65, fmax=500, sr=16000, frame_length=1024, hop_length=160, fill_na=0.0
        )
        truth = take.f0 > 0
        voiced, found = voiced[: len(truth)], found[: len(truth)]
        assert np.mean(voiced == truth) > 0.85
        both = voiced & truth
        assert np.median(np.abs(found[both] / take.f0[both] - 1)) < 0.015

    def test_egg_sounds_where_the_truth_is_voiced(self, takes):
        for take in takes.values():
            # The derivative removes the drift.
            energy = np.square(np.diff(take.egg, prepend=take.egg[0])).reshape(-1, 160).mean(axis=1)
            # 30 ms hold a closure even at 60 Hz.
            energy = np.log(np.convolve(energy, np.ones(3) / 3, "same"))
            voiced = take.f0 > 0
            # A frame next to a change holds a bit of both.
            settled = np.convolve(voiced, np.ones(5), "same") % 5 == 0
            sounding = energy > (energy.min() + energy.max()) / 2
            assert np.mean(sounding[settled] == voiced[settled]) > 0.97

    def test_speech_follows_the_closing_of_the_folds_within_a_millisecond(self, takes):
        found = []
        for take in takes.values():
            voiced = np.repeat(take.f0 > 0, 160)
            speech = np.diff(take.speech, n=2, prepend=[0, 0]) * voiced
            closing = np.diff(take.egg, prepend=take.egg[0]) * voiced
            lags = range(-40, 41)
            likeness = [np.abs(speech[100:-100] @ np.roll(closing, lag)[100:-100]) for lag in lags]
            found.append(lags[int(np.argmax(likeness))])
        # Single takes may lock to another half-wave of the first formant.
        assert 0 < np.median(found) < 16
        assert np.mean(np.abs(found) <= 16) > 0.95

    def test_more_contact_is_more_positive(self, takes):
        # The folds close faster than they part.
        for take in takes.values():
            slope = np.diff(take.egg)
            assert slope.max() > -1.2 * slope.min()

    def test_levels(self, takes):
        for take in takes.values():
            assert np.abs(take.speech).max() < 0.99
            assert np.abs(take.egg).max() < 0.99
            assert level(take) > -50
            # Room noise everywhere: a real recording is never digitally silent.
            assert np.all(take.speech.reshape(-1, 160).std(axis=1) > 1 / 32768)


class TestVoices:
    def test_sexes_differ_in_f0_and_formants(self, takes):
        women = [take for (speaker, _, _), take in takes.items() if speaker % 2 == 0]
        men = [take for (speaker, _, _), take in takes.items() if speaker % 2 == 1]
        assert 7 < mean(semitones, women) - mean(semitones, men) < 13
        for speaker in range(1, SPEAKERS + 1):
            pitch = 2 ** (mean(semitones, [takes[speaker, s, "neutral"] for s in range(1, 5)]) / 12)
            assert (165 < pitch < 250) if speaker % 2 == 0 else (80 < pitch < 145)

    @pytest.mark.parametrize(
        ("emotion", "measure", "direction"),
        [
            ("anger", "pitch", 1),
            ("anger", "span", 1),
            ("anger", "seconds", -1),
            ("anger", "level", 1),
            ("anger", "brightness", 1),
            ("disgust", "pitch", -1),
            ("disgust", "seconds", 1),
            ("disgust", "level", -1),
            ("fear", "pitch", 1),
            ("fear", "span", -1),
            ("fear", "seconds", -1),
            ("fear", "level", -1),
            ("happiness", "pitch", 1),
            ("happiness", "span", 1),
            ("happiness", "seconds", -1),
            ("happiness", "level", 1),
            ("sadness", "pitch", -1),
            ("sadness", "span", -1),
            ("sadness", "seconds", 1),
            ("sadness", "level", -1),
            ("sadness", "brightness", -1),
            ("surprise", "pitch", 1),
            ("surprise", "rise", 1),
        ],
    )
    def test_emotions_differ_as_published(self, takes, emotion, measure, direction):
        function = {
            "pitch": lambda take: semitones(take).mean(),
            "span": lambda take: semitones(take).std(),
            "seconds": speech_seconds,
            "level": level,
            "brightness": high_frequency_share,
            "rise": lambda take: semitones(take)[-5:].mean() - semitones(take).mean(),
        }[measure]
        differences = [
            function(take) - function(takes[speaker, sentence, "neutral"])
            for (speaker, sentence, name), take in takes.items()
            if name == emotion
        ]
        error = np.std(differences) / np.sqrt(len(differences))
        assert direction * np.mean(differences) > 3 * error

    def test_emotions_can_be_learned_across_speakers_but_overlap(self, takes):
        linear_model = pytest.importorskip("sklearn.linear_model")
        keys = list(takes)
        features = np.array([band_statistics(takes[key]) for key in keys])
        emotions = np.array([emotion for _, _, emotion in keys])
        right = []
        for speaker in range(1, SPEAKERS + 1):
            test = np.array([key[0] == speaker for key in keys])
            center, scale = features[~test].mean(axis=0), features[~test].std(axis=0)
            scaled = (features - center) / scale
            model = linear_model.LogisticRegression(C=0.1, max_iter=500).fit(scaled[~test], emotions[~test])
            right.append(np.mean(model.predict(scaled[test]) == emotions[test]))
        assert 0.55 < np.mean(right) < 0.95  # chance is 0.14


def mean(function, takes):
    return np.mean([function(take).mean() for take in takes])


def band_statistics(take):
    """Mean, deviation and change of the log energy in 32 bands, 20 ms frames: shape (96,)."""
    blocks = np.lib.stride_tricks.sliding_window_view(take.speech, 320)[::160] * np.hanning(320)
    power = np.abs(np.fft.rfft(blocks, axis=1)) ** 2
    edges = np.unique(np.round(np.geomspace(2, 161, 33)).astype(int))
    bands = np.log(np.add.reduceat(power[:, :161], edges[:-1], axis=1) + 1e-6)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), np.abs(np.diff(bands, axis=0)).mean(axis=0)])


class TestDeterminism:
    def test_same_arguments_same_samples(self):
        first, second = (synthetic.utterance(1, 2, "fear", 3, seed=7) for _ in range(2))
        assert first.speech.tobytes() == second.speech.tobytes()
        assert first.egg.tobytes() == second.egg.tobytes()
        assert first.f0.tobytes() == second.f0.tobytes()

    @pytest.mark.parametrize(
        "other",
        [
            (2, 2, "fear", 3, 7),
            (1, 1, "fear", 3, 7),
            (1, 2, "anger", 3, 7),
            (1, 2, "fear", 1, 7),
            (1, 2, "fear", 3, 8),
        ],
    )
    def test_other_arguments_other_samples(self, other):
        first, second = synthetic.utterance(1, 2, "fear", 3, seed=7), synthetic.utterance(*other)
        length = min(len(first.speech), len(second.speech))
        assert not np.array_equal(first.speech[:length], second.speech[:length])

    def test_a_larger_corpus_holds_the_same_files(self, corpus, tmp_path):
        larger = synthetic.generate(tmp_path, speakers=3, sentences=2, takes=2, emotions=["anger", "fear", "sadness"])
        assert len(larger) == 36
        for utterance in corpus.utterances:
            assert (tmp_path / utterance.path.name).read_bytes() == utterance.path.read_bytes()

    def test_the_global_random_state_is_left_alone(self):
        np.random.seed(5)  # noqa: NPY002
        synthetic.utterance(1, 1, "neutral")
        after = np.random.random()  # noqa: NPY002
        assert after == np.random.RandomState(5).random()


class TestFolder:
    def test_is_read_back(self, corpus):
        loaded = corpora.load("synthetic", corpus.folder)
        assert loaded == corpus
        assert [u.id for u in loaded.utterances] == [
            f"synthetic/s0{speaker}_t1_{emotion}_{take}"
            for speaker in (1, 2)
            for emotion in ("anger", "sadness")
            for take in (1, 2)
        ]
        first, last = loaded.utterances[0], loaded.utterances[-1]
        assert (first.speaker, first.sentence, first.sex) == ("synthetic/s01", "synthetic/t1", "male")
        assert (last.speaker, last.sex) == ("synthetic/s02", "female")
        assert (first.targets, last.targets) == ({"emotion": "anger"}, {"emotion": "sadness"})
        assert (first.index, first.end, first.channels["egg"].index) == (0, None, 1)

    def test_holds_the_take(self, corpus):
        utterance, take = corpus.utterances[1], synthetic.utterance(1, 1, "anger", 2)
        assert audio.info(utterance.path) == audio.Info(16000, 2, len(take.speech))
        assert soundfile.info(utterance.path).subtype == "PCM_16"
        speech, _ = audio.read(utterance.path, channel=utterance.index)
        egg, _ = audio.read(utterance.channels["egg"].path, channel=utterance.channels["egg"].index)
        assert np.abs(speech - take.speech).max() < 1 / 32768
        assert np.abs(egg - take.egg).max() < 1 / 32768

    def test_egg_may_start_earlier_and_be_inverted(self, tmp_path):
        made = synthetic.generate(tmp_path, 1, 1, emotions=["neutral"], egg_start=0.25, egg_inverted=True)
        utterance, take = made.utterances[0], synthetic.utterance(1, 1, "neutral")
        channel = utterance.channels["egg"]
        assert channel.start == 0.25
        speech, _ = audio.read(utterance.path, channel=utterance.index, end=utterance.end)
        egg, _ = audio.read(channel.path, channel=channel.index, start=channel.start)
        assert len(speech) == len(egg) == len(take.speech)
        assert np.abs(speech - take.speech).max() < 1 / 32768
        assert np.abs(egg + take.egg).max() < 1 / 32768

    def test_only_missing_files_are_written(self, tmp_path):
        def make():
            return synthetic.generate(tmp_path, 1, 2, emotions=["neutral", "fear"])

        paths = [utterance.path for utterance in make().utterances]
        content = paths[0].read_bytes()
        paths[0].unlink()
        paths[1].write_bytes(content)  # stands for a file that must not be touched
        assert [utterance.path for utterance in make().utterances] == paths
        assert paths[0].read_bytes() == content
        assert paths[1].read_bytes() == content
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [path.name for path in paths] + ["synthetic.json"]
        )

    def test_another_recipe_is_refused(self, corpus):
        with pytest.raises(UserError, match=r"another recipe \(it has seed = 0, .*\)"):
            synthetic.generate(corpus.folder, 2, 1, 2, ["anger"], seed=1)

    def test_foreign_recordings_are_reported(self, tmp_path):
        synthetic.generate(tmp_path, 1, 1, emotions=["neutral"])
        (tmp_path / "hello.wav").touch()
        found = synthetic.read(tmp_path)
        assert len(found) == 1
        assert list(found.skipped) == ["hello.wav"]

    def test_a_folder_without_recipe_is_no_corpus(self, tmp_path):
        with pytest.raises(UserError, match=r"contains no recording of corpus 'synthetic'.*synthetic\.json"):
            corpora.load("synthetic", tmp_path)

    @pytest.mark.parametrize("content", ["{", "[]", json.dumps({"seed": 0})])
    def test_a_broken_recipe_is_a_clear_error(self, tmp_path, content):
        (tmp_path / "synthetic.json").write_text(content)
        with pytest.raises(UserError, match=r"synthetic\.json: is not a recipe"):
            synthetic.read(tmp_path)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((1, 1, "angre"), "unknown emotion 'angre'. Did you mean 'anger'"),
            ((1, 9, "anger"), "sentence must be from 1 to 8, got 9"),
            ((0, 1, "anger"), "speaker must be at least 1, got 0"),
            ((1, 1, "anger", 0), "take must be at least 1, got 0"),
            ((1, 1, "anger", 1, -1), "seed must be at least 0, got -1"),
        ],
    )
    def test_of_an_utterance(self, arguments, message):
        with pytest.raises(UserError, match=message):
            synthetic.utterance(*arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"speakers": 0}, "speakers must be at least 1, got 0"),
            ({"sentences": 9}, "sentence must be from 1 to 8, got 9"),
            ({"emotions": ["joy"]}, "unknown emotion 'joy'"),
            ({"emotions": []}, "emotions is empty"),
            ({"egg_start": -0.1}, "egg_start must be from 0 to 10 s, got -0.1"),
        ],
    )
    def test_of_a_corpus_write_nothing(self, tmp_path, arguments, message):
        with pytest.raises(UserError, match=message):
            synthetic.generate(tmp_path / "new", **arguments)
        assert not (tmp_path / "new").exists()

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match="is a file"):
            synthetic.generate(tmp_path / "file")
