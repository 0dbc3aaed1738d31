import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serkit import atomic

posix = pytest.mark.skipif(sys.platform == "win32", reason="locks and folders of POSIX")


def test_a_file_appears_whole(tmp_path):
    with atomic.writing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nothing_is_left_of_what_fails(tmp_path):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt), atomic.writing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_errors_name_the_place_not_the_temporary_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as caught:
        atomic.write_text(tmp_path / "folder", "text")
    assert caught.value.filename == str(tmp_path / "folder")
    with pytest.raises(FileNotFoundError) as caught:
        atomic.write_text(tmp_path / "none" / "a.txt", "text")
    assert caught.value.filename == str(tmp_path / "none" / "a.txt")
    with pytest.raises(OSError) as caught, atomic.writing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "a.txt")
    with pytest.raises(OSError) as caught, atomic.writing(tmp_path / "a.txt"):
        (tmp_path / "other.txt").read_text()
    assert caught.value.filename == str(tmp_path / "other.txt")


@posix
def test_a_disk_that_is_read_only(tmp_path, monkeypatch):
    def refuse(path, *rest, **more):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patch, pytest.raises(OSError) as caught:
        patch.setattr(os, "open", refuse)
        patch.setattr(Path, "unlink", refuse)
        atomic.write_text(tmp_path / "a.txt", "text")
    assert caught.value.filename == str(tmp_path / "a.txt")


@pytest.fixture
def calls(monkeypatch):
    """The flushes and renames in their order, by what they are of."""
    calls = []

    def place(descriptor):
        return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))

    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(("flush", place(descriptor))) or fsync(descriptor))
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append(("rename", os.path.basename(b))) or replace(a, b))
    return calls


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_renamed_is_on_the_disk_before_and_its_folder_after(tmp_path, calls):
    atomic.write_text(tmp_path / "a.txt", "whole")
    [(first, temporary), *rest] = calls
    assert first == "flush" and atomic._TEMPORARY.fullmatch(temporary)
    assert rest == [("rename", "a.txt"), ("flush", tmp_path.name)]
    calls.clear()
    with atomic.writing(tmp_path / "a.txt", flush=False) as temporary:
        temporary.write_text("other")
    assert calls == [("rename", "a.txt")]
    calls.clear()
    with atomic.writing_folder(tmp_path / "folder") as temporary:
        (temporary / "one").write_text("1")
        (temporary / "two").write_text("2")
    assert {name for _, name in calls[:2]} == {"one", "two"}
    assert calls[2:] == [("flush", temporary.name), ("rename", "folder"), ("flush", tmp_path.name)]


def test_a_folder_appears_whole(tmp_path):
    with atomic.writing_folder(tmp_path / "new" / "a") as temporary:
        (temporary / "one").write_text("1")
        assert not (tmp_path / "new" / "a").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]
    with pytest.raises(KeyboardInterrupt), atomic.writing_folder(tmp_path / "new" / "b") as temporary:
        (temporary / "one").write_text("1")
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


def test_a_name_of_the_longest_kind(tmp_path):
    atomic.write_text(tmp_path / ("n" * 255), "whole")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


PROGRAM = """
import sys
from pathlib import Path
from serkit import atomic
folder = Path(sys.argv[1])
with atomic.writing(folder / sys.argv[2]) as file, atomic.writing_folder(folder / sys.argv[3]) as inside:
    file.write_text("half")
    (inside / "one").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


@posix
def test_what_a_killed_process_has_left_is_removed_by_the_next_but_not_what_a_living_one_writes(tmp_path):
    living, killed = (
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, tmp_path, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for names in (("a", "b"), ("c", "d"))
    )
    for process in (living, killed):
        assert process.stdout.readline() == "ready\n"
    killed.kill()
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 4
    (tmp_path / ".serkit-notes.tmp").write_text("another's")
    command = "import sys; from pathlib import Path; from serkit import atomic; atomic.write_json(Path(sys.argv[1]), 1)"
    subprocess.run([sys.executable, "-c", command, tmp_path / "e"], check=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert {".serkit-notes.tmp", "e"} < left and len(left) == 4
    living.communicate()
    assert living.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {".serkit-notes.tmp", "a", "b", "e"}
    assert json.loads((tmp_path / "e").read_text()) == 1


def test_short_lists_of_json_take_one_line(tmp_path):
    words = ["a, b", 'say "no"', "[\n 1,\n 2\n]", "\\", ""]
    content = {"words": words, "numbers": [[1, 2.5], [-3e-9, None]], "none": [], "long": list(range(100)), "of": [{}]}
    atomic.write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == content
    assert '\n "numbers": [\n  [1, 2.5],\n  [-3e-09, null]\n ],\n "none": [],\n "long": [\n  0,\n' in text


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_is_read_as_it_was_written(content):
    with TemporaryDirectory() as folder:
        atomic.write_json(Path(folder) / "a.json", content)
        assert json.loads((Path(folder) / "a.json").read_text("utf-8")) == content
