"""Output to terminals: control sequences in users' text are shown instead of obeyed.

Labels, file names and messages may hold escape sequences that move the cursor, change colors or the title, or hide
text. Everything that a command prints for people goes through `show`, `note` or `screen`. Output that goes to a file or
a terminal goes through `Shown`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# Control characters except tab and line feed, line and paragraph separators, and marks that change the text direction.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def visible(text: str) -> str:
    r"""Return a text with control characters as escapes: ASCII as in Python, others as in Python and JSON.

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
    """A stream that shows control characters instead of passing them to the terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def screen(file: TextIO | Shown | None = None, width: int | None = None) -> Console:
    """Make a rich console for tables. It ignores markup in texts and shows control characters.

    Args:
        file: output stream; None: stdout.
        width: number of columns if the stream is not a terminal; None: rich's default.
    """
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Screen(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    # Rich's own colors must reach the terminal.
    file = file.stream if isinstance(file, Shown) else file or sys.stdout
    return Screen(file=file, width=None if file.isatty() else width, markup=False)


def show_own_warnings() -> None:
    """Show serkit's warnings as lines on stderr from now on, and leave out those of libraries.

    A warning of a library names its own files or classes, with which a user of serkit cannot do anything. With `-W` or
    `PYTHONWARNINGS`, Python shows all.
    """
    if sys.warnoptions:
        return
    # Libraries that log without a handler. With None, Python itself would report the first of them.
    logging.lastResort = logging.NullHandler()
    home = os.path.dirname(__file__)

    def is_own(category: type[Warning], filename: str) -> bool:
        theirs = issubclass(category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning, RuntimeWarning))
        return category.__module__.startswith("serkit.") or (filename.startswith(home) and not theirs)

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if is_own(category, filename):
            note(f"serkit: warning: {message}")

    warnings.showwarning = show_warning
