"""Progress bars on stderr. They are hidden in worker processes and if stderr is not a terminal."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def bar(description: str, total: int) -> Iterator[Advance]:
    """Show a bar while the block runs. It yields a function to call with the number of finished steps.

    >>> with bar("log_mel", 2) as advance:
    ...     advance(1)
    """
    if not sys.stderr.isatty() or multiprocessing.parent_process() is not None or total == 0:
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)
