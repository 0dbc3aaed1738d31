"""Views of a further channel: where it is missing, what falls back, what is shipped and what is evaluated."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile

from preparation import prepare
from serkit import features, systems
from serkit.corpora import load as load_corpus
from serkit.corpora.corpus import Channel
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.evaluation.evaluate import evaluate
from serkit.recognition.recognizer import Recognizer
from serkit.runs.export import export
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.windowing import Windowing

SETS = (
    "views.functionals.channel=egg",
    "views.functionals.feature.bands=4",
    "stages.main.trainer.epochs=3",
    "protocols.clean.folds=2",
)
FALLBACK = "views.functionals.fallback=speech"


def without(corpus, keep=0):
    """The corpus without EGG, but for the first utterances."""
    return dataclasses.replace(
        corpus,
        utterances=tuple(
            utterance if place < keep else dataclasses.replace(utterance, channels={})
            for place, utterance in enumerate(corpus.utterances)
        ),
    )


def load(*sets):
    # Two folds, which the system's own table of protocols does not name.
    return systems.load("linear-baseline", [*SETS, *sets])


def train(corpus, folder, *sets):
    said = []
    run(
        Request("linear-baseline", [corpus], sets=(*SETS, *sets), jobs=1, threads=1, accelerator="cpu"),
        folder,
        report=said.append,
    )
    return said


def test_a_missing_channel_is_named_before_anything_is_trained(synthetic):
    message = (
        r"view 'functionals': 40 of 40 utterances have no channel 'egg' "
        r"\(first: 'synthetic/s01_t1_anger_1', which has: speech\)\. .*: --set views\.functionals\.fallback=speech"
    )
    with pytest.raises(UserError, match=message):
        prepare(load(), [without(synthetic)], "clean", Store())
    with pytest.raises(UserError, match="37 of 40 utterances have no channel 'egg'"):
        prepare(load(), [without(synthetic, keep=3)], "clean", Store())


def test_only_what_a_view_reads_counts(synthetic):
    """An utterance that is not selected may lack the channel."""
    corpus = without(synthetic, keep=20)
    chosen = {utterance.speaker for utterance in corpus.utterances[:20]}
    kept = [speaker for speaker in chosen if sum(u.speaker == speaker for u in corpus.utterances[:20]) == 8]
    where = f"data.where.speaker=[{', '.join(json.dumps(speaker) for speaker in kept)}]"
    experiment = prepare(load(where), [corpus], "clean", Store())
    assert experiment.system.views["functionals"].channel == "egg" and not experiment.flags


def test_the_fallback_is_for_all_utterances_and_flagged(synthetic):
    whole = prepare(load(FALLBACK), [synthetic], "clean", Store())
    assert whole.system.views["functionals"].channel == "egg" and list(whole.flags) == []
    for keep, count in ((0, 40), (3, 37)):
        fallen = prepare(load(FALLBACK), [without(synthetic, keep)], "clean", Store())
        assert fallen.system.views["functionals"].channel is None
        assert [flag.text for flag in fallen.flags] == [
            f"not EGG: view 'functionals' reads the speech, since {count} of 40 utterances have no channel 'egg'"
        ]


def test_fallback_needs_a_channel():
    with pytest.raises(UserError, match=r"views\.functionals: fallback requires channel"):
        systems.load("linear-baseline", [FALLBACK])


@pytest.fixture(scope="module")
def listening(synthetic, tmp_path_factory):
    """A run that listens to the EGG, and its bundle."""
    folder = tmp_path_factory.mktemp("egg")
    assert not any("EGG" in text for text in train(synthetic, folder / "run"))
    return folder / "run", export(folder / "run", folder / "bundle", recordings=4)


def test_a_bundle_of_the_egg_reads_channel_one_or_a_file_of_its_own(listening, synthetic, tmp_path):
    _, bundle = listening
    assert bundle.inputs[0].channel == "egg" and bundle.parity.max_difference < 1e-4
    recognizer = Recognizer(bundle)
    utterance = synthetic.utterances[7]
    stereo = recognizer(utterance.path)
    assert recognizer(utterance.path, 1).probabilities == stereo.probabilities
    assert recognizer(utterance.path, "egg").probabilities == stereo.probabilities
    assert recognizer(utterance.path, 0).probabilities != stereo.probabilities
    signal, rate = soundfile.read(utterance.path, dtype="float32")
    soundfile.write(tmp_path / "egg.wav", signal[:, 1], rate, subtype="FLOAT")
    np.testing.assert_allclose(
        list(recognizer(tmp_path / "egg.wav", "egg").probabilities.values()),
        list(stereo.probabilities.values()),
        atol=1e-6,
    )
    with pytest.raises(UserError, match=r"has 1 channel.* If the file has only that signal, set the channel to 'egg'"):
        recognizer(tmp_path / "egg.wav")


def test_evaluation_hears_the_egg_wherever_it_lies(listening, synthetic, tmp_path):
    _, bundle = listening
    recognizer = Recognizer(bundle)
    expected = [list(recognizer(utterance.path).probabilities.values()) for utterance in synthetic.utterances[:8]]
    lines = ["path,emotion,speaker,egg,egg_start"]
    for utterance in synthetic.utterances[:8]:
        signal, rate = soundfile.read(utterance.path, dtype="float32")
        name = utterance.path.stem
        soundfile.write(tmp_path / f"{name}.wav", signal[:, 0], rate, subtype="FLOAT")
        late = np.concatenate((np.full(rate // 4, 0.1, dtype=np.float32), signal[:, 1]))
        soundfile.write(tmp_path / f"{name}_egg.wav", late, rate, subtype="FLOAT")
        lines.append(f"{name}.wav,{utterance.targets['emotion']},s,{name}_egg.wav,0.25")
    (tmp_path / "takes.csv").write_text("\n".join(lines), encoding="utf-8")
    apart = evaluate(recognizer, [load_corpus("table", tmp_path / "takes.csv")], store=Store(tmp_path / "store"))
    np.testing.assert_allclose(apart.predictions.probabilities, expected, atol=1e-6)
    eight = dataclasses.replace(synthetic, utterances=synthetic.utterances[:8])
    together = evaluate(recognizer, [eight], store=Store(tmp_path / "store"))
    np.testing.assert_allclose(together.predictions.probabilities, expected, atol=1e-6)


def test_a_run_on_speech_instead_says_so_everywhere(synthetic, tmp_path):
    said = train(without(synthetic), tmp_path / "run", FALLBACK)
    flag = "not EGG: view 'functionals' reads the speech, since 40 of 40 utterances have no channel 'egg'"
    assert flag in said
    scores = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert flag in [flag["text"] for flag in scores["flags"]]
    bundle = export(tmp_path / "run", tmp_path / "bundle", recordings=4)
    assert bundle.inputs[0].channel is None
    assert flag in bundle.scores[0].flags
    assert flag in (bundle.folder / "CARD.md").read_text(encoding="utf-8")
    # A mono recording of speech will do.
    signal, rate = soundfile.read(synthetic.utterances[0].path)
    assert Recognizer(bundle).predict_signal(signal[:, 0], rate).label in bundle.labels


def test_f0_of_a_parallel_egg_lies_beside_the_speech(tmp_path):
    """What is read is cut to the speech's interval, whatever the EGG's own start and rate."""
    rate, start = 48000, 0.35
    time = np.arange(2 * rate) / rate
    voice = np.where((time > 0.8) & (time < 1.4), np.sign(np.sin(2 * np.pi * 200 * time)), 0) * 0.3
    soundfile.write(tmp_path / "egg.wav", voice, rate)
    soundfile.write(tmp_path / "speech.wav", voice[round(start * rate) : round(1.9 * rate)], rate)
    (tmp_path / "t.csv").write_text(
        f"path,emotion,egg,egg_start,start,end\nspeech.wav,anger,egg.wav,{start},0.1,1.5\n", encoding="utf-8"
    )
    [utterance] = load_corpus("table", tmp_path / "t.csv").utterances
    assert utterance.channels == {"egg": Channel(tmp_path / "egg.wav", 0, start)}
    feature = features.build("f0_robust")
    item = Item(utterance)
    speech = feature(item.signal(16000, Windowing()))[0]
    egg = feature(item.signal(16000, Windowing(), "egg"))[0]
    np.testing.assert_array_equal(egg > 0, speech > 0)
    times = (feature.middle + feature.hop * np.flatnonzero(egg)) / 16000
    assert times[0] == pytest.approx(0.8 - start - 0.1, abs=0.03)
    assert times[-1] == pytest.approx(1.4 - start - 0.1, abs=0.03)
