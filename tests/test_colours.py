"""An emotion has one color, on the page and in pictures."""

import re
from pathlib import Path

from serkit.colours import COLOURS, colours_of

PAGE = Path(__file__).parents[1] / "page" / "src" / "emotions.ts"


def test_the_page_has_the_same_colors():
    there = re.findall(r'^  (\w+): \{ light: "(#\w+)"', PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert dict(there) == COLOURS


def test_other_labels_have_colors_of_their_own():
    found = colours_of(["anger", "joy", "gloom"])
    assert found["anger"] == COLOURS["anger"] and len(set(found.values())) == 3
