"""The leaderboard: results on the same recordings and labels side by side, as a Markdown page.

The page depends only on the files of `serkit.papers.results`: equal files give an equal page.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from serkit import papers
from serkit.flags import verdict, worst_first
from serkit.papers.pages import page as paper_page
from serkit.papers.reproduced import ReproducedTable
from serkit.papers.results import Results
from serkit.runs.card import Card
from serkit.writing import duration, markdown_row, markdown_table, percent, with_interval

COLUMNS = (
    "system",
    "protocol",
    "UAR",
    "accuracy",
    "UAR of each seed",
    "parameters",
    "MACs",
    "training",
    "folds",
    "tried",
    "flags",
    "result",
)
_WORDS = frozenset({"system", "protocol", "UAR of each seed", "folds", "flags", "result"})

#: Introduction to the tables.
LEGEND = """\
In percent, with 95 % intervals for new speakers. Rows of one table score the same recordings with the same labels;
results that were trained with speakers of their test parts are listed separately. Parameters and MACs (multiply-adds
of one item; time axes: 300 frames) cover everything that is shipped. Training: time for all folds. Folds: their number,
and the beginning of the hash of the split; rows with the same hash can be compared pair by pair (`serkit compare`).
Tried: configurations of a sweep. An empty cell means that the result does not contain the value.

