import shutil
import sqlite3
import stat
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.cli import run
from serkit.data import contents
from serkit.data.contents import CacheWarning
from serkit.data.store import Store


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A store that knows three recordings, these, their hashes, and a list of those that are decoded."""
    place = SimpleNamespace(decoded=[], store=Store(tmp_path / "store"), paths=[tmp_path / f"{n}.wav" for n in "abc"])
    place.index = place.store.folder / "recordings.sqlite"
    place.look = lambda: place.decoded.clear() or place.store.hashes(place.paths)
    for seed, path in enumerate(place.paths):
        soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, 800), 16000)
    place.hashes = {path: audio.content_hash(path) for path in place.paths}
    real = audio.content_hash
    monkeypatch.setattr(audio, "content_hash", lambda path: place.decoded.append(path) or real(path))
    assert place.look() == (place.hashes, {}) and place.decoded == place.paths
    return place


def other_schema(path):
    path.unlink()
    with sqlite3.connect(path) as index:
        index.execute("CREATE TABLE recordings (something)")


def view(path):
    path.unlink()
    with sqlite3.connect(path) as index:
        index.execute("CREATE VIEW recordings AS SELECT 1 AS path, 2 AS size, 3 AS changed, 4 AS hash")


def zeros_inside(path):
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)


BROKEN = {
    "garbage": lambda path: path.write_bytes(b"garbage " * 1000),
    "text": lambda path: path.write_text("no database"),
    "cut in the middle": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 7]),
    "cut to a page": lambda path: path.write_bytes(path.read_bytes()[:4096]),
    "cut header": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "header only": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeros inside": zeros_inside,
    "other schema": other_schema,
    "a view": view,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_index_is_set_aside_and_made_again(place, how):
    BROKEN[how](place.index)
    size = place.index.stat().st_size
    with pytest.warns(CacheWarning, match=r"recordings\.sqlite: damaged \(.*recordings\.broken.*read again") as told:
        assert place.look() == (place.hashes, {})
    assert len(told) == 1 and place.decoded == place.paths
    assert place.index.with_suffix(".broken").stat().st_size >= size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert place.look() == (place.hashes, {}) and place.decoded == []


def test_an_empty_index_is_like_none(place):
    place.index.write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert place.look() == (place.hashes, {})
    assert place.decoded == place.paths


def test_a_flipped_digit_of_a_hash_is_noticed(place):
    content = place.index.read_bytes()
    known = place.hashes[place.paths[1]].encode()
    wrong = (b"0" if known[:1] != b"0" else b"1") + known[1:]
    assert content.count(known) == 1
    place.index.write_bytes(content.replace(known, wrong))
    assert place.look() == (place.hashes, {}) and place.decoded == [place.paths[1]]
    assert place.look() == (place.hashes, {}) and place.decoded == []


def test_any_flipped_byte_gives_the_right_hashes(place):
    content = place.index.read_bytes()
    for where in np.random.default_rng(0).integers(0, len(content), 60):
        damaged = bytearray(content)
        damaged[where] ^= 1 << int(where) % 8
        place.index.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert place.look() == (place.hashes, {}), where


def test_an_index_of_before_there_were_checksums_is_taken_and_may_be_used_by_its_version(place):
    with sqlite3.connect(place.index) as index:
        index.execute("DROP TABLE checksums")
        index.executemany(
            "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?)",
            index.execute("SELECT * FROM recordings").fetchall(),
        )
    assert place.look() == (place.hashes, {}) and place.decoded == []


def test_a_locked_index_is_done_without(place, monkeypatch):
    monkeypatch.setattr(contents, "_PATIENCE", 0.05)
    other = sqlite3.connect(place.index, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.warns(CacheWarning, match=r"recordings\.sqlite: cannot be used \(database is locked\)"):
        assert place.look() == (place.hashes, {})
    other.close()
    assert place.look() == (place.hashes, {}) and place.decoded == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_folder_that_may_not_be_written(place, monkeypatch):
    place.index.unlink()
    # As root nothing is forbidden: a file in place of the folder is.
    shutil.rmtree(place.store.folder)
    place.store.folder.write_text("no folder")
    with pytest.warns(CacheWarning, match="cannot be used"):
        assert place.look() == (place.hashes, {})


def test_a_folder_in_place_of_the_index(place):
    place.index.unlink()
    place.index.mkdir()
    with pytest.warns(CacheWarning, match="cannot be used"):
        assert place.look() == (place.hashes, {})
    assert stat.S_ISDIR(place.index.stat().st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_a_name_that_is_no_utf8(place, tmp_path):
    path = tmp_path / "\udcff.wav"
    shutil.copy(place.paths[0], path)
    for decoded in ([path], []):
        place.decoded.clear()
        assert place.store.hashes([path])[0] == {path: place.hashes[place.paths[0]]} and place.decoded == decoded


def test_the_command_goes_on(tmp_path, monkeypatch, capsys, noise):
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    noise(tmp_path / "a.wav", seconds=0.5)
    command = ["features", "log_mel_functionals", str(tmp_path / "a.wav")]
    assert run(command) == 0
    expected = capsys.readouterr().out
    (tmp_path / "cache" / "recordings.sqlite").write_bytes(b"garbage " * 1000)
    for path in (tmp_path / "cache" / "arrays").rglob("*.npy"):
        content = bytearray(path.read_bytes())
        content[200] ^= 64
        path.write_bytes(content)
    assert run(command) == 0
    shown = capsys.readouterr()
    assert shown.out == expected
    lines = shown.err.splitlines()
    assert len(lines) == 2 and all(line.startswith("serkit: warning: ") for line in lines)
    assert "recordings.sqlite: damaged" in lines[0] and "damaged arrays are computed again" in lines[1]
