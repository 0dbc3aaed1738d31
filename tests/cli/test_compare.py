import json

import pytest
import typer
from typer.testing import CliRunner

from fabricated_run import write_run
from serkit.cli.compare import compare
from serkit.errors import UserError

app = typer.Typer()
app.command()(compare)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [str(write_run(folder / name, right=right)) for name, right in (("[b]", 0.5), ("other", 0.9))]


def run(*arguments, columns="200"):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": columns})


@pytest.mark.parametrize("columns", ["200", "80"])
def test_table(runs, columns):
    result = run(*runs, columns=columns)
    assert result.exit_code == 0
    assert "against first" in result.stdout and "42.9" in result.stdout and "permutation test" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= int(columns)


def test_names_with_brackets_are_kept(runs):
    assert "[b]" in run(*runs).stdout


def test_json_and_markdown(runs):
    rows = json.loads(run(*runs, "--format", "json").stdout)
    assert [row["n"] for row in rows] == [28, 28, 28] and rows[1]["difference"] > 0
    assert run(*runs, "--format", "markdown").stdout.startswith("| run | system |")


def test_mistakes(runs):
    for arguments, words in [
        ((runs[0],), "give at least two runs, got 1"),
        ((runs[0], "nowhere"), "nowhere: no such folder"),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, UserError) and words in str(error)
