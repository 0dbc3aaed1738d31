"""What several test files share: a cache of their own, generated speech, and a bundle to be computed by hand."""

import os
import pickle
import signal
import sys
import zlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from serkit import features
from serkit.recognition.bundle import Bundle
from serkit.windowing import Windowing

LABELS = ["anger", "joy", "neutral", "sadness"]


def pytest_configure():
    # Before anything imports torch: with one thread its numbers repeat, and the cores are left to pytest-xdist.
    os.environ["OMP_NUM_THREADS"] = "1"
    # A shell that starts the tests in the background makes them ignore Ctrl-C, and nohup makes them ignore the end of
    # the terminal. All that they start would ignore it, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Keep features and hashes in a folder of this session, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SERKIT_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def one_thread():
    """Undo what a test before has set, where torch is loaded at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def recordings():
    """The folder of the real corpora, for tests marked `corpora`."""
    folder = os.environ.get("SERKIT_CORPORA")
    if not folder:
        pytest.skip("SERKIT_CORPORA does not name the folder of the real recordings")
    return Path(folder)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """The function that saves a small random encoder of transformers by its architecture, and returns its folder."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("checkpoints")

    def save(name="Wav2Vec2", layers=2):
        place = folder / f"{name}-{layers}"
        if not place.exists():
            config = getattr(transformers, f"{name}Config")(
                hidden_size=8,
                num_hidden_layers=layers,
                num_attention_heads=2,
                intermediate_size=16,
                conv_dim=[4] * 7,
                num_conv_pos_embeddings=8,
                num_conv_pos_embedding_groups=2,
            )
            torch.manual_seed(0)
            getattr(transformers, f"{name}Model")(config).save_pretrained(place)
        return place

    return save


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory):
    """A generated corpus: 5 speakers say 2 sentences in 4 emotions."""
    from serkit.corpora.synthetic import generate

    emotions = ("anger", "fear", "neutral", "sadness")
    return generate(tmp_path_factory.mktemp("synthetic"), speakers=5, sentences=2, emotions=emotions)


