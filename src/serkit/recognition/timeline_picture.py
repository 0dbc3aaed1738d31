"""A picture of a timeline: waveform, log-mel, probabilities as stacked areas, segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from serkit import audio
from serkit.colours import colours_of
from serkit.features.log_mel import LogMel
from serkit.recognition.model import Channel
from serkit.recognition.presentation import saved
from serkit.recognition.segments import TimelineContent
from serkit.writing import clock

_WIDTH, _LEFT, _RIGHT = 1600, 112, 32
_COLUMNS = _WIDTH - _LEFT - _RIGHT

# Least width of a segment with an upright label.
_UPRIGHT = 14

# Scale at which areas are drawn before they are reduced.
_FINER = 3

_INK, _FAINT, _PAPER = "#22262b", "#c9ced4", "#ffffff"
_WAVE = "#3f5873"

# Range of the drawn levels of the log-mel, in dB below the loudest.
_RANGE = 70.0

# From dark blue via violet and orange to light yellow, with even steps in lightness.
_HEAT = ("#0b0d24", "#2f1654", "#6b1f6f", "#a92e64", "#df5042", "#f78f30", "#fbd25d", "#fcfdc4")


@dataclass(frozen=True)
class _Panel:
    """A band of the picture, `top` and `bottom` in pixels."""

    title: str
    top: int
    bottom: int


_PANELS = {
    "wave": _Panel("waveform", 96, 196),
    "mel": _Panel("log-mel", 212, 392),
    "probabilities": _Panel("probability", 408, 608),
    "segments": _Panel("segments", 624, 692),
}
_HEIGHT = 748


def draw(timeline: TimelineContent, out: Path, channel: Channel = None) -> None:
    """Draw the timeline of a file into a PNG of 1600 x 748 pixels; arguments and errors are those of `picture`."""
    saved(picture(timeline, channel if isinstance(channel, int) else None), out)


def picture(timeline: TimelineContent, channel: int | None = None) -> Image.Image:
    """Draw a timeline.

    Args:
        timeline: the timeline; its file is read again for waveform and log-mel. Samples are not kept, so that the
            timeline of samples has only the other panels.
        channel: channel to draw; None: the mean of all.

    Raises:
        AudioError: the file can no longer be read.
    """
    colours = colours_of(timeline.labels)
    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen = ImageDraw.Draw(image)
    if timeline.file == "signal" and not Path(timeline.file).exists():
        for panel in (_PANELS["wave"], _PANELS["mel"]):
            middle = (_LEFT + _COLUMNS / 2, (panel.top + panel.bottom) / 2)
            pen.text(middle, "made from samples, which are not kept", _INK, _font(17), anchor="mm")
    else:
        lows, highs, mel = _overview(timeline, channel, _COLUMNS)
        image.paste(_heat(mel, _PANELS["mel"]), (_LEFT, _PANELS["mel"].top))
        _draw_wave(pen, lows, highs)
    _draw_probabilities(image, timeline, colours)
    _draw_segments(image, timeline, colours)
    _draw_frame(pen, timeline, colours)
    return image


def _overview(
    timeline: TimelineContent, channel: int | None, columns: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the file once; return lowest and highest sample (columns,) and log-mel in dB (bands, at most columns)."""
    front_end = LogMel(bands=80)
    lows, highs = np.zeros(columns), np.zeros(columns)
    frames = max(1, min(columns, round(timeline.duration * front_end.rate / front_end.hop)))
    energy, counts = np.zeros((frames, 80)), np.zeros(frames)
    position = 0
    with audio.collecting_warnings():
        for block, rate in audio.blocks(timeline.file, front_end.rate, channel):
            if not len(block):
                continue
            seen = (position + np.arange(len(block))) / (timeline.duration * rate)
            places = (seen * columns).astype(int).clip(0, columns - 1)
            np.minimum.at(lows, places, block)
            np.maximum.at(highs, places, block)
            levels = front_end(block)
            seen = (position + np.linspace(0, len(block), levels.shape[1])) / (timeline.duration * rate)
            places = (seen * frames).astype(int).clip(0, frames - 1)
            np.add.at(energy, places, 10 ** (levels.T / 10))
            np.add.at(counts, places, 1)
            position += len(block)
    # Rounding leaves single columns without a frame; they show the one before.
    filled = np.maximum.accumulate(np.where(counts > 0, np.arange(frames), 0))
    mean = (energy / np.maximum(counts, 1)[:, None])[filled]
    return lows, highs, 10 * np.log10(mean + 1e-12).T


