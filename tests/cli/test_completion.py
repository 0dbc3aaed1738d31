"""Shell completion: commands are imported only when asked for, and still complete their options."""

import pytest

from serkit import cli


@pytest.fixture
def complete(monkeypatch, capsys):
    """What bash would be offered for the last word of a line."""

    def ask(line):
        words = line.split(" ")
        monkeypatch.setenv("_SERKIT_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit) as end:
            cli.run([])
        assert end.value.code == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("serkit pre", ["predict"]),
        ("serkit predict --form", ["--format"]),
        ("serkit predict --format j", ["json", "jsonl"]),
        ("serkit corpora v", ["verify"]),
        ("serkit corpora verify --j", ["--jobs"]),
        ("serkit train --cor", ["--corpus"]),
        ("serkit predict --model to", ["toy"]),
        ("serkit --vers", ["--version"]),
    ],
)
def test_commands_options_and_values(toy, complete, line, offered):
    assert complete(line) == offered


def test_options_of_every_command(complete):
    for name in cli.COMMANDS:
        assert complete(f"serkit {name} --hel") == ["--help"], name


def test_a_command_that_cannot_be_imported_is_quiet(complete, monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "predict", ("fastapi_that_is_not_there:serve", "Serve."))
    assert complete("serkit predict --form") == []


def test_the_script_for_the_shell(capsys, monkeypatch):
    # Not whatever shell, if any, these tests were started from.
    monkeypatch.setattr("shellingham.detect_shell", lambda *arguments, **options: ("bash", "/bin/bash"))
    with pytest.raises(SystemExit) as end:
        cli.run(["--show-completion", "bash"])
    assert end.value.code == 0
    assert "complete -o default -F _serkit_completion serkit" in capsys.readouterr().out
