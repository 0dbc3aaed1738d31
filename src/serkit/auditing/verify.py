"""Check a corpus against the publishers' numbers, and count its contents."""

from __future__ import annotations

import hashlib
import statistics
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from serkit import audio
from serkit.corpora.corpus import Corpus, Utterance
from serkit.finding import PassedOver

#: Samples from here on count as full scale: three steps of 16-bit audio below it.
FULL_SCALE = 0.9999

#: A recording with this many samples at full scale is clipped. A recording normalized to its peak reaches full
#: scale once, rarely twice (half of EMO-DB does); cut-off peaks leave at least one sample per period.
CLIPPED_SAMPLES = 3

#: A channel that lacks less than this at its ends (s) is complete, because alignment is not more precise.
CHANNEL_TOLERANCE = 0.01


@dataclass(frozen=True)
class Count:
    """Number `found`, and the `official` number if it is known."""

    found: int
    official: int | None = None

    @property
    def missing(self) -> int:
        return max(0, (self.official or 0) - self.found)


@dataclass(frozen=True)
class Report:
    """Result of `verify`. Recordings are identified by the ids of their utterances.

    Args:
        corpus: its name.
        folder: where it lies.
        utterances: their number.
        target: the target whose classes are counted.
        classes: utterances by class, readable or not.
        speakers: number of speakers.
        duration: total duration of all readable recordings, in s.
        rates: number of recordings by sampling rate in Hz.
        skipped: recordings skipped by the reader, with the reason.
        passed_over: files and folders that are not recordings, with the reason.
        unreadable: unusable recordings, with the reason.
        silent: recordings without a sample above -96 dB of full scale.
        clipped: recordings with at least `CLIPPED_SAMPLES` samples at full scale, with their number.
        truncated: warnings about files that are shorter than their header claims.
        identical: groups of recordings with the same samples.
        copies: pairs of a recording and a changed copy, if requested.
        channels: defects of further channels such as the EGG, by `<id> <channel>`.
    """

    corpus: str
    folder: str
    utterances: int
    target: str
    classes: dict[str, Count]
    speakers: Count
    duration: float
    rates: dict[int, int]
    skipped: dict[str, str]
    passed_over: dict[str, PassedOver] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    clipped: dict[str, int] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)
    identical: list[list[str]] = field(default_factory=list)
    copies: list[list[str]] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)

    @property
    def loses_data(self) -> bool:
        """Whether recordings are unreadable, or a class or speakers are incomplete."""
        return bool(self.unreadable) or any(count.missing for count in [*self.classes.values(), self.speakers])

    def to_dict(self) -> dict[str, object]:
        """Return the report for JSON."""
        return {**asdict(self), "loses_data": self.loses_data}


@dataclass(frozen=True)
class Stats:
    """Numbers about the contents of a corpus.

    Args:
        corpus: its name.
        folder: where it lies.
        utterances: their number.
        target: the target whose classes are counted.
        by_speaker: number of utterances by class and speaker (`unknown` if not given).
        by_sex: number of utterances by class and sex.
        seconds: durations in s: `min`, `median` and `max` of an utterance, and `total`.
        rates: number of utterances by sampling rate in Hz.
        unreadable: recordings that cannot be opened or lack the interval, with the reason; they have no duration.
    """

    corpus: str
    folder: str
    utterances: int
    target: str
    by_speaker: dict[str, dict[str, int]]
    by_sex: dict[str, dict[str, int]]
    seconds: dict[str, float]
    rates: dict[int, int]
    unreadable: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """Return the numbers for JSON."""
        return asdict(self)


def verify(
    corpus: Corpus, jobs: int = 1, progress: Callable[[int], None] | None = None, copies: bool = False
) -> Report:
    """Read every recording once, and compare the corpus with the publishers' numbers.

    The check uses the samples that training uses: an utterance's interval, of its channel or the mean of all
    channels. Recordings are identical if these samples are bit-identical at the same rate, as in
    `audio.content_hash`, which hashes whole files.

    Args:
        corpus: corpus from `corpora.load`.
        jobs: number of threads; decoding runs in parallel.
        progress: called with 1 after each recording.
        copies: whether to find changed copies as well (see `serkit.auditing.copies`); fingerprints go to the
            default store.
    """
    names = sorted({name for utterance in corpus.utterances for name in utterance.channels})
    scans = []
    # Python's list of warnings is shared by all threads, so it is recorded around the whole pool.
    with warnings.catch_warnings(record=True) as caught, ThreadPoolExecutor(jobs) as pool:
        warnings.simplefilter("always", audio.AudioWarning)
        for scan in pool.map(lambda utterance: _scan(utterance, names), corpus.utterances):
            scans.append(scan)
            if progress:
                progress(1)
    scanned = list(zip(corpus.utterances, scans, strict=True))
    found = [(utterance.id, scan) for utterance, scan in scanned]
    readable = [(key, scan) for key, scan in found if not scan.error]
    identical = _identical(readable)
    return Report(
        corpus=corpus.name,
        folder=str(corpus.folder),
        utterances=len(corpus),
        target=corpus.facts.target,
        classes=_classes(corpus),
        speakers=Count(len({u.speaker for u in corpus.utterances if u.speaker}), corpus.facts.speakers),
        duration=round(sum(scan.samples / scan.rate for _, scan in readable), 3),
        rates=_counted(scan.rate for _, scan in readable),
        skipped=dict(corpus.skipped),
        passed_over=dict(corpus.passed_over),
        unreadable={key: scan.error for key, scan in found if scan.error},
        silent=[key for key, scan in readable if scan.peak < audio.SILENCE_PEAK],
        clipped={key: scan.full for key, scan in readable if scan.full >= CLIPPED_SAMPLES},
        truncated=sorted({str(entry.message) for entry in caught if issubclass(entry.category, audio.AudioWarning)}),
        identical=identical,
        copies=_copies([u for u, scan in scanned if not scan.error], identical, jobs) if copies else [],
        channels={f"{key} {name}": defect for key, scan in readable for name, defect in scan.channels.items()},
    )


