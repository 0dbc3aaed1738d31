"""The command line: one file per command; each parses, calls one function, prints.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 some inputs failed, 2 the request
was wrong, 130 interrupted. To add a command, write its file and add a line to `GROUPS`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import serkit
from serkit.errors import UserError
from serkit.terminal import note, show_own_warnings

#: Group in `serkit --help` -> name -> where the command is (a function, or a typer app of several), and its line there.
GROUPS = {
    "Recognize": {
        "predict": ("serkit.cli.predict:predict", "Recognize the emotion in recordings."),
        "stream": ("serkit.cli.stream:stream", "Recognize live sound from a microphone, a pipe or a file."),
        "gather": ("serkit.cli.gather:gather", "Join the parts of --shard and --engine into one file."),
        "models": ("serkit.cli.models:models", "List the recognizers: size, labels, scores, license."),
        "serve": ("serkit.cli.serve:serve", "Serve recognizers over HTTP, with a web page."),
    },
    "Train": {
        "train": ("serkit.cli.train:train", "Train and score a system."),
        "tune": ("serkit.cli.tune:tune", "Search the hyperparameters of a system."),
        "systems": ("serkit.cli.systems:systems", "List the systems, or show stages and size of one."),
        "export": ("serkit.cli.export:export", "Export a run as a bundle that needs no torch."),
        "reproduce": ("serkit.cli.reproduce:reproduce", "Reproduce a published table or figure."),
    },
    "Evaluate": {
        "evaluate": ("serkit.cli.evaluate:evaluate", "Score a finished recognizer on labeled recordings."),
        "compare": ("serkit.cli.compare:compare", "Compare runs, with a paired test."),
        "report": ("serkit.cli.reports:report", "Show where a run fails: scores slice by slice, worst errors."),
        "robustness": (
            "serkit.cli.robustness:robustness",
            "Score on degraded recordings: noise, telephone, rooms, ...",
        ),
        "cross": ("serkit.cli.cross:cross", "Train on each corpus and test on every other one."),
        "audit": ("serkit.cli.audit:audit", "Find leaks between training and test data."),
        "leaderboard": ("serkit.cli.leaderboard:app", "Build a page of results from the cards of runs."),
    },
    "Data": {
        "corpora": ("serkit.cli.corpora:app", "List, verify and describe corpora."),
        "features": ("serkit.cli.features:features", "Compute a feature of recordings as a table."),
    },
    "Help": {
        "doctor": ("serkit.cli.doctor:doctor", "Show what is installed and whether it works."),
    },
}

#: The same without groups.
COMMANDS = {name: command for commands in GROUPS.values() for name, command in commands.items()}


#: Modules of the lab extra, by their import names.
LAB = frozenset(
    {
        "jinja2",
        "lightning_fabric",
        "markupsafe",
        "matplotlib",
        "onnx",
        "onnx_ir",
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

#: Modules that the tune extra adds to those of the lab extra.
TUNE = frozenset({"optuna", "sqlalchemy"})

#: Modules of the app extra.
APP = frozenset(
    {"fastapi", "h11", "multipart", "prometheus_client", "python_multipart", "starlette", "uvicorn", "websockets"}
)

_EXTRAS = {"lab": LAB, "tune": TUNE, "app": APP}


class _Commands(TyperGroup):
    """Imports a command when it is run or completed; the help needs only its line in `COMMANDS`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name not in COMMANDS:
            return name, command, rest
        try:
            return name, import_command(name), rest
        except ModuleNotFoundError:
            # A shell that completes a line cannot show a hint.
            if ctx.resilient_parsing:
                return name, command, rest
            raise

    def get_params(self, ctx: Any) -> Any:
        found = super().get_params(ctx)
        for parameter in found:
            _show_plainly(parameter)
        return found

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            # The notes say what is kept; typer turns the exception into an exit code.
            for text in getattr(stop, "__notes__", []):
                note(f"serkit: {text}")
            raise


app = typer.Typer(
    cls=_Commands,
    help="Speech emotion recognition: train, compare, reproduce, ship and use recognizers.",
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
    """Placeholder for a command that has not been imported."""


for _group, _commands in GROUPS.items():
    for _name, (_, _help) in _commands.items():
        app.command(_name, help=_help, rich_help_panel=_group)(_not_imported)


def main() -> None:
    """Run the command line and exit. A user's mistake gives one line on stderr, never a traceback."""
    # Work is divided among --jobs and --threads. NumPy's own threads, one per processor in each job, gain nothing with
    # matrices as small as those of features, and wait in busy loops. This must be set before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    _set_streams()
    show_own_warnings()
    try:
        # Without standalone mode, typer returns the code of typer.Exit and raises a user's mistakes.
        code = app(arguments, prog_name="serkit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UserError as error:
        return _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader of the pipe has left, as in `serkit predict ... | head`. This is not an error.
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
        # For a wrong option, some versions of typer raise click's own class, others a copy of it.
        if not hasattr(error, "format_message"):
            raise
        # Empty if no command was given and the help has been printed.
        message = error.format_message().replace(": Value error, ", ": ")  # pydantic's words
        return _fail(message) if message else 2


def warn(text: str) -> None:
    """Print a warning as one line on stderr."""
    note(f"serkit: warning: {text}")


def report(text: str) -> None:
    """Print an error as one line on stderr."""
    note(f"serkit: error: {text}")


def import_command(name: str) -> Any:
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
        for parameter in each.get_params(typer.Context(each)):
            _show_plainly(parameter)
    return command


#: How types are called in the help.
_TYPES = {
    "str": "TEXT",
    "int": "NUMBER",
    "int range": "NUMBER",
    "float range": "NUMBER",
    "float": "NUMBER",
    "path": "PATH",
    "file": "PATH",
    "bool": "",
}


def _show_plainly(parameter: Any) -> None:
    """Show choices and plain words instead of Python's types in the help: `PATH`, not `<list[Path]>`."""
    described = getattr(parameter, "display_type_rich", None)
    if described is None or "display_type_rich" in vars(parameter):  # an older typer, or done
        return

    def plain(ctx: Any) -> str | None:
        kind = described(ctx=ctx)
        if kind is None:
            return None
        kind = re.sub(r"^list\[(.*)\]$", r"\1", kind.strip("<>. "))
        if "|" in kind:
            return str(kind)
        # The name of an argument stands beside it already.
        return "" if parameter.param_type_name == "argument" else _TYPES.get(kind.lower(), kind)

    parameter.display_type_rich = plain


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph, so that the terminal wraps them at its own width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)))


def _set_streams() -> None:
    """Make every file name printable: UTF-8 in files and pipes, escapes for what cannot be encoded."""
    # None if it is closed (`>&-`) or if Windows gives the program no console.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # open to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _fail(text: str) -> int:
    report(text)
    return 2
