import itertools
import os
import re
import subprocess
import sys
import types
import warnings

import pytest

import serkit
from serkit import cli
from serkit.cli import COMMANDS
from serkit.corpora import CorpusWarning
from serkit.errors import UserError


@pytest.fixture
def run(monkeypatch):
    """`cli.run`, with what it changes for the process put back afterwards."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return cli.run


@pytest.fixture
def command(monkeypatch):
    """Give the command line a further command, `extra`, that does what it is told."""

    def add(action):
        module = types.ModuleType("serkit_extra")
        module.extra = lambda: action()
        monkeypatch.setitem(sys.modules, "serkit_extra", module)
        monkeypatch.setitem(cli.COMMANDS, "models", ("serkit_extra:extra", "Further."))
        return ["models"]

    return add


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("what\nwhere"), 2, "serkit: error: what where\n"),
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "x.wav"), 2, "serkit: error: x.wav: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "serkit: error: No space left on device\n"),
    ],
)
def test_mistakes_are_one_line(run, command, capsys, error, code, text):
    assert run(command(raising(error))) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", text)


def test_our_own_mistakes_keep_their_traceback(run, command):
    with pytest.raises(ZeroDivisionError):
        run(command(lambda: 1 / 0))


def test_warnings_are_one_line(run, command, capsys):
    assert run(command(lambda: warnings.warn("odd\nthing", CorpusWarning, stacklevel=1))) == 0
    assert capsys.readouterr().err == "serkit: warning: odd thing\n"


def test_warnings_of_libraries_are_left_out(run, command, capsys):
    assert run(command(lambda: warnings.warn("internal detail", FutureWarning, stacklevel=1))) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_has_no_types_of_python(run, name, capsys):
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"<(list|str|int|float|path|bool)|Path>|\bNone\b", shown)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no command given; `serkit --help` lists them"),
        (["prdict"], "No such command 'prdict'"),
        (["predict"], "give either recordings or --list FILE"),
        (["predict", "x.wav", "--format", "xml"], "unknown format 'xml'"),
        (["predict", "x.wav", "--jobs", "0"], "--jobs"),
        (["predict", "x.wav", "--time"], "--time"),
    ],
)
def test_wrong_requests(run, capsys, arguments, text):
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("serkit: error: ")
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "formats"),
    [
        (["corpora", "list"], "'table', 'json'"),
        (["doctor"], "'table', 'json'"),
        (["models"], "'table', 'json'"),
        (["systems"], "'table', 'json'"),
        (["train", "linear-baseline", "--corpus", "a=b"], "'table', 'json'"),
        (["evaluate", "default", "--corpus", "a=b"], "'table', 'json'"),
        (["tune", "linear-baseline"], "'table', 'json'"),
        (["cross", "linear-baseline", "--corpus", "a=b"], "'table', 'json'"),
        (["audit"], "'table', 'json'"),
        (["robustness", "default"], "'table', 'json'"),
        (["compare", "a", "b"], "'table', 'json', 'markdown'"),
        (["reproduce"], "'table', 'markdown', 'json'"),
    ],
)
def test_a_format_that_a_command_does_not_have(run, capsys, command, formats):
    assert run([*command, "--format", "xml"]) == 2
    message = f"serkit: error: Invalid value for '--format': 'xml' is not one of {formats}.\n"
    assert capsys.readouterr() == ("", message)


def test_version_and_help(run, capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"serkit {serkit.__version__}\n"
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name, (_, line) in cli.COMMANDS.items():
        assert name in out
        assert line in out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(run, capsys, name):
    assert run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"serkit {name}" in out
    assert "…" not in out and "[]" not in out  # neither cut at 80 columns nor taken for markup


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("4", "4")])
def test_numpy_has_one_thread_unless_the_user_says_more(given, found):
    code = (
        "import sys\nfrom serkit import cli\nassert 'numpy' not in sys.modules\n"
        "import os\ncli.run = lambda arguments: print(os.environ['OPENBLAS_NUM_THREADS'])\ncli.main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {} if given is None else {"OPENBLAS_NUM_THREADS": given}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr, done.returncode) == (f"{found}\n", "", 0)


def test_help_imports_no_command():
    program = """
import sys
from serkit.cli import run
assert run(["--help"]) == 0
print([name for name in sys.modules if name.startswith("serkit.") or name in ("numpy", "onnxruntime")])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "['serkit.errors', 'serkit.terminal', 'serkit.cli']"


def test_help_of_a_command_imports_nothing_heavy():
    # typer imports pydantic itself.
    program = """
import sys
from serkit.cli import COMMANDS, run
for name in COMMANDS:
    assert run([name, "--help"]) == 0
heavy = ("numpy", "soundfile", "onnxruntime", "PIL", "torch", "fastapi", "optuna", "multiprocessing")
print([name for name in heavy if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such shell")
@pytest.mark.parametrize(
    ("arguments", "code"), [("models >&-", 0), ("models --nope 2>&-", 2), ("stream --source - --format csv <&-", 0)]
)
def test_closed_streams(toy, arguments, code):
    command = f"{sys.executable} -m serkit {arguments}"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_goes_away(toy, tmp_path, noise):
    for index in range(30):
        noise(tmp_path / f"{index}.wav", seconds=0.3)
    program = [sys.executable, "-c", "from serkit.cli import main; main()"]
    arguments = [*program, "predict", "--model", "toy", str(tmp_path), "--format", "jsonl"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


@pytest.mark.parametrize("name", sorted(set(cli.COMMANDS) - {"corpora"}))
def test_every_help_has_an_example(run, capsys, name):
    if name == "serve":
        pytest.importorskip("fastapi", reason="needs the app extra")
    run([name, "--help"])
    assert re.search(rf"Examples?: serkit {name}\b", " ".join(capsys.readouterr().out.split()))


@pytest.mark.parametrize("name", ["list", "verify", "stats"])
def test_every_help_on_corpora_has_an_example(run, capsys, name):
    run(["corpora", name, "--help"])
    assert f"Example: serkit corpora {name}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", [[name] for name in cli.COMMANDS] + [["corpora", "verify"]], ids=" ".join)
def test_help_breaks_lines_at_the_width_of_the_terminal(run, command, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run([*command, "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.split("\u256d")[0].splitlines()]
    for line, following in itertools.pairwise(lines):
        if line and following and "Usage:" not in line:
            # The next word did not fit: a line leaves a blank at either end.
            assert len(line) + 1 + len(following.split()[0]) > width - 2
