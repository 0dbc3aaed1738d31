"""The progress of a training for people: epoch, loss, validation score and time left of what is trained at the moment.

On a terminal, one line changes in place. Elsewhere, a line is written from time to time. The folds may be trained in
other processes: each writes its news to a file of its own, which cannot block or break if a process is killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from serkit.progress import EpochDone, listening
from serkit.writing import duration

if TYPE_CHECKING:
    from rich.progress import Progress

#: Time in s between two lines where the output is not a terminal.
EVERY = 30.0
#: Time in s between two looks at the files of other processes.
_POLL = 0.5


class Watch:
    """What is known of a training in progress.

    Args:
        folds: names of the folds to train.
        epochs: most epochs of each stage of a fold.
        jobs: number of folds trained at the same time.
        report: receives the lines where the output is not a terminal.
        every: time in s between two such lines.
    """

    def __init__(
        self,
        folds: Sequence[str],
        epochs: Mapping[str, int],
        jobs: int,
        report: Callable[[str], None],
        every: float = EVERY,
    ) -> None:
        self._epochs, self._jobs, self._report, self._every = epochs, jobs, report, every
        self._left = {(fold, stage): number for fold in folds for stage, number in epochs.items()}
        self._all = sum(self._left.values())
        self._seconds: dict[str, list[float]] = {}
        self._told = time.monotonic()
        self._lock = threading.Lock()
        self._screen: Progress | None = None

    def hear(self, news: EpochDone) -> None:
        """Take note of a finished epoch, and show it."""
        with self._lock:
            key = (news.fold, news.stage)
            if key in self._left:
                # A stage that stops early saves epochs; the rows of a grid share the name of a stage.
                spared = news.epochs - news.epoch if news.stopped else 0
                self._left[key] = max(0, self._left[key] - 1 - spared)
            self._seconds.setdefault(news.stage, []).append(news.seconds)
            self._show(str(news))

    def finish(self, fold: str) -> None:
        """Take note of a finished fold; its stages may have been trained before."""
        with self._lock:
            for key in self._left:
                if key[0] == fold:
                    self._left[key] = 0
            if self._screen is not None:
                self._draw(f"{fold} is done")

    @property
    def seconds_left(self) -> float | None:
        """Time in s that the remaining epochs take; None: no epoch is finished."""
        known = [second for seconds in self._seconds.values() for second in seconds]
        if not known:
            return None
        mean = sum(known) / len(known)
        means = {stage: sum(found) / len(found) for stage, found in self._seconds.items()}
        work = sum(number * means.get(stage, mean) for (_, stage), number in self._left.items())
        at_once = min(self._jobs, len({fold for (fold, _), number in self._left.items() if number}))
        return work / max(1, at_once)

    def _show(self, text: str) -> None:
        if self._screen is not None:
            self._draw(text)
        elif time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            self._report(f"{text}; {self._time()}")

    def _time(self) -> str:
        left = self.seconds_left
        return "" if left is None else f"about {duration(left)} left" if left else "almost done"

    def _draw(self, text: str) -> None:
        assert self._screen is not None
        done = self._all - sum(self._left.values())
        self._screen.update(self._screen.task_ids[0], completed=done, description=text, left=self._time())

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show what this process trains while the block runs."""
        with listening(self.hear):
            if not sys.stderr.isatty() or not self._all:
                yield self
                return
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), TextColumn("{task.fields[left]}"))
            with Progress(*columns, console=Console(stderr=True), transient=True) as screen:
                screen.add_task("training", total=self._all, left="")
                self._screen = screen
                try:
                    yield self
                finally:
                    self._screen = None

    @contextmanager
    def elsewhere(self) -> Iterator[Path]:
        """Hear of other processes, which tell their news with `Teller` in the folder that this yields."""
        done = threading.Event()
        with TemporaryDirectory(prefix="serkit-news-", ignore_cleanup_errors=True) as place:
            listener = threading.Thread(target=self._listen, args=(Path(place), done), daemon=True)
            listener.start()
            try:
                yield Path(place)
            finally:
                done.set()
                listener.join()

    def _listen(self, folder: Path, done: threading.Event) -> None:
        read: dict[Path, int] = {}
        while not done.wait(_POLL):
            for path in sorted(folder.glob("*.jsonl")):
                content = path.read_bytes()[read.get(path, 0) :]
                # The last line may not be complete.
                complete = content[: content.rfind(b"\n") + 1]
                read[path] = read.get(path, 0) + len(complete)
                for line in complete.splitlines():
                    self.hear(EpochDone(**json.loads(line)))


def teller(folder: Path) -> Callable[[EpochDone], None]:
    """Return a listener that writes the news of this process where `Watch.elsewhere` reads it."""
    path = folder / f"{os.getpid()}.jsonl"

    def write(news: EpochDone) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(news)) + "\n")
        except OSError:
            pass  # News do not matter enough to end a training.

    return write
