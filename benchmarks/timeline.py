"""How well timelines find who sounds how, when: on joined recordings, whose changes are known.

    python benchmarks/timeline.py half train.csv        # write the table of the speakers to train on
    serkit train compact-cnn --corpus table=train.csv --protocol random --no-baseline --out half
    serkit export half --out half-bundle
    python benchmarks/timeline.py choose half-bundle    # windows, hops, smoothing: with the other speakers
    python benchmarks/timeline.py report                # the defaults, with recordings nobody learned from
    python benchmarks/timeline.py detectors             # what is found as speech
    python benchmarks/timeline.py hour hour.flac        # an hour of sound
    python benchmarks/timeline.py speed hour.flac
    python benchmarks/timeline.py labels                # answers that no segment has

SERKIT_CORPORA names the folder with emodb, ravdess, savee and tava. Scenes are drawn from a fixed seed.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

import serkit
from serkit import audio, corpora, emotions
from serkit.recognition import Recognizer, Segment, TimelineOptions, activity
from serkit.recognition.bundle import Bundle
from serkit.recognition.segments import Segmenter
from serkit.recognition.stream import Stream

RATE = 16000
FRAME = 0.01  # s: what is compared
MERGED = {"calm": "neutral", "boredom": "drop"}

# TAVA's affects that have a name in the default recogniser.
TAVA = {
    "enraged": "anger", "annoyed": "anger", "frightened": "fear", "worried": "fear", "joyful": "happiness",
    "happy": "happiness", "thrilled": "happiness", "miserable": "sadness", "depressed": "sadness",
    "tranquil": "neutral", "serene": "neutral", "mellow": "neutral",
}  # fmt: skip


# What `choose` tries.
WINDOWS = (1.5, 2.0, 3.0, 4.0)
HOPS = (0.25, 0.5, 1.0)
LOOKAHEADS = (0.0, 0.5, 1.0, 2.0)
CHANGES = (0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Spoken:
    """An utterance: its path, emotion and speaker."""

    path: Path
    emotion: str
    speaker: str


@dataclass(frozen=True)
class Scene:
    """Joined utterances: float32 (samples,) at 16 kHz; start, end in s and emotion of each."""

    signal: np.ndarray
    truth: tuple[tuple[float, float, str], ...]


def spoken(name: str) -> list[Spoken]:
    """Read a corpus with the labels of the default recogniser."""
    found = []
    for utterance in _corpus(name).utterances:
        if name == "tava":
            label = TAVA.get(str(utterance.targets["affect"]))
        else:
            label = emotions.merge(str(utterance.targets["emotion"]), MERGED)
        if label:
            found.append(Spoken(utterance.path, label, utterance.speaker))
    return sorted(found, key=lambda one: str(one.path))


def _corpus(name: str) -> corpora.Corpus:
    return corpora.load(name, Path(os.environ["SERKIT_CORPORA"]) / name)


def halves() -> tuple[list[Spoken], list[Spoken]]:
    """Part the speakers of the three corpora: every second pair of RAVDESS, every second of the others."""
    learned, held = [], []
    for name, together in (("emodb", 1), ("ravdess", 2), ("savee", 1)):
        utterances = spoken(name)
        order = sorted({one.speaker for one in utterances})
        for one in utterances:
            (held if order.index(one.speaker) // together % 2 else learned).append(one)
    return learned, held


def trimmed(path: Path) -> np.ndarray:
    """Read from the first to the last 10 ms within 35 dB of the loudest."""
    signal, _ = audio.read(path, RATE)
    frames = signal[: len(signal) // 160 * 160].reshape(-1, 160)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-10)
    loud = np.flatnonzero(level > level.max() - 35)
    return signal[loud[0] * 160 : (loud[-1] + 1) * 160]


def scenes(utterances: Sequence[Spoken], kind: str, count: int, seed: int) -> Iterator[Scene]:
    """Join eight utterances of one corpus.

    Args:
        utterances: to draw from.
        kind: `turns`: any speakers, pauses of 0.3 to 1.5 s; `breaths`: one speaker, pauses of 0 to 0.3 s,
            which no voice activity detector parts.
        count: how many scenes per corpus.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    by_corpus = {
        name: list(group) for name, group in itertools.groupby(utterances, lambda one: one.speaker.split("/")[0])
    }
    for group in by_corpus.values():
        for _ in range(count):
            speaker = group[generator.integers(len(group))].speaker
            choice = [one for one in group if kind == "turns" or one.speaker == speaker]
            drawn = [choice[place] for place in generator.choice(len(choice), 8, replace=len(choice) < 8)]
            yield join(drawn, (0.3, 1.5) if kind == "turns" else (0.0, 0.3), generator)


