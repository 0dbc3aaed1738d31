import copy
import io
import multiprocessing
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

import serkit
from serkit import audio, features
from serkit.errors import UserError
from serkit.recognition import Failure, Prediction, Recognizer, load, speechlike
from serkit.recognition.bundle import Bundle, BundleError
from serkit.windowing import Windowing

LABELS = ["anger", "joy", "neutral", "sadness"]
MEL = features.build("log_mel")


def by_hand(windows, weights, bias):
    """Softmax of the linear map of each window's mean level, averaged over the windows."""
    logits = np.stack([MEL(window).mean(axis=1) for window in windows]) @ weights + bias
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponent / exponent.sum(axis=1, keepdims=True)).mean(axis=0)


def values(prediction):
    assert list(prediction.probabilities) == LABELS
    return np.array(list(prediction.probabilities.values()))


@pytest.fixture(scope="module")
def parameters(network):
    return network({"mel": 64})[1:]


@pytest.fixture
def recognizer(toy):
    return load("toy")


@pytest.fixture
def egg_bundle(tmp_path, network, description):
    """Listens to speech at 16 kHz and to the electroglottograph at 8 kHz."""
    inputs = [
        {"name": "mel", "feature": features.config(MEL), "channel": None},
        {
            "name": "throat",
            "feature": features.config(features.build("log_mel", rate=8000, bands=8)),
            "channel": "egg",
        },
    ]
    content, weights, bias = network({"mel": 64, "throat": 8})
    return description(inputs=inputs).save(tmp_path / "both", content, "# Both\n"), weights, bias


@pytest.fixture
def any_sound_is_speech(monkeypatch):
    monkeypatch.setattr(speechlike, "probability", lambda samples, rate: 1.0)


@pytest.mark.parametrize(("offset", "sure"), [(-1e-4, True), (1e-4, False)])
def test_an_answer_below_the_bundles_threshold_is_unsure(
    offset, sure, tmp_path, network, description, noise, any_sound_is_speech
):
    content = network({"mel": 64})[0]
    noise(tmp_path / "short.wav", seconds=0.8)
    plain = Recognizer(description().save(tmp_path / "plain", content, "# Plain\n"))(tmp_path / "short.wav")
    assert plain.sure
    limit = {"threshold": plain.confidence + offset, "rule": "a test's"}
    careful = Recognizer(description(unsure=limit).save(tmp_path / "careful", content, "# Careful\n"))
    prediction = careful(tmp_path / "short.wav")
    assert (prediction.sure, prediction.doubt) == (sure, "" if sure else "low confidence")
    assert prediction.label == plain.label


def test_one_window_by_hand(recognizer, parameters, tmp_path, noise):
    noise(tmp_path / "short.wav", seconds=0.8)
    prediction = recognizer(tmp_path / "short.wav")
    signal, _ = audio.read(tmp_path / "short.wav")
    expected = by_hand([signal], *parameters)
    np.testing.assert_allclose(values(prediction), expected, atol=1e-6)
    assert prediction.label == LABELS[int(expected.argmax())]
    assert prediction.confidence == max(prediction.probabilities.values())
    assert prediction.file == str(tmp_path / "short.wav")
    assert prediction.duration == 0.8
    assert prediction.warnings == ()


@pytest.mark.parametrize(("seconds", "count"), [(1.7, 2), (2.2, 2), (41.5, 42)])
def test_the_mean_over_windows_by_hand(recognizer, parameters, tmp_path, noise, seconds, count):
    # 1 s windows, a tail below 0.25 s is dropped; 42 windows are more than one batch and one block.
    noise(tmp_path / "long.wav", seconds=seconds)
    signal, _ = audio.read(tmp_path / "long.wav")
    windows = [signal[second * 16000 : (second + 1) * 16000] for second in range(count)]
    expected = by_hand(windows, *parameters)
    np.testing.assert_allclose(values(recognizer(tmp_path / "long.wav")), expected, atol=1e-6)


