"""`serkit features`: compute a feature of recordings as a table on stdout or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serkit.cli import spread
from serkit.cli.options import Columns, CsvSafe, EngineText, ListFile, OnError, ShardText, SkipBadRows, Times, reading
from serkit.terminal import Shown, note, show

if TYPE_CHECKING:
    from serkit.corpora.corpus import Utterance
    from serkit.features import Feature


def features(
    feature: Annotated[str, typer.Argument(help="Name of a feature, e.g. log_mel_functionals.")],
    paths: Annotated[list[str] | None, typer.Argument(help="Recordings, folders or globs.")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER instead of paths. Repeatable.")] = None,
    out_: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="FILE.csv, FILE.parquet or FILE.arff; for --shard and --engine, the folder or URL of the parts. "
            "Default: stdout.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE: option of the feature, e.g. bands=80.")
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="N|egg",
            help="Channel of the recordings, counted from 0 (default: the mean of all), or further channel of a "
            "corpus, e.g. egg.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="FILE.png: draw F0 below the waveform of one recording instead of writing a table."),
    ] = None,
    columns: Columns = None,
    times: Times = None,
    on_error: SkipBadRows = OnError.stop,
    csv_safe: CsvSafe = False,
    jobs: Annotated[int, typer.Option(min=0, help="Number of threads; 0: one per core.")] = 0,
    list_: ListFile = None,
    shard: ShardText = None,
    engine: EngineText = None,
) -> None:
    """Compute a feature: one row per recording, or per frame for features over time.

    Results are kept in the store, so an interrupted command continues where it stopped.

    Examples: serkit features log_mel_functionals --corpus emodb=data/emodb --out emodb.csv;
    serkit features f0_robust take.wav > f0.csv
    """
    import dataclasses
    import os
    import sys

    from serkit import corpora
    from serkit.cli.predict import names_of, on_disk
    from serkit.data.feature_parts import KIND, Extracting
    from serkit.data.feature_table import columns as columns_of
    from serkit.data.feature_table import ending_of, print_table, write
    from serkit.errors import UserError
    from serkit.features import build
    from serkit.listing import Listing, lines
    from serkit.locks import alone
    from serkit.remote import is_url, name
    from serkit.spreadsheet import Harmless
    from serkit.systems import parse_value

    overrides = [override.partition("=") for override in set_ or []]
    options = {key.strip(): parse_value(value) for key, _, value in overrides}
    front_end = build(feature, **options)
    own = {key: value for key, value in getattr(front_end, "in_tables", {}).items() if key not in options}
    front_end = dataclasses.replace(front_end, **own)  # type: ignore[type-var]
    in_parts = bool(shard or engine)
    if is_url(out_) and not in_parts:
        raise UserError(f"{name(str(out_))}: --out is a URL; give --shard 1/1, and write a file by `serkit gather`")
    out = None if out_ is None or in_parts else Path(out_)
    if out is not None:
        ending_of(out)
        if out.is_dir():
            raise UserError(f"{out}: is a folder; --out must be a file")
    if plot is not None and plot.suffix != ".png":
        raise UserError(f"{plot}: --plot requires a file that ends in .png")
    if plot is not None and "f0" not in columns_of(front_end):
        raise UserError(f"--plot draws F0, but '{feature}' has no F0; use f0_egg or f0_robust")
    if csv_safe and out is not None and out.suffix.lower() != ".csv":
        raise UserError(f"--csv-safe requires CSV, but {out} is not a CSV file")
    if [bool(paths), bool(corpus), bool(list_)].count(True) != 1:
        raise UserError("give either recordings, or --corpus NAME=FOLDER, or --list FILE")
    if in_parts and (csv_safe or plot):
        raise UserError("--shard and --engine cannot be combined with --csv-safe or --plot")
    threads = jobs or os.cpu_count() or 1
    if in_parts and not corpus:
        each, index = names_of(paths, list_), index_of(channel)
        make = Extracting(front_end, None, 1 if engine else threads)
        listing = Listing(
            lambda: (_utterance(path, index) for path in each()),
            lambda utterance: utterance.id,
            lambda utterance: _utterance(on_disk(utterance.id), index),
        )
        spread.work(KIND, make, listing, spread.Request.of(out_, shard, engine))
        return
    if corpus:
        utterances = [
            utterance
            for one in corpora.load_all(corpus, reading(columns, times, on_error))
            for utterance in one.utterances
        ]
    else:
        utterances, channel = _find(list(lines(list_)) if list_ else paths or [], list_, channel), None
    if in_parts:
        make = Extracting(front_end, channel, 1 if engine else threads)
        spread.work(KIND, make, Listing(lambda: utterances, lambda one: one.id), spread.Request.of(out_, shard, engine))
        return
    if plot is not None:
        _draw(front_end, utterances, plot, channel)
        show(f"{plot}: F0 by {front_end.name} of {utterances[0].path}")
    if plot is not None and out is None:
        return
    if out is None:
        stream: Any = Shown(sys.stdout) if sys.stdout.isatty() else sys.stdout
        stream = Harmless(stream) if csv_safe else stream
        failed = print_table(front_end, utterances, stream, channel, threads)
    else:
        with alone(out):
            failed = write(front_end, utterances, out, channel, threads, csv_safe=csv_safe)
        show(f"{out}: {front_end.name} of {len(utterances) - len(failed)} recordings")
    for reason in failed.values():
        note(f"serkit: skipped: {reason}")
    if failed:
        raise typer.Exit(1)


def _find(paths: list[str], listed: str | None, channel: str | None) -> list[Utterance]:
    """Make an utterance of each recording, read from one channel (N, `egg` for the second, None for all)."""

    from serkit import audio
    from serkit.cli.predict import recordings_of
    from serkit.remote import is_url

    index = index_of(channel)
    found, missing = recordings_of(paths, listed)
    for failure in missing:
        note(f"serkit: skipped: {failure.error}")
    # Of a list, as of its shards, a recording without the channel is one that fails among others.
    if index is not None and listed is None:
        for path in (one for one in found if not is_url(one)):
            count = audio.info(path).channels
            if index >= count:
                raise audio.AudioError(f"{path}: has no channel {index}; it has {count}, counted from 0")
    return [_utterance(path, index) for path in found]


def index_of(channel: str | None) -> int | None:
    """Return the channel of a recording that --channel names; `egg` is the second, None the mean of all."""
    from serkit.cli.predict import parse_channel

    chosen = parse_channel(channel)
    return 1 if chosen == "egg" else chosen


def _utterance(path: str, index: int | None) -> Utterance:
    from serkit.corpora.corpus import Utterance

    return Utterance(id=path, path=Path(path), index=index)


def _draw(feature: Feature, utterances: list[Utterance], picture: Path, channel: str | None) -> None:
    """Draw F0 of one utterance below its waveform."""
    import numpy as np

    from serkit.data.feature_table import columns, moments
    from serkit.data.items import Item
    from serkit.errors import UserError
    from serkit.reports import contour
    from serkit.windowing import Windowing

    if len(utterances) != 1:
        raise UserError(f"--plot draws one recording, not {len(utterances)}")
    signal = Item(utterances[0]).signal(feature.rate, Windowing(), channel)
    f0 = feature(signal)[columns(feature).index("f0")]
    picture.parent.mkdir(parents=True, exist_ok=True)
    contour.draw(picture, str(utterances[0].path), signal, feature.rate, moments(feature, len(f0)), np.asarray(f0))
