"""`serkit corpora`: list the corpora, check a copy of one, and count its contents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.cli.options import Columns, Format, OnError, Output, SkipBadRows, Times, reading
from serkit.terminal import screen, show

if TYPE_CHECKING:
    from rich.table import Table

    from serkit.auditing.verify import Report, Stats

app = typer.Typer(help="List corpora, check a copy of one, and count its contents.", no_args_is_help=True)

# A terminal is too narrow for more classes in one row.
_MOST_COLUMNS = 10
# The table shows at most this many defects of each kind; JSON has all.
_MOST_LINES = 10


Name = Annotated[str, typer.Argument(help="Name of a corpus; see `serkit corpora list`.", show_default=False)]
Folder = Annotated[Path, typer.Argument(help="Folder of the corpus; for `table`, the file.", show_default=False)]


@app.command("list")
def list_(output: Output = Format.table) -> None:
    """List the corpora that serkit reads, with official numbers and licenses.

    Example: serkit corpora list
    """
    from dataclasses import asdict

    from serkit import corpora

    known = {name: corpora.facts(name) for name in sorted(corpora.READERS)}
    if output is Format.json:
        _print_json([{**asdict(facts), "name": name} for name, facts in known.items()])
        return
    table = _table("name", "language", "utterances", "speakers")
    table.add_column("corpus and license")
    for name, facts in known.items():
        official = _or_blank(sum(facts.counts.values())), _or_blank(facts.speakers)
        table.add_row(name, facts.language or "", *official, f"{facts.title}: {facts.licence}")
    _print(table)


@app.command()
def verify(
    name: Name,
    folder: Folder,
    output: Output = Format.table,
    jobs: Annotated[int, typer.Option(min=1, help="Number of threads.")] = 2,
    copies: Annotated[bool, typer.Option("--copies", help="Also find changed copies of recordings.")] = False,
    columns: Columns = None,
    times: Times = None,
    on_error: SkipBadRows = OnError.stop,
) -> None:
    """Compare a copy of a corpus with the official numbers and find defects.

    The report lists skipped files with the reason; recordings that are
    unreadable, silent, clipped, shorter than their header claims, or
    bit-identical to another; a second channel (EGG) that is missing or too
    short; and, with --copies, recordings that are louder, cut, coded or noisy
    copies of another.

    Exit code 1: recordings are unreadable, or a class has fewer recordings
    or the corpus fewer speakers than officially. Other defects: exit code 0.

    Example: serkit corpora verify emodb data/emodb
    """
    from serkit import corpora, progress
    from serkit.auditing.verify import verify as check

    corpus = corpora.load(name, folder, reading(columns, times, on_error))
    with progress.bar(f"verify {name}", len(corpus)) as advance:
        report = check(corpus, jobs, advance, copies)
    if output is Format.json:
        _print_json(report.to_dict())
    else:
        _print(*_report_tables(report))
    raise typer.Exit(1 if report.loses_data else 0)


@app.command()
def stats(
    name: Name,
    folder: Folder,
    output: Output = Format.table,
    columns: Columns = None,
    times: Times = None,
    on_error: SkipBadRows = OnError.stop,
) -> None:
    """Count utterances per class, speaker and sex, and show durations and sampling rates.

    Example: serkit corpora stats table my.csv
    """
    from serkit import corpora
    from serkit.auditing.verify import stats as count

    numbers = count(corpora.load(name, folder, reading(columns, times, on_error)))
    if output is Format.json:
        _print_json(numbers.to_dict())
    else:
        _print(*_stats_tables(numbers))


def _report_tables(report: Report) -> list[Table | str]:
    from serkit.finding import summary as passed_over

    table = _table(report.target, "found", "official", "missing")
    for label, count in report.classes.items():
        table.add_row(label, str(count.found), _or_blank(count.official), _or_blank(count.missing))
    speakers = report.speakers
    table.add_section()
    table.add_row("speakers", str(speakers.found), _or_blank(speakers.official), _or_blank(speakers.missing))
    size = f"{report.utterances} utterances, {_clock(report.duration)}, {_rates(report.rates)}"
    shown: list[Table | str] = [f"{report.corpus} in {report.folder}: {size}", table]
    if told := passed_over(report.passed_over, companions=True):
        shown.append(told)
    shown += _lines("skipped", [f"{name}: {reason}" for name, reason in report.skipped.items()])
    shown += _lines("unreadable", [f"{name}: {reason}" for name, reason in report.unreadable.items()])
    shown += _lines("truncated", report.truncated)
    shown += _lines("silent", report.silent)
    shown += _lines("clipped", [f"{name}: {count} samples at full scale" for name, count in report.clipped.items()])
    shown += _lines("bit-identical", [" = ".join(group) for group in report.identical])
    shown += _lines("changed copies", [" ~ ".join(pair) for pair in report.copies])
    shown += _lines("channels", [f"{name}: {defect}" for name, defect in report.channels.items()])
    return shown


def _stats_tables(numbers: Stats) -> list[Table | str]:
    sexes = sorted({sex for counts in numbers.by_sex.values() for sex in counts})
    classes = _table(numbers.target, "utterances", "speakers", *sexes)
    for label, counts in numbers.by_speaker.items():
        by_sex = [_or_blank(numbers.by_sex[label].get(sex)) for sex in sexes]
        known = len(counts) - ("unknown" in counts)
        classes.add_row(label, str(sum(counts.values())), _or_blank(known), *by_sex)
    # If every speaker is a class, a table of classes by speakers is useless.
    labels = list(numbers.by_speaker) if len(numbers.by_speaker) <= _MOST_COLUMNS else []
    speakers = _table("speaker", "all", *labels)
    for speaker in sorted({name for counts in numbers.by_speaker.values() for name in counts}):
        row = [counts.get(speaker, 0) for counts in numbers.by_speaker.values()]
        speakers.add_row(
            speaker.removeprefix(f"{numbers.corpus}/"),
            str(sum(row)),
            *(_or_blank(count) for count in row[: len(labels)]),
        )
    seconds = numbers.seconds
    shown: list[Table | str] = [
        f"{numbers.corpus} in {numbers.folder}: {numbers.utterances} utterances, {_rates(numbers.rates)}",
        classes,
        speakers,
    ]
    if seconds:
        span = ", ".join(f"{name} {seconds[name]:.2f} s" for name in ("min", "median", "max"))
        shown.append(f"duration: {span}, total {_clock(seconds['total'])}")
    return shown + _lines("unreadable", [f"{name}: {reason}" for name, reason in numbers.unreadable.items()])


def _lines(title: str, entries: Sequence[str]) -> list[Table | str]:
    """Put the length of a list above it, and cut the list if it is long."""
    if not entries:
        return []
    rest = len(entries) - _MOST_LINES
    more = [f"  ... and {rest} more (--format json shows all)"] if rest > 0 else []
    return ["\n".join([f"{title}: {len(entries)}", *(f"  {entry}" for entry in entries[:_MOST_LINES]), *more])]


def _table(first: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _print(*parts: Table | str) -> None:

    console = screen()
    for part in parts:
        # Rich would read brackets in file names as markup.
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))


def _print_json(document: object) -> None:
    show(json.dumps(document, indent=2, ensure_ascii=False))


def _or_blank(number: int | None) -> str:
    return str(number) if number else ""


def _clock(seconds: float) -> str:
    """Format a duration as hours, minutes and seconds.

    >>> _clock(5025.2)
    '1:23:45'
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _rates(rates: Mapping[int, int]) -> str:
    """Format the sampling rates, with counts if there are several.

    >>> _rates({16000: 480}), _rates({16000: 479, 44100: 1})
    ('16000 Hz', '16000 Hz (479), 44100 Hz (1)')
    """
    if len(rates) == 1:
        return f"{next(iter(rates))} Hz"
    return ", ".join(f"{rate} Hz ({count})" for rate, count in rates.items())
