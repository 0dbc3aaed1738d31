"""The tutorials and the quick start run as they are written: every command and piece of Python, in their order."""

import re
import shlex
from pathlib import Path

import pytest

from serkit.cli import run

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["quick-start.md", *sorted(f"tutorials/{page.name}" for page in (DOCS / "tutorials").glob("*.md"))]
#: What each leaves behind.
WRITTEN = {
    "quick-start.md": ["answers.csv", "clip.png"],
    "tutorials/own-data.md": ["runs/calls/report.html", "my-recognizer/bundle.json", "answers.csv"],
    "tutorials/call.md": ["call.png", "call.srt", "call.csv", "call.TextGrid"],
    "tutorials/live.md": [],
    "tutorials/paper.md": ["runs/zhong2020"],
}


def steps(page):
    """Commands and Python of a page, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        if language == "python":
            yield block
        else:
            yield from (
                shlex.split(line[2:], comments=True) for line in block.splitlines() if line.startswith("$ serkit ")
            )


def test_no_tutorial_is_forgotten():
    assert set(PAGES) == set(WRITTEN)


@pytest.mark.parametrize("page", PAGES)
def test_tutorial(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "tutorial"}
    for step in steps(page):
        if isinstance(step, str):
            exec(compile(step, page, "exec"), names)
        else:
            # `train` and `reproduce` would start processes, which costs more than the work here.
            alone = ["--jobs", "1"] if step[1] in ("train", "reproduce") and "--corpus" in step else []
            assert run([*step[1:], *alone]) == 0, f"{shlex.join(step)}\n{capsys.readouterr().err}"
            assert "--out" in step or capsys.readouterr().out, shlex.join(step)
    for file in WRITTEN[page]:
        assert (tmp_path / file).exists(), file