def _heat(mel: np.ndarray, panel: _Panel) -> Image.Image:
    """Draw levels relative to the loudest as colors, with the lowest band at the bottom."""
    share = ((mel - mel.max() + _RANGE) / _RANGE).clip(0, 1)
    stops = np.array([ImageColor.getrgb(colour) for colour in _HEAT], dtype=float)
    place = share[::-1] * (len(stops) - 1)
    colours = np.stack([np.interp(place, np.arange(len(stops)), stops[:, one]) for one in range(3)], axis=-1)
    image = Image.fromarray(colours.round().astype(np.uint8))
    return image.resize((_COLUMNS, panel.bottom - panel.top), Image.Resampling.BILINEAR)


def _draw_wave(pen: ImageDraw.ImageDraw, lows: np.ndarray, highs: np.ndarray) -> None:
    panel = _PANELS["wave"]
    middle, half = (panel.top + panel.bottom) / 2, (panel.bottom - panel.top) / 2
    # Quiet recordings are scaled like loud ones.
    scale = half / max(-lows.min(), highs.max(), 1e-6)
    for column, (low, high) in enumerate(zip(lows, highs, strict=True)):
        pen.line((_LEFT + column, middle - high * scale, _LEFT + column, middle - low * scale), _WAVE)


def _shares(timeline: TimelineContent, columns: int) -> np.ndarray:
    """Return the mean over the windows that cover a moment, (labels, columns); NaN between segments."""
    times = (np.arange(columns) + 0.5) * timeline.duration / columns
    heard = [window for window in timeline.windows if window.probabilities]
    shares = np.full((len(timeline.labels), columns), np.nan)
    if not heard:
        return shares
    values = np.array([list(window.probabilities.values()) for window in heard if window.probabilities])
    starts, ends = np.array([[window.start, window.end] for window in heard]).T
    for segment in timeline.segments:
        inside = np.flatnonzero((times >= segment.start) & (times < segment.end))
        near = (ends > segment.start) & (starts < segment.end)
        held = ((starts[near, None] <= times[inside]) & (times[inside] < ends[near, None])).astype(float)
        shares[:, inside] = values[near].T @ held / np.maximum(held.sum(axis=0), 1e-9)
    return shares


def _draw_probabilities(image: Image.Image, timeline: TimelineContent, colours: dict[str, str]) -> None:
    """Stack the labels' probabilities, with the first at the bottom."""
    large, pen = _enlarged(_PANELS["probabilities"])
    width, height = large.size
    shares = _shares(timeline, width)
    tops = np.vstack([np.zeros(width), np.cumsum(shares, axis=0)])
    known = np.flatnonzero(~np.isnan(tops[-1]))
    for stretch in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        for label, below, above in zip(timeline.labels, tops[:-1], tops[1:], strict=True):
            if len(stretch) > 1:
                upper = [(x, height * (1 - above[x])) for x in stretch]
                lower = [(x, height * (1 - below[x])) for x in stretch[::-1]]
                pen.polygon([*upper, *lower], colours[label])
    _paste_reduced(image, large, _PANELS["probabilities"])


def _draw_segments(image: Image.Image, timeline: TimelineContent, colours: dict[str, str]) -> None:
    """Draw a box per segment, hatched if it is unsure, with label and confidence as far as there is room."""
    panel = _PANELS["segments"]
    large, pen = _enlarged(panel)
    for one in timeline.segments:
        left, right = (time / timeline.duration * large.width for time in (one.start, one.end))
        box = (left, 4 * _FINER, max(left + _FINER, right - _FINER), large.height - 4 * _FINER)
        pen.rounded_rectangle(box, min(8.0 * _FINER, (box[2] - left) / 2), colours[one.label])
        if not one.sure:
            _hatch(large, box)
    _paste_reduced(image, large, panel)
    pen = ImageDraw.Draw(image)
    for one in timeline.segments:
        left, right = (_LEFT + time / timeline.duration * _COLUMNS for time in (one.start, one.end))
        label = one.label if one.sure else f"{one.label}?"
        middle, ink = (left + right) / 2, _readable(colours[one.label])
        size = next((size for size in (19, 15, 12) if pen.textlength(label, _font(size)) < right - left - 6), None)
        if size is not None:
            if not one.sure:  # stripes behind the text would make it hard to read
                half = pen.textlength(label, _font(size)) / 2 + 3
                pen.rectangle((middle - half, panel.top + 14, middle + half, panel.top + 57), colours[one.label])
            pen.text((middle, panel.top + 25), label, ink, _font(size), anchor="mm")
            pen.text((middle, panel.top + 47), f"{one.confidence:.0%}", ink, _font(min(size, 16)), anchor="mm")
        elif right - left >= _UPRIGHT:
            _write_upright(image, label, (middle, (panel.top + panel.bottom) / 2), ink)


