"""`serkit export`: export a run as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serkit.terminal import show


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; its name becomes the bundle's name.")] = None,
    card: Annotated[Path | None, typer.Option(help="Write the run's protocol card to this JSON file.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="License of the weights. Default: the terms of the recordings.")
    ] = None,
    recordings: Annotated[
        int, typer.Option(min=1, help="Number of recordings on which ONNX is compared with torch.")
    ] = 50,
    weights: Annotated[bool, typer.Option(help="Include the weights, so that training can start from them.")] = True,
    everyday: Annotated[
        Path | None,
        typer.Option(help="Folder of speech without an emotion: few answers to it may be sure and not neutral."),
    ] = None,
) -> None:
    """Export a run's final model as a bundle that needs no torch, or the card that repeats the run.

    Example: serkit export runs/calls --out my-recognizer; serkit predict --model my-recognizer new.wav

    Example: serkit export runs/calls --card calls.json; serkit evaluate calls.json --corpus table=calls.csv
    """
    from serkit import finding
    from serkit.errors import UserError

    if out is None and card is None:
        raise UserError("nothing to write; give --out FOLDER for a bundle or --card FILE for the protocol card")
    if card is not None:
        from serkit.runs.card import Card

        Card.of(run).save(card)
        show(f"{card}: {card.stat().st_size / 1e3:.0f} kB")
    if out is None:
        return
    from serkit.runs.export import export as write

    found = [Path(path) for path in finding.find([str(everyday)]).files] if everyday else []
    bundle = write(run, out, licence, recordings, weights, found)
    size = sum(path.stat().st_size for path in out.iterdir())
    show(f"{out}: {size / 1e6:.2f} MB, {bundle.size.parameters} parameters, labels: {', '.join(bundle.labels)}")
    if bundle.parity:
        show(f"parity: {bundle.parity.max_difference:.1e} at most, over {bundle.parity.recordings} recordings")
    show(f"next: serkit predict --model {out} call.wav")
