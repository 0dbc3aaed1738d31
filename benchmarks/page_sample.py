"""Write the sample of the page, page/src/sample.flac: six synthesized sentences of two voices.

python benchmarks/page_sample.py
"""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from serkit.corpora import synthetic

RATE = 16_000
MANNERS = ("neutral", "anger", "sadness", "happiness", "anger", "neutral")


def main() -> None:
    takes = [synthetic.utterance(1 + i % 2, 1 + i % 3, manner, 1, 0) for i, manner in enumerate(MANNERS)]
    pause = np.zeros(round(0.7 * takes[0].rate))
    speech = np.concatenate([part for take in takes for part in (take.speech, pause)])
    path = Path(__file__).parents[1] / "page" / "src" / "sample.flac"
    soundfile.write(path, soxr.resample(speech, takes[0].rate, RATE), RATE, subtype="PCM_16")
    print(path)


if __name__ == "__main__":
    main()
