"""Results as a table for a terminal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from serkit.recognition.jobs import Failure
from serkit.terminal import screen


class Table(ABC):
    """Table for people, as wide as the terminal or its content. Columns: file, those of a subclass, remarks.

    Args:
        stream: output of `finish`.
        columns: names of the columns of the subclass, and whether each holds numbers, which are aligned to the right.
    """

    def __init__(self, stream: TextIO, columns: Mapping[str, bool]) -> None:
        self._stream = stream
        self._columns = columns
        self._results: list[Any] = []

    def write(self, result: Any) -> None:
        """Add a result or a `Failure`."""
        self._results.append(result)

    @abstractmethod
    def rows(self, result: Any) -> Iterable[Sequence[str]]:
        """Return the cells between file and remarks, row by row."""

    def finish(self) -> None:
        """Write the table."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(box=box.SIMPLE_HEAD)
        table.add_column("file", overflow="fold")
        for name, numbers in self._columns.items():
            table.add_column(name, overflow="fold", justify="right" if numbers else "left")
        table.add_column("remarks", overflow="fold")
        nothing = ["-", *[""] * (len(self._columns) - 1)]
        for result in self._results:
            failed = isinstance(result, Failure)
            texts = (text.removeprefix(f"{result.file}: ") for text in ([result.error] if failed else result.warnings))
            file, remarks = Text(result.file), Text("; ".join(texts), style="red" if failed else "yellow")
            for cells in (not failed and list(self.rows(result))) or [nothing]:
                table.add_row(file, *map(Text, cells), remarks)
                file = remarks = Text("")  # only the first row of a recording has the common cells
        # Lines in a file or a pipe are not wrapped.
        screen(self._stream, width=10_000).print(table)