def test_channels(recognizer, tmp_path, noise):
    path = tmp_path / "stereo.wav"
    noise(path, channels=2)
    signal, rate = soundfile.read(path, dtype="float32")
    for channel, mono in ((None, signal.mean(axis=1)), (0, signal[:, 0]), (1, signal[:, 1])):
        expected = values(recognizer.predict_signal(mono, rate))
        np.testing.assert_allclose(values(recognizer(path, channel)), expected, atol=1e-6)
        np.testing.assert_allclose(values(recognizer.predict_signal(signal, rate, channel)), expected, atol=1e-6)
    with pytest.raises(audio.AudioError, match=r"stereo\.wav: has no channel 2; it has 2"):
        recognizer(path, 2)
    with pytest.raises(UserError, match="reads speech only"):
        recognizer(path, "egg")
    with pytest.raises(UserError, match="channel must be a number from 0, or 'egg', got 'left'"):
        recognizer(path, "left")


def test_the_electroglottograph_is_channel_one(egg_bundle, tmp_path, noise):
    bundle, weights, bias = egg_bundle
    recognizer = Recognizer(bundle)
    path = tmp_path / "both.wav"
    noise(path, seconds=0.9, channels=2)
    throat = features.build("log_mel", rate=8000, bands=8)
    speech = MEL(audio.read(path, channel=0)[0]).mean(axis=1)
    egg = throat(audio.read(path, 8000, channel=1)[0]).mean(axis=1)
    logits = np.concatenate([speech, egg]) @ weights + bias
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(values(recognizer(path)), expected, atol=1e-5)
    assert recognizer(path, "egg") == recognizer(path)
    noise(tmp_path / "mono.wav")
    with pytest.raises(audio.AudioError, match=r"mono\.wav: has 1 channel\(s\); bundle 'toy' reads the electro"):
        recognizer(tmp_path / "mono.wav")
    assert recognizer(tmp_path / "mono.wav", 0).label in LABELS


@pytest.mark.parametrize("kind", ["int16", "int32", "uint8", "float64", "float32", "float16"])
def test_samples_of_any_type_mean_the_same(recognizer, kind):
    exact = np.random.default_rng(0).integers(-100, 100, 16000) / 128  # whole steps of 8 bits
    scales = {"int16": (32768, 0), "int32": (2**31, 0), "uint8": (128, 128)}
    factor, offset = scales.get(kind, (1, 0))
    signal = (exact * factor + offset).astype(kind)
    expected = values(recognizer.predict_signal(exact, 16000))
    np.testing.assert_allclose(values(recognizer.predict_signal(signal, 16000)), expected, atol=1e-6)


def test_a_signal_is_resampled(recognizer, tmp_path, noise):
    noise(tmp_path / "high.wav", rate=44100)
    signal, rate = soundfile.read(tmp_path / "high.wav", dtype="float32")
    assert rate == 44100
    expected = values(recognizer(tmp_path / "high.wav"))
    np.testing.assert_allclose(values(recognizer.predict_signal(signal, rate)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (np.zeros(0), r"signal has no samples \(shape \(0,\)\)"),
        (np.zeros((2, 2, 2)), r"must have shape \(samples,\) or \(samples, channels\), got \(2, 2, 2\)"),
        (np.zeros((2, 16000)), "more channels than samples; transpose it"),
        (np.array([0.0, np.nan]), "not a number or infinite at sample 1"),
        (np.array([np.inf, 0.0]), "not a number or infinite at sample 0"),
        (np.array([0.0, -1e20]), r"a sample of 1e\+20 times full scale; floats must have full scale 1\.0"),
        (np.zeros(100, dtype=complex), "integers of up to 32 bits, got complex128"),
        (
            np.zeros(100, dtype=np.int64),
            "samples must be floats with full scale 1.0 or integers of up to 32 bits, got int64",
        ),
        (np.array(["a"]), "samples must be floats with full scale 1.0 or integers of up to 32 bits, got <U1"),
    ],
)
def test_signals_that_are_none(recognizer, signal, message):
    with pytest.raises(UserError, match=message):
        recognizer.predict_signal(signal, 16000)


