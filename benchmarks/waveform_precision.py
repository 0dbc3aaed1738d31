"""What float16 and int8 weights of a waveform file cost in UAR, and what they save in size and time.

    python benchmarks/waveform_precision.py emodb=FOLDER savee=FOLDER ravdess=FOLDER [--model default]

Prints, for each precision, the size of the file, milliseconds per recording on one thread, and for each corpus the UAR
and the share of recordings with the same label as with float32. The bundled recognizers have learned from EMO-DB, SAVEE
and RAVDESS: there, only the differences between precisions mean something.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import time
from collections import defaultdict

import numpy as np
import onnxruntime

import serkit
from serkit import audio, corpora
from serkit.graph import Precision
from serkit.graph.waveform import waveform

#: Labels of a corpus that a bundle knows by another name.
ALIASES = {"calm": "neutral"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    bundle = serkit.load(asked.model).bundle
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    contents = {precision: waveform(bundle, precision) for precision in Precision}
    sessions = {precision: onnxruntime.InferenceSession(content, options) for precision, content in contents.items()}
    seconds: dict[Precision, float] = defaultdict(float)
    count = 0
    rows: dict[Precision, list[str]] = defaultdict(list)
    for name, folder in (text.split("=", 1) for text in asked.corpus):
        true, said = [], defaultdict(list)
        for utterance in corpora.load(name, folder).utterances:
            emotion = str(utterance.targets.get("emotion"))
            label = ALIASES.get(emotion, emotion)
            if label not in bundle.labels:
                continue
            samples, rate = audio.read(utterance.path)
            signal = audio.resample(audio.mix(samples.reshape(len(samples), -1), None), rate, 16000)
            true.append(bundle.labels.index(label))
            for precision, session in sessions.items():
                began = time.perf_counter()
                said[precision].append(int(session.run(None, {"samples": signal[None]})[0].argmax()))
                seconds[precision] += time.perf_counter() - began
        count += len(true)
        labels = np.array(true)
        for precision in Precision:
            found = np.array(said[precision])
            uar = np.mean([(found[labels == one] == one).mean() for one in np.unique(labels)])
            same = (found == np.array(said[Precision.FLOAT32])).mean()
            rows[precision].append(f"{name} ({len(labels)}) UAR {uar:.4f}, same label {same:.4f}")
    for precision in Precision:
        speed = 1000 * seconds[precision] / count
        print(f"{precision}: {len(contents[precision]) / 1e6:.2f} MB, {speed:.1f} ms; {'; '.join(rows[precision])}")


if __name__ == "__main__":
    main()
