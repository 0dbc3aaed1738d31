import io
import json
import subprocess
import sys

import pytest

from serkit.terminal import Shown, note, screen, show, visible

ODD = "a\x1b[2Jb\x07c\x9b31md\x7fe\u202ef\u2066g\u061ch\u2028i\ufeffj\rk\x00l"
PLAIN = r"a\x1b[2Jb\x07c\u009b31md\u007fe\u202ef\u2066g\u061ch\u2028i\ufeffj\x0dk\x00l"


def test_what_steers_a_terminal_is_shown():
    assert visible(ODD) == PLAIN
    assert visible(PLAIN) == PLAIN
    for good in ("tab\tand\nline", "Ärger 怒り שמחה 👩‍👧 e\u0301", "", "\\x1b"):
        assert visible(good) == good


def test_json_stays_json():
    content = {"label": ODD, ODD: [1]}
    assert json.loads(visible(json.dumps(content, ensure_ascii=False))) == content


def test_lines_for_people(capsys):
    show(ODD)
    show("x\n", end="")
    note(f"serkit: error: {ODD}\n  forged\u2028line")
    out, err = capsys.readouterr()
    assert out == f"{PLAIN}\nx\n"
    assert err == f"serkit: error: {PLAIN} forged line\n".replace(r"\u2028i", " i").replace(r"j\x0dk", "j k")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("wrap", [lambda stream: stream, Shown])
def test_tables_keep_their_own_colors_only(wrap, monkeypatch):
    from rich.table import Table
    from rich.text import Text

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    table = Table(ODD, title=ODD)
    table.add_row(Text(ODD, style="red"))
    table.add_row("[bold]no markup[/bold]")
    console = screen(wrap(stream))
    console.width = 300
    console.print(table)
    text = stream.getvalue()
    assert text.count(r"\x1b[2J") == 3 and r"\u202e" in text and "[bold]no markup[/bold]" in text
    assert "\x1b[31m" in text
    for steering in ("\x1b[2J", "\x9b", "\u202e", "\x07", "\r"):
        assert steering not in text


def test_a_stream_to_a_terminal():
    stream = Terminal()
    shown = Shown(stream)
    shown.write(f"{ODD}\n")
    assert stream.getvalue() == f"{PLAIN}\n"
    assert shown.isatty()


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("import warnings; warnings.warn('of a library')", ""),
        (
            "import warnings; from serkit.corpora import CorpusWarning; warnings.warn('of serkit', CorpusWarning)",
            "serkit: warning: of serkit\n",
        ),
        ("import logging; logging.getLogger('some.package').critical('without a handler')", ""),
    ],
)
def test_warnings_of_libraries_are_not_shown(told, shown):
    code = f"from serkit.terminal import show_own_warnings; show_own_warnings()\n{told}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("", shown)
