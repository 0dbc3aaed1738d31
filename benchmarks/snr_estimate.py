"""How far the estimated signal-to-noise ratio is from the true one: real speech with white noise added.

    python benchmarks/snr_estimate.py --corpus NAME=FOLDER... [--every 8] [--json FILE]

The true ratio counts the noise that is added; what a recording has of its own comes on top, so that no more than its
own ratio can be estimated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from serkit import audio, corpora
from serkit.augment import Noise
from serkit.evaluation.snr import wada_snr

RATIOS = (-5, 0, 5, 10, 15, 20, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", action="append", required=True, help="NAME=FOLDER")
    parser.add_argument("--every", type=int, default=8, help="take each so many recordings")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    found = {}
    for corpus in corpora.load_all(arguments.corpus):
        estimates: dict[str, list[float]] = {}
        for number, utterance in enumerate(corpus.utterances[:: arguments.every]):
            signal, rate = audio.read(utterance.path, channel=utterance.index)
            estimates.setdefault("as it is", []).append(wada_snr(signal))
            for ratio in RATIOS:
                noisy = Noise(ratio, ratio)(signal, rate, len(signal), np.random.default_rng(number))
                estimates.setdefault(str(ratio), []).append(wada_snr(noisy))
        found[corpus.name] = {
            ratio: dict(
                zip(("low", "median", "high"), np.percentile(values, [5, 50, 95]).round(2).tolist(), strict=True)
            )
            for ratio, values in estimates.items()
        }
        for ratio, row in found[corpus.name].items():
            print(f"{corpus.name}, {ratio} dB: {row['median']:.1f} ({row['low']:.1f} to {row['high']:.1f})", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
