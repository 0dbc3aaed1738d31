"""What a terminal is given: text of users, with all that would steer the terminal shown instead of obeyed.

Labels, file names and messages may hold escape sequences, which move the cursor, change colors or the title, or hide
text. Everything that a command prints for people goes through `show`, `note` or `screen`; what goes to a file or, on a
terminal, to the eye through `Shown`.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# Control characters but tab and line feed, line and paragraph separators, and marks that turn the direction of text.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def visible(text: str) -> str:
    r"""Return a text with its steering characters as escapes: those of ASCII as Python's, the others as JSON's too.

    >>> visible("a\x1b[31mb\u202ec")
    'a\\x1b[31mb\\u202ec'
    """
    return _STEERING.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"


def show(text: str, end: str = "\n") -> None:
    """Print a text on stdout."""
    print(visible(text), end=end, flush=True)


def note(text: str) -> None:
    """Print a text as one line on stderr."""
    print(visible(" ".join(text.split())), file=sys.stderr, flush=True)


class Shown:
    """A stream that shows what would steer the terminal behind it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def screen(file: TextIO | Shown | None = None, width: int | None = None) -> Console:
    """Make a console of rich for tables: nothing in a text is its markup, and nothing steers the terminal.

    Args:
        file: the stream; None: stdout.
        width: columns where the stream is no terminal; None: what rich takes.
    """
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Screen(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    # Its own colors are to be obeyed.
    file = file.stream if isinstance(file, Shown) else file or sys.stdout
    return Screen(file=file, width=None if file.isatty() else width, markup=False)
