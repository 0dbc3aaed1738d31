"""What is imported is declared, what is declared is locked, and what is installed may be shipped."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serkit import cli

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Where a package is imported by another name than it is installed by.
INSTALLED_AS = {
    "PIL": "pillow",
    "mlflow": "mlflow-skinny",
    "opentelemetry": "opentelemetry-sdk",
    "sklearn": "scikit-learn",
    "webrtcvad": "webrtcvad-wheels",
    "yaml": "pyyaml",
}
#: Declared without being imported by serkit, and why.
NOT_IMPORTED = {
    "onnx": "torch writes ONNX with it",
    "websockets": "uvicorn speaks WebSocket with it",
    "python-multipart": "starlette reads forms with it",
}
#: Imported by files that are run by hand or by `make e2e`, in environments of their own, and by tests that are skipped
#: without them.
ELSEWHERE = {"moto", "opensmile", "parselmouth", "playwright", "pipecat", "pipecat-emotion", "export-encoder"}

ALLOWED = {
    *(
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "0BSD",
        "ISC",
        "Zlib",
        "CC0-1.0",
        "BSL-1.0",
        "PSF-2.0",
    ),
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MPL-2.0"),
    # As classifiers and older metadata have them.
    *("MIT License", "BSD License", "Apache Software License", "ISC License (ISCL)", "3-Clause BSD License"),
    *("Python Software Foundation License", "Mozilla Public License 2.0 (MPL 2.0)", "Apache 2.0"),
}
#: Loaded at run time and replaceable, as THIRD_PARTY.md tells.
LGPL = {"soxr": {"LGPL-2.1-or-later", "GNU Lesser General Public License v2 or later (LGPLv2+)"}}


def declared(*extras: str) -> dict[str, Requirement]:
    """Requirements of the core and of some extras, by name; extras that extras name included."""
    optional = PROJECT["optional-dependencies"]
    found = {}
    for text in [*PROJECT["dependencies"], *(text for extra in extras for text in optional[extra])]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            found |= declared(*requirement.extras)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def locked(file: str) -> dict[str, list[tuple[str, str]]]:
    """Versions in a file of `requirements/`, each with its marker, by name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9-]+)==([^ ;\\]+)(?: ; ([^\\]+))?", line):
            found.setdefault(match[1], []).append((match[2], (match[3] or "").strip()))
    return found


def imported(folder: Path) -> dict[str, set[str]]:
    """Packages that the files of a folder import anywhere in them, as they are installed, with the files."""
    # Scripts import their neighbors by name; modules of serkit, which may be named after a library, do not.
    own = {"serkit"} if folder.name == "serkit" else {path.stem for path in folder.rglob("*.py")} | {"serkit"}
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            for name in {module.partition(".")[0] for module in modules} - own - set(sys.stdlib_module_names):
                installed = INSTALLED_AS.get(name, canonicalize_name(name))
                found.setdefault(installed, set()).add(path.relative_to(folder).as_posix())
    return found


def test_what_serkit_imports_is_declared_in_the_extra_that_needs_it():
    allowed = {"app": declared("telemetry"), "tuning": declared("tune")}
    others = declared("lab", "silero", "mic", "tables", "hub", "ssl", "mlflow", "wandb", "remote", "cluster")
    undeclared = [
        f"{file} imports {name}"
        for name, files in imported(ROOT / "src" / "serkit").items()
        for file in files
        if name not in allowed.get(file.partition("/")[0], others)
    ]
    assert undeclared == []


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "examples", "page/e2e"])
def test_what_is_run_beside_it_is_declared(folder):
    helpers = {path.stem for place in ("tests", "benchmarks") for path in (ROOT / place).glob("*.py")}
    known = declared(*PROJECT["optional-dependencies"]).keys() | ELSEWHERE | {canonicalize_name(h) for h in helpers}
    assert imported(ROOT / folder).keys() - known == set()


def test_nothing_is_declared_that_is_not_used():
    used = imported(ROOT / "src" / "serkit").keys()
    assert declared("lab", "tune", "app", "silero", "mic", "tables").keys() - used == NOT_IMPORTED.keys()


