"""`serkit doctor`."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import typer

from serkit.app import PAGE
from serkit.cli.options import Format, Output
from serkit.errors import UserError
from serkit.terminal import show


def doctor(format: Output = Format.table) -> None:
    """Show what is installed and whether it works. Exit code 1: a recognizer is broken.

    Example: serkit doctor
    """
    found = examine()
    if format is Format.json:
        show(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        for line in _lines(found):
            show(line)
    if any(bundle.error for bundle in found.bundles):
        raise typer.Exit(1)


@dataclass(frozen=True)
class StoreState:
    """The store's folder (None: there is no home folder), and the number and size of its files."""

    folder: str | None
    files: int
    bytes: int


@dataclass(frozen=True)
class BundleState:
    """A recognizer's name and folder, and why it does not work (None: it works)."""

    name: str
    folder: str
    error: str | None


@dataclass(frozen=True)
class Examination:
    """What is installed here; a version is None if the library is missing."""

    serkit: str
    python: str
    system: str
    cores: int
    libraries: dict[str, str | None]
    extras: dict[str, dict[str, str | None]]
    store: StoreState
    bundles: list[BundleState]
    ffmpeg: str | None
    precision: dict[str, str] | None
    page: bool


def examine() -> Examination:
    """Inspect versions, extras, the store, recognizers and processors, without importing the lab libraries here."""
    core, extras = _requirements()
    return Examination(
        serkit=metadata.version("serkit"),
        python=platform.python_version(),
        system=platform.platform(),
        cores=cores(),
        libraries={name: _version(name) for name in core},
        extras={extra: {name: _version(name) for name in names} for extra, names in extras.items()},
        store=_store(),
        bundles=_bundles(),
        ffmpeg=shutil.which("ffmpeg"),
        precision=_precision(),
        page=(PAGE / "index.html").is_file(),
    )


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Return the names of the libraries that serkit requires and that each extra adds."""
    core: list[str] = []
    extras: dict[str, list[str]] = {}
    for requirement in metadata.requires("serkit") or []:
        # Form in the metadata: `torch>=2.6; extra == "lab"`.
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if name:
            (extras.setdefault(extra[1], []) if extra else core).append(name[0])
    return core, extras


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cores() -> int:
    """Return the number of processors available to this process, if the system reports it."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _precision() -> dict[str, str] | None:
    """Return the precision that `precision = "auto"` selects here, and the reason; None without torch.

    A separate process finds out: torch takes seconds to import and may be broken.
    """
    if _version("torch") is None:
        return None
    program = "import json; from serkit.training.precision import automatic; print(json.dumps(vars(automatic())))"
    try:
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        table: dict[str, str] | None = json.loads(answer.stdout)
        return table
    except (subprocess.SubprocessError, OSError, ValueError):
        return {"precision": "unknown", "reason": "torch does not work: python -c 'import torch' shows why"}


def _store() -> StoreState:
    from serkit.data.store import StoreError, default_folder

    try:
        folder = default_folder()
    except StoreError:
        return StoreState(None, 0, 0)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return StoreState(str(folder), len(sizes), sum(sizes))


def _bundles() -> list[BundleState]:
    """Load every recognizer as `predict` does."""
    from serkit.recognition import Bundle, Recognizer, available

    def problem(folder: Path) -> str | None:
        try:
            Recognizer(Bundle.load(folder))
        except UserError as error:
            return str(error)
        return None

    return [BundleState(folder.name, str(folder), problem(folder)) for folder in available()]


def _lines(found: Examination) -> list[str]:
    lines = [
        f"serkit     {found.serkit}",
        f"python     {found.python} on {found.system}",
        f"cores      {found.cores}",
        f"libraries  {_listed(found.libraries)}",
    ]
    for extra, libraries in found.extras.items():
        missing = [name for name, version in libraries.items() if version is None]
        state = f"lacks {', '.join(missing)}: pip install 'serkit[{extra}]'" if missing else "complete"
        lines.append(f"extra      {extra}: {state}")
    if precision := found.precision:
        lines.append(f"precision  auto is {precision['precision']}: {precision['reason']}")
    store = found.store
    size = f"{store.folder}: {store.files} files, {store.bytes / 1e6:.1f} MB"
    no_home = "none, because there is no home folder; set SERKIT_CACHE to a folder"
    lines.append(f"store      {size if store.folder else no_home}")
    for bundle in found.bundles:
        lines.append(f"bundle     {bundle.name}: {bundle.error or 'works'} ({bundle.folder})")
    if not found.bundles:
        lines.append("bundle     none found")
    lines.append(f"ffmpeg     {found.ffmpeg or 'not found; required for M4A, MP4, WebM, WMA, AMR and videos'}")
    lines.append(f"page       of `serkit serve`: {'built' if found.page else 'not built: make page'}")
    return lines


def _listed(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'MISSING'}" for name, version in versions.items())