def stats(corpus: Corpus) -> Stats:
    """Count utterances per class, speaker and sex, and measure durations from the files' headers."""
    by_speaker: dict[str, Counter[str]] = defaultdict(Counter)
    by_sex: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: list[float] = []
    rates = []
    unreadable = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)  # `verify` reports truncated recordings
        for utterance in corpus.utterances:
            if (label := _label(utterance, corpus)) is not None:
                by_speaker[label][utterance.speaker or "unknown"] += 1
                by_sex[label][utterance.sex or "unknown"] += 1
            try:
                info = audio.info(utterance.path)
                begin, stop = audio.interval(utterance.path, info, utterance.start, utterance.end)
            except audio.AudioError as error:
                unreadable[utterance.id] = _reason(error, utterance.path)
                continue
            seconds.append((stop - begin) / info.rate)
            rates.append(info.rate)
    return Stats(
        corpus=corpus.name,
        folder=str(corpus.folder),
        utterances=len(corpus),
        target=corpus.facts.target,
        by_speaker={label: dict(sorted(by_speaker[label].items())) for label in sorted(by_speaker)},
        by_sex={label: dict(sorted(by_sex[label].items())) for label in sorted(by_sex)},
        seconds=_durations(seconds),
        rates=_counted(rates),
        unreadable=unreadable,
    )


@dataclass
class _Scan:
    """Result of one pass over an utterance's samples; `full` counts those at full scale."""

    rate: int = 0
    samples: int = 0
    peak: float = 0.0
    full: int = 0
    digest: bytes = b""
    error: str = ""
    channels: dict[str, str] = field(default_factory=dict)


def _scan(utterance: Utterance, channels: list[str]) -> _Scan:
    scan = _Scan()
    digest = hashlib.blake2b(digest_size=16)
    try:
        for block, scan.rate in audio.blocks(
            utterance.path, channel=utterance.index, start=utterance.start, end=utterance.end
        ):
            magnitude = np.abs(block)
            scan.samples += len(block)
            scan.peak = max(scan.peak, float(magnitude.max(initial=0.0)))
            scan.full += int(np.count_nonzero(magnitude >= FULL_SCALE))
            digest.update(block.tobytes())
    except audio.AudioError as error:
        scan.error = _reason(error, utterance.path)
        return scan
    scan.digest = digest.digest()
    defects = {name: _channel_defect(utterance, name, scan.samples / scan.rate) for name in channels}
    scan.channels = {name: defect for name, defect in defects.items() if defect}
    return scan


def _channel_defect(utterance: Utterance, name: str, duration: float) -> str | None:
    """Return the defect of a further channel of an utterance of `duration` s, or None."""
    if name not in utterance.channels:
        return "missing"
    channel = utterance.channels[name]
    try:
        info = audio.info(channel.path)
    except audio.AudioError as error:
        return _reason(error, channel.path)
    begin = channel.start + (utterance.start or 0.0)
    if channel.index >= info.channels:
        return f"{channel.path.name} has no channel {channel.index}; it has {info.channels}, counted from 0"
    if begin < -CHANNEL_TOLERANCE:
        return f"begins {-begin:.3f} s after the speech"
    short = begin + duration - info.duration
    return f"ends {short:.3f} s before the speech" if short > CHANNEL_TOLERANCE else None


def _classes(corpus: Corpus) -> dict[str, Count]:
    found = Counter(_label(utterance, corpus) for utterance in corpus.utterances)
    official = corpus.facts.counts
    labels = sorted({*official, *(label for label in found if label is not None)})
    return {label: Count(found[label], official.get(label)) for label in labels}


def _label(utterance: Utterance, corpus: Corpus) -> str | None:
    """Return the class to count; None for a number."""
    label = utterance.targets.get(corpus.facts.target)
    return label if isinstance(label, str) else None


def _identical(found: list[tuple[str, _Scan]]) -> list[list[str]]:
    groups = defaultdict(list)
    for key, scan in found:
        groups[scan.digest, scan.rate].append(key)
    return [group for group in groups.values() if len(group) > 1]


def _copies(utterances: Sequence[Utterance], identical: Sequence[Sequence[str]], jobs: int) -> list[list[str]]:
    """Return pairs of a recording and a changed copy; identical recordings are reported separately."""
    from serkit.auditing.copies import copies
    from serkit.data.store import Store

    store = Store()
    hashes, _ = store.hashes([utterance.path for utterance in utterances], jobs)
    pairs = [[pair.first, pair.second] for pair in copies(utterances, hashes, store, jobs)]
    return [pair for pair in pairs if not any(set(pair) <= set(group) for group in identical)]


def _durations(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    values = {
        "min": min(seconds),
        "median": statistics.median(seconds),
        "max": max(seconds),
        "total": sum(seconds),
    }
    return {name: round(value, 3) for name, value in values.items()}


def _counted(values: Iterable[int]) -> dict[int, int]:
    return dict(sorted(Counter(values).items()))


def _reason(error: audio.AudioError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