def join(drawn: Sequence[Spoken], pauses: tuple[float, float], generator: np.random.Generator) -> Scene:
    """Put utterances one after the other, over faint noise."""
    parts, truth, at = [], [], 0
    for one in drawn:
        pause = np.zeros(round(generator.uniform(*pauses) * RATE), dtype=np.float32)
        signal = trimmed(one.path)
        begin, at = at + len(pause), at + len(pause) + len(signal)
        parts += [pause, signal]
        truth.append((begin / RATE, at / RATE, one.emotion))
    joined = np.concatenate([*parts, np.zeros(RATE, dtype=np.float32)])
    # -80 dB: the noise of a quiet room; digital silence would make it too easy to hear the pauses.
    return Scene(joined + generator.normal(0, 1e-4, len(joined)).astype(np.float32), tuple(truth))


class Recorder(Segmenter):
    """Notes what a segmenter is told, so that it can be told again with other settings."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels, 0, 0.0)
        self.calls: list[tuple] = []

    def add(
        self, start: float, end: float, probabilities: np.ndarray, speech: float = 1.0, distance: float = 0.0
    ) -> list[Segment]:
        self.calls.append((start, end, probabilities, speech, distance))
        return []

    def finish(self, end: float) -> list[Segment]:
        self.calls.append((end,))
        return []

    def preview(self, end: float) -> list[Segment]:
        return []


def listen(recognizer: Recognizer, scene: Scene, options: TimelineOptions) -> list[tuple]:
    """Recognise the windows of a scene; return what the segmenter is told."""
    stream = Stream(recognizer, RATE, options)
    stream._segmenter = recorder = Recorder(stream.labels)
    stream.push(scene.signal)
    stream.finish()
    return recorder.calls


def segments(bundle: Bundle, calls: list[tuple], options: TimelineOptions) -> list[Segment]:
    """Segment with other settings what was recognised before."""
    segmenter = Segmenter(bundle.labels, round(options.lookahead / options.hop), options.change_for(bundle))
    return [one for call in calls for one in (segmenter.finish if len(call) == 1 else segmenter.add)(*call)]


class Tally:
    """Counts frames by emotion, and changes.

    `uar` is over 10 ms frames of the utterances, a frame in no segment being wrong; `f1` is of changes found
    within half a second; `pieces` are segments per utterance.
    """

    def __init__(self) -> None:
        self.right: dict[str, int] = {}
        self.all: dict[str, int] = {}
        self.matched = self.found = self.true = self.pieces = self.utterances = 0

    def add(self, scene: Scene, found: Sequence[Segment]) -> None:
        count = round(scene.truth[-1][1] / FRAME)
        heard = np.full(count, "", dtype=object)
        for one in found:
            heard[round(one.start / FRAME) : round(one.end / FRAME)] = one.label
        for start, end, emotion in scene.truth:
            part = heard[round(start / FRAME) : round(end / FRAME)]
            self.right[emotion] = self.right.get(emotion, 0) + int((part == emotion).sum())
            self.all[emotion] = self.all.get(emotion, 0) + len(part)
        changes = [b[0] for a, b in itertools.pairwise(scene.truth) if a[2] != b[2]]
        guesses = [b.start for a, b in itertools.pairwise(found) if a.label != b.label]
        self.true += len(changes)
        self.found += len(guesses)
        for guess in guesses:
            near = [change for change in changes if abs(change - guess) <= 0.5]
            if near:
                changes.remove(min(near, key=lambda change: abs(change - guess)))
                self.matched += 1
        self.pieces += len(found)
        self.utterances += len(scene.truth)

    @property
    def uar(self) -> float:
        return 100 * float(np.mean([self.right[label] / self.all[label] for label in self.all]))

    @property
    def f1(self) -> float:
        return 100 * 2 * self.matched / max(1, self.found + self.true)

    def __str__(self) -> str:
        return f"uar {self.uar:.1f} f1 {self.f1:.1f} pieces {self.pieces / self.utterances:.2f}"


def known(recognizer: Recognizer, drawn: Sequence[Scene]) -> float:
    """UAR over frames if every utterance's start and end were given."""
    tally = Tally()
    for scene in drawn:
        cut = [(a, b, recognizer.predict_signal(scene.signal[round(a * RATE) : round(b * RATE)], RATE))
               for a, b, _ in scene.truth]  # fmt: skip
        tally.add(scene, [Segment(a, b, p.label, p.confidence, p.probabilities) for a, b, p in cut])
    return tally.uar


def choose(model: str, count: int) -> None:
    recognizer = serkit.load(model)
    for kind in ("turns", "breaths"):
        drawn = list(scenes(halves()[1], kind, count, seed=0))
        print(f"{kind}: UAR with known utterances {known(recognizer, drawn):.1f}")
        for window, hop in itertools.product(WINDOWS, HOPS):
            base = TimelineOptions(window=window, hop=hop, pause=max(0.6, hop))
            told = [listen(recognizer, scene, base) for scene in drawn]
            for lookahead, change in itertools.product(LOOKAHEADS, CHANGES):
                if lookahead % hop or lookahead >= window:
                    continue
                options = replace(base, lookahead=lookahead, change=change)
                tally = Tally()
                for scene, calls in zip(drawn, told, strict=True):
                    tally.add(scene, segments(recognizer.bundle, calls, options))
                named = f"window {window:g} hop {hop:g} lookahead {lookahead:g} change {change:g}"
                print(f"{kind} {named}: {tally}", flush=True)


