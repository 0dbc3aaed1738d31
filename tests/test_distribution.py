"""The files that are published: the sdist is enough to build everything, and the wheel built from it is whole."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MADE = shutil.ignore_patterns(
    *(".*_cache", ".git", ".venv*", "node_modules", "__pycache__", "*.egg-info"),
    *("build", "site", "reference", "screenshots"),
)


def left_behind(folder, names):
    """What is not copied: all that was made, and the folder of runs, which lies in the root."""
    return MADE(folder, names) | ({"runs"} if Path(folder) == ROOT else set())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Names in the sdist of this tree, and in the wheel that is built from that sdist; neither needs git."""
    pytest.importorskip("build")
    tree, out = tmp_path_factory.mktemp("source") / "serkit", tmp_path_factory.mktemp("published")
    shutil.copytree(ROOT, tree, ignore=left_behind)
    made = ["tests/__pycache__/x.pyc", "page/node_modules/x/index.js", "page/e2e/screenshots/x.png", "page/build/x.mjs"]
    for name in [".DS_Store", *made, "src/serkit/app/page/dist/index.html"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with tarfile.open(next(out.glob("*.tar.gz"))) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        wheel = set(archive.namelist())
    return source, wheel


def below(folder, *suffixes):
    """Files of this tree in a folder, as the archives name them."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    passed = {"node_modules", "__pycache__", "build", "screenshots", "dist", "reference"}
    paths = {path.relative_to(ROOT) for path in found if not suffixes or path.suffix in suffixes}
    return {path.as_posix() for path in paths if not passed & set(path.parts) and path.name != ".DS_Store"}


@pytest.mark.parametrize("folder", ["page", "src/serkit", "tests", "benchmarks", "examples", "docs", "requirements"])
def test_the_sdist_holds(published, folder):
    expected = {name for name in below(folder) if not name.endswith((".pyc", ".db"))}
    assert expected and expected <= published[0]


def test_the_sdist_holds_what_building_and_reading_need(published):
    names = ["LICENSE", "THIRD_PARTY.md", "SECURITY.md", "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"]
    assert {*names, "pyproject.toml", "Makefile", "Dockerfile", ".dockerignore"} <= published[0]


def test_the_sdist_holds_nothing_that_was_made(published):
    made = ("node_modules", "__pycache__", "screenshots", "page/build/", ".DS_Store", ".venv", ".git/")
    assert [name for name in published[0] if any(part in name for part in made)] == []


def test_the_wheel_from_the_sdist_is_whole(published):
    data = (".py", ".typed", ".toml", ".html", ".js", ".onnx", ".json", ".md")
    expected = {name.removeprefix("src/") for name in below("src/serkit", *data)}
    assert expected <= published[1]
    assert "serkit/app/page/dist/index.html" in published[1]


def test_the_wheel_carries_the_notices(published):
    licences = {name.partition(".dist-info/licenses/")[2] for name in published[1]}
    assert {"LICENSE", "THIRD_PARTY.md"} <= licences
