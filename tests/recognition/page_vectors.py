"""What the page without a server must repeat, as computed by Python; read by page/tests/local.test.ts.

python tests/recognition/page_vectors.py         # writes page/tests/vectors.json again
"""

import json
import math
from pathlib import Path

import numpy as np

import serkit
from serkit.recognition.activity import Activity
from serkit.recognition.segments import Segmenter
from serkit.recognition.timeline_formats import render

PATH = Path(__file__).parents[2] / "page/tests/vectors.json"
LABELS = ["anger", "neutral", "sadness"]
FORMATS = ("csv", "srt", "vtt", "textgrid", "audacity", "rttm", "audformat")


class Told:
    """A detector that is told what to say of each frame."""

    frame = 320

    def __init__(self, flags):
        self._flags = iter(flags)

    def __call__(self, samples):
        return [next(self._flags) for _ in range(len(samples) // self.frame)]


def vectors():
    return {"activity": _activity(), "segmenter": _segmenter(), "timeline": _timeline()}


def _activity():
    """Stretches and shares of speech, half a second at a time; every third case ends within a frame."""
    rng = np.random.default_rng(0)
    cases = []
    for number in range(6):
        runs = rng.integers(1, 60, size=20)
        flags = [bool(index % 2) for index, length in enumerate(runs) for _ in range(length)]
        step = 8000 if number % 3 else 7777
        pause = (0.6, 0.9)[number % 2]
        activity = Activity(Told(flags), pause, 1.5)
        steps = []
        for begin in range(0, 320 * len(flags) - step, step):
            ended = activity.hear(np.zeros(step, np.float32))
            end = (begin + step) / 16000
            steps.append(
                {
                    "ended": [[one.start, one.end] for one in ended],
                    "region": activity.region and [activity.region.start, activity.region.end],
                    "share": activity.share(max(0.0, end - 1.5), end),
                }
            )
        cases.append({"flags": [int(one) for one in flags], "step": step, "pause": pause, "steps": steps})
    return cases


def _segmenter():
    """Segments of random walks between labels, with several costs of a change and lookaheads."""
    rng = np.random.default_rng(1)
    cases = []
    for change, lookahead, cells in [(1.0, 2, 40), (0.2, 0, 30), (3.0, 4, 90), (50.0, 2, 80), (1.0, 2, 1)]:
        walk = np.cumsum(rng.normal(size=(cells, len(LABELS))), axis=0) * 0.5
        probabilities = np.round(np.exp(walk) / np.exp(walk).sum(axis=1, keepdims=True), 4)
        segmenter = Segmenter(
            LABELS, lookahead, change, lambda confidence, *_: "" if confidence >= 0.5 else "low confidence"
        )
        steps = []
        for number, row in enumerate(probabilities):
            final = segmenter.add(number * 0.5, (number + 1) * 0.5, row)
            preview = segmenter.preview((number + 1) * 0.5 - 0.1)
            steps.append({"final": _short(final), "preview": _short(preview)})
        last = _short(segmenter.finish(cells * 0.5 - 0.1))
        cases.append(
            {
                "change": change,
                "lookahead": lookahead,
                "probabilities": probabilities.tolist(),
                "steps": steps,
                "last": last,
            }
        )
    return cases


def _short(segments):
    return [[one.start, one.end, one.label, round(one.confidence, 9), one.sure] for one in segments]


def voice(seconds=12.0, rate=16000):
    """A voice that both languages can compute: harmonics with a moving pitch, syllables, pauses; float32 (samples,)."""
    values = []
    for number in range(int(seconds * rate)):
        time = number / rate
        phase = 2 * math.pi * (140 * time + 6 * math.sin(2 * math.pi * 0.5 * time))
        tone = sum(math.sin(k * phase) / k for k in range(1, 12))
        syllable = max(0.0, math.sin(2 * math.pi * 2 * time))
        sentence = 1.0 if time % 6 < 4.5 else 0.0
        values.append(0.2 * tone * syllable * sentence)
    return np.array(values, dtype=np.float32)


def _timeline():
    """The timeline and files of `voice`, by the smallest of the bundled recognizers."""
    found = {}
    for name in ("emodb",):
        timeline = serkit.load(name).timeline_signal(voice(), 16000)
        found[name] = {
            "timeline": timeline.to_dict(),
            "files": {format: render(timeline, format) for format in FORMATS},
        }
    return found


if __name__ == "__main__":
    PATH.write_text(json.dumps(vectors(), separators=(",", ":")) + "\n")
