"""The leaderboard: results on the same recordings and labels side by side, as a Markdown page.

The page is made of the files of `serkit.reports.results` and of nothing else: equal files give an equal page.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serkit import papers
from serkit.papers.pages import duration
from serkit.papers.pages import page as paper_page
from serkit.reports.flags import rate, verdict
from serkit.reports.results import Results
from serkit.systems.protocol_card import Card

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

#: What has to be known to read the tables.
LEGEND = (
    "In percent, with 95 % intervals for new speakers. Rows of one table score the same recordings with the same labels; "
    "what is trained with speakers of its test parts stands apart. Parameters and MACs (multiply-adds of one item; "
    "time axes: 300 frames) of the network that is scored; training: time of all folds. Folds: their number and the "
    "beginning of the hash of who is in which part: rows with the same one can be compared pair by pair "
    "(`serkit compare`). Tried: configurations of a sweep. Where a cell is empty, the result does not say."
)

#: Longest line of a command, in characters.
_WIDTH = 116


def page(results: Results, folder: Path, preface: str = "") -> str:
    """Lay out the page.

    Args:
        results: what it shows.
        folder: where the page will lie: links are relative to it.
        preface: Markdown that stands before the tables, under the title.
    """
    lines = ["# Results", ""]
    if preface:
        lines += [preface.strip(), ""]
    if results.cards:
        lines += ["## Leaderboard", "", LEGEND, ""]
    for group in _groups(results.cards):
        lines += _group(group, folder)
    if results.tables:
        lines += ["## Papers", "", "What was published beside what serkit measures, by protocol.", ""]
    for path, table in results.tables.items():
        lines += _table(table, os.path.relpath(path, folder))
    return "\n".join(lines).rstrip("\n") + "\n"


def _groups(cards: Mapping[Path, Card]) -> list[dict[Path, Card]]:
    """Group cards that score the same recordings with the same labels, best UAR first, single corpora first."""
    found: dict[str, dict[Path, Card]] = {}
    for path, card in sorted(cards.items(), key=lambda item: (-item[1].scores["uar"]["estimate"], item[0].name)):
        found.setdefault(str(sorted(card.run["content"].items())), {})[path] = card
    return sorted(found.values(), key=_order)


def _order(group: Mapping[Path, Card]) -> tuple[int, str, int]:
    card = next(iter(group.values()))
    content = card.run["content"]
    return len(content), "+".join(sorted(content)), -card.scores["utterances"]


def _group(group: Mapping[Path, Card], folder: Path) -> list[str]:
    """Lay out what was measured on the same recordings: a table, one of what leaks, and how each row was made."""
    first = next(iter(group.values()))
    scores, content = first.scores, first.run["content"]
    lines = [f"### {' + '.join(sorted(content))}, {len(scores['classes'])} classes", ""]
    hashes = ", ".join(f"{corpus} `{content[corpus]}`" for corpus in sorted(content))
    lines += [f"{scores['utterances']} utterances: {', '.join(scores['classes'])}. Content: {hashes}.", ""]
    leaky = {path: card for path, card in group.items() if verdict(rate(card.scores["flags"]))[0] == "leak"}
    clean = {path: card for path, card in group.items() if path not in leaky}
    if clean:
        majority = {f"always {card.scores['majority']['class']}": card.scores["majority"] for card in clean.values()}
        lines += _rows(clean, folder)
        lines += [
            _line([name, "", _percent(value["uar"]), _percent(value["accuracy"]), *[""] * (len(COLUMNS) - 4)])
            for name, value in majority.items()
        ]
        lines.append("")
    if leaky:
        lines += ["With leaks, and so no measure of new speakers:", "", *_rows(leaky, folder), ""]
    for path, card in group.items():
        lines += _made(path, card, folder)
    return lines


def _rows(cards: Mapping[Path, Card], folder: Path) -> list[str]:
    rules = [":--" if name in _WORDS else "--:" for name in COLUMNS]
    rows = [row for path, card in cards.items() for row in _of_card(card, path, folder)]
    return [_line(line) for line in (COLUMNS, rules, *rows)]


def _of_card(card: Card, path: Path, folder: Path) -> Iterator[list[str]]:
    """Yield the row of a card, and where it is about several corpora one for each."""
    scores, cost = card.scores, card.cost
    seeds = [_percent(values["uar"]) for values in scores["seeds"]["each"].values()]
    yield [
        scores["system"],
        scores["protocol"],
        *(_interval(scores[metric]) for metric in ("uar", "accuracy")),
        ", ".join(seeds) if len(seeds) > 1 else "",
        f"{cost['parameters']:,}" if "parameters" in cost else "",
        f"{cost['macs'] / 1e6:.4g} M" if "macs" in cost else "",
        duration(cost["seconds"]) if "seconds" in cost else "",
        f"{scores['folds']}, `{card.run['splits'][:8]}`" if card.run["splits"] else str(scores["folds"]),
        str(scores["configurations"]),
        "; ".join(flag.text for flag in rate(scores["flags"])) or "none",
        f"[{path.stem}]({os.path.relpath(path, folder)})",
    ]
    for corpus, part in scores.get("corpora", {}).items():
        values = [_interval(part[metric]) for metric in ("uar", "accuracy")]
        yield [f"of it {corpus} ({part['n']})", "", *values, *[""] * (len(COLUMNS) - 4)]


def _made(path: Path, card: Card, folder: Path) -> list[str]:
    """Say how a row came about."""
    parts = [card.note, card.scores.get("recipe", "")]
    calibration = card.scores.get("calibration")
    if calibration:
        before, after = (_percent(calibration["ece"][when]) for when in ("before", "after"))
        parts.append(f"Calibration error {before} %, with temperatures fitted inside the folds {after} %.")
    if machine := card.run["machine"]:
        torch = card.run["versions"].get("torch")
        where = f"{machine['cores']} cores ({machine['processor']}), {card.run['threads']} threads per fold"
        parts.append(f"{where}{f', torch {torch}' if torch else ''}.")
    if not card.run["command"]:
        parts.append("The command was not recorded.")
    text = " ".join(part.strip() for part in parts if part)
    lines = [f"**{path.stem}**{': ' if text else ''}{text}", ""]
    if command := card.run["command"]:
        corpora = [("--corpus", name) for name in card.run["content"]] + [("--also", name) for name in card.run["also"]]
        given = " ".join(f"{option} {name}=CORPORA/{name}" for option, name in corpora)
        again = f"serkit evaluate {os.path.relpath(path, folder)} {given}"
        lines += ["```console", *_wrapped(command), *(_wrapped(again) if card.recordings else []), "```", ""]
    return lines


def _table(result: Mapping[str, Any], link: str) -> list[str]:
    """Lay out a reproduced table under a heading of the page, with the command that makes it."""
    title, *lines = paper_page(papers.load(result["paper"]), result).rstrip("\n").splitlines()
    note = [result["note"], ""] if result.get("note") else []
    command = ["```console", *_wrapped(_reproduction(result)), "```"]
    return [f"##{title}", "", *note, *lines[1:], "", f"[All numbers]({link}).", "", *command, ""]


def _reproduction(result: Mapping[str, Any]) -> str:
    """Return the command of a reproduced table, which names its rows where not all were run."""
    words = ["serkit", "reproduce", result["paper"], result["artefact"]]
    for name in dict.fromkeys(name for row in result["rows"] for name in row["corpus"].split("+")):
        words += ["--corpus", f"{name}=CORPORA/{name}"]
    words += [word for protocol in result["protocols"] for word in ("--protocol", protocol)]
    left = [row for row in result["rows"] if not row["measured"] and not row["not_run"]]
    if left:
        words += [
            word
            for label in dict.fromkeys(r["label"] for r in result["rows"] if r["measured"])
            for word in ("--rows", label)
        ]
    words += [word for change in result["sets"] for word in ("--set", change)]
    return shlex.join([*words, "--seed", str(result["seed"])])


def _wrapped(command: str) -> list[str]:
    """Break a command line before its options, as a shell reads it."""
    lines: list[str] = []
    for word in (shlex.quote(word) for word in shlex.split(command)):
        if not lines:
            lines = [f"$ {word}"]
        elif word.startswith("--") and len(lines[-1]) > _WIDTH * 2 / 3:
            lines[-1] += " \\"
            lines.append(f"      {word}")
        else:
            lines[-1] += f" {word}"
    return lines


def _interval(value: Mapping[str, Any]) -> str:
    return f"{_percent(value['estimate'])} [{_percent(value['low'])}, {_percent(value['high'])}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
