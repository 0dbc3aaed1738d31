"""From a run to a bundle and back: what is shipped computes what was trained."""

import json
import logging
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from serkit import audio, systems
from serkit.corpora.corpus import Corpus
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.evaluation.calibration import sharpened
from serkit.evaluation.evaluate import evaluate
from serkit.evaluation.predictions import Predictions
from serkit.evaluation.unsure import held_out, threshold
from serkit.networks.network import Model, Network, Output
from serkit.recognition import familiarity
from serkit.recognition.bundle import Bundle
from serkit.recognition.recognizer import Recognizer
from serkit.runs import export as exporting
from serkit.runs.durations import by_duration, calibrated
from serkit.runs.export import Deployed, count_macs, export, to_onnx
from serkit.runs.files import Final
from serkit.runs.folder import RunFolder
from serkit.runs.models import assemble, rebuild
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.sizes import sizes

SETS = ("stages.main.trainer.epochs=2", "data.items.seconds=1.0", "data.copies=[]", "stages.main.network.dropout=0.0")


@pytest.fixture(scope="module")
def finished(synthetic, tmp_path_factory):
    """A short run of the default recogniser's system on generated speech."""
    folder = tmp_path_factory.mktemp("run") / "run"
    sets = (*SETS, "protocols.clean.folds=2")
    run(Request("compact-cnn", [synthetic], sets=sets, jobs=1, threads=1, accelerator="cpu"), folder)
    return folder


@pytest.fixture(scope="module")
def bundle(finished, tmp_path_factory):
    return export(finished, tmp_path_factory.mktemp("bundles") / "mine", recordings=6)


def test_the_bundle_says_what_it_is(bundle, finished, synthetic):
    assert bundle.name == "mine" and bundle.system == "compact-cnn"
    assert bundle.labels == ["anger", "fear", "neutral", "sadness"]
    assert bundle.parity.recordings == 6 and bundle.parity.max_difference < 1e-4
    assert bundle.size.parameters == 212_260
    scores = json.loads((finished / "scores.json").read_text())
    assert bundle.scores[0].metric == "uar" and bundle.scores[0].value == scores["uar"]["estimate"]
    assert "serkit train compact-cnn" in bundle.scores[0].command and "FOLDER" in bundle.scores[0].command
    hashes = {audio.content_hash(utterance.path)[:16] for utterance in synthetic.utterances}
    assert set(bundle.trained_on.recordings) == hashes
    assert {path.name for path in bundle.folder.iterdir()} == {
        "bundle.json",
        "model.onnx",
        "CARD.md",
        "weights.safetensors",
    }
    assert "Intended use" in (bundle.folder / "CARD.md").read_text(encoding="utf-8")


def test_a_view_may_have_a_name_that_is_no_word_of_python(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "system.name = 'own'\nviews.log-mel.feature = 'speech_log_mel'\n[[stages]]\nname = 'main'\nview = 'log-mel'\n"
        "network = { name = 'cnn', channels = [4], strides = [[4, 2]], residual = [0], attention = 4 }\n"
    )
    model, shapes = assemble(systems.load(own), "main", 3)
    network = to_onnx(Deployed(model, list(shapes), "emotion", 1.0).eval(), list(shapes), list(shapes.values()))
    assert [one.name for one in onnxruntime.InferenceSession(network).get_inputs()] == ["log-mel"]


def test_the_bundle_says_which_answers_are_unsure(bundle, finished, synthetic):
    final = json.loads((finished / "final.json").read_text())
    predictions = Predictions.load(finished / "predictions.csv")
    answers = calibrated(RunFolder.load(finished), Final(**final))
    confidence = sharpened(predictions.probabilities, bundle.calibration.temperature * answers.factors[:, None])
    right = predictions.predicted == predictions.truth
    assert bundle.unsure.threshold == pytest.approx(threshold(confidence.max(axis=1), right))
    measured = held_out(*answers.of_folds())
    assert (bundle.unsure.coverage, bundle.unsure.accuracy) == (measured.coverage, measured.accuracy.sure)
    assert "is marked as unsure" in (bundle.folder / "CARD.md").read_text(encoding="utf-8")
    # Channel 1 is the electroglottograph; the run has learned from channel 0.
    for answer in Recognizer(bundle).predict_files([one.path for one in synthetic.utterances[:10]], channel=0):
        assert answer.sure is (not answer.doubt)
        if answer.doubt in ("", "low confidence"):
            assert (answer.doubt == "low confidence") is (answer.confidence < bundle.unsure.threshold)
        else:
            assert answer.doubt in ("no speech", "unlike the training data", "perhaps no speech")


