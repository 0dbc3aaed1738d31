"""The Python snippets of the README run, and print what it shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_there_are_snippets():
    assert len(SNIPPETS) >= 2


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet(snippet, synthetic, tmp_path, monkeypatch):
    """Every snippet runs in a folder that has the files it names: a recording, and a table with recordings."""
    monkeypatch.chdir(tmp_path)
    recordings = [utterance.path for utterance in synthetic.utterances]
    for name in re.findall(r"[\w/-]+\.(?:flac|wav)", snippet):
        (tmp_path / name).write_bytes(recordings[0].read_bytes())
    rows = [f"{u.path},{u.targets['emotion']},{u.speaker.partition('/')[2]}" for u in synthetic.utterances]
    (tmp_path / "calls.csv").write_text("\n".join(["path,emotion,speaker", *rows]), encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet, "README.md", "exec"), {"__name__": "snippet"})
    assert printed.getvalue().strip()


@pytest.mark.corpora
def test_the_first_snippet_prints_what_the_readme_shows(recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recording = recordings / "emodb" / "wav" / "03a05Wa.flac"
    (tmp_path / "03a05Wa.flac").write_bytes(recording.read_bytes())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(SNIPPETS[0], "README.md", "exec"), {})
    shown = README.partition(SNIPPETS[0])[2].split("```")[2].strip()
    assert printed.getvalue().strip() == shown
