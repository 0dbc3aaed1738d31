"""The site builds without a warning. Its pages of modules are left out, which `make docs` adds: they take a minute."""

import re
import subprocess
import sys
from pathlib import Path

from serkit.cli import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["index", "training", "notebooks/recognize", "reference/command-line", "reference/project/contributing"]


def test_the_site_builds(tmp_path):
    """Every page is in the navigation, every link leads somewhere. One test: two builds would disturb each other."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--tag", "prose"]
    done = subprocess.run(
        [*command, "--doctree-dir", tmp_path / "doctrees", DOCS, site], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    pages = {name: (site / f"{name}.html").read_text(encoding="utf-8") for name in PAGES}
    # Commands.
    commands = pages["reference/command-line"]
    assert [name for name in COMMANDS if f'id="serkit-{name}"' not in commands] == []
    assert "--on-error" in commands and "stop|skip" in commands
    # Links to files outside of docs/, and from them.
    assert 'href="reference/project/contributing.html"' in pages["training"]
    assert 'href="../../design.html"' in pages["reference/project/contributing"]
    # Nothing comes from another server.
    for text in pages.values():
        assert not re.search(r'<(script|link|img)[^>]*(src|href)="(https?:)?//', text)
