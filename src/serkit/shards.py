"""Shards: the same work on every machine, of which each does a part."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from serkit.errors import UserError

Thing = TypeVar("Thing")

#: Word of --shard that stands for the task of a job array of SLURM.
SLURM = "slurm"


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of some work; `index` counts from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def share(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Return every `count`-th thing, so that neighbors, which often take equally long, are spread.

        >>> Shard(2, 3).share("abcdefg")
        'be'
        """
        return things[self.index - 1 :: self.count]

    def block(self, total: int) -> range:
        """Return the positions of a contiguous share of `total` things: joined, the shares are in order.

        >>> [list(Shard(index, 3).block(7)) for index in (1, 2, 3)]
        [[0, 1], [2, 3], [4, 5, 6]]
        """
        return range((self.index - 1) * total // self.count, self.index * total // self.count)


def parse(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Return the shard that --shard names: `I/N`, counted from 1, or `slurm`.

    Args:
        text: value of the option.
        environment: variables that SLURM sets in each task of a job array.

    Raises:
        UserError: the text names no shard, or there is no job array, or it has gaps.
    """
    if text == SLURM:
        return _of_slurm(environment)
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--shard must be I/N with I from 1 to N, such as 3/10, or '{SLURM}', got '{text}'")
    return Shard(int(found[1]), int(found[2]))


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    """Return the shard of a task of a job array, whose indices may begin anywhere: `--array=0-9`, `--array=1-10`."""
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")
    try:
        task, first, last, count = (int(environment[name]) for name in names)
    except (KeyError, ValueError):
        raise UserError(f"--shard {SLURM} requires a job array (sbatch --array=1-10); give --shard I/N") from None
    step = int(environment.get("SLURM_ARRAY_TASK_STEP") or 1)
    if first + (count - 1) * step != last:
        # An array of the shards that are missing has another count: its tasks would be other shards.
        raise UserError(
            f"--shard {SLURM} requires an array without gaps, but this one has {count} tasks from {first} to {last}; "
            'give --shard "$SLURM_ARRAY_TASK_ID/N"'
        )
    return Shard((task - first) // step + 1, count)
