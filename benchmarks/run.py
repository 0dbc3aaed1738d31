"""Speed and memory of serkit, as ratios measured side by side in one run.

    python benchmarks/run.py [NAME]... [--json FILE]

Uses EMO-DB where SERKIT_CORPORA names a folder with it, and made-up speech elsewhere. Ratios are medians of
alternating repetitions: absolute times depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# One core for every measurement; must be set before NumPy and torch are imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np

from serkit import audio, corpora, features
from serkit.corpora import synthetic
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.windowing import Windowing


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternating(first: Callable[[], object], second: Callable[[], object], times: int = 5) -> tuple[float, float]:
    """Run two things in turn and return the median time of each in s."""
    pairs = [(seconds(first), seconds(second)) for _ in range(times)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def speech(folder: Path) -> corpora.Corpus:
    """EMO-DB where it is at hand, made-up speech elsewhere."""
    place = Path(os.environ.get("SERKIT_CORPORA", "")) / "emodb"
    if os.environ.get("SERKIT_CORPORA") and place.is_dir():
        return corpora.load("emodb", place)
    return synthetic.generate(folder / "synthetic", speakers=8, sentences=8)


def startup(corpus: corpora.Corpus, folder: Path) -> dict[str, float]:
    """`serkit predict` on one short file, from start to exit, beside importing torch."""
    file = str(corpus.utterances[0].path)
    predict = [sys.executable, "-m", "serkit", "predict", file]
    torch = [sys.executable, "-c", "import torch"]
    run = lambda command: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
    ours, theirs = alternating(lambda: run(predict), lambda: run(torch))
    return {"predict_s": ours, "import_torch_s": theirs, "ratio": ours / theirs, "goal_below": 0.5}


def throughput(corpus: corpora.Corpus, folder: Path) -> dict[str, float]:
    """The default recogniser over the corpus on one core, features and decoding included."""
    # Not to be had on Windows, where this benchmark therefore does not run.
    import resource

    import serkit

    recognizer = serkit.load()
    files = [utterance.path for utterance in corpus.utterances]
    duration = sum(audio.info(file).duration for file in files)
    list(recognizer.predict_files(files[:50]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = seconds(lambda: list(recognizer.predict_files(files)))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "files": len(files),
        "times_real_time": duration / spent,
        "goal_above": 300,
        "peak_memory_after_all_over_after_50": after / before,
    }


def second_run(corpus: corpora.Corpus, folder: Path) -> dict[str, float]:
    """The feature step of the default recogniser's training, first and second time, arrays read included."""
    feature = features.build("speech_log_mel")
    items = [Item(utterance) for utterance in corpus.utterances]
    pairs = []
    for repetition in range(3):
        store = Store(folder / f"store-{repetition}")

        def step(store: Store = store) -> None:
            hashes, _ = store.hashes([item.utterance.path for item in items])
            arrays = store.features(feature, items, hashes, Windowing())
            for index in range(len(arrays)):
                arrays[index]

        pairs.append((seconds(step), seconds(step)))
    first, second = (statistics.median(values) for values in zip(*pairs, strict=True))
    return {"first_s": first, "second_s": second, "ratio": first / second, "goal_above": 20}


def training_loop(corpus: corpora.Corpus, folder: Path) -> dict[str, float]:
    """Steps per second of the training loop, beside a bare PyTorch loop over the same tensors."""
    import torch

    from serkit import networks
    from serkit.methods.supervised import Supervised
    from serkit.networks.network import Model
    from serkit.systems.schema import Trainer
    from serkit.training import loop
    from serkit.training.batches import ItemData

    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    utterances = corpus.utterances[:320]
    arrays = [generator.standard_normal((64, 128), dtype=np.float32) for _ in utterances]
    labels = sorted({str(utterance.targets["emotion"]) for utterance in utterances})
    data = ItemData([Item(u) for u in utterances], {"x": arrays}, {"x": (64, None)}, {"emotion": labels})
    whole = torch.from_numpy(np.stack(arrays))
    truth = data.batch(range(len(utterances))).targets["emotion"]
    trainer = Trainer(epochs=2, batch_size=16, learning_rate=1e-3)
    count = iter(range(1000))

    def make() -> Model:
        return Model(networks.build("cnn", {"x": (64, None)}, {"emotion": len(labels)}))

    def ours() -> None:
        loop.fit(make(), Supervised(), data, range(len(arrays)), [], trainer, folder / f"fit-{next(count)}", 0, "cpu")

    def bare() -> None:
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        for _ in range(trainer.epochs):
            for rows in torch.randperm(len(whole)).split(trainer.batch_size):
                optimizer.zero_grad(set_to_none=True)
                output = model(loop.Batch({"x": whole[rows]}))
                torch.nn.functional.cross_entropy(output.predictions["emotion"], truth[rows]).backward()
                optimizer.step()

    ours()
    mine, theirs = alternating(ours, bare)
    return {"serkit_s": mine, "bare_s": theirs, "ratio_of_speed": theirs / mine, "goal_above": 0.9}


def log_mel(corpus: corpora.Corpus, folder: Path) -> dict[str, float]:
    """log_mel of 4 s beside librosa's, same settings."""
    import librosa

    signal = np.random.default_rng(0).standard_normal(64000).astype(np.float32)
    feature = features.build("log_mel")

    def theirs() -> None:
        for _ in range(20):
            mel = librosa.feature.melspectrogram(
                y=signal, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64, htk=True, norm=None
            )
            librosa.power_to_db(mel)

    theirs()
    ours_s, theirs_s = alternating(lambda: [feature(signal) for _ in range(20)], theirs)
    return {"serkit_ms": 50 * ours_s, "librosa_ms": 50 * theirs_s, "times_faster": theirs_s / ours_s}


BENCHMARKS = {
    "startup": startup,
    "throughput": throughput,
    "second_run": second_run,
    "training_loop": training_loop,
    "log_mel": log_mel,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"unknown benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    found: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    }
    with tempfile.TemporaryDirectory() as folder:
        corpus = speech(Path(folder))
        found["corpus"] = corpus.name
        for name in arguments.names or BENCHMARKS:
            found[name] = BENCHMARKS[name](corpus, Path(folder))
            print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in found[name].items()), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