The command of each row is below its table. `serkit evaluate RESULT.json --corpus NAME=FOLDER` with the linked file
trains the same folds and seeds again and reports whether every score is equal."""

#: Libraries whose versions are shown.
_LIBRARIES = ("serkit", "torch")

#: Longest line of a command, in characters.
_WIDTH = 116


def page(results: Results, folder: Path, preface: str = "") -> str:
    """Lay out the page.

    Args:
        results: the results to show.
        folder: location of the page: links are relative to it.
        preface: Markdown between the title and the tables.
    """
    lines = ["# Results", ""]
    if preface:
        lines += [preface.strip(), ""]
    if results.cards:
        lines += ["## Leaderboard", "", LEGEND, ""]
    for group in _groups(results.cards):
        lines += _group(group, folder)
    lines += _recipes(results.cards)
    if results.tables:
        lines += ["## Papers", "", "Published values and serkit's measurements, by protocol.", ""]
    for path, table in results.tables.items():
        lines += _table(table, os.path.relpath(path, folder))
    return "\n".join(lines).rstrip("\n") + "\n"


def _groups(cards: Mapping[Path, Card]) -> list[dict[Path, Card]]:
    """Group cards that score the same recordings with the same labels, best UAR first, single corpora first."""
    found: dict[str, dict[Path, Card]] = {}
    for path, card in sorted(cards.items(), key=lambda item: (-item[1].scores.metrics["uar"].estimate, item[0].name)):
        found.setdefault(str(sorted(card.run.content.items())), {})[path] = card
    return sorted(found.values(), key=_order)


def _order(group: Mapping[Path, Card]) -> tuple[int, str, int]:
    card = next(iter(group.values()))
    content = card.run.content
    return len(content), "+".join(sorted(content)), -card.scores.utterances


def _group(group: Mapping[Path, Card], folder: Path) -> list[str]:
    """Lay out results on the same recordings: a table, a table of results with leaks, and the origin of each row."""
    first = next(iter(group.values()))
    scores, content = first.scores, first.run.content
    lines = [f"### {' + '.join(sorted(content))}, {len(scores.classes)} classes", ""]
    hashes = ", ".join(f"{corpus} `{content[corpus]}`" for corpus in sorted(content))
    lines += [f"{scores.utterances} utterances: {', '.join(scores.classes)}. Content: {hashes}.", ""]
    leaky = {path: card for path, card in group.items() if verdict(card.scores.flags)[0] == "leak"}
    clean = {path: card for path, card in group.items() if path not in leaky}
    if clean:
        constants = [constant for card in clean.values() if (constant := card.scores.constant)]
        lines += _rows(clean, folder)
        lines += [
            markdown_row([name, "", percent(values["uar"]), percent(values["accuracy"]), *[""] * (len(COLUMNS) - 4)])
            for name, values in {f"always {constant.answer}": constant.metrics for constant in constants}.items()
        ]
        lines.append("")
    if leaky:
        lines += ["With leaks; these scores do not apply to new speakers:", "", *_rows(leaky, folder), ""]
    for path, card in group.items():
        lines += _made(path, card)
    return lines


def _rows(cards: Mapping[Path, Card], folder: Path) -> list[str]:
    rows = [row for path, card in cards.items() for row in _of_card(card, path, folder)]
    return markdown_table(COLUMNS, rows, _WORDS)


def _of_card(card: Card, path: Path, folder: Path) -> Iterator[list[str]]:
    """Yield the row of a card and, if it covers several corpora, one row for each of them."""
    scores, cost = card.scores, card.cost
    seeds = [percent(values["uar"]) for values in scores.seeds.each.values()]
    yield [
        scores.system,
        scores.protocol,
        *(with_interval(scores.metrics[metric]) for metric in ("uar", "accuracy")),
        ", ".join(seeds) if len(seeds) > 1 else "",
        f"{cost['parameters']:,}" if "parameters" in cost else "",
        _operations(cost["macs"]) if "macs" in cost else "",
        duration(cost["seconds"]) if "seconds" in cost else "",
        f"{scores.folds}, `{card.run.splits[:8]}`" if card.run.splits else str(scores.folds),
        str(scores.configurations),
        "; ".join(flag.text for flag in worst_first(scores.flags)) or "none",
        f"[{path.stem}]({os.path.relpath(path, folder)})",
    ]
    for corpus, part in scores.corpora.items():
        values = [with_interval(part.metrics[metric]) for metric in ("uar", "accuracy")]
        yield [f"{corpus} of it ({part.n})", "", *values, *[""] * (len(COLUMNS) - 4)]
    if mean := scores.mean:
        values = [with_interval(mean.metrics[metric]) for metric in ("uar", "accuracy")]
        yield [f"mean of the {mean.n} corpora", "", *values, *[""] * (len(COLUMNS) - 4)]


def _made(path: Path, card: Card) -> list[str]:
    """Return the origin of a row."""
    parts = [card.note]
    if calibration := card.scores.calibration:
        before, after = percent(calibration.ece.before), percent(calibration.ece.after)
        parts.append(f"Calibration error {before} %, with temperatures fitted inside the folds {after} %.")
    if machine := card.run.machine:
        where = f"{machine.cores} cores ({machine.processor}), threads per fold: {card.run.threads}"
        libraries = [f"{name} {card.run.versions[name]}" for name in _LIBRARIES if name in card.run.versions]
        parts.append(f"{', '.join([where, *libraries])}.")
    command = card.run.command
    parts += [] if command else ["The command was not recorded."]
    text = " ".join(part.strip() for part in parts if part)
    lines = [f"**{path.stem}**: {text}", ""]
    return [*lines, "```console", *_wrapped(command), "```", ""] if command else lines


def _recipes(cards: Mapping[Path, Card]) -> list[str]:
    """Describe how settings missing from the paper were found, once for all rows of a recipe."""
    found: dict[str, list[str]] = {}
    for path, card in cards.items():
        if recipe := card.scores.recipe:
            found.setdefault(recipe, []).append(path.stem)
    if not found:
        return []
    return ["### How recipes were found", "", *(f"- {', '.join(rows)}: {text}" for text, rows in found.items()), ""]


def _table(result: ReproducedTable, link: str) -> list[str]:
    """Lay out a reproduced table under a heading of the page, with its command."""
    title, *lines = paper_page(papers.load(result.paper), result).rstrip("\n").splitlines()
    note = [result.note, ""] if result.note else []
    command = ["```console", *_wrapped(_reproduction(result)), "```"]
    return [f"##{title}", "", *note, *lines[1:], "", f"[All numbers]({link}).", "", *command, ""]


def _reproduction(result: ReproducedTable) -> str:
    """Return the command of a reproduced table, which names its rows if not all were run."""
    words = ["serkit", "reproduce", result.paper, result.artefact]
    for name in dict.fromkeys(name for row in result.rows for name in row.corpus.split("+")):
        words += ["--corpus", f"{name}=CORPORA/{name}"]
    words += [word for corpus in _learned_from(result) for word in ("--also", corpus)]
    words += [word for protocol in result.protocols for word in ("--protocol", protocol)]
    left = [row for row in result.rows if not row.measured and not row.not_run]
    if left:
        measured = dict.fromkeys(row.label for row in result.rows if row.measured)
        baselines = {row.label for row in papers.BASELINES}
        words += [word for label in measured if label not in baselines for word in ("--rows", label)]
    words += [word for change in result.sets for word in ("--set", change)]
    return shlex.join([*words, "--seed", str(result.seed)])


def _learned_from(result: ReproducedTable) -> list[str]:
    """Return the corpora that a table's rows only learned from, as in their commands."""
    commands = [shlex.split(cell.command) for row in result.rows for cell in row.measured.values()]
    return list(dict.fromkeys(word for words in commands for option, word in pairwise(words) if option == "--also"))


def _wrapped(command: str) -> list[str]:
    """Break a command line before its options, as in a shell."""
    parts: list[str] = []
    for word in (shlex.quote(word) for word in shlex.split(command)):
        if word.startswith("--") or not parts:
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    lines = [f"$ {parts[0]}"]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) > _WIDTH:
            lines[-1] += " \\"
            lines.append(f"      {part}")
        else:
            lines[-1] += f" {part}"
    return lines


def _operations(macs: float) -> str:
    return f"{macs:,}" if macs < 1e5 else f"{macs / 1e6:,.1f} M"
