"""`serkit export`: export a run as a bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.errors import UserError
from serkit.graph import Precision
from serkit.terminal import show

if TYPE_CHECKING:
    from serkit.recognition.bundle import Bundle


def export(
    source: Annotated[
        str, typer.Argument(metavar="run", help="Folder of a finished run; with --waveform or --hub also a bundle.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; its name becomes the bundle's name.")] = None,
    card: Annotated[Path | None, typer.Option(help="Write the run's protocol card to this JSON file.")] = None,
    waveform: Annotated[
        Path | None, typer.Option(help="Write one ONNX file from samples to answers, for programs without Python.")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of the weights in --waveform; less makes the file smaller, not faster.")
    ] = Precision.FLOAT32,
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

    Example: serkit export default --waveform emotions.onnx
    """
    if out is None and card is None and waveform is None:
        raise UserError(
            "nothing to write; give --out FOLDER for a bundle, --card FILE for the protocol card, or --waveform FILE "
            "for one ONNX file from samples to answers"
        )
    if waveform is not None and out is None:
        _write_waveform(source, waveform, recordings, precision)
    if card is not None:
        from serkit.runs.card import Card

        Card.of(Path(source)).save(card)
        show(f"{card}: {card.stat().st_size / 1e3:.0f} kB")
    if out is None:
        return
    bundle = _write(source, out, licence, recordings, weights, encoder, hub, everyday)
    size = sum(path.stat().st_size for path in out.iterdir())
    kind = "numbers" if bundle.numbers else "labels"
    show(f"{out}: {size / 1e6:.2f} MB, {bundle.size.parameters} parameters, {kind}: {', '.join(bundle.outputs)}")
    if bundle.parity:
        show(f"parity: {bundle.parity.max_difference:.1e} at most, over {bundle.parity.recordings} recordings")
    if waveform is not None:
        _show_waveform(bundle, waveform, precision)
    show(f"next: serkit predict --model {out} call.wav")


def _write(
    source: str,
    out: Path,
    licence: str | None,
    recordings: int,
    weights: bool,
    encoder: bool,
    hub: bool,
    everyday: Path | None,
) -> Bundle:
    """Write a bundle; with `hub`, with the page of the Hub."""
    from serkit import finding
    from serkit.recognition.bundle import Bundle, find

    run = Path(source)
    found = finding.find([str(everyday)]).files if everyday else ()
    if not hub:
        from serkit.lab import Run

        return Run(run).export(out, licence, recordings, weights, encoder, found)
    from serkit.runs.hub_card import write

    if (run / "run.json").is_file():
        from serkit.lab import Run

        with tempfile.TemporaryDirectory() as place:
            write(Run(run).export(Path(place) / out.name, licence, recordings, weights, encoder, found), out)
    else:
        write(Bundle.load(find(source)), out)
    return Bundle.load(out)


def _write_waveform(source: str, path: Path, recordings: int, precision: Precision) -> None:
    """Write the waveform graph of a bundle, or of a run."""
    from serkit.recognition.bundle import DESCRIPTION, Bundle, find

    run = Path(source)
    if not (run / "run.json").exists() or (run / DESCRIPTION).exists():
        _show_waveform(Bundle.load(find(source)), path, precision)
        return
    from serkit.runs.export import export as write

    with tempfile.TemporaryDirectory() as folder:
        bundle = write(run, Path(folder) / run.resolve().name, None, recordings, weights=False)
        _show_waveform(bundle, path, precision)


def _show_waveform(bundle: Bundle, path: Path, precision: Precision) -> None:
    from serkit.graph.waveform import write

    written = write(bundle, path, precision)
    size, difference = f"{written.size / 1e6:.2f} MB", f"{written.difference:.1e}"
    show(f"{path}: {size}, from samples to {bundle.output}; differs from Python by {difference} at most")
