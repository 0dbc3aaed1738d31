"""Features in Parquet: a part for each shard, and the rows of all parts as one table again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from serkit import remote
from serkit.corpora.corpus import Utterance
from serkit.data import feature_table
from serkit.data.store import Store, digest
from serkit.features import Feature, config
from serkit.parts import About, Parts

#: Name of what these parts hold.
KIND = "features"
# Number of rows that are read at once.
_ROWS = 4096


@dataclass(frozen=True)
class Extracting:
    """Computation of a feature of the utterances of a shard. Can be pickled.

    Args:
        feature: the front end.
        channel: name of an additional channel; None: the speech.
        jobs: number of threads.
    """

    feature: Feature
    channel: str | None = None
    jobs: int = 1

    def request(self) -> dict[str, Any]:
        """Return what decides the values and their form."""
        return {
            "feature": self.feature.name,
            "options": digest(config(self.feature)),
            "channel": self.channel,
            "columns": feature_table.header(self.feature),
        }

    def write(self, utterances: Iterable[Utterance], ended: Mapping[str, str], path: Path, about: About) -> About:
        """Compute the feature of utterances and write a part; arguments as in `Predicting.write`."""
        failed: dict[str, str] = {}
        count = 0

        def sound() -> Iterator[Utterance]:
            nonlocal count
            for utterance in utterances:
                count += 1
                if utterance.id in ended:
                    failed[utterance.id] = f"{remote.name(utterance.id)}: {ended[utterance.id]}"
                else:
                    yield utterance

        def made() -> About:
            return replace(about, recordings=count, failed=len(failed))

        def told() -> dict[bytes, bytes]:
            reasons = "\n".join(failed.values()).encode(errors="backslashreplace")
            return {**made().metadata(), b"failed": reasons}

        # The store of the machine that computes, which need not be the one that asks.
        blocks = feature_table.blocks(self.feature, sound(), self.channel, self.jobs, Store(), failed)
        feature_table.write_parquet(path, about.request["columns"], blocks, told)
        return made()

    def attempt(self, utterance: Utterance) -> None:
        """Compute the feature of one utterance, to see whether the process survives."""
        for _ in feature_table.blocks(self.feature, [utterance], self.channel, 1, Store(), {}):
            pass


def schema(about: About) -> Any:
    """Return the columns of a part, as pyarrow's `Schema`."""
    return feature_table.parquet_schema(about.request["columns"])


def read(parts: Parts, about: About, failed: list[str]) -> Iterator[tuple[str, np.ndarray | None, np.ndarray]]:
    """Yield file, times in s (None for a vector) and values (rows, columns) of all parts, in constant memory.

    Args:
        parts: a folder whose parts all exist.
        about: what they say of themselves, as `Parts.agreed` returns it.
        failed: receives the reasons of recordings that failed.

    Raises:
        UserError: a part is damaged.
    """
    over_time = about.request["columns"][1:2] == ["time"]
    for shard in parts.all():
        with parts.opened(shard) as part:
            failed += part.metadata.metadata.get(b"failed", b"").decode().splitlines()
            for batch in part.iter_batches(_ROWS):
                files, *columns = batch.columns
                values = np.column_stack([column.to_numpy() for column in columns])
                names = files.to_pylist()
                for name, rows in groupby(range(len(names)), key=names.__getitem__):
                    block = values[list(rows)]
                    yield (name, block[:, 0], block[:, 1:]) if over_time else (name, None, block)
