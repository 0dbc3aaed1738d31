"""Where a transformer looks: the class token's attention over an utterance and modified copies of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serkit.augment import Noise, Shift, Speed
from serkit.data.items import Item
from serkit.errors import UserError, unknown
from serkit.papers.figures import Numbers, Ran
from serkit.reports.plots import VALIDATION, save
from serkit.runs.tested import Tested
from serkit.windowing import Windowing

#: A column is silent if the power of its sample differences is this many dB below that of the loudest column.
SILENCE = 30.0

_NUMBERS = ("in_speech", "speech_share", "content", "place")


@dataclass(frozen=True)
class Version:
    """One version of an utterance.

    Args:
        name: `original`, `noise`, `shift` or `speed`.
        title: the name with its strength.
        signal: float32 (samples,), equally long in all versions.
        source: column of the original that each column of the image shows, (columns,); NaN for a column without one.
    """

    name: str
    title: str
    signal: np.ndarray
    source: np.ndarray


@dataclass(frozen=True)
class Seen:
    """A model's result for a version.

    Args:
        version: of the utterance.
        image: (height, width).
        patches: attention to each patch, (rows, columns); sums to 1.
        probabilities: of the classes.
    """

    version: Version
    image: np.ndarray
    patches: np.ndarray
    probabilities: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """The attention to each patch, spread evenly over its pixels: (height, width); sums to 1."""
        height, width = (size // count for size, count in zip(self.image.shape, self.patches.shape, strict=True))
        return np.kron(self.patches, np.full((height, width), 1 / (height * width)))

    def mask(self, smoothing: float) -> np.ndarray:
        """Return the attention at each pixel, smoothed over columns by a Gaussian: (height, width)."""
        from scipy.ndimage import gaussian_filter

        values: np.ndarray = gaussian_filter(self.spread, smoothing, mode="nearest")
        return values


def draw(
    ran: Sequence[Ran],
    path: Path,
    utterance: str | None = None,
    emotion: str | None = None,
    noise: float = 15.0,
    shift: float = 0.5,
    speed: float = 1.1,
    smoothing: float = 3.0,
    over: int = 20,
    seed: int = 0,
) -> Numbers:
    """Draw an utterance's image in four versions and, for each run, the attention over them.

    Attention is that of the last layer's class token, averaged over heads, in the deployed model of the first fold.
    The token's attention to itself is left out and the rest is scaled to sum to 1. Numbers of each version:

    - `in_speech`: share of the attention on columns that are not silent; `speech_share` is the share of such columns.
    - `content`: correlation of the copy's mask with the original's, moved like the sound.
    - `place`: the same with the original's mask unmoved. Attention to sounds has a higher `content`, attention
      to moments of the window a higher `place`. Both use the columns that show a part of the original.

    Args:
        ran: the runs to show; each model must be a network that keeps its attention.
        path: path of the picture.
        utterance: id of the utterance to draw; None: the first test utterance.
        emotion: class of the test utterance to draw; the first one is used.
        noise: signal-to-noise ratio in dB.
        shift: delay in s.
        speed: speed factor; tempo and pitch change together.
        smoothing: standard deviation of the Gaussian, in columns.
        over: number of test utterances, spread over the fold, to average the numbers over.
        seed: of the noise.

    Returns:
        The utterance and its class; by row label the numbers of each of the `versions` with prediction and attention to
        each patch, and their `mean` over `n` test utterances.

    Raises:
        UserError: a model without attention, no such utterance or class, a shift or speed that leaves nothing.
    """
    models = [_Looker(one, (noise, shift, speed), seed) for one in ran]
    item = _choose(models[0].tested, utterance, emotion)
    seen, rows = {}, {}
    for model in models:
        tested = list(_originals(model.tested, model.tested.split.test))
        seen[model.label] = model.look(model.find(item.utterance.id))
        several = [measure(model.look(other), smoothing) for other in _evenly(tested, over)]
        rows[model.label] = {
            "in_test_part": any(other.utterance.id == item.utterance.id for other in tested),
            "versions": _describe(seen[model.label], smoothing, model.tested.experiment.labels),
            "mean": _mean(several),
            "n": len(several),
        }
    first = seen[models[0].label][0]
    seconds = len(first.version.signal) / models[0].feature.rate
    ticks = _frequencies(models[0].feature.rate) if models[0].feature.name == "logmel_image" else {}
    height = 0.9 + 1.6 * (1 + len(rows))
    save(path, 8.2, height, lambda figure: _paint(figure, seen, rows, seconds, ticks, smoothing))
    return {
        "utterance": item.utterance.id,
        "class": models[0].tested.label(item),
        "seconds": seconds,
        "strengths": {"noise": noise, "shift": shift, "speed": speed},
        "rows": rows,
    }


class _Looker:
    """A model whose attention can be drawn.

    Args:
        one: the run it comes from.
        strengths: strengths of noise (dB), shift (s) and speed.
        seed: of the noise.
    """

    def __init__(self, one: Ran, strengths: tuple[float, float, float], seed: int) -> None:
        self.label, self.strengths, self.seed = one.label, strengths, seed
        self.tested = Tested.load(one.folder)
        network: Any = self.tested.finished.model.network
        if not (network.has_attention and hasattr(network, "patch") and len(self.tested.views) == 1):
            raise UserError(
                f"row '{self.label}': network '{type(network).__name__.lower()}' does not keep the attention "
                "to patches of one image; 'vit' does"
            )
        network.keep = ("attention",)
        [(self.view, (table, self.feature))] = self.tested.views.items()
        self.channel = table.channel
        self.width = int(self.feature.shape[-1] or 0)

    def find(self, utterance: str) -> Item:
        """Return an utterance's item."""
        ids = [other.id for other in self.tested.experiment.scored]
        return next(item for item in _originals(self.tested, ids) if item.utterance.id == utterance)

    def look(self, item: Item) -> list[Seen]:
        """Return the model's result for each version of an item, the original first."""
        import torch

        from serkit.networks.network import Batch

        rate = self.feature.rate
        recording = item.signal(rate, Windowing(), self.channel)
        signal = self.tested.windowing.fit(recording, rate)
        made = versions(signal, rate, min(len(recording), len(signal)), self.width, *self.strengths, self.seed)
        images = np.stack([self.feature(version.signal) for version in made])
        with torch.inference_mode():
            output = self.tested.finished.model(Batch({self.view: torch.from_numpy(images)}))
        attention = output.maps["attention"].double().numpy()
        attention /= attention.sum(axis=(1, 2), keepdims=True)
        probabilities = output.predictions[self.tested.target].double().softmax(1).numpy()
        return [Seen(*parts) for parts in zip(made, images[:, 0], attention, probabilities, strict=True)]


