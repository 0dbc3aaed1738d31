"""One file from samples to answers: what it says is what Python says."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

import serkit
from serkit import audio
from serkit.cli import run
from serkit.errors import UserError
from serkit.graph import Precision, waveform
from serkit.recognition import speechlike
from serkit.recognition.familiarity import Distance
from serkit.windowing import Windowing

NAMES = [bundle.name for bundle in serkit.models()]
SECONDS = (1 / 16000, 0.05, 0.2, 1.0, 8.0, 8.9, 9.1, 20.0)


@pytest.fixture(scope="module", params=NAMES)
def recognizer(request):
    return serkit.load(request.param)


@pytest.fixture(scope="module")
def content(recognizer):
    return waveform.waveform(recognizer.bundle)


@pytest.fixture(scope="module")
def session(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def probabilities(prediction):
    return list(prediction.probabilities.values())


@pytest.mark.parametrize("seconds", SECONDS)
def test_answers_are_those_of_python(recognizer, session, speech, seconds):
    signal = speech[: max(1, round(seconds * 16000))]
    [found], [sure] = session.run(["probabilities", "sure"], {"samples": signal[None]})
    wanted = recognizer.predict_signal(signal, 16000)
    assert found == pytest.approx(probabilities(wanted), abs=1e-4)
    assert bool(sure) == wanted.sure


@pytest.mark.parametrize("seconds", (1 / 16000, 0.05, 0.2, 1.0, 5.0))
@pytest.mark.parametrize("kind", ("speech", "noise", "tone", "silence"))
def test_what_makes_an_answer_unsure_is_that_of_python(recognizer, session, speech, seconds, kind):
    samples = max(1, round(seconds * 16000))
    time = np.arange(samples) / 16000
    signal = {
        "speech": speech[:samples],
        "noise": 0.1 * np.random.default_rng(0).standard_normal(samples),
        "tone": 0.1 * np.sin(2 * np.pi * 440 * time),
        "silence": np.zeros(samples),
    }[kind].astype(np.float32)
    found = session.run(["speech", "distance"], {"samples": signal[None]})
    assert found[0][0] == pytest.approx(speechlike.probability(signal, 16000), abs=2e-3)
    rows = recognizer.mean_features(signal, 16000)
    assert found[1][0] == pytest.approx(Distance(recognizer.bundle.familiar)(rows), abs=2e-3)


def test_recordings_of_a_batch_do_not_meet(session, speech):
    batch = np.stack([speech[:150_000], np.zeros(150_000, np.float32), speech[-150_000:]])
    found, sure = session.run(["probabilities", "sure"], {"samples": batch})
    for number, signal in enumerate(batch):
        alone = session.run(["probabilities", "sure"], {"samples": signal[None]})
        assert found[number] == pytest.approx(alone[0][0], abs=1e-6)
        assert sure[number] == alone[1][0]
    assert not sure[1]


def test_the_level_of_a_recording_does_not_matter(session, speech):
    loud, quiet = (session.run(None, {"samples": level * speech[None]})[0][0] for level in (1.0, 0.01))
    assert loud == pytest.approx(quiet, abs=0.02)


def test_metadata_holds_what_a_program_needs(recognizer, session):
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["rate"] == "16000"
    assert json.loads(metadata["outputs"]) == recognizer.bundle.outputs
    assert metadata["license"] == recognizer.bundle.licence


def test_the_file_is_plain_and_small(recognizer, content):
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain for entry in model.opset_import} == {""} and not model.functions
    assert model.opset_import[0].version == waveform.OPSET
    # The front end takes less than a third of a megabyte.
    assert len(content) < recognizer.bundle.model_path.stat().st_size + 350_000


def test_another_windowing(recognizer, speech, tmp_path):
    described = recognizer.bundle.model_copy(update={"windowing": Windowing(1.5, 0.5, "pad")})
    bundle = described.save(tmp_path / "bundle", recognizer.bundle.model_path.read_bytes(), card="")
    session = onnxruntime.InferenceSession(waveform.waveform(bundle), providers=["CPUExecutionProvider"])
    for length in (8000, 24_000, 41_000):
        found = session.run(None, {"samples": speech[None, :length]})[0][0]
        wanted = serkit.load(bundle.folder).predict_signal(speech[:length], 16000)
        assert found == pytest.approx(probabilities(wanted), abs=1e-4)


def test_a_feature_without_a_graph_is_one_line():
    bundle = serkit.load("emodb").bundle
    entry = bundle.inputs[0]
    egg = entry.model_copy(update={"feature": entry.feature.model_validate({"name": "f0_robust", "version": 1})})
    with pytest.raises(UserError, match="input 'functionals' is the feature 'f0_robust', which has no graph"):
        waveform.check(bundle.model_copy(update={"inputs": [egg]}))


def test_two_signals_are_one_line():
    bundle = serkit.load("default").bundle
    inputs = [bundle.inputs[0], bundle.inputs[0].model_copy(update={"name": "other", "channel": "egg"})]
    with pytest.raises(UserError, match="several signals"):
        waveform.check(bundle.model_copy(update={"inputs": inputs}))


def test_a_wrong_graph_is_not_written(monkeypatch, tmp_path):
    bundle = serkit.load("emodb").bundle
    wrong = bundle.model_copy(update={"windowing": replace(bundle.windowing, seconds=2.0)})
    content = waveform.waveform(wrong)
    monkeypatch.setattr(waveform, "waveform", lambda bundle, precision: content)
    with pytest.raises(UserError, match="differs from Python"):
        waveform.write(bundle, tmp_path / "wrong.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_older_operators(shelf, speech):
    toy = serkit.load(shelf / "toy")  # opset 17, whose ReduceMean is another
    session = onnxruntime.InferenceSession(waveform.waveform(toy.bundle), providers=["CPUExecutionProvider"])
    found = session.run(None, {"samples": speech[None, :70_000]})[0][0]
    assert found == pytest.approx(probabilities(toy.predict_signal(speech[:70_000], 16000)), abs=1e-5)


def test_numbers(speech, tmp_path, network, description):
    content, *_ = network({"mel": 64}, labels=2, output="values", softmax=False)
    numbers = [{"name": name, "low": 1.0, "high": 5.0} for name in ("valence", "arousal")]
    bundle = description(labels=[], numbers=numbers).save(tmp_path / "numbers", content, card="")
    session = onnxruntime.InferenceSession(waveform.waveform(bundle), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["values"]
    answer = serkit.load(bundle.folder).predict_signal(speech[:70_000], 16000)
    found = session.run(None, {"samples": speech[None, :70_000]})[0][0]
    assert found == pytest.approx(list(answer.values.values()), abs=1e-4)


@pytest.mark.parametrize(("precision", "within", "share"), [("float16", 1e-3, 0.7), ("int8", 2e-2, 0.5)])
def test_stored_precision(recognizer, content, speech, precision, within, share):
    small = waveform.waveform(recognizer.bundle, Precision(precision))
    assert len(small) < share * len(content)
    session = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])
    found = session.run(None, {"samples": speech[None]})[0][0]
    assert found == pytest.approx(probabilities(recognizer.predict_signal(speech, 16000)), abs=within)


def test_export_of_a_bundle(tmp_path, capsys):
    path = tmp_path / "emotions.onnx"
    assert run(["export", "emodb", "--waveform", str(path)]) == 0
    assert "from samples to probabilities" in capsys.readouterr().out
    assert onnxruntime.InferenceSession(path).get_inputs()[0].name == "samples"
    assert run(["export", str(tmp_path / "nowhere"), "--waveform", str(path)]) == 2


@pytest.mark.corpora
def test_parity_on_real_recordings(recognizer, session, recordings):
    found = sorted(path for path in recordings.rglob("*") if path.suffix in (".flac", ".wav"))
    for path in found[:: max(1, len(found) // 20)]:
        samples, rate = audio.read(path)
        signal = audio.resample(audio.mix(samples.reshape(len(samples), -1), None), rate, 16000)
        answer = session.run(None, {"samples": signal[None]})[0][0]
        assert answer == pytest.approx(probabilities(recognizer.predict_signal(signal, 16000)), abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_included_file_is_of_the_included_network(name):
    bundle = serkit.load(name).bundle
    metadata = {entry.key: entry.value for entry in onnx.load(bundle.folder / waveform.WAVEFORM).metadata_props}
    update = f"serkit export {name} --waveform {bundle.folder / waveform.WAVEFORM}"
    assert metadata["model_sha256"] == bundle.model.sha256, update