@pytest.mark.parametrize("rate", [0, -1, 999])
def test_a_rate_that_is_none(recognizer, rate):
    for recognize in (recognizer.predict_signal, recognizer.timeline_signal):
        with pytest.raises(UserError, match=f"rate must be at least 1000, got {rate}$"):
            recognize(np.ones(100), rate)
    with pytest.raises(UserError, match=f"rate must be at least 1000, got {rate}$"):
        recognizer.stream(rate)


NO_WHOLE_NUMBERS = [1.0, float("nan"), float("inf"), True, np.float32(1), np.bool_(True), np.array([1]), "1", [1]]


@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS)
def test_what_is_no_whole_number_is_no_rate(recognizer, value):
    message = f"rate must be a whole number, got {re.escape(repr(value))}$"
    for recognize in (recognizer.predict_signal, recognizer.timeline_signal):
        with pytest.raises(UserError, match=message):
            recognize(np.ones(100), value)
    with pytest.raises(UserError, match=message):
        recognizer.stream(value)


@pytest.mark.parametrize("value", [value for value in NO_WHOLE_NUMBERS if value != "1"])
def test_what_is_no_whole_number_is_no_channel(recognizer, tmp_path, noise, value):
    noise(tmp_path / "stereo.wav", channels=2)
    message = f"channel must be a whole number, got {re.escape(repr(value))}$"
    signal = soundfile.read(tmp_path / "stereo.wav")[0]
    for recognize in (recognizer, recognizer.timeline):
        with pytest.raises(UserError, match=message):
            recognize(tmp_path / "stereo.wav", value)
    for recognize in (recognizer.predict_signal, recognizer.timeline_signal):
        with pytest.raises(UserError, match=message):
            recognize(signal, 16000, value)
    for recognize in (recognizer.predict_files, recognizer.timelines):
        with pytest.raises(UserError, match=message):
            recognize([tmp_path / "stereo.wav"], value)
    with pytest.raises(UserError, match=message):
        recognizer.stream(16000, value)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array])
def test_whole_numbers_of_numpy_are_channels_and_rates(recognizer, tmp_path, noise, kind):
    noise(tmp_path / "stereo.wav", channels=2)
    signal, _ = soundfile.read(tmp_path / "stereo.wav", dtype="float32")
    expected = recognizer(tmp_path / "stereo.wav", 1)
    assert expected.probabilities != recognizer(tmp_path / "stereo.wav").probabilities
    assert recognizer(tmp_path / "stereo.wav", kind(1)) == expected
    assert list(recognizer.predict_files([tmp_path / "stereo.wav"], kind(1))) == [expected]
    rate = 16000 if kind is np.uint8 else kind(16000)
    found = recognizer.predict_signal(signal, rate, kind(1))
    np.testing.assert_allclose(values(found), values(expected), atol=1e-6)
    assert recognizer.timeline(tmp_path / "stereo.wav", kind(1)) == recognizer.timeline(tmp_path / "stereo.wav", 1)


@pytest.mark.parametrize(
    ("recording", "advice"),
    [
        (b"RIFF", "got bytes; the content of a file goes into serkit.audio.InMemory(content)"),
        (bytearray(b"RIFF"), "got bytearray; the content of a file goes into serkit.audio.InMemory(content)"),
        (io.BytesIO(b"RIFF"), "got BytesIO; an open file goes into serkit.audio.InMemory(file.read())"),
        (np.zeros(16000), "got ndarray; samples are recognized by predict_signal(samples, rate)"),
        (["a.wav"], "got list; several paths are recognized by predict_files"),
        (None, "got NoneType; several paths"),
        (3, "got int; several paths"),
    ],
)
def test_what_is_no_recording(recognizer, recording, advice):
    for recognize in (recognizer.predict_file, recognizer.timeline):
        with pytest.raises(UserError, match=re.escape(f"a recording must be a path, {advice}")):
            recognize(recording)
    for recognize in (recognizer.predict_files, recognizer.timelines):
        [failure] = recognize([recording])
        assert f"a recording must be a path, {advice}" in failure.error


