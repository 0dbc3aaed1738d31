"""Output that several commands share: score tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serkit.terminal import screen, show

if TYPE_CHECKING:
    from rich.table import Table


def print_json(content: Any) -> None:
    """Print one JSON document on stdout."""
    show(json.dumps(content, indent=1, ensure_ascii=False))


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print the scores of a run or an evaluation, those of the baselines, and the flags."""

    from serkit.flags import read, verdict

    # Rich would read brackets in names of classes, corpora and folders as markup.
    console = screen()
    console.print(_numbers(scores) if "targets" in scores else _classes(scores))
    console.print(f"95 % intervals: {scores['ccc' if 'targets' in scores else 'uar']['method']}", highlight=False)
    console.print(
        f"configurations tried: {scores['configurations']}; chosen on: {scores['chosen_on']}", highlight=False
    )
    if calibration := scores.get("calibration"):
        before, after = calibration["ece"]["before"], calibration["ece"]["after"]
        console.print(
            f"calibration error: {before:.1%}; temperatures fitted on the {calibration['fitted_on']}: {after:.1%}",
            highlight=False,
        )
    if scores.get("recipe"):
        console.print(f"how the recipe was found: {scores['recipe']}", highlight=False)
    flags = read(scores["flags"])
    console.print(f"{verdict(flags)[1]}.", highlight=False)
    for flag in flags:
        console.print(f"{flag.severity}: {flag.text}", highlight=False)


def _classes(scores: Mapping[str, Any]) -> Table:
    """Build the table of a classifier: a row for every corpus, the baseline, and the majority class."""
    from rich.table import Table

    table = Table(title=f"{scores['system']}, {scores['protocol']}, {scores['folds']} folds")
    for column in ("", "n", "UAR %", "accuracy %", "macro F1 %"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {"all": scores, **scores.get("corpora", {})} if scores.get("corpora") else {"all": scores}
    for name, row in rows.items():
        table.add_row(name, str(row["n"]), *[_percent(row[metric]) for metric in ("uar", "accuracy", "macro_f1")])
    if baseline := scores.get("baseline"):
        table.add_row(
            baseline["system"],
            str(scores["n"]),
            *[_percent(baseline[metric]) for metric in ("uar", "accuracy", "macro_f1")],
        )
    majority = scores["majority"]
    table.add_row(
        f"always {majority['class']}",
        str(scores["n"]),
        f"{majority['uar']:.1%}"[:-1],
        f"{majority['accuracy']:.1%}"[:-1],
        "",
    )
    return table


def _numbers(scores: Mapping[str, Any]) -> Table:
    """Build the table of predicted numbers: for every target all corpora, the baseline, and the mean."""
    from rich import box
    from rich.table import Table

    title = f"{scores['system']}, {scores['protocol']}, {scores['folds']} folds"
    table = Table(title=title, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("target", overflow="fold")
    for column in ("n", "CCC", "Pearson", "RMSE", "MAE"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, own in scores["targets"].items():
        rows = {name: own}
        parts = scores.get("corpora", {}).items()
        rows |= {f"  {corpus}": part["targets"][name] for corpus, part in parts if name in part["targets"]}
        if baseline := scores.get("baseline"):
            rows[f"  {baseline['system']}"] = baseline["targets"][name]
        for label, row in rows.items():
            values = [_decimal(row[metric]) for metric in ("ccc", "pearson", "rmse", "mae")]
            table.add_row(label, str(row["n"]), *values)
        nothing = [f"{own['mean_predictor'][metric]:.3f}" for metric in ("ccc", "pearson", "rmse", "mae")]
        table.add_row("  training mean", str(own["n"]), *nothing, end_section=True)
    return table


def _decimal(value: Mapping[str, Any]) -> str:
    return f"{value['estimate']:.3f}\n{value['low']:.2g} to {value['high']:.2g}"


def _percent(value: Mapping[str, Any]) -> str:
    return f"{100 * value['estimate']:.1f} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
