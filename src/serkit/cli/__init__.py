"""The command line: one file per command; each parses, calls one function, prints.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 some inputs failed, 2 the request
was wrong, 130 interrupted. To add a command, write its file and add its line to `COMMANDS`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import warnings
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

import serkit
from serkit.errors import UserError
from serkit.terminal import note

#: Name -> where it is (a function, or a typer app of several), and what `serkit --help` says of it.
COMMANDS = {
    "predict": ("serkit.cli.predict:predict", "Recognise the emotion in recordings."),
    "stream": ("serkit.cli.stream:stream", "Recognise a sound while it arrives: microphone, pipe or file."),
    "models": ("serkit.cli.models:models", "List the recognisers: size, labels, scores, licence."),
    "serve": ("serkit.cli.serve:serve", "Serve recognisers over HTTP, with a page."),
    "train": ("serkit.cli.train:train", "Train and score a system."),
    "cross": ("serkit.cli.cross:cross", "Train on each corpus, test on each other."),
    "tune": ("serkit.cli.tune:tune", "Search the hyper-parameters of a system."),
    "evaluate": ("serkit.cli.evaluate:evaluate", "Score a finished recogniser on labelled recordings."),
    "report": ("serkit.cli.reports:report", "Show where a run fails: scores slice by slice, worst errors."),
    "robustness": ("serkit.cli.robustness:robustness", "Score on recordings made worse: noise, telephone, rooms, ..."),
    "compare": ("serkit.cli.compare:compare", "Compare runs, with a paired test."),
    "audit": ("serkit.cli.audit:audit", "Look for leaks between training and test."),
    "export": ("serkit.cli.export:export", "Turn a run into a bundle that needs no torch."),
    "systems": ("serkit.cli.systems:systems", "List the systems, or show one: stages, parameters, MACs."),
    "features": ("serkit.cli.features:features", "Write a feature of recordings as a table."),
    "leaderboard": ("serkit.cli.leaderboard:app", "Make a page of results from the cards of runs."),
    "reproduce": ("serkit.cli.reproduce:reproduce", "Run a published table again."),
    "corpora": ("serkit.cli.corpora:app", "List, verify and describe corpora."),
    "doctor": ("serkit.cli.doctor:doctor", "Show what is installed and whether it works."),
}


#: What the lab extra brings, as it is imported.
LAB = frozenset(
    {
        "jinja2",
        "lightning_fabric",
        "markupsafe",
        "matplotlib",
        "onnx",
        "onnxscript",
        "pandas",
        "pyarrow",
        "pyloudnorm",
        "python_stretch",
        "safetensors",
        "scipy",
        "sklearn",
        "torch",
    }
)

#: What the tune extra brings besides.
TUNE = frozenset({"optuna", "sqlalchemy"})

#: What the app extra brings.
APP = frozenset({"fastapi", "multipart", "prometheus_client", "python_multipart", "starlette", "uvicorn", "websockets"})

_EXTRAS = {"lab": LAB, "tune": TUNE, "app": APP}


class _Commands(TyperGroup):
    """Imports a command when it is run or completed; until then, and for the help, its line in `COMMANDS` will do."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name not in COMMANDS:
            return name, command, rest
        try:
            return name, _import_command(name), rest
        except ModuleNotFoundError:
            # A shell that completes a line cannot show an advice.
            if ctx.resilient_parsing:
                return name, command, rest
            raise


app = typer.Typer(
    cls=_Commands,
    help="Speech emotion recognition: train, compare, reproduce, ship and use recognisers.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _serkit(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        print(f"serkit {serkit.__version__}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        raise UserError("no command given; `serkit --help` lists them")


def _not_imported() -> None:
    """Stand for a command that has not been imported."""


for _name, (_, _help) in COMMANDS.items():
    app.command(_name, help=_help)(_not_imported)


def main() -> None:
    """Run the command line and exit. A user's mistake is one line on stderr, never a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    _set_streams()
    warnings.showwarning = _show_warning
    try:
        # Without standalone mode typer returns the code of typer.Exit, and leaves mistakes to us.
        code = app(arguments, prog_name="serkit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UserError as error:
        return _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Nobody reads any more, as in `serkit predict ... | head`: that is no mistake.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        extra = next((name for name, brought in _EXTRAS.items() if library in brought), None)
        if extra is None:
            raise
        return _fail(f"`serkit {' '.join(arguments[:1])}` needs {error.name}: pip install 'serkit[{extra}]'")
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
    except Exception as error:
        # What typer raises for a wrong option is click's own class in some versions and a copy in others.
        if not hasattr(error, "format_message"):
            raise
        # Empty where help was asked for by giving no command: it has been printed.
        return _fail(error.format_message()) if error.format_message() else 2


def warn(text: str) -> None:
    """Print a warning as one line on stderr."""
    note(f"serkit: warning: {text}")


def report(text: str) -> None:
    """Print an error as one line on stderr."""
    note(f"serkit: error: {text}")


def _import_command(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    target = getattr(importlib.import_module(module), attribute)
    command: Any
    if isinstance(target, typer.Typer):
        command = typer.main.get_group(target)
    else:
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name, context_settings={"help_option_names": ["-h", "--help"]})(target)
        command = typer.main.get_command(single)
    for each in (command, *getattr(command, "commands", {}).values()):
        each.help = _paragraphs(each.help or "")
    return command


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph, which the terminal breaks at its own width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)))


def _set_streams() -> None:
    """Let any file name be written: UTF-8 into files and pipes, escapes for what cannot be encoded."""
    # None where it is closed (`>&-`), or where Windows gives a program no console.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # open to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    warn(str(message))


def _fail(text: str) -> int:
    report(text)
    return 2