class Tensor:
    """Like a torch tensor that needs a gradient, or lies on a graphics card."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.\nMore.")


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (b"RIFF", "samples must be an array, got bytes; a file is recognized by predict_file(path)"),
        ("call.wav", "samples must be an array, got str; a file is recognized by predict_file(path)"),
        (Path("call.wav"), "samples must be an array, got PosixPath; a file"),
        (io.BytesIO(b"RIFF"), "samples must be an array, got BytesIO; a file"),
        (audio.InMemory(b"RIFF"), "samples must be an array, got InMemory; a file"),
        (Tensor(), "NumPy cannot read samples from Tensor (can't convert cuda:0 device type tensor to numpy.)"),
        ([[0.0, 1.0], [0.0]], "NumPy cannot read samples from list ("),
        ([0.0, None], "samples must be floats with full scale 1.0 or integers of up to 32 bits, got object"),
        ([0, 1], "samples must be floats with full scale 1.0 or integers of up to 32 bits, got int64"),
        ([True, False], "samples must be floats with full scale 1.0 or integers of up to 32 bits, got bool"),
    ],
)
def test_what_holds_no_samples(recognizer, signal, message):
    for recognize in (recognizer.predict_signal, recognizer.timeline_signal):
        with pytest.raises(UserError, match=re.escape(message.replace("PosixPath", type(Path()).__name__))):
            recognize(signal, 16000)
    with pytest.raises(UserError, match=re.escape(message.replace("PosixPath", type(Path()).__name__))):
        recognizer.stream(16000).push(signal)


def test_lists_and_tensors_are_samples(recognizer):
    signal = np.random.default_rng(0).normal(0, 0.1, 16000)
    expected = recognizer.predict_signal(signal, 16000)
    assert recognizer.predict_signal(signal.tolist(), 16000) == expected
    torch = pytest.importorskip("torch")
    assert recognizer.predict_signal(torch.from_numpy(signal), 16000) == expected
    with pytest.raises(UserError, match=r"^signal: NumPy cannot read samples from Tensor \(Can't call numpy\(\)"):
        recognizer.predict_signal(torch.from_numpy(signal).requires_grad_(), 16000)


def test_floats_in_the_range_of_integers_are_warned_of_and_not_scaled(recognizer, tmp_path, recwarn):
    signal = 3000 * np.random.default_rng(0).standard_normal(32000).clip(-4, 4).astype(np.float32)
    text = (
        "samples beyond 8 times full scale, like integers stored as floats; divide them by the full scale of the "
        "integers (32768 for 16 bits)"
    )
    found = recognizer.predict_signal(signal, 16000)
    assert found.warnings == (f"signal: {text}",)
    assert recognizer.timeline_signal(signal, 16000).warnings == (f"signal: {text}",)
    path = tmp_path / "floats.wav"
    soundfile.write(path, signal, 16000, "FLOAT")
    assert recognizer(path).warnings == recognizer.timeline(path).warnings == (f"{path}: {text}",)
    assert recognizer(path).probabilities == found.probabilities
    assert len(recwarn) == 0
    stream = recognizer.stream(16000)
    for half in np.split(signal, 2):
        stream.push(half)
    assert [str(one.message) for one in recwarn] == [f"stream: {text}"]
    # The same sound in its own scale, and what a decoder makes of a loud one, are as they should be.
    for good in (signal.astype(np.int16), signal / 32768, signal / 3000 * 1.9):
        assert recognizer.predict_signal(good, 16000).warnings == recognizer.timeline_signal(good, 16000).warnings == ()


@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_recognizer_can_be_carried(toy, tmp_path, noise, carry, monkeypatch):
    noise(tmp_path / "good.wav")
    monkeypatch.chdir(toy.parent)
    recognizer = Recognizer(Bundle.load("toy"), threads=2)
    carried = carry(recognizer)
    monkeypatch.chdir(tmp_path)  # the folder was given relative to another one
    carried = carry(carried)
    assert carried.threads == 2
    assert carried(tmp_path / "good.wav") == recognizer(tmp_path / "good.wav")
    assert carry(recognizer.bundle) == recognizer.bundle
    assert len(pickle.dumps(recognizer)) < 1000


def test_a_carried_recognizer_wants_the_same_network(tmp_path, network, description):
    first = description().save(tmp_path / "one", network({"mel": 64})[0], "# One\n")
    carried = pickle.dumps(Recognizer(first))
    (tmp_path / "one").rename(tmp_path / "other")
    with pytest.raises(BundleError, match="one: no such folder"):
        pickle.loads(carried)
    description().save(tmp_path / "one", network({"mel": 64}, seed=1)[0], "# One\n")
    with pytest.raises(BundleError, match="one: has changed since the recognizer was pickled"):
        pickle.loads(carried)


def _call(recognizer, path):
    return recognizer(path)


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_recognizer_goes_to_other_processes(toy, tmp_path, noise, method, threads):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    noise(tmp_path / "good.wav")
    recognizer = load("toy", threads)
    expected = recognizer(tmp_path / "good.wav")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(_call, (recognizer, tmp_path / "good.wav")).get(60) == expected


def test_joblib_carries_a_recognizer(toy, tmp_path, noise):
    joblib = pytest.importorskip("joblib")
    noise(tmp_path / "good.wav")
    recognizer = load("toy")
    found = joblib.Parallel(2, "loky")(joblib.delayed(recognizer)(tmp_path / "good.wav") for _ in range(2))
    assert found == [recognizer(tmp_path / "good.wav")] * 2


def test_warnings_are_part_of_the_prediction(recognizer, tmp_path, noise, recwarn):
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    noise(tmp_path / "whole.wav", seconds=1.5)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:30000])
    assert recognizer(tmp_path / "silent.wav").warnings == (
        f"{tmp_path / 'silent.wav'}: silent (no sample above -96 dB of full scale)",
    )
    [text] = recognizer(tmp_path / "cut.wav").warnings
    assert text.startswith(f"{tmp_path / 'cut.wav'}: truncated")
    assert recognizer.predict_signal(np.zeros(16000), 16000).warnings[0].startswith("signal: silent")
    assert len(recwarn) == 0


def test_silence_and_less_than_a_syllable_are_never_sure(recognizer, any_sound_is_speech):
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32) / 10
    assert recognizer.bundle.unsure is None and recognizer.predict_signal(noise[:1600], 16000).sure
    short = recognizer.predict_signal(noise[:1599], 16000)
    assert not short.sure and short.warnings == ("signal: too short for a syllable (0.0999375 s)",)
    assert not recognizer.predict_signal(np.zeros(16000), 16000).sure


def test_a_recording_in_memory_is_recognised_as_its_file(recognizer, tmp_path, noise):
    noise(tmp_path / "long.wav", seconds=2.5, rate=22050)
    prediction = recognizer(audio.InMemory((tmp_path / "long.wav").read_bytes(), "long"))
    assert prediction.file == "long"
    assert prediction.probabilities == recognizer(tmp_path / "long.wav").probabilities


def test_threads_predict_at_the_same_time(recognizer, tmp_path, noise, monkeypatch):
    noise(tmp_path / "good.wav")
    both, info = threading.Barrier(2, timeout=20), audio.info

    def wait_for_the_other(*arguments):
        both.wait()
        return info(*arguments)

    monkeypatch.setattr(audio, "info", wait_for_the_other)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(recognizer, [tmp_path / "good.wav"] * 2)
    assert first == second


def test_threads_do_not_collect_each_others_warnings(recognizer, tmp_path):
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(16000), 16000)
    found = []

    def work(path):
        for _ in range(20):
            found.append((path.name, recognizer(path).warnings))

    threads = [threading.Thread(target=work, args=(tmp_path / f"{name}.wav",)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(len(texts) == 1 and name in texts[0] for name, texts in found)


def test_many_files_one_by_one(recognizer, tmp_path, noise):
    noise(tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    asked = []

    def paths():
        for name in ("good.wav", "bad.wav", "gone.wav", "good.wav"):
            asked.append(name)
            yield tmp_path / name

    results = recognizer.predict_files(paths())
    assert asked == []
    assert isinstance(next(results), Prediction)
    assert asked == ["good.wav"]  # nothing is read ahead
    bad, gone, good = results
    assert isinstance(bad, Failure)
    assert "not audio that serkit can read" in bad.error
    assert gone == Failure(str(tmp_path / "gone.wav"), f"{tmp_path / 'gone.wav'}: no such file")
    assert isinstance(good, Prediction)


def test_several_processes_give_the_same_in_the_same_order(recognizer, tmp_path, noise):
    paths = [tmp_path / f"{index}.wav" for index in range(12)]
    for index, path in enumerate(paths):
        noise(path, seconds=0.5 + 0.1 * index, seed=index)
    (tmp_path / "3.wav").write_bytes(b"no sound")
    alone = list(recognizer.predict_files(paths))
    assert list(recognizer.predict_files(paths, jobs=2)) == alone
    assert isinstance(alone[3], Failure)


def test_a_wrong_channel_is_refused_before_any_file(recognizer):
    with pytest.raises(UserError, match="reads speech only"):
        recognizer.predict_files(["gone.wav"], "egg")


def test_outputs_that_are_no_probabilities_stop_the_work(tmp_path, network, description, noise):
    content = network({"mel": 64}, softmax=False)[0]
    recognizer = Recognizer(description().save(tmp_path / "raw", content, "# Raw\n"))
    noise(tmp_path / "good.wav")
    with pytest.raises(BundleError, match=r"model\.onnx: the probabilities of .*good\.wav do not add up to 1"):
        list(recognizer.predict_files([tmp_path / "good.wav"]))


def test_a_recording_the_network_cannot_take(tmp_path, description, noise):
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper, kind = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    kernel = np.zeros((4, 64, 50), dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["mel", "kernel"], ["maps"]),
            helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[2], keepdims=0),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "wide",
        [helper.make_tensor_value_info("mel", kind, ["batch", 64, "time"])],
        [helper.make_tensor_value_info("probabilities", kind, ["batch", 4])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    recognizer = Recognizer(description().save(tmp_path / "wide", model.SerializeToString(), "# Wide\n"))
    noise(tmp_path / "short.wav", seconds=0.3)  # 31 frames: fewer than the kernel's 50
    noise(tmp_path / "long.wav", seconds=0.9)
    short, long = recognizer.predict_files([tmp_path / "short.wav", tmp_path / "long.wav"])
    assert "short.wav: the network fails on it (" in short.error
    assert "\n" not in short.error
    np.testing.assert_allclose(values(long), 0.25, atol=1e-6)


def test_too_short_to_be_resampled(recognizer, tmp_path):
    soundfile.write(tmp_path / "one.wav", np.array([0.5]), 192000)
    try:
        assert recognizer(tmp_path / "one.wav").label in LABELS
    except audio.AudioError as error:
        assert "one.wav: too short: nothing is left of" in str(error)


def test_whole_recordings(tmp_path, network, description, noise, parameters):
    bundle = description(windowing=Windowing()).save(tmp_path / "whole", network({"mel": 64})[0], "# Whole\n")
    noise(tmp_path / "long.wav", seconds=3.3)
    signal, _ = audio.read(tmp_path / "long.wav")
    expected = by_hand([signal], *parameters)
    np.testing.assert_allclose(values(Recognizer(bundle)(tmp_path / "long.wav")), expected, atol=1e-6)


def test_the_package_is_enough(toy, tmp_path, noise):
    noise(tmp_path / "good.wav")
    prediction = serkit.load("toy")(tmp_path / "good.wav")
    assert isinstance(prediction, serkit.Prediction)
    assert serkit.Recognizer is Recognizer
    assert {"load", "audio", "features", "__version__"} <= set(dir(serkit))
    with pytest.raises(AttributeError, match="module 'serkit' has no attribute 'lode'"):
        _ = serkit.lode
