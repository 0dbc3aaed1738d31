"""Does a waveform file say what Python says of real recordings, and how fast is it?

    python benchmarks/waveform.py FOLDER [--model default emodb] [--recordings 300]

Takes recordings from all corpora in FOLDER, in turn at 8 kHz, 16 kHz and 44.1 kHz; a third of them cut or repeated to
lengths from 0.2 s to 30 s. Both sides get the same samples at 16 kHz and one thread. Prints, for each rate, the largest
difference of a probability, how many answers or `sure` differ, and files per second.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import time
from pathlib import Path

import numpy as np
import onnxruntime

import serkit
from serkit import audio
from serkit.graph.waveform import waveform

RATES = (8000, 16000, 44100)
SHORTEST, LONGEST = 0.2, 30.0


def recordings(folder: Path, count: int) -> list[tuple[int, np.ndarray]]:
    """Return rates and samples at 16 kHz, spread evenly over the files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".wav", ".flac"))
    chosen = [files[number * len(files) // count] for number in range(count)]
    # Most are as long as they are; a third is drawn from the whole range.
    drawn = np.exp(np.random.default_rng(0).uniform(np.log(SHORTEST), np.log(LONGEST), count))
    found = []
    for number, path in enumerate(chosen):
        samples, rate = audio.read(path)
        mono = audio.mix(samples.reshape(len(samples), -1), None)
        source = audio.resample(mono, rate, RATES[number % len(RATES)])
        signal = audio.resample(source, RATES[number % len(RATES)], 16000)
        if number % 9 < len(RATES):
            signal = np.resize(signal, round(drawn[number] * 16000))
        found.append((RATES[number % len(RATES)], signal))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", nargs="+", default=[bundle.name for bundle in serkit.models()])
    parser.add_argument("--recordings", type=int, default=300)
    asked = parser.parse_args()
    signals = recordings(asked.folder, asked.recordings)
    lengths = [len(signal) / 16000 for _, signal in signals]
    print(f"{len(signals)} recordings of {min(lengths):.2f} to {max(lengths):.1f} s, median {np.median(lengths):.1f} s")
    for name in asked.model:
        recognizer = serkit.load(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(waveform(recognizer.bundle), options)
        rows = []
        for rate, signal in signals:
            began = time.perf_counter()
            answer = recognizer.predict_signal(signal, 16000)
            between = time.perf_counter()
            [found], [sure] = session.run(["probabilities", "sure"], {"samples": signal[None]})
            ended = time.perf_counter()
            difference = np.abs(found - list(answer.probabilities.values())).max()
            same = recognizer.bundle.outputs[int(found.argmax())] == answer.label and bool(sure) == answer.sure
            rows.append((rate, difference, not same, between - began, ended - between))
        for rate in (*RATES, None):
            chosen = np.array([row[1:] for row in rows if rate is None or row[0] == rate])
            python, graph = (len(chosen) / chosen[:, column].sum() for column in (2, 3))
            print(
                f"{name:<12} {f'{rate} Hz' if rate else 'all':<9} difference {chosen[:, 0].max():.1e}, median "
                f"{np.median(chosen[:, 0]):.0e}; other answers {int(chosen[:, 1].sum())}; "
                f"files/s {python:.0f} Python, {graph:.0f} graph, ratio {graph / python:.2f}"
            )


if __name__ == "__main__":
    main()