def detectors(count: int) -> None:
    """Say how much of the utterances, and of the pauses, each detector calls speech, at three levels."""
    drawn = list(scenes(halves()[1], "turns", count, seed=0))
    made: dict[str, Callable[[], activity.Detector]] = {
        f"webrtc, strictness {number}": partial(activity.WebRtc, number) for number in range(4)
    }
    made["silero"] = activity.Silero
    for (name, make), gain in itertools.product(made.items(), (1.0, 0.1, 0.01)):
        heard = np.zeros((2, 2), dtype=int)  # frames by truth and answer
        for scene in drawn:
            found = activity.Activity(make(), TimelineOptions().pause, 3.0)
            regions = found.hear(np.float32(gain) * scene.signal) + found.finish()
            times = np.arange(0, len(scene.signal) / RATE, FRAME)
            truth, answer = np.zeros(len(times), int), np.zeros(len(times), int)
            for start, end, _ in scene.truth:
                truth[(times >= start) & (times < end)] = 1
            for region in regions:
                answer[(times >= region.start) & (times < region.end)] = 1
            np.add.at(heard, (truth, answer), 1)
        speech, pauses = heard[1, 1] / heard[1].sum(), heard[0, 1] / heard[0].sum()
        print(f"{name}, gain {gain:g}: of speech {speech:.3f}, of pauses {pauses:.3f}", flush=True)


def report(model: str, count: int) -> None:
    """Score the defaults, beside no smoothing at all, on a corpus that neither training nor `choose` has seen."""
    recognizer = serkit.load(model)
    rough = replace(TimelineOptions(), lookahead=0.0, change=0.0)
    for kind in ("turns", "breaths"):
        drawn = list(scenes(spoken("tava"), kind, count, seed=1))
        print(f"tava, {kind}: UAR with known utterances {known(recognizer, drawn):.1f}")
        for name, options in (("defaults", TimelineOptions()), ("no smoothing", rough)):
            tally = Tally()
            for scene in drawn:
                tally.add(scene, recognizer.timeline_signal(scene.signal, RATE, options=options).segments)
            print(f"tava, {kind}, {name}: {tally}")


def compare_labels(model: str, count: int) -> None:
    """Count the recordings whose answer for the whole is the label of none of their segments."""
    recognizer = serkit.load(model)
    paths = sorted(utterance.path for name in ("emodb", "ravdess") for utterance in _corpus(name).utterances)
    # Spread over both corpora.
    drawn = [paths[round(at)] for at in np.linspace(0, len(paths) - 1, count)]
    segmented = differ = sure = 0
    for timeline in map(recognizer.timeline, drawn):
        [answer] = timeline.answers
        segmented += bool(timeline.segments)
        if timeline.segments and answer.label not in {segment.label for segment in timeline.segments}:
            differ += 1
            sure += answer.sure
    print(f"{count} recordings, {segmented} with segments; no segment has the answer's label: {differ} ({sure} sure)")


def write_half(path: str) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "emotion", "corpus", "speaker"])
        rows.writerows([one.path, one.emotion, *one.speaker.split("/", 1)] for one in halves()[0])


def write_hour(path: str) -> None:
    """Join recordings of all four corpora, in an order drawn from a seed, to an hour of sound."""
    paths = [utterance.path for name in ("emodb", "ravdess", "savee", "tava") for utterance in _corpus(name).utterances]
    np.random.default_rng(0).shuffle(paths)
    left = 3600 * RATE
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for one in paths:
            signal = audio.read(one, RATE)[0][:left]
            file.write(signal)
            left -= len(signal)


def measure_speed(model: str, path: str) -> None:
    """Time predict and timeline of a recording on one core, and what a live stream waits for its windows."""
    recognizer = serkit.load(model)
    duration = audio.info(path).duration
    for name, work in (("predict", recognizer.predict_file), ("timeline", recognizer.timeline)):
        began = time.process_time()
        work(path)
        spent = time.process_time() - began
        print(f"{name}: {duration:.0f} s in {spent:.1f} s of processor time, {duration / spent:.0f} times real time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["half", "choose", "report", "hour", "speed", "detectors", "labels"])
    parser.add_argument("argument", nargs="?", default="default")
    parser.add_argument("--count", type=int, default=12, help="scenes, or recordings of 'labels'")
    arguments = parser.parse_args()
    if arguments.what == "hour":
        write_hour(arguments.argument)
    elif arguments.what == "detectors":
        detectors(arguments.count)
    elif arguments.what == "speed":
        measure_speed("default", arguments.argument)
    elif arguments.what == "labels":
        compare_labels(arguments.argument, arguments.count)
    elif arguments.what == "half":
        write_half(arguments.argument)
    elif arguments.what == "choose":
        choose(arguments.argument, arguments.count)
    else:
        report(arguments.argument, arguments.count)


if __name__ == "__main__":
    main()