def versions(
    signal: np.ndarray, rate: int, speech: int, columns: int, noise: float, shift: float, speed: float, seed: int
) -> list[Version]:
    """Return an utterance unchanged, with noise, delayed, and faster.

    Args:
        signal: float32 (samples,), padded.
        rate: in Hz.
        speech: number of samples of the recording.
        columns: number of columns of the image, which shows the whole signal.
        noise: signal-to-noise ratio in dB.
        shift: in s.
        speed: above 1 is faster.
        seed: of the noise.
    """
    seconds = len(signal) / rate
    if not 0 < shift < seconds or speed <= 0:
        raise UserError(f"attention: shift must be 0 to {seconds:g} s and speed above 0, got {shift:g} s and {speed:g}")
    generator = np.random.default_rng(seed)
    there = np.arange(columns, dtype=float)
    whole = Windowing(seconds)
    return [
        Version("original", "original", signal, there),
        Version("noise", f"noise, {noise:g} dB", Noise(noise, noise)(signal, rate, speech, generator), there),
        Version(
            "shift",
            f"{shift:g} s later",
            Shift(shift, shift)(signal, rate, speech, generator),
            _within(there - columns * shift / seconds, columns),
        ),
        Version(
            "speed",
            f"{speed:g} times as fast",
            whole.fit(Speed((speed,))(signal, rate, speech, generator), rate),
            # The center of a column is half a column from its edge.
            _within((there + 0.5) * speed - 0.5, columns),
        ),
    ]


