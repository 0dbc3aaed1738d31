"""`serkit systems`: list the systems or show one."""

from __future__ import annotations

from typing import Annotated

import typer

from serkit.cli import options
from serkit.terminal import screen
from serkit.writing import multiply_adds


def systems(
    system: Annotated[str | None, typer.Argument(help="Name of a system, or a TOML file.")] = None,
    set_: options.Sets = None,
    classes: Annotated[int, typer.Option(min=2, help="Number of classes for the parameter count.")] = 7,
    format: options.Output = options.Format.table,
) -> None:
    """List the systems, or show one in full: stages, parameters, multiply-adds.

    Example: serkit systems linear-baseline
    """
    from rich.table import Table

    from serkit import systems as available
    from serkit.cli.tables import print_json

    if system is None:
        rows = [available.load(name) for name in available.available()]
        if format is options.Format.json:
            print_json(
                [{"name": row.system.name, "title": row.system.title, "paper": row.system.paper} for row in rows]
            )
            return
        table = Table("system", "stages", "paper", "title")
        table.columns[0].no_wrap = True  # users type the name: do not cut it
        for row in rows:
            names = " > ".join(stage.name for stage in row.stages)
            table.add_row(row.system.name, names, row.system.paper or "", row.system.title)
        screen().print(table)
        return
    loaded = available.load(system, set_ or ())
    from serkit.protocols import STANDARD
    from serkit.runs.sizes import sizes

    counted = sizes(loaded, classes)
    if format is options.Format.json:
        print_json({**loaded.model_dump(mode="json"), "sizes": counted})
        return
    table = Table(
        "stage",
        "network",
        "method",
        "parameters",
        "MACs",
        title=f"{loaded.system.name}: {loaded.system.title}",
    )
    for stage in loaded.stages:
        network = stage.network.name if stage.network else f"of {stage.start_from}"
        size = counted[stage.name]
        table.add_row(stage.name, network, stage.method.name, f"{size['parameters']:,}", multiply_adds(size["macs"]))
    # Rich would read brackets in the title of a user's system as markup.
    console = screen()
    console.print(table)
    console.print(f"protocols: {', '.join(dict.fromkeys([*STANDARD, *loaded.protocols]))}", highlight=False)
    console.print(
        f"{classes} classes; MACs of one item (time axes: 300 frames), multiply-adds of convolutions and products",
        highlight=False,
    )
