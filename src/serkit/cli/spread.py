"""Recordings in parts: one shard in this process, or all shards on the machines of an engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import typer

from serkit.cli.options import machines
from serkit.engine import Engine, Lost
from serkit.errors import UserError
from serkit.listing import Listing
from serkit.locks import alone
from serkit.parts import About, Parts, name
from serkit.progress import bar
from serkit.remote import is_url
from serkit.shards import Shard
from serkit.terminal import note, show

#: Format of the parts.
PARQUET = "parquet"
# Number of recordings in a shard of an engine: some seconds of work, so that little is lost with a process.
_FILES = 100


class Work(Protocol):
    """What is done with the recordings of a shard. Can be pickled."""

    def request(self) -> dict[str, Any]: ...
    def write(self, recordings: Iterable[Any], ended: Mapping[str, str], path: Path, about: About) -> About: ...
    def attempt(self, recording: Any) -> None: ...


@dataclass(frozen=True)
class Request:
    """Where the parts go, and who makes them.

    Args:
        out: path or URL of their folder.
        shard: the shard to make; None: all.
        engine: the engine that makes all; None: this process makes one.
    """

    out: str
    shard: Shard | None
    engine: Engine | None

    @classmethod
    def of(cls, out: str | None, shard: str | None, engine: str | None) -> Request:
        """Parse --out, --shard and --engine.

        Raises:
            UserError: they contradict each other.
        """
        option = "--shard" if shard else "--engine" if engine else "--format parquet"
        if out is None:
            raise UserError(f"{option} requires --out FOLDER for the parts")
        if not is_url(out) and Path(out).exists() and not Path(out).is_dir():
            raise UserError(f"{out}: is a file; {option} requires a folder for the parts")
        who = machines(shard, engine) or Shard(1, 1)
        return cls(out, who, None) if isinstance(who, Shard) else cls(out, None, who)


@dataclass(frozen=True)
class _Task:
    """A shard of an engine, and what is known of recordings that end their process."""

    shard: Shard
    recordings: Sequence[Any]
    ended: Mapping[str, str]


def work(kind: str, make: Work, listing: Listing[Any], request: Request) -> None:
    """Make one shard here, or all shards with an engine; exit with code 1 if recordings failed.

    Args:
        kind: the command.
        make: what is done with the recordings.
        listing: all recordings.
        request: where the parts go.

    Raises:
        UserError: the folder holds parts of another request.
    """
    asked = {**make.request(), "recordings": listing.total, "listing": listing.digest}
    about, parts = About(kind, asked), Parts(request.out)
    if request.engine is not None:
        made = _all(make, listing, parts, about, request.engine)
    else:
        made = _one(make, listing, parts, about, request.shard or Shard(1, 1))
    if made.failed:
        note(f"serkit: {made.failed} of {made.recordings} recordings failed; the parts hold the reasons")
    show(f"next: serkit gather {parts.folder} --out FILE")
    if made.failed:
        raise typer.Exit(1)


def _one(make: Work, listing: Listing[Any], parts: Parts, about: About, shard: Shard) -> About:
    with alone(_lock_of(parts, shard)) if not is_url(parts.place) else nullcontext():
        if shard.index in parts.begin(shard.count, about):
            made = parts.about(shard)
            parts.check(made, about)
            show(f"{parts.folder}: shard {shard} is done already")
            return made
        with parts.writing(shard) as path:
            made = make.write(listing.of(shard), {}, path, about)
    show(f"{parts.folder}: shard {shard}, {made.recordings} recordings")
    return made


def _lock_of(parts: Parts, shard: Shard) -> Path:
    """Return the path of a part, which one process at a time may write."""
    folder = Path(parts.place)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name(shard)


def _all(make: Work, listing: Listing[Any], parts: Parts, about: About, engine: Engine) -> About:
    count = math.ceil(listing.total / _FILES)
    done = parts.begin(count, about)
    if done:
        show(f"{parts.folder}: {len(done)} of {count} shards are done already")
    function = partial(_make, make, parts.place, about)
    tasks = (_Task(shard, found, {}) for shard, found in listing.divided(count) if shard.index not in done)
    counted = [(about_of.recordings, about_of.failed) for about_of in map(parts.about, _shards(done, count))]
    with bar(about.kind, count - len(done)) as advance:
        for task, made in engine.map(function, tasks):
            if isinstance(made, Lost):
                # One of its recordings ends every process.
                found = _ended(make, task.recordings, listing, engine)
                [(_, made)] = engine.map(function, [_Task(task.shard, task.recordings, found)], cpus=None)
                if isinstance(made, Lost):
                    raise UserError(f"{parts.folder}: shard {task.shard} ends every process ({made.reason}); run again")
            counted.append(made)
            advance(1)
    recordings, failed = (sum(column) for column in zip(*counted, strict=True))
    show(f"{parts.folder}: {count} shards, {recordings} recordings")
    return About(about.kind, about.request, recordings, failed)


def _ended(make: Work, recordings: Sequence[Any], listing: Listing[Any], engine: Engine) -> dict[str, str]:
    """Return the reason for each recording that ends its process, even if it has a machine of its own."""
    # Where memory runs out, Ray may end the process of a recording that does no harm but runs beside one that does.
    suspects = [one for one, found in engine.map(make.attempt, recordings, retries=0) if isinstance(found, Lost)]
    return {
        listing.name(one): f"the process that read it ended ({found.reason})"
        for one, found in engine.map(make.attempt, suspects, cpus=None, retries=1)
        if isinstance(found, Lost)
    }


def _shards(done: Iterable[int], count: int) -> Iterator[Shard]:
    return (Shard(index, count) for index in sorted(done))


def _make(make: Work, place: str, about: About, task: _Task) -> tuple[int, int]:
    """Make a part in a process of the engine; return its numbers of recordings and failures."""
    parts = Parts(place)
    if name(task.shard) in parts.folder:
        # Made by a process that ended before it could tell.
        made = parts.about(task.shard)
        parts.check(made, about)
    else:
        with parts.writing(task.shard) as path:
            made = make.write(task.recordings, task.ended, path, about)
    return made.recordings, made.failed
