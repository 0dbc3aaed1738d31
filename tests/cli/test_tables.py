"""What several commands print."""

from fabricated_run import write_run
from serkit.cli.tables import print_scores
from serkit.runs.folder import RunFolder


def test_names_with_brackets_are_kept(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    flags = ["labels 'x' does not know are left out: [/noise] (3)"]
    run = RunFolder.load(write_run(tmp_path / "run", classes=("[/red]", "b"), flags=flags))
    print_scores(run.scores.model_copy(update={"system": "bundles/[/x]", "recipe": "[/y]"}))
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("bundles/[/x]", "always [/red]", "[/noise] (3)", "found: [/y]"))
