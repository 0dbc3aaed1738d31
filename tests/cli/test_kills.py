"""Commands that are killed at any moment and run again: the same comes out, and nothing is left lying about."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from serkit.recognition.bundle import Bundle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

KILLS = 2


class Place:
    """A folder to run commands in, with a cache of its own."""

    def __init__(self, folder, table):
        self.folder, self.table = folder, table
        folder.mkdir()

    def start(self, *arguments):
        environment = {**os.environ, "SERKIT_CACHE": str(self.folder / "cache")}
        command = [sys.executable, "-m", "serkit", *arguments]
        # A group of its own: workers are killed with their parent.
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments):
        began = time.monotonic()
        process = self.start(*arguments)
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, error.decode()
        return out.decode(), time.monotonic() - began

    def kill(self, seconds, *arguments):
        """Run a command and kill it after some seconds; tells whether it was still running."""
        process = self.start(*arguments)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return process.returncode != 0

    def clear(self):
        """Forget all that commands have done here."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def leftovers(self):
        return [path for path in self.folder.rglob("*") if path.name.endswith((".tmp", ".broken"))]


@pytest.fixture
def places(synthetic, tmp_path):
    """Two places, one of which is left undisturbed, and a table of recordings."""
    lines = [f"{u.path},{u.targets['emotion']},{u.speaker.partition('/')[2]}" for u in synthetic.utterances]
    table = tmp_path / "calls.csv"
    table.write_text("\n".join(["path,emotion,speaker", *lines]))
    return Place(tmp_path / "killed", table), Place(tmp_path / "undisturbed", table)


def killed_and_run_again(places, first, again=None, ready=lambda folder: None):
    """Run a command undisturbed, and elsewhere with kills at random moments of its time; return its output of both.

    Args:
        places: where.
        first: arguments.
        again: arguments that go on with it; None: the same.
        ready: called with the folder after each kill.
    """
    disturbed, undisturbed = places
    expected, seconds = undisturbed.run(*first)
    chance = random.Random(seed := random.SystemRandom().randrange(10**6))
    killed, arguments = 0, first
    for _ in range(KILLS):
        began = time.monotonic()
        if disturbed.kill(chance.uniform(0.1, 0.8) * seconds, *arguments):
            killed += 1
        elif not killed:
            # A machine that was busy before has finished it sooner; nothing is tested until it is killed.
            seconds = time.monotonic() - began
            disturbed.clear()
        ready(disturbed.folder)
        begun = any(path.name != "cache" for path in disturbed.folder.iterdir())
        arguments = again if again and begun else first
    assert killed, f"seed {seed}"
    found, _ = disturbed.run(*arguments)
    assert not disturbed.leftovers(), f"seed {seed}"
    return found, expected


def without(document, *keys):
    """Return a JSON document without what differs from run to run."""
    if isinstance(document, dict):
        return {key: without(value, *keys) for key, value in document.items() if key not in keys}
    return [without(value, *keys) for value in document] if isinstance(document, list) else document


def same_file(places, name):
    one, other = ((place.folder / name).read_bytes() for place in places)
    assert one == other, name


def same_json(places, name, *keys):
    one, other = (without(json.loads((place.folder / name).read_text()), *keys) for place in places)
    assert one == other, name


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_features(places, suffix):
    pytest.importorskip("pyarrow")
    corpus = f"table={places[0].table}"
    killed_and_run_again(places, ["features", "is09", "--corpus", corpus, "--out", f"is09.{suffix}"])
    same_file(places, f"is09.{suffix}")
    arrays = [list((place.folder / "cache" / "arrays").rglob("*.npy")) for place in places]
    assert len(arrays[0]) == len(arrays[1]) > 20


def test_train(places):
    pytest.importorskip("torch")
    command = ["train", "linear-baseline", "--corpus", f"table={places[0].table}", "--out", "run", "--jobs", "2"]
    command += ["--set", "stages.main.trainer.checkpoint_seconds=0", "--set", "stages.main.trainer.epochs=20"]
    command += ["--set", "protocols.clean.folds=3"]
    killed_and_run_again(places, command, [*command, "--resume"])
    same_file(places, "run/predictions.csv")
    same_json(places, "run/scores.json", "seconds")


def test_tune(places):
    pytest.importorskip("optuna")
    (places[0].folder.parent / "space.toml").write_text(
        "[search]\nstages.main.trainer.learning_rate = { low = 1e-4, high = 0.1, log = true }\n"
    )
    command = ["tune", "linear-baseline", "--corpus", f"table={places[0].table}", "--space", "../space.toml"]
    command += ["--folds", "2", "--trials", "3", "--out", "search", "--heartbeat", "1", "--format", "json"]
    command += ["--set", "stages.main.trainer.epochs=20"]
    found, expected = (json.loads(text) for text in killed_and_run_again(places, command))
    assert [row["state"] for row in found["trials"]] == ["done"] * 3

    def shown(search):
        return sorted((row["trial"], str(row["point"]), row["value"]) for row in search["trials"])

    assert shown(found) == shown(expected)
    # Its first lines name the folder.
    one, other = ((place.folder / "search" / "best.toml").read_text().splitlines() for place in places)
    assert one[-3:] == other[-3:]


PAPER = """
[paper]
name = "toy2026"
title = "A toy"
citation = "Nobody 2026."

[[tables]]
name = "table1"
title = "One row"
metrics = { uar = "" }
protocols = ["clean"]

[[tables.rows]]
label = "Linear"
system = "linear-baseline"
set = ["stages.main.trainer.epochs=3", "protocols.clean.folds=3"]
published = { table = 90.0 }
"""


def test_reproduce(places):
    pytest.importorskip("torch")
    (places[0].folder.parent / "toy2026.toml").write_text(PAPER)
    command = ["reproduce", "../toy2026.toml", "table1", "--corpus", f"table={places[0].table}", "--out", "out"]
    command += ["--rows", "Linear", "--jobs", "1"]
    killed_and_run_again(places, command)
    same_json(places, "out/table1.json", "seconds")


def test_export(places):
    pytest.importorskip("torch")
    run = places[0].folder.parent / "run"
    corpus = f"table={places[0].table}"
    places[1].run("train", "linear-baseline", "--corpus", corpus, "--out", str(run), "--protocol", "random")
    wholes = []

    def ready(folder):
        if (folder / "bundle").exists():  # killed after all was done: it is whole, and makes place for the next
            wholes.append(Bundle.load(folder / "bundle"))
            (folder / "bundle").rename(folder / f"bundle-{len(wholes)}")

    killed_and_run_again(places, ["export", str(run), "--out", "bundle", "--recordings", "5"], ready=ready)
    for name in ("model.onnx", "weights.safetensors", "CARD.md", "bundle.json"):
        same_file(places, f"bundle/{name}")
    assert Bundle.load(places[0].folder / "bundle").name == "bundle"
