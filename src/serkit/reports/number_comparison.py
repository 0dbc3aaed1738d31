"""Several runs of predicted numbers in one table, each against the first, target by target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serkit.errors import UserError
from serkit.evaluation.agreement import AGREEMENT
from serkit.evaluation.number_comparison import compare
from serkit.runs.folder import RunFolder

#: Head of the table; `cells` fits it.
COLUMNS = (
    "target",
    "run",
    "n",
    "CCC",
    "95% interval",
    "Pearson",
    "RMSE",
    "MAE",
    "CCC against first",
    "95% interval",
    "p",
)
NOTE = (
    "CCC: concordance correlation coefficient; RMSE and MAE in the units of the labels. p: two-sided permutation test "
    "of the difference in CCC, each pair by itself; who looks at many pairs should ask for a smaller p."
)


def table(runs: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """Score runs over the same utterances side by side.

    Args:
        runs: finished runs that score numbers, two or more; the others are compared with the first.

    Returns:
        For each target a row for each run, one for the linear baseline on the first run's folds if that was trained,
        and one for the mean of the first run's training parts: `target`, `run`, `n` predictions, `ccc` with its `low`
        and `high` end and `interval` method, `pearson`, `rmse`, `mae`, and of the CCC less that of the first run
        `difference`, `difference_low`, `difference_high`, `p` and `permutation`. None: there is no such value.

    Raises:
        UserError: fewer than two runs; runs over other utterances or targets.
    """
    first, *others = runs
    if not others:
        raise UserError("1 run given; give two or more, the first is what others are compared with")
    against = {run.path: _compare(run, first) for run in others}
    rows: list[dict[str, Any]] = []
    for target, own in first.scores["targets"].items():
        rows += [_row(target, str(first.path), own)]
        rows += [{**_row(target, str(o.path), o.scores["targets"][target]), **against[o.path][target]} for o in others]
        if baseline := first.scores.get("baseline"):
            rows.append(_row(target, f"linear baseline of {first.path.name}", baseline["targets"][target]))
        nothing = {metric: {"estimate": value} for metric, value in own["mean_predictor"].items()}
        rows.append(_row(target, "always the training mean", {"n": own["n"], **nothing}))
    return rows


def _row(target: str, run: str, scores: Mapping[str, Any]) -> dict[str, Any]:
    ccc = scores["ccc"]
    return {
        "target": target,
        "run": run,
        "n": scores["n"],
        **{metric: scores[metric]["estimate"] for metric in AGREEMENT},
        "low": ccc.get("low"),
        "high": ccc.get("high"),
        "interval": ccc.get("method"),
        **dict.fromkeys(("difference", "difference_low", "difference_high", "p", "permutation")),
    }


def _compare(run: RunFolder, first: RunFolder) -> dict[str, dict[str, Any]]:
    try:
        found = compare(run.predictions, first.predictions)
    except UserError as error:
        raise UserError(f"{run.path} (first) and {first.path} (second): {error}") from None
    return {
        one.target: {
            "difference": one.difference,
            "difference_low": one.low,
            "difference_high": one.high,
            "p": one.p,
            "permutation": one.permutation,
        }
        for one in found
    }


def cells(row: Mapping[str, Any]) -> list[str]:
    """Write a row of `table` for people; what there is not is empty."""
    return [
        row["target"],
        row["run"],
        str(row["n"]),
        f"{row['ccc']:.3f}",
        _interval(row["low"], row["high"], ""),
        *(f"{row[metric]:.3f}" for metric in ("pearson", "rmse", "mae")),
        "" if row["difference"] is None else f"{row['difference']:+.3f}",
        _interval(row["difference_low"], row["difference_high"], "+"),
        "" if row["p"] is None else "<0.001" if row["p"] < 0.001 else f"{row['p']:.3f}",
    ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the rows of `table` as a Markdown table, with its notes below."""
    words = {"target", "run"}
    lines = [COLUMNS, [":--" if name in words else "--:" for name in COLUMNS], *map(cells, rows)]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*text, "", *notes(rows)]) + "\n"


def notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say how the intervals and p values were found."""
    yield NOTE
    yield f"Intervals: {rows[0]['interval']}. Permutation test: {rows[1]['permutation']}."


def _interval(low: float | None, high: float | None, sign: str) -> str:
    return "" if low is None else f"{low:{sign}.3f} to {high:{sign}.3f}"