@pytest.mark.parametrize(("extra", "modules"), [("lab", cli.LAB), ("tune", cli.TUNE), ("app", cli.APP)])
def test_the_command_line_knows_which_extra_brings_what(extra, modules):
    own = declared(extra).keys() - declared(*(["lab"] if extra == "tune" else [])).keys()
    # "multipart" is what python-multipart was once imported by.
    assert {INSTALLED_AS.get(name, canonicalize_name(name)) for name in modules} - {"multipart"} == own


def test_known_faults_are_excluded():
    assert not declared("app")["python-multipart"].specifier.contains("0.0.30")
    assert declared()["soxr"].specifier.contains("1.1.0")


# --- the locked versions


def test_the_lock_fits_what_is_declared():
    versions = locked("all.txt")
    for name, requirement in declared(*PROJECT["optional-dependencies"]).items():
        if name == "torch":
            assert name not in versions  # `make setup` chooses the build
            continue
        assert name in versions, f"{name} is not locked: make lock"
        assert all(requirement.specifier.contains(version) for version, _ in versions[name]), (
            f"{requirement}: make lock"
        )


def test_the_torch_of_the_makefile_fits_too():
    version = re.search(r"^TORCH \?= (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert declared("lab")["torch"].specifier.contains(version)


def test_the_image_has_the_versions_that_are_tested():
    tested, shipped = locked("all.txt"), locked("app.txt")
    assert declared("app").keys() <= shipped.keys()
    for name, versions in shipped.items():
        assert {version for version, _ in versions} <= {version for version, _ in tested[name]}


def test_every_file_of_the_image_is_known_by_its_hash():
    text = (ROOT / "requirements" / "app.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == sum(map(len, locked("app.txt").values()))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_the_lock_names_no_package_index(path):
    assert "://" not in path.read_text(encoding="utf-8")


# --- licences


def installed(*extras: str) -> set[str]:
    """Names of all that serkit with some extras brings onto this machine."""
    environment = {key: str(value) for key, value in default_environment().items()}
    waiting = [(name, frozenset(wanted.extras)) for name, wanted in declared(*extras).items()]
    found: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        found.add((name, wanted))
        for requirement in map(Requirement, requirements):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *wanted)):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name for name, _ in found}


def licences(name: str) -> list[set[str]]:
    """All licences that hold for a package, each with its alternatives."""
    about = metadata.metadata(name)
    older = about.get("License") or ""
    if expression := about.get("License-Expression") or (older if " AND " in older and "\n" not in older else None):
        return [set(part.strip("() ").split(" OR ")) for part in expression.split(" AND ")]
    classifiers = [
        text.split(" :: ")[-1] for text in about.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    return [{text} for text in classifiers if text != "OSI Approved"] or [{older or "unknown"}]


def test_licences_of_all_that_is_installed_are_allowed():
    names = installed("lab", "tune", "app", "telemetry", "silero", "mic", "tables")
    assert {"numpy", "soxr", "pydantic-core"} <= names
    refused = {
        name: licence for name in names for licence in licences(name) if not licence & (ALLOWED | LGPL.get(name, set()))
    }
    assert refused == {}


def test_the_notices_name_everything_in_the_image():
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z][a-z0-9-]*)(?: \([^)]+\))? \|", text.partition("## Packages")[2], flags=re.MULTILINE)
    assert rows == ["package", *sorted(locked("app.txt"))]


def test_licence_texts_lie_where_the_notices_say():
    for name in sorted(installed("app")):
        files = [str(path) for path in metadata.files(name) or []]
        texts = [path for path in files if re.search(r"licen[cs]e|copying|notices", path, re.IGNORECASE)]
        assert texts or name == "flatbuffers", f"{name} comes without the text of its licence"
    assert (
        any(str(path) == "_soundfile_data/COPYING" for path in metadata.files("soundfile")) or sys.platform != "linux"
    )
    assert any(path.name == "COPYING.LGPL" for path in metadata.files("soxr"))


def test_the_image_installs_by_hash_and_carries_the_notices():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement /requirements/app.txt" in text
    assert "ENV ORT_DISABLE_TELEMETRY=1" in text
    assert "COPY THIRD_PARTY.md LICENSE" in text
    sources = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = {"pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md", "src", "page", "requirements"}
    assert {f"!{name}" for name in copied} <= set(sources)
