"""Running a published table again, beside what was published."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serkit import systems
from serkit.atomic import write_json, write_text
from serkit.corpora.corpus import Corpus
from serkit.features.store import Store
from serkit.papers import Artefact, Paper, Row
from serkit.systems.runner import Request, run

#: The rows every table has besides its own.
BASELINE = Row(label="linear baseline (serkit)", system="linear-baseline")


def reproduce(
    paper: Paper,
    artefact: Artefact,
    corpora: Sequence[Corpus],
    folder: Path,
    sets: Sequence[str] = (),
    protocols: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 0,
    threads: int = 0,
    store: Store | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run every row of a table on every corpus under every protocol, or take up what was run before.

    Rows share their common stages. A linear baseline and the majority class come with every table.

    Args:
        paper: the publication.
        artefact: one of its tables.
        corpora: each is run by itself.
        folder: receives the runs, `<artefact>.json` and `<artefact>.md`.
        sets: overrides for the paper's rows, e.g. `stages.*.trainer.epochs=5` for a shorter schedule.
        protocols: instead of the artefact's.
        seed: of the first repeat.
        jobs: folds trained at the same time; 0: as many as there are cores.
        threads: of each.
        store: where features are kept.
        report: receives a line for each step done.

    Returns:
        What `<artefact>.json` holds.
    """
    # The baseline is run under the paper's own protocols too.
    own = [systems.load(row.system).protocols for row in artefact.rows if row.system]
    definitions = {name: protocol for found in own for name, protocol in found.items()}
    rows = []
    for row in [*artefact.rows, BASELINE]:
        for corpus in corpora:
            entry: dict[str, Any] = {
                "label": row.label,
                "corpus": corpus.name,
                "published": row.published.get(corpus.name),
                "not_run": row.not_run,
                "measured": {},
            }
            for protocol in protocols or artefact.protocols if row.system else ():
                place = folder / "runs" / f"{_plain(row.label)}-{corpus.name}-{protocol}"
                report(f"{row.label} on {corpus.name} under {protocol}")
                changes = [*row.set, *(sets if row is not BASELINE else ())]
                request = Request(
                    row.system or "",
                    [corpus],
                    protocol,
                    changes,
                    seed=seed,
                    final=False,
                    jobs=jobs,
                    threads=threads,
                    protocols=definitions,
                )
                scores = run(request, place, True, folder / "stages", store, report)
                entry["measured"][protocol] = {
                    **scores[artefact.metric],
                    "n": scores["n"],
                    "flags": scores["flags"],
                    "majority": scores["majority"].get(artefact.metric),
                }
            rows.append(entry)
    result = {
        "paper": paper.paper.name,
        "artefact": artefact.name,
        "title": artefact.title,
        "metric": artefact.metric,
        "called": artefact.called,
        "protocols": list(protocols or artefact.protocols),
        "sets": list(sets),
        "seed": seed,
        "rows": rows,
    }
    write_json(folder / f"{artefact.name}.json", result)
    write_text(folder / f"{artefact.name}.md", markdown(paper, result))
    return result


def markdown(paper: Paper, result: dict[str, Any]) -> str:
    """Lay out a reproduced table: published and measured side by side, with intervals and flags."""
    protocols = result["protocols"]
    called = f' ("{result["called"]}" in the paper)' if result["called"] else ""
    lines = [f"# {paper.paper.name} {result['artefact']}: {result['title']}", "", paper.paper.citation, ""]
    lines += [f"Metric: {result['metric']}{called}, in %, with 95 % interval. Seed {result['seed']}."]
    if result["sets"]:
        lines += [f"Changed from the paper's settings: {', '.join(f'`{change}`' for change in result['sets'])}."]
    lines += [
        "",
        f"| row | corpus | published | {' | '.join(protocols)} |",
        "|---|---|---:|" + "---:|" * len(protocols),
    ]
    majority: dict[str, list[str]] = {}
    for row in result["rows"]:
        cells = []
        for protocol in protocols:
            value = row["measured"].get(protocol)
            cells.append("not run" if value is None else _value(value))
            if value is not None and value["majority"] is not None:
                majority.setdefault(row["corpus"], []).append(f"{100 * value['majority']:.1f}")
        published = "" if row["published"] is None else f"{row['published']:.2f}"
        lines.append(f"| {row['label']} | {row['corpus']} | {published} | {' | '.join(cells)} |")
    for corpus, values in majority.items():
        lines.append(f"| majority class | {corpus} |  | {' | '.join(values[: len(protocols)])} |")
    lines += ["", *_notes(result), *[f"- {remark}" for remark in paper.paper.remarks], ""]
    return "\n".join(lines)


def _notes(result: dict[str, Any]) -> list[str]:
    notes = [f"- {row['label']}: not run: {row['not_run']}" for row in result["rows"] if row["not_run"]]
    for protocol in result["protocols"]:
        flags = {flag for row in result["rows"] for flag in row["measured"].get(protocol, {}).get("flags", ())}
        notes += [f"- `{protocol}`: {flag}" for flag in sorted(flags)]
    return list(dict.fromkeys(notes))


def _value(value: dict[str, Any]) -> str:
    return f"{100 * value['estimate']:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"


def _plain(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
