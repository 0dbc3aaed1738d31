"""`serkit export`: export a run as a bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.errors import UserError
from serkit.terminal import show

if TYPE_CHECKING:
    from serkit.recognition import Bundle


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run; with --hub, also a recognizer.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; its name becomes the bundle's name.")] = None,
    card: Annotated[Path | None, typer.Option(help="Write the run's protocol card to this JSON file.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="License of the weights. Default: the terms of the recordings.")
    ] = None,
    recordings: Annotated[
        int, typer.Option(min=1, help="Number of recordings on which ONNX is compared with torch.")
    ] = 50,
    weights: Annotated[bool, typer.Option(help="Include the weights, so that training can start from them.")] = True,
    encoder: Annotated[
        bool, typer.Option(help="Include the ONNX file of the feature onnx; otherwise the bundle names its hash.")
    ] = True,
    hub: Annotated[
        bool,
        typer.Option(
            "--hub", help="Add the page of the Hugging Face Hub to the bundle (README.md); upload with `hf upload`."
        ),
    ] = False,
) -> None:
    """Export a run's final model as a bundle that needs no torch, or the card that repeats the run.

    Example: serkit export runs/calls --out my-recognizer; serkit predict --model my-recognizer new.wav

    Example: serkit export runs/calls --card calls.json; serkit evaluate calls.json --corpus table=calls.csv
    """
    if out is None and card is None:
        raise UserError("nothing to write; give --out FOLDER for a bundle or --card FILE for the protocol card")
    if card is not None:
        from serkit.runs.card import Card

        Card.of(run).save(card)
        show(f"{card}: {card.stat().st_size / 1e3:.0f} kB")
    if out is None:
        return
    bundle = _write(run, out, licence, recordings, weights, encoder, hub)
    size = sum(path.stat().st_size for path in out.iterdir())
    show(f"{out}: {size / 1e6:.2f} MB, {bundle.size.parameters} parameters, labels: {', '.join(bundle.labels)}")
    if bundle.parity:
        show(f"parity: {bundle.parity.max_difference:.1e} at most, over {bundle.parity.recordings} recordings")
    show(f"next: serkit predict --model {out} call.wav")


def _write(
    run: Path, out: Path, licence: str | None, recordings: int, weights: bool, encoder: bool, hub: bool
) -> Bundle:
    """Write a bundle; with `hub`, with the page of the Hub."""
    from serkit.recognition import Bundle, find

    if not hub:
        from serkit.runs.export import export

        return export(run, out, licence, recordings, weights, encoder)
    from serkit.runs.hub_card import write

    if (run / "run.json").is_file():
        from serkit.runs.export import export

        with tempfile.TemporaryDirectory() as place:
            write(export(run, Path(place) / out.name, licence, recordings, weights, encoder), out)
    else:
        write(Bundle.load(find(str(run))), out)
    return Bundle.load(out)