def measure(seen: Sequence[Seen], smoothing: float) -> dict[str, dict[str, float | None]]:
    """Return by version how much of the attention is on speech, and how far its mask follows the original's.

    Args:
        seen: all versions, the original first.
        smoothing: smoothing of the masks, in columns.
        smoothing: of the masks, in columns.
    """
    original = seen[0]
    speech = _speech_columns(original.version.signal, original.image.shape[1])
    before = original.mask(smoothing)
    found = {}
    for one in seen:
        shows = ~np.isnan(one.version.source)
        source = one.version.source[shows]
        spoken = np.zeros(len(shows), dtype=bool)
        spoken[shows] = speech[np.rint(source).astype(int)]
        mask = one.mask(smoothing)[:, shows]
        found[one.version.name] = {
            "in_speech": float(one.spread.sum(axis=0)[spoken].sum()),
            "speech_share": float(spoken.mean()),
            "content": _correlation(mask, _moved(before, source)),
            "place": _correlation(mask, before[:, shows]),
        }
    return found


def _within(source: np.ndarray, columns: int) -> np.ndarray:
    return np.where((source >= 0) & (source <= columns - 1), source, np.nan)


def _moved(mask: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Read a mask at some columns, with linear interpolation between columns."""
    below = source.astype(int)
    above = np.minimum(below + 1, mask.shape[1] - 1)
    values: np.ndarray = mask[:, below] * (1 - source + below) + mask[:, above] * (source - below)
    return values


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Pearson's correlation over all pixels; None where one of the masks is flat."""
    if min(np.ptp(first), np.ptp(second)) < 1e-12:
        return None
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _speech_columns(signal: np.ndarray, columns: int) -> np.ndarray:
    """Return which columns of an image of a signal are not silent, (columns,) bool."""
    edges = np.linspace(0, len(signal), columns + 1).astype(int)
    # Sample differences suppress the rumble and hum of a recording room.
    steps = np.diff(signal, prepend=signal[:1]).astype(np.float64)
    power = np.add.reduceat(steps**2, edges[:-1]) / np.diff(edges)
    values: np.ndarray = power > power.max() * 10 ** (-SILENCE / 10)
    return values


def _describe(seen: Sequence[Seen], smoothing: float, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the numbers of each version, with prediction and attention."""
    measured = measure(seen, smoothing)
    found: dict[str, dict[str, Any]] = {}
    for one in seen:
        best = int(one.probabilities.argmax())
        found[one.version.name] = {
            "predicted": labels[best],
            "probability": float(one.probabilities[best]),
            **measured[one.version.name],
            "patches": np.round(one.patches, 6).tolist(),
        }
    return found


def _mean(several: Sequence[Mapping[str, Mapping[str, float | None]]]) -> dict[str, dict[str, float | None]]:
    """Average the numbers of several utterances; a number that is None in all of them stays None."""
    found: dict[str, dict[str, float | None]] = {}
    for version in several[0] if several else ():
        found[version] = {}
        for number in _NUMBERS:
            values = [value for one in several if (value := one[version][number]) is not None]
            found[version][number] = float(np.mean(values)) if values else None
    return found


def _choose(tested: Tested, utterance: str | None, emotion: str | None) -> Item:
    if emotion is not None and emotion not in tested.experiment.labels:
        raise unknown("class", emotion, tested.experiment.labels)
    ids = tested.split.test if utterance is None else [other.id for other in tested.experiment.scored]
    found = list(_originals(tested, ids))
    for item in found:
        if utterance in (None, item.utterance.id) and emotion in (None, tested.label(item)):
            return item
    wanted = f"utterance '{utterance}'" if utterance else f"test utterance of '{emotion}' in {tested.split.name}"
    raise UserError(f"attention: no {wanted}; there is e.g. '{found[0].utterance.id}' ({tested.label(found[0])})")


def _originals(tested: Tested, ids: Iterable[str]) -> Iterator[Item]:
    """Yield the first item of each utterance, without copies."""
    before = None
    for name in ids:
        item = tested.items([name])[0]
        if item.copy is None and item.utterance.id != before:
            before = item.utterance.id
            yield item


def _evenly(items: Sequence[Item], count: int) -> Sequence[Item]:
    """Return up to a number of items, spread over their order."""
    return [items[place] for place in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))]


def _frequencies(rate: int) -> dict[str, float]:
    """Return the positions of some frequencies on the height of a mel image, 0 to 1 (HTK mel)."""
    top = np.log10(1 + rate / 2 / 700)
    chosen = {"0.5": 500, "1": 1000, "2": 2000, "4": 4000, "8 kHz": 8000}
    return {name: float(np.log10(1 + hertz / 700) / top) for name, hertz in chosen.items() if hertz <= rate / 2}


def _paint(
    figure: Any,
    seen: Mapping[str, Sequence[Seen]],
    rows: Mapping[str, Any],
    seconds: float,
    ticks: Mapping[str, float],
    smoothing: float,
) -> None:
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    # Transparent where the attention is lowest, so that the sound stays visible.
    overlay = LinearSegmentedColormap.from_list("attention", [to_rgba(VALIDATION, 0), to_rgba(VALIDATION, 0.85)])
    first = next(iter(seen.values()))
    panels = figure.subplots(1 + len(seen), len(first), sharex=True, sharey=True)
    look = {"aspect": "auto", "extent": (0, seconds, 0, 1)}
    for axes, one in zip(panels[0], first, strict=True):
        level = axes.imshow(one.image, cmap="gray_r", vmin=0, vmax=1, **look)
        axes.set_title(one.version.title)
    scale = figure.colorbar(level, ax=panels[0], pad=0.01, aspect=12)
    scale.set_ticks([0, 1], labels=["quiet", "loud"], fontsize=7.5)
    panels[0, 0].set_ylabel("log-mel image")
    for row, (label, looks) in enumerate(seen.items(), start=1):
        # In shares of even attention, on one scale for all versions.
        masks = [one.mask(smoothing) * one.image.size for one in looks]
        ends = {"vmin": min(map(np.min, masks)), "vmax": max(map(np.max, masks))}
        for axes, one, mask in zip(panels[row], looks, masks, strict=True):
            axes.imshow(one.image, cmap="gray_r", vmin=0, vmax=1, **look)
            shade = axes.imshow(mask, cmap=overlay, **ends, **look)
            axes.set_title(_caption(rows[label]["versions"][one.version.name], one.version.name), fontsize=7.5)
        scale = figure.colorbar(shade, ax=panels[row], pad=0.01, aspect=12)
        scale.set_label("attention / even share", fontsize=7.5)
        scale.ax.tick_params(labelsize=7.5)
        panels[row, 0].set_ylabel(label)
    for axes in panels.flat:
        axes.set_yticks(list(ticks.values()), list(ticks), fontsize=7.5)
        axes.tick_params(axis="x", labelsize=7.5)
    figure.supxlabel("time (s)", fontsize=9.5)


def _caption(numbers: Mapping[str, Any], version: str) -> str:
    content, place = ("-" if numbers[key] is None else f"{numbers[key]:.2f}" for key in ("content", "place"))
    followed = {
        "original": "",
        "noise": f"as without noise {content}",
        "shift": f"moved along {content}, not {place}",
        "speed": f"moved along {content}, not {place}",
    }
    return (
        f"{numbers['predicted']} {numbers['probability']:.0%}\n"
        f"in speech {numbers['in_speech']:.0%}, if even {numbers['speech_share']:.0%}\n{followed[version]}"
    )
