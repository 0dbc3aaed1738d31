"""A run that is refused before anything of it is trained leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serkit import locks
from serkit.errors import UserError

#: What `serkit.runs.runner` writes before the first training.
_FIRST = ("run.json", "splits.json")


@contextmanager
def withdrawing(folder: Path, stages: Path) -> Iterator[None]:
    """Remove what the block has made of a run if it fails by a user's mistake before anything is trained.

    Some mistakes show only in the first step of a training, such as a network that cannot compute a batch. A run that
    was there before stays, and so does one in which another process trains.

    Args:
        folder: folder of the run.
        stages: folder of its stages, which other runs may share.
    """
    begun = (folder / _FIRST[0]).exists()
    made = [place for place in _above(folder) if not place.exists()]
    stages_made = [place for place in _above(stages) if not place.exists()]
    before = {*_inside(folder), *_inside(stages)}
    try:
        yield
    except (UserError, OSError):
        if not begun and _is_untrained(folder, stages, before):
            for name in _FIRST:
                (folder / name).unlink(missing_ok=True)
            for place in [*(_inside(stages) - before), *stages_made, *made]:
                with suppress(OSError):  # not empty: another process has written there
                    place.rmdir()
        raise


def _above(place: Path) -> list[Path]:
    """Return a folder and those above it, from the innermost."""
    return [place, *place.parents]


def _inside(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()


def _is_untrained(folder: Path, stages: Path, before: set[Path]) -> bool:
    """Return whether a run has no result yet, and nobody works on its stages."""
    if stages.is_dir() and not locks.swept(stages):
        return False
    results = {place for place in _inside(folder) - before if place.name not in _FIRST and place != stages}
    return not results and all(place.is_dir() and not _inside(place) for place in _inside(stages) - before)