def _hatch(image: Image.Image, box: tuple[float, float, float, float]) -> None:
    """Draw light diagonal stripes into a box: the answer is unsure."""
    left, top, right, bottom = (round(edge) for edge in box)
    size = (max(1, right - left), max(1, bottom - top))
    stripes = Image.new("L", size, 0)
    pen = ImageDraw.Draw(stripes)
    for x in range(-size[1], size[0], 10 * _FINER):
        pen.line((x, size[1], x + size[1], 0), 150, width=3 * _FINER)
    # Only where the box has its color: not in its round corners.
    piece = image.crop((left, top, left + size[0], top + size[1]))
    inside = piece.convert("L").point(lambda level: 255 if level < 250 else 0)
    mask = Image.composite(stripes, Image.new("L", size, 0), inside)
    image.paste(Image.new("RGB", size, _PAPER), (left, top), mask)


def _write_upright(image: Image.Image, label: str, middle: tuple[float, float], ink: str) -> None:
    """Write a label from bottom to top, with a smaller font and shortened if it is longer than the panel is high."""
    panel, font = _PANELS["segments"], _font(12)
    pen = ImageDraw.Draw(image)
    room = panel.bottom - panel.top - 10
    shown = label
    while len(shown) > 2 and pen.textlength(shown, font) > room:
        shown = shown[:-2].rstrip(".") + "."
    text = Image.new("L", (room, _UPRIGHT), 0)
    ImageDraw.Draw(text).text((room / 2, _UPRIGHT / 2), shown, 255, font, anchor="mm")
    turned = text.rotate(90, expand=True)
    corner = (round(middle[0] - turned.width / 2), round(middle[1] - turned.height / 2))
    image.paste(Image.new("RGB", turned.size, ImageColor.getrgb(ink)), corner, turned)


def _enlarged(panel: _Panel) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Create a larger image, which is reduced later to get smooth edges."""
    image = Image.new("RGB", (_COLUMNS * _FINER, (panel.bottom - panel.top) * _FINER), _PAPER)
    return image, ImageDraw.Draw(image)


def _paste_reduced(image: Image.Image, large: Image.Image, panel: _Panel) -> None:
    small = large.resize((_COLUMNS, panel.bottom - panel.top), Image.Resampling.LANCZOS)
    image.paste(small, (_LEFT, panel.top))


def _draw_frame(pen: ImageDraw.ImageDraw, timeline: TimelineContent, colours: dict[str, str]) -> None:
    """Draw title, legend, names and borders of the panels, and the time axis."""
    pen.text((_LEFT, 34), Path(timeline.file).name, _INK, _font(26), anchor="lm")
    x = float(_LEFT)
    for label, colour in colours.items():
        pen.rounded_rectangle((x, 62, x + 16, 78), 4, colour)
        pen.text((x + 23, 70), label, _INK, _font(18), anchor="lm")
        x += 23 + pen.textlength(label, _font(18)) + 26
    for panel in _PANELS.values():
        pen.rectangle((_LEFT - 1, panel.top - 1, _WIDTH - _RIGHT, panel.bottom), outline=_FAINT)
        pen.multiline_text((_LEFT - 10, (panel.top + panel.bottom) / 2), panel.title, _INK, _font(15), anchor="rm")
    for name, ends in {"mel": ("8 kHz", "0 Hz"), "probabilities": ("100 %", "0 %")}.items():
        panel = _PANELS[name]
        pen.text((_LEFT - 10, panel.top + 8), ends[0], _INK, _font(13), anchor="rm")
        pen.text((_LEFT - 10, panel.bottom - 8), ends[1], _INK, _font(13), anchor="rm")
    bottom = _PANELS["segments"].bottom
    pen.text((_LEFT - 36, bottom + 12), "time", _INK, _font(15), anchor="rt")
    step = _tick_step(timeline.duration)
    for number in range(int(timeline.duration / step + 1e-6) + 1):
        x = _LEFT + number * step / timeline.duration * _COLUMNS
        pen.line((x, bottom, x, bottom + 7), _INK)
        pen.text((x, bottom + 12), _tick(number * step, step), _INK, _font(17), anchor="mt")


def _tick_step(duration: float) -> float:
    """Return the time between ticks in s: the smallest that needs at most fourteen ticks."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    return next((step for step in steps if duration / step <= 14), 7200)


def _tick(seconds: float, step: float) -> str:
    text = clock(seconds)
    return text[:-3] if step >= 1 else text[:-1]


def _readable(colour: str) -> str:
    """Return dark ink for light colors, and white for dark ones."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return _INK if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else _PAPER


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