def test_the_bundle_knows_what_is_familiar(bundle, synthetic):
    """The threshold is fitted along the path of recognition: files, channel and windows are the same."""
    assert set(bundle.familiar.means) == {entry.name for entry in bundle.inputs}
    recognizer = Recognizer(bundle)
    paths = [utterance.path for utterance in synthetic.utterances]
    unlike = "unlike the training data"
    doubts = [answer.doubt for answer in recognizer.predict_files(paths, channel=0)]
    assert doubts.count(unlike) <= 0.05 * len(doubts)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16000).astype(np.float32)
    tone = (0.5 * np.sin(np.arange(16000) * 2.5)).astype(np.float32)
    distance = familiarity.Distance(bundle.familiar)
    for signal in (noise, tone):
        assert distance(recognizer.mean_features(signal, 16000)) > 1.2 * bundle.familiar.threshold


def test_short_speech_is_answered_with_less_confidence(bundle, finished, synthetic):
    """The network's own answer, and the exported one of half of the frames, by hand."""
    short = bundle.calibration.by_duration
    assert short.input == "speech" and 0 <= short.exponent <= 1
    assert short.factor(short.frames) == 1 and short.factor(short.frames / 4) == pytest.approx(4**short.exponent)
    signal, _ = audio.read(synthetic.utterances[0].path, channel=0)
    features = bundle.features()["speech"](signal)
    run = RunFolder.load(finished)
    # Whole seconds, the windows of this run.
    pieces = [signal[begin : begin + 16000] for begin in range(0, len(signal) - 15999, 16000)]
    frames = np.mean([bundle.features()["speech"](piece).shape[-1] for piece in pieces])
    factor = by_duration(run)[1][run.predictions.ids.index(synthetic.utterances[0].id)]
    assert factor == pytest.approx(short.factor(frames))
    model = rebuild(
        finished / json.loads((finished / "final.json").read_text())["stage"],
        systems.parse(json.loads((finished / "run.json").read_text())["system"][0], "run.json"),
    ).model
    deployed = Deployed(model, ["speech"], "emotion", 2.0, short.model_copy(update={"frames": 80.0, "exponent": 0.5}))
    session = onnxruntime.InferenceSession(to_onnx(deployed.eval(), ["speech"], [(64, None)]))
    for count in (10, 40):
        part = features[None, :, :count]
        with torch.inference_mode():
            logits = deployed.run([torch.from_numpy(part)]).predictions["emotion"]
        expected = torch.softmax(logits / (2.0 * (80 / count) ** 0.5), dim=1).numpy()
        np.testing.assert_allclose(session.run(None, {"speech": part})[0], expected, atol=1e-6)


