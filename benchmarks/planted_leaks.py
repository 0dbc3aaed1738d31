"""How many planted copies the audit finds, and how often it takes two takes for one recording.

    python benchmarks/planted_leaks.py CORPORA [--each 9] [--seed 0] [--json FILE]

CORPORA holds emodb, ravdess and savee. Of each corpus some recordings are changed and laid among all originals; the
audit has to find each with the recording it came from, and nothing else. What changes them is SciPy, soundfile and
this file: nothing of the detector's. The takes that must not be found are told by the corpora's file names.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from serkit.auditing.copies import copies
from serkit.corpora import Utterance
from serkit.data.store import Store

Sound = tuple[np.ndarray, int]

#: What file names say of speaker, sentence, emotion and intensity: two files that share it are takes of one sentence.
TAKES: dict[str, Callable[[str], str]] = {
    "emodb": lambda stem: stem[:6],
    "ravdess": lambda stem: stem[:15] + stem[17:],
    "savee": lambda stem: stem,
}
#: The same without the emotion.
SENTENCES: dict[str, Callable[[str], str]] = {
    "emodb": lambda stem: stem[:5],
    "ravdess": lambda stem: stem[12:14] + stem[17:],
    # The first three sentences of every emotion are the same.
    "savee": lambda stem: stem[:2] + stem[-2:] if int(stem[-2:]) <= 3 else stem,
}
#: One recording under two names, as RAVDESS was published.
TWINS = {("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")}
TWIN_OF = {second: first for first, second in TWINS}


def resampled(sound: np.ndarray, up: int, down: int) -> np.ndarray:
    return signal.resample_poly(sound, up, down)


def coded(sound: np.ndarray, rate: int, **options) -> Sound:
    """Encode with a codec of libsndfile at a low rate, and decode."""
    file = io.BytesIO()
    soundfile.write(file, sound, rate, **options)
    file.seek(0)
    return soundfile.read(file, dtype="float32")


def noisy(sound: np.ndarray, decibels: float, generator: np.random.Generator) -> np.ndarray:
    return sound + np.sqrt(np.mean(sound**2) / 10 ** (decibels / 10)) * generator.standard_normal(len(sound))


def telephone(sound: np.ndarray, rate: int) -> Sound:
    """300 to 3400 Hz at 8 kHz, in the 256 steps of mu-law."""
    band = signal.sosfilt(signal.butter(6, [300, 3400], "bandpass", fs=rate, output="sos"), sound)
    band = resampled(band, 8000, rate)
    band *= 0.9 / np.abs(band).max()
    steps = np.round(127 * np.sign(band) * np.log1p(255 * np.abs(band)) / np.log(256)) / 127
    return np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255, 8000


MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": 0.9, "bitrate_mode": "CONSTANT"}

KINDS: dict[str, Callable[[np.ndarray, int, np.random.Generator], Sound]] = {
    "gain 0.9": lambda x, rate, chance: (0.9 * x, rate),
    "shifted by 50 ms": lambda x, rate, chance: (np.concatenate([np.zeros(rate // 20), x]), rate),
    "cut: 0.25 s off the beginning, 0.15 s off the end": lambda x, rate, chance: (
        x[rate // 4 : -(rate * 3 // 20)],
        rate,
    ),
    "resampled to 11025 Hz": lambda x, rate, chance: (resampled(x, 441, 640), 11025),
    "MP3, 24 kbit/s": lambda x, rate, chance: coded(x, rate, **MP3),
    "Opus, 7 kbit/s": lambda x, rate, chance: coded(x, rate, format="OGG", subtype="OPUS", compression_level=1.0),
    "Vorbis, 29 kbit/s": lambda x, rate, chance: coded(x, rate, format="OGG", subtype="VORBIS", compression_level=1.0),
    "white noise, 20 dB": lambda x, rate, chance: (noisy(x, 20, chance), rate),
    "white noise, 10 dB": lambda x, rate, chance: (noisy(x, 10, chance), rate),
    "telephone": lambda x, rate, chance: telephone(x, rate),
    "speed 0.9": lambda x, rate, chance: (resampled(x, 10, 9), rate),
    "speed 1.1": lambda x, rate, chance: (resampled(x, 10, 11), rate),
    "speed 1.02": lambda x, rate, chance: (resampled(x, 50, 51), rate),
}
#: Not promised: the detector tries the speeds that training copies are made at, no other.
BEYOND = {"speed 1.02"}


def utterances(corpus: str, paths: list[Path]) -> list[Utterance]:
    return [Utterance(f"{corpus}/{path.stem}", path) for path in paths]


def plant(paths: list[Path], folder: Path, each: int, generator: np.random.Generator) -> dict[str, tuple[str, str]]:
    """Write `each` copies of every kind; returns kind and original by name of the copy."""
    planted = {}
    for number, kind in enumerate(KINDS):
        for row in generator.choice(len(paths), each, replace=False):
            sound, rate = soundfile.read(paths[row], dtype="float32")
            changed, rate = KINDS[kind](sound, rate, generator)
            name = f"planted-{number}-{row}"
            soundfile.write(folder / f"{name}.wav", changed, rate, "FLOAT")
            planted[name] = (kind, paths[row].stem)
    return planted


def pairs(stems: list[str], key: Callable[[str], str]) -> set[tuple[str, str]]:
    groups = defaultdict(list)
    for stem in sorted(stems):
        groups[key(stem)].append(stem)
    return {pair for group in groups.values() for pair in itertools.combinations(group, 2)} - TWINS


def examine(corpus: str, paths: list[Path], each: int, seed: int, store: Store) -> dict:
    stems = [path.stem for path in paths]
    with tempfile.TemporaryDirectory() as place:
        planted = plant(paths, Path(place), each, np.random.default_rng(seed))
        everything = utterances(corpus, [*paths, *sorted(Path(place).glob("*.wav"))])
        hashes, _ = store.hashes([utterance.path for utterance in everything])
        began = time.process_time()
        found = copies(everything, hashes, store)
        seconds = round(time.process_time() - began, 1)
    named = {tuple(sorted(id.partition("/")[2] for id in (pair.first, pair.second))) for pair in found}
    origin = {stem: stem for stem in stems} | {name: original for name, (_, original) in planted.items()}
    twins = {stem: TWIN_OF.get(stem, stem) for stem in stems}
    wrong = sorted(pair for pair in named if twins[origin[pair[0]]] != twins[origin[pair[1]]])
    right = Counter(kind for name, (kind, original) in planted.items() if tuple(sorted((name, original))) in named)
    takes, sentences = pairs(stems, TAKES[corpus]), pairs(stems, SENTENCES[corpus])
    return {
        "corpus": corpus,
        "recordings": len(stems),
        "seconds of processor time": seconds,
        "planted": dict.fromkeys(KINDS, each),
        "found": {kind: right[kind] for kind in KINDS},
        "twins": sorted(named & TWINS),
        "wrong": wrong,
        "takes": len(takes),
        "takes found": sorted(takes & named),
        "same speaker and sentence": len(sentences),
        "same speaker and sentence found": sorted(sentences & named),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--each", type=int, default=9, help="copies of each kind and corpus")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as cache:
        for corpus in TAKES:
            paths = sorted((arguments.corpora / corpus).rglob("*.flac"))
            results.append(examine(corpus, paths, arguments.each, arguments.seed, Store(cache)))
            one = results[-1]
            print(
                f"{corpus}: {len(one['wrong'])} wrong pairs, {len(one['takes found'])} of {one['takes']} pairs of takes"
            )
    for kind in KINDS:
        found, planted = (sum(one[what][kind] for one in results) for what in ("found", "planted"))
        print(f"{kind}: {found} of {planted}")
    promised = [kind for kind in KINDS if kind not in BEYOND]
    right = sum(one["found"][kind] for one in results for kind in promised)
    total = sum(one["planted"][kind] for one in results for kind in promised)
    wrong = sum(len(one["wrong"]) for one in results)
    beyond = sum(one["found"][kind] for one in results for kind in BEYOND)
    summary = {
        "planted": total,
        "recall": right / total,
        "precision": (right + beyond) / max(1, right + beyond + wrong),
        "wrong": wrong,
    }
    print(f"all but speed 1.02: recall {summary['recall']:.1%} of {total}, precision {summary['precision']:.1%}")
    if arguments.json:
        document = {"seed": arguments.seed, **summary, "corpora": results}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
