"""Recognise clips that serkit makes up, and any recordings named on the command line.

    python examples/demo.py [FILE, FOLDER or PATTERN]...

Needs the core only: no torch, no download.
"""

import sys
import tempfile
import time
from pathlib import Path

import serkit
from serkit.cli import run
from serkit.corpora import synthetic


def main(paths: list[str]) -> int:
    began = time.perf_counter()
    recognizer = serkit.load()
    print(f"default recogniser loaded in {time.perf_counter() - began:.2f} s: {', '.join(recognizer.bundle.labels)}\n")
    with tempfile.TemporaryDirectory() as folder:
        emotions = ("anger", "neutral", "sadness")
        corpus = synthetic.generate(folder, speakers=2, sentences=1, emotions=emotions)
        print("Clips from serkit's source-filter model. The recogniser has learned from real acted speech, so")
        print("that it answers is the point here, not what it answers:\n")
        for utterance in corpus.utterances:
            began = time.perf_counter()
            prediction = recognizer(utterance.path, channel=0)
            seconds = time.perf_counter() - began
            print(
                f"{Path(prediction.file).name:32} {prediction.label:10} {prediction.confidence:4.0%}"
                f"   {prediction.duration:.1f} s of sound in {1000 * seconds:.0f} ms"
            )
    if not paths:
        print("\nYour own recordings: make demo AUDIO=recording.wav")
        return 0
    print()
    return run(["predict", *paths])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