def exported_with(spreads, finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    final = {**json.loads((run / "final.json").read_text()), "spreads": spreads}
    del final["checksum"]
    (run / "final.json").write_text(json.dumps(final))
    return export(run, tmp_path / "adaptable", recordings=2)


def test_the_bundle_can_adapt_to_a_voice(finished, synthetic, tmp_path):
    """The means are those of the features of the training material, the spreads those of the run's answers."""
    bundle = exported_with([0.25, 0.75], finished, tmp_path)
    adaptation = bundle.adaptation
    assert (adaptation.narrow, adaptation.wide, adaptation.strength) == (0.25, 0.75, 1.0)
    [(name, feature)] = bundle.features().items()
    signals = (Item(utterance).signal(feature.rate, bundle.windowing) for utterance in synthetic.utterances)
    means = [feature(signal).reshape(len(adaptation.means[name]), -1).mean(axis=1) for signal in signals]
    assert np.corrcoef(adaptation.means[name], np.mean(means, axis=0))[0, 1] > 0.99
    paths = [utterance.path for utterance in synthetic.utterances[:8]]
    recognizer = Recognizer(bundle)
    assert recognizer.adapt(paths)(paths[0]).probabilities != recognizer(paths[0]).probabilities


def test_unknown_spreads_give_a_bundle_that_cannot_adapt(bundle, finished):
    # A speaker of the synthetic corpus says only two sentences in each emotion.
    assert json.loads((finished / "final.json").read_text())["spreads"] is None and bundle.adaptation is None


def test_a_run_of_before_has_no_threshold(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    final = json.loads((run / "final.json").read_text())
    del final["unsure_below"], final["checksum"]
    (run / "final.json").write_text(json.dumps(final))
    assert export(run, tmp_path / "old", recordings=2).unsure is None


def test_nothing_of_this_machine_is_in_it(bundle, tmp_path_factory):
    for path in bundle.folder.iterdir():
        content = path.read_bytes()
        for trace in (str(tmp_path_factory.getbasetemp()).encode(), exporting.__file__.encode(), b"site-packages"):
            assert trace not in content, (path.name, trace)


def test_recogniser_and_torch_agree_on_every_recording(bundle, finished, synthetic):
    """Independently of the parity check in export: windows cut here by hand, one second each."""
    described = json.loads((finished / "run.json").read_text())
    final = json.loads((finished / "final.json").read_text())
    system = systems.parse(described["system"][0], "run.json")
    model = rebuild(finished / final["stage"], system).model
    scale = bundle.calibration
    deployed = Deployed(model, ["speech"], "emotion", scale.temperature, scale.by_duration).eval()
    recognizer = Recognizer(bundle)
    feature = recognizer.bundle.features()["speech"]
    for utterance in synthetic.utterances[:10]:
        signal, _ = audio.read(utterance.path, channel=utterance.index)
        pieces = [signal[begin : begin + 16000] for begin in range(0, len(signal), 16000)]
        # A tail shorter than the windowing's minimum (1 s here: every tail) is dropped.
        pieces = [piece for piece in pieces if len(piece) == 16000]
        with torch.inference_mode():
            expected = np.mean(
                [deployed(torch.from_numpy(feature(piece))[None])[0].numpy() for piece in pieces], axis=0
            )
        found = recognizer.predict_file(utterance.path, channel=utterance.index)
        np.testing.assert_allclose([found.probabilities[label] for label in bundle.labels], expected, atol=1e-5)


def test_a_network_that_differs_is_not_shipped(finished, tmp_path, monkeypatch):
    genuine = exporting.to_onnx

    def wrong(deployed, *arguments):
        deployed.temperature *= 1.5
        try:
            return genuine(deployed, *arguments)
        finally:
            deployed.temperature /= 1.5

    monkeypatch.setattr(exporting, "to_onnx", wrong)
    with pytest.raises(UserError, match="differs from torch by"):
        export(finished, tmp_path / "bad", recordings=4)
    assert not (tmp_path / "bad").exists()


def test_what_cannot_be_exported_is_said_in_a_line(finished, tmp_path):
    with pytest.raises(UserError, match=r"no finished run .*run.json is missing"):
        export(tmp_path, tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="already exists"):
        export(finished, tmp_path / "there")


def test_batch_and_time_are_free_and_no_function_names_a_path():
    logging.disable(logging.WARNING)
    model, inputs = assemble(systems.load("compact-cnn"), "main", 5)
    deployed = Deployed(model, list(inputs), "emotion", 2.0).eval()
    content = to_onnx(deployed, list(inputs), list(inputs.values()))
    session = onnxruntime.InferenceSession(content)
    generator = np.random.default_rng(0)
    for items, frames in ((1, 3), (1, 300), (5, 41), (2, 1001)):
        x = generator.standard_normal((items, 64, frames), dtype=np.float32)
        with torch.inference_mode():
            expected = deployed(torch.from_numpy(x)).numpy()
        found = session.run(["probabilities"], {"speech": x})[0]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert not any(node.metadata_props for node in onnx.load_from_string(content).graph.node)


def test_macs_and_parameters_by_hand():
    assert sizes(systems.load("linear-baseline"), 7) == {"main": {"parameters": 200 * 7 + 7, "macs": 200 * 7}}
    # 64 bands x 300 frames through 5x5/(4,2), 3x3/2, 3x3/2, 3x3; attention 384 > 64 > 384; head 768 > 7.
    convolutions = 16 * 150 * 25 * 32 + 8 * 75 * 9 * 32 * 64 + 4 * 38 * 9 * 64 * 96 + 4 * 38 * 9 * 96 * 96
    attention = 38 * 2 * 384 * 64
    assert sizes(systems.load("compact-cnn"), 7)["main"]["macs"] == convolutions + attention + 768 * 7
    model, inputs = assemble(systems.load("linear-baseline"), "main", 3)
    assert count_macs(Deployed(model, list(inputs), "emotion", 1.0), list(inputs.values())) == 600


def test_recurrent_layers_are_counted_and_the_model_is_left_alone():
    class Recurrent(Network):
        def __init__(self):
            super().__init__({"speech": (5, None)}, {"emotion": 2})
            self.lstm, self.start = torch.nn.LSTM(5, 3, batch_first=True), torch.nn.Parameter(torch.ones(3))
            self.head = self.heads(3)

        def forward(self, batch):
            # A weight that a layer receives from outside.
            start = self.start.expand(1, len(batch), 3)
            features = self.lstm(batch.views["speech"].transpose(1, 2), (start, start))[0][:, -1]
            return Output({"emotion": self.head["emotion"](features)}, features)

    deployed = Deployed(Model(Recurrent()), ["speech"], "emotion", 1.0)
    assert count_macs(deployed, [(5, None)]) == 300 * 4 * 3 * (5 + 3) + 3 * 2
    assert all(weight.device.type == "cpu" and weight.requires_grad for weight in deployed.parameters())


def test_evaluating_a_bundle_flags_what_it_was_trained_on(bundle, synthetic, tmp_path):
    recognizer = Recognizer(bundle)
    result = evaluate(recognizer, [synthetic])
    assert len(result.predictions) == len(synthetic)
    count = len(synthetic)
    assert [flag.text for flag in result.flags] == [
        f"training leak: {count} of {count} recordings are among those 'mine' was trained on"
    ]
    from serkit.corpora.synthetic import generate

    other = generate(tmp_path, speakers=2, sentences=1, emotions=("anger", "happiness"), seed=9)
    result = evaluate(recognizer, [other])
    assert len(result.predictions) == 2
    assert [flag.text for flag in result.flags] == ["labels 'mine' does not know are left out: happiness (2)"]
    result = evaluate(recognizer, [other], {"happiness": "anger"})
    assert len(result.predictions) == 4 and set(result.predictions.truth) == {0}


def test_evaluating_without_a_known_label_names_those_found(bundle, synthetic):
    some = [u for u in synthetic.utterances if u.targets["emotion"] == "fear"]
    with pytest.raises(UserError, match=r"no recording has a label of 'mine' .*found: joy"):
        evaluate(Recognizer(bundle), [Corpus(synthetic.facts, synthetic.folder, tuple(some))], {"fear": "joy"})


def test_training_goes_on_from_a_bundle(bundle, synthetic, tmp_path):
    sets = (*SETS, "stages.main.trainer.epochs=1", f"stages.main.start_from={bundle.folder}")
    sets += ('stages.main.reset=["head"]', 'data.classes=["anger","sadness"]', "protocols.clean.folds=2")
    scores = run(
        Request("compact-cnn", [synthetic], sets=sets, jobs=1, threads=1, final=False), tmp_path / "run"
    ).to_dict()
    assert scores["classes"] == ["anger", "sadness"]
    with pytest.raises(UserError, match=r"reset = \[\"head.emotion\"\]"):
        run(Request("compact-cnn", [synthetic], sets=[s for s in sets if "reset" not in s], jobs=1), tmp_path / "other")


def test_the_bundle_loads_again(bundle):
    assert Bundle.load(bundle.folder).labels == bundle.labels