def make_network(inputs, labels=4, seed=0, output="probabilities", softmax=True):
    """Make `model.onnx`: softmax of a linear map of the inputs' means over time, joined.

    Args:
        inputs: {name: number of bands}.
        labels: number of outputs.
        seed: of the weights.
        output: name of the output.
        softmax: without it the outputs do not add up to 1.

    Returns:
        Content of the file, weights (bands, labels), bias (labels,).
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(seed)
    # Levels are around -50 dB: small weights keep the softmax away from 0 and 1.
    weights = generator.normal(0, 0.02, (sum(inputs.values()), labels)).astype(np.float32)
    bias = generator.normal(0, 0.5, labels).astype(np.float32)
    nodes = [helper.make_node("ReduceMean", [name], [f"{name}_mean"], axes=[2], keepdims=0) for name in inputs]
    nodes += [
        helper.make_node("Concat", [f"{name}_mean" for name in inputs], ["joined"], axis=1),
        helper.make_node("MatMul", ["joined", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax" if softmax else "Identity", ["logits"], [output]),
    ]

    def tensor(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    graph = helper.make_graph(
        nodes,
        "toy",
        [tensor(name, bands, "time") for name, bands in inputs.items()],
        [tensor(output, labels)],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString(), weights, bias


def describe(**changes):
    """Make a Bundle that fits `make_network({"mel": 64})`; `changes` replace its fields."""
    mel = {"name": "mel", "feature": features.config(features.build("log_mel")), "channel": None}
    fields = {
        "name": "toy",
        "serkit": "0.1.0",
        "created": "2026-11-20",
        "system": "toy",
        "labels": LABELS,
        "target": "emotion",
        "inputs": [mel],
        "windowing": Windowing(seconds=1.0, tail="keep", minimum=0.25),
        "trained_on": {"corpora": ["emodb"], "recordings": ["0123456789abcdef"]},
        "scores": [
            {"corpus": "emodb", "protocol": "clean", "metric": "uar", "value": 0.5, "low": 0.4, "high": 0.6},
            {"corpus": "emodb", "protocol": "paper", "metric": "uar", "value": 0.9, "flags": ["speaker overlap"]},
        ],
        "licence": "CC-BY-4.0",
        "languages": ["de"],
        "size": {"parameters": 260},
    }
    return Bundle(**{**fields, **changes})


@pytest.fixture(scope="session")
def shelf(tmp_path_factory) -> Path:
    """A folder of bundles with one in it, `toy`."""
    folder = tmp_path_factory.mktemp("shelf")
    describe().save(folder / "toy", make_network({"mel": 64})[0], "# Toy\n")
    return folder


@pytest.fixture
def toy(shelf, monkeypatch, tmp_path) -> Path:
    """The folder of a bundle that can be named `toy`; no other can be named."""
    monkeypatch.setenv("SERKIT_BUNDLES", str(shelf))
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    return shelf / "toy"


class Calls:
    """What the engine uses of Ray, in this process; what goes to a machine and back is pickled on the way.

    Args:
        refused: error of a cluster that does not answer.
        processors: number of processors of the only machine.
    """

    WorkerCrashedError = NodeDiedError = type("WorkerCrashedError", (Exception,), {})
    OutOfMemoryError = type("OutOfMemoryError", (WorkerCrashedError,), {})
    RaySystemError = type("RaySystemError", (Exception,), {})

    class RayTaskError(Exception):
        def __init__(self, cause):
            self.cause = cause

    def __init__(self, refused=None, processors=1):
        self.exceptions, self.refused, self.order, self.processors = self, refused, [], processors
        #: Number of processors of the call in progress.
        self.taken = 0

    def is_initialized(self):
        return False

    def init(self, address, **options):
        if self.refused:
            raise self.refused

    def cluster_resources(self):
        return {"CPU": float(self.processors)}

    def nodes(self):
        return [{"Alive": True, "Resources": self.cluster_resources()}]

    def put(self, thing):
        return pickle.dumps(thing)

    def remote(self, function):
        def options(num_cpus, **others):
            return SimpleNamespace(remote=partial(self.call, function, num_cpus))

        return SimpleNamespace(options=options)

    def call(self, function, cpus, sent, shard, *more):
        self.order.append(shard)
        shard = pickle.dumps(shard)

        def result():
            self.taken = cpus
            return pickle.dumps(function(pickle.loads(sent), pickle.loads(shard), *more))

        return result

    def wait(self, references, num_returns, timeout):
        return references[:1], references[1:]

    def get(self, reference):
        try:
            return pickle.loads(reference())
        except (self.WorkerCrashedError, self.RaySystemError):
            raise
        except Exception as error:
            raise self.RayTaskError(error) from None


@pytest.fixture
def calls(monkeypatch):
    """Ray, as far as the engine uses it."""
    for name in ("RAY_ADDRESS", "RAY_NUM_REDIS_GET_RETRIES"):
        monkeypatch.setenv(name, "")  # so that it is unset again after a test that sets it
        monkeypatch.delenv(name)
    made = Calls()
    monkeypatch.setitem(sys.modules, "ray", made)
    return made


def write_noise(path, seconds=1.7, rate=16000, channels=1, seed=0, level=0.1):
    """Write noise with a slow swell, so that windows differ; return its samples."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * rate)
    swell = level * (1.2 + np.sin(np.arange(samples) / rate))[:, None]
    signal = (swell * generator.standard_normal((samples, channels))).clip(-0.99, 0.99)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, rate)
    return signal


@pytest.fixture(scope="session")
def network():
    """The function that makes `model.onnx`."""
    return make_network


@pytest.fixture(scope="session")
def description():
    """The function that makes a Bundle."""
    return describe


@pytest.fixture(scope="session")
def noise():
    """The function that writes a recording."""
    return write_noise


@pytest.fixture
def tree(tmp_path):
    """Write recordings at 16 kHz below `tmp_path`, each with samples of its own; return that folder."""

    def write(*names, seconds=0.1, channels=1):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            soundfile.write(path, generator.uniform(-0.3, 0.3, (round(seconds * 16000), channels)), 16000)
        return tmp_path

    return write
