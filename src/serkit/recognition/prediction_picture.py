"""A picture of a prediction: a bar for each label or number."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

from serkit.colours import colours_of

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 800, 150, 90, 86, 40
_INK, _QUIET, _PAPER, _PLAIN = "#22262b", "#59626d", "#ffffff", "#4a7fb5"


def picture(title: str, remark: str, answers: Mapping[str, float], numbers: bool) -> Image.Image:
    """Draw answers as bars.

    Args:
        title: name of the recording.
        remark: line below it.
        answers: probability by label, drawn with the highest first, or number by name.
        numbers: whether the answers are numbers.
    """
    if numbers:
        rows = [(name, f"{value:.3g}", value, _PLAIN) for name, value in answers.items()]
    else:
        colours = colours_of(list(answers))
        ranked = sorted(answers.items(), key=lambda item: -item[1])
        rows = [(name, f"{value:.1%}", value, colours[name]) for name, value in ranked]
    # Numbers have no common scale; the largest fills the width.
    full = max((abs(value) for _, _, value, _ in rows), default=1.0) if numbers else 1.0
    image = Image.new("RGB", (_WIDTH, _TOP + _ROW * len(rows)), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((20, 28), title, _INK, _font(22), anchor="lm")
    pen.text((20, 58), remark, _QUIET, _font(17), anchor="lm")
    room = _WIDTH - _LEFT - _RIGHT
    for number, (name, text, value, colour) in enumerate(rows):
        middle = _TOP + _ROW * number + _ROW // 2
        length = room * abs(value) / (full or 1.0)
        pen.text((_LEFT - 10, middle), name, _INK, _font(18), anchor="rm")
        pen.rectangle((_LEFT, middle - 11, _LEFT + max(1.0, length), middle + 11), colour)
        pen.text((_LEFT + length + 10, middle), text, _INK, _font(18), anchor="lm")
    return image


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
