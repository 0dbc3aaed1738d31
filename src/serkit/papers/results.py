"""A folder of results: the JSON files that a leaderboard is made from, each small enough to commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serkit.documents import read_json
from serkit.errors import UserError
from serkit.evaluation.scores import Scores
from serkit.papers.reproduced import Cell, ReproducedTable
from serkit.runs.card import Card, is_card, placeless
from serkit.runs.files import Heading, NamedProtocol, Recorded, SystemRow

#: Keys that `scores.json` and the JSON file of a reproduced table always have.
_OF_SCORES = frozenset({"system", "protocol", "content", "folds", "uar", "confusion"})
_OF_TABLE = frozenset({"paper", "artefact", "metrics", "rows"})


@dataclass(frozen=True)
class Results:
    """The results found, in the order of the files' names.

    Args:
        cards: by path.
        tables: reproduced tables, by path.
    """

    cards: Mapping[Path, Card]
    tables: Mapping[Path, ReproducedTable]

    @classmethod
    def read(cls, places: Iterable[Path]) -> Results:
        """Read files, and all JSON files of folders; a folder may hold other files, a named file must be a result.

        Raises:
            UserError: no such place, a file that is not a result, or no result at all.
        """
        cards: dict[Path, Card] = {}
        tables: dict[Path, ReproducedTable] = {}
        for place in places:
            if not place.exists():
                raise UserError(f"{place}: no such file or folder")
            for path in sorted(place.glob("*.json")) if place.is_dir() else [place]:
                document = read_json(path)
                if is_table(document):
                    tables[path] = ReproducedTable.parse(document, path)
                elif is_card(document):
                    # Numeric targets have no UAR to rank by.
                    if document["scores"].get("classes"):
                        cards[path] = Card.load(path)
                    elif not place.is_dir():
                        raise UserError(f"{path}: a card of predicted numbers, which have no UAR to rank by")
                elif isinstance(document, dict) and document.keys() >= _OF_SCORES:
                    cards[path] = _of_scores(Scores.parse(document, path))
                elif not place.is_dir():
                    raise UserError(f"{path}: must be a card, scores or a reproduced table")
        if not cards and not tables:
            raise UserError("no results found; `serkit leaderboard add RUN` adds the card of a run to a folder")
        return cls(cards, tables)


def is_table(document: Any) -> bool:
    """Return whether a JSON document is a reproduced table; figures have no scores."""
    return isinstance(document, dict) and document.keys() >= _OF_TABLE and "kind" not in document


def add(source: Path, folder: Path, note: str = "", name: str | None = None) -> Path:
    """Add the card of a run, or a reproduced table, to a folder of results.

    Args:
        source: folder of a finished run, a card, or the JSON file that `serkit reproduce` wrote for a table.
        folder: of the results.
        note: remarks for readers, e.g. that the schedule is shorter than the paper's; empty: the card's own.
        name: of the file, without `.json`; None: system, corpora and protocol, or paper, table and corpora.

    Returns:
        The file; it replaces the file of an equal run.

    Raises:
        UserError: the source cannot be added, or the file holds another result.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder (--results)")
    if source.is_file() and is_table(document := read_json(source)):
        return _add_table(ReproducedTable.parse(document, source), folder, note, name)
    card = Card.of(source) if source.is_dir() else Card.load(source)
    # The hash of each corpus shows whether recordings are the same; only the run's own card shows which differ.
    card = card.model_copy(update={"note": note or card.note, "recordings": {}})
    scores = card.scores
    path = folder / f"{name or '-'.join([scores.system, *card.run.content, scores.protocol])}.json"
    if path.exists() and (not is_card(read_json(path)) or _identity(Card.load(path)) != _identity(card)):
        raise UserError(f"{path}: holds another result (settings, folds or recordings differ); give a --name")
    card.save(path)
    return path


def _add_table(table: ReproducedTable, folder: Path, note: str, name: str | None) -> Path:
    corpora = dict.fromkeys(row.corpus for row in table.rows)
    path = folder / f"{name or '-'.join([table.paper, table.artefact, *corpora])}.json"
    if path.exists() and not _is_same(read_json(path), table):
        raise UserError(f"{path}: holds another result (rows or settings differ); give a --name")
    rows = [
        row.model_copy(update={"measured": {key: _without_places(cell) for key, cell in row.measured.items()}})
        for row in table.rows
    ]
    table.model_copy(update={"rows": rows, "note": note or table.note}).save(path)
    return path


def _without_places(cell: Cell) -> Cell:
    return cell.model_copy(update={"command": placeless(cell.command)})


def _is_same(document: Any, table: ReproducedTable) -> bool:
    """Whether a file holds the same table, run with the same settings."""
    keys = ("paper", "artefact", "sets", "seed")
    return is_table(document) and all(document.get(key) == getattr(table, key) for key in keys)


def _identity(card: Card) -> Sequence[Any]:
    """Return everything that makes a card the same result when it is run again."""
    return [card.run.system, card.run.protocol, card.run.content, card.run.seed]


def _of_scores(scores: Scores) -> Card:
    """Make a card from scores alone; everything else they depend on is unknown."""
    run = Recorded(
        system=[SystemRow(system=Heading(name=scores.system))],
        protocol=NamedProtocol(name=scores.protocol),
        content=scores.content,
        classes=scores.classes,
    )
    return Card(run=run, scores=scores)
