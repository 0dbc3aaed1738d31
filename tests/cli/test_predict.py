import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
import warnings
from pathlib import Path

import pytest
import soundfile

from serkit import cli
from serkit.locks import alone
from serkit.recognition import Recognizer, formats

PROGRAM = [sys.executable, "-c", "from serkit.cli import main; main()"]


@pytest.fixture
def run(toy, monkeypatch):
    """Run `serkit predict --model toy` here, and return the exit code."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return lambda *arguments: cli.run(["predict", "--model", "toy", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, noise, monkeypatch):
    """Five recordings, one of them broken, and what is none; the current folder lies above."""
    for index, name in enumerate(("b.wav", "a.WAV", "sub/c.flac", "sub/deep/d.wav")):
        noise(tmp_path / "calls" / name, seconds=0.4, seed=index)
    (tmp_path / "calls" / "sub" / "broken.wav").write_bytes(b"no sound at all")
    (tmp_path / "calls" / "notes.txt").write_text("none")
    (tmp_path / "calls" / "._b.wav").write_bytes(b"macOS")
    monkeypatch.chdir(tmp_path)
    return "calls"


FOUND = ["calls/a.WAV", "calls/b.wav", "calls/sub/broken.wav", "calls/sub/c.flac", "calls/sub/deep/d.wav"]


def names(text):
    return [json.loads(line)["file"].replace(os.sep, "/") for line in text.splitlines()]


def test_a_folder_with_a_broken_file(toy, folder):
    result = subprocess.run(
        [*PROGRAM, "predict", "--model", "toy", folder, "--format", "jsonl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert names(result.stdout) == FOUND
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [("error" in row) for row in rows] == [False, False, True, False, False]
    for row in rows:
        if "error" not in row:
            assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
            assert row["confidence"] == row["probabilities"][row["label"]] == max(row["probabilities"].values())
            assert row["duration"] == 0.4
    error, summary = result.stderr.splitlines()
    assert error.startswith("serkit: error: ")
    assert "broken.wav: not audio" in error
    assert summary == "serkit: 1 of 5 recordings failed"


def test_the_formats_say_the_same(run, folder, capsys):
    assert run(folder, "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert run(folder, "--format", "jsonl") == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == document
    assert run(folder, "--format", "csv") == 1
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["file"], row["label"], row["error"]) for row in rows] == [
        (entry["file"], entry.get("label", ""), entry.get("error", "")) for entry in document
    ]
    assert float(rows[0]["p_joy"]) == document[0]["probabilities"]["joy"]
    assert run(folder) == 1
    table = capsys.readouterr().out
    assert all(entry["file"] in table for entry in document)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("calls/*.wav", ["calls/b.wav"]),
        ("calls/sub/**/*.wav", ["calls/sub/broken.wav", "calls/sub/deep/d.wav"]),
        ("calls/[bs]*", ["calls/b.wav", "calls/sub/broken.wav", "calls/sub/c.flac", "calls/sub/deep/d.wav"]),
    ],
)
def test_patterns_the_shell_left(run, folder, capsys, pattern, expected):
    run(pattern, "--format", "jsonl")
    assert names(capsys.readouterr().out) == expected


def test_a_name_that_looks_like_a_pattern_and_a_file_named_twice(run, folder, tmp_path, noise, capsys):
    noise(tmp_path / "take[1].wav")
    assert run("take[1].wav", "take*.wav", "take[1].wav", "--format", "jsonl") == 0
    assert names(capsys.readouterr().out) == ["take[1].wav"]


def test_a_missing_file_among_others_is_a_failure(run, folder, capsys):
    assert run("calls/b.wav", "gone.wav", "*.none", "--format", "jsonl") == 1
    out, err = capsys.readouterr()
    assert sorted(names(out)) == ["*.none", "calls/b.wav", "gone.wav"]
    assert "serkit: error: gone.wav: no such file or folder\n" in err
    assert "serkit: error: *.none: no recording matches\n" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gone.wav"], "gone.wav: no such file or folder"),
        (["gone.wav", "too.wav"], "gone.wav: no such file or folder (and 1 more)"),
        (["*.none"], "*.none: no recording matches"),
        (["empty"], "empty: contains no recording; looked for .3gp"),
        (["calls", "--model", "tpy"], "unknown bundle 'tpy'. Did you mean 'toy'?"),
        (["calls", "--channel", "left"], "--channel must be a number from 0, 'egg' or 'each', got 'left'"),
        (["calls", "--channel", "egg"], "bundle 'toy' reads speech only"),
        (["calls", "--resume"], "--resume requires --out FILE and --format jsonl or csv"),
        (
            ["calls", "--resume", "--out", "x.json", "--format", "json"],
            "--resume requires --out FILE and --format jsonl or csv",
        ),
        (["calls", "--out", "none/x.jsonl", "--format", "jsonl"], "x.jsonl: its folder does not exist"),
        (["calls", "--out", "calls"], "calls: is a folder"),
        (["calls", "--out", "there", "--format", "jsonl"], "there: already exists; continue it with --resume"),
        (["calls", "--out", "there"], "there: already exists; remove it"),
    ],
)
def test_wrong_requests(run, folder, tmp_path, capsys, arguments, text):
    (tmp_path / "empty").mkdir()
    (tmp_path / "there").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("serkit: error: ")
    assert text in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there").read_text() == "mine"


def test_a_channel_the_files_lack(run, folder, capsys):
    assert run("calls/b.wav", "--channel", "1", "--format", "jsonl") == 1
    assert "has no channel 1; it has 1" in json.loads(capsys.readouterr().out)["error"]


def test_warnings_go_to_stderr_and_into_the_answer(run, tmp_path, capsys):
    soundfile.write(tmp_path / "silent.wav", [0.0] * 8000, 16000)
    assert run(tmp_path / "silent.wav", "--format", "json") == 0
    out, err = capsys.readouterr()
    [text] = json.loads(out)[0]["warnings"]
    assert err == f"serkit: warning: {text}\n"


@pytest.mark.parametrize("format", ["table", "json"])
def test_documents_are_written_whole(run, folder, tmp_path, format, capsys):
    assert run("calls/b.wav", "--format", format, "--out", "out") == 0
    assert capsys.readouterr().out == ""
    assert "calls/b.wav" in (tmp_path / "out").read_text()
    assert {path.name for path in tmp_path.iterdir()} >= {"calls", "out"}
    assert not list(tmp_path.glob(".out*"))


def test_an_interrupted_document_leaves_no_file(run, folder, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 2)
    assert run(folder, "--format", "json", "--out", "out.json") == 130
    assert not list(tmp_path.glob("*out.json*")) + list(tmp_path.glob(".out.json*"))


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_resume_after_a_torn_line(run, folder, tmp_path, format, capsys, monkeypatch):
    assert run(folder, "--format", format, "--out", "whole") == 1
    whole = (tmp_path / "whole").read_bytes()
    lines = whole.splitlines(keepends=True)
    done = 3 + (format == "csv")
    (tmp_path / "torn").write_bytes(b"".join(lines[:done]) + lines[done][:25])
    seen = recorded(monkeypatch)
    assert run(folder, "--format", format, "--out", "torn", "--resume") == 1  # the failed one still counts
    assert [str(path).replace(os.sep, "/") for path in seen] == FOUND[3:]
    assert (tmp_path / "torn").read_bytes() == whole
    assert "serkit: 1 of 5 recordings failed" in capsys.readouterr().err
    seen.clear()
    assert run(folder, "--format", format, "--out", "torn", "--resume") == 1
    assert seen == []
    assert (tmp_path / "torn").read_bytes() == whole


def test_interrupted_and_resumed(run, folder, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert run(folder, "--format", "jsonl", "--out", "out.jsonl") == 130
    assert "Traceback" not in capsys.readouterr().err
    assert names((tmp_path / "out.jsonl").read_text()) == FOUND[:2]
    assert run(folder, "--format", "jsonl", "--out", "out.jsonl", "--resume") == 1
    assert names((tmp_path / "out.jsonl").read_text()) == FOUND


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_a_full_disk_is_named_by_the_file(run, folder, tmp_path, capsys, monkeypatch, format):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(formats, "as_dict", full)  # in place of the write that fails
    assert run(folder, "--format", format, "--out", "answers") == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"serkit: error: answers: {os.strerror(errno.ENOSPC)}"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_killed_and_resumed(toy, tmp_path, noise, how, code):
    # Enough work that the signal comes in the midst of it on a busy machine too.
    noise(tmp_path / "many" / "000.wav", seconds=6.0, rate=8000)
    for index in range(1, 200):
        shutil.copy(tmp_path / "many" / "000.wav", tmp_path / "many" / f"{index:03}.wav")
    out = tmp_path / "out.jsonl"
    command = [*PROGRAM, "predict", "--model", "toy", str(tmp_path / "many"), "--format", "jsonl", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    while process.poll() is None and not (out.exists() and out.stat().st_size > 1000):
        time.sleep(0.001)
    process.send_signal(how)
    assert process.stderr.read() == b""
    assert process.wait() == code
    assert out.read_bytes().count(b"\n") < 200
    assert subprocess.run([*command, "--resume"], check=False).returncode == 0
    expected = [str(tmp_path / "many" / f"{index:03}.wav") for index in range(200)]
    assert [json.loads(line)["file"] for line in out.read_text().splitlines()] == expected


def test_several_jobs(run, folder, capsys):
    assert run(folder, "--format", "jsonl") == 1
    alone = capsys.readouterr().out
    assert run(folder, "--format", "jsonl", "--jobs", "2") == 1
    assert capsys.readouterr().out == alone


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_jobs_leave_ctrl_c_to_the_command_and_end_with_it(toy, tmp_path, noise):
    for index in range(20):
        noise(tmp_path / "calls" / f"{index}.wav", seconds=6.0)
    command = [*PROGRAM, "predict", "--model", "toy", str(tmp_path / "calls"), "--jobs", "2", "--format", "jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = []
    while len(workers) < 2:
        folders = [Path(f"/proc/{child}") for child in children.read_text().split()]
        workers = [folder for folder in folders if "spawn_main" in (folder / "cmdline").read_text()]
    for worker in workers:
        status = dict(line.split(":\t") for line in (worker / "status").read_text().splitlines())
        assert int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1  # from the first moment on
    process.kill()
    process.communicate(timeout=60)  # workers that live on would keep the pipes open


@pytest.fixture
def crashing(tmp_path, monkeypatch):
    """Let libsndfile crash on files called `poison`, in every process that is started."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, signal, soundfile\n"
        "opened = soundfile.SoundFile.__init__\n"
        "def crash(self, file, *arguments, **options):\n"
        "    if b'poison' in os.fsencode(str(file)):\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    opened(self, file, *arguments, **options)\n"
        "soundfile.SoundFile.__init__ = crash\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("timeline", [[], ["--timeline"]])
def test_a_recording_that_crashes_its_decoder(toy, folder, tmp_path, noise, crashing, timeline):
    noise(tmp_path / "calls" / "poison.wav", seconds=0.4)
    command = [*PROGRAM, "predict", folder, "--model", "toy", "--jobs", "2", "--out", "out.jsonl", *timeline]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    text = "calls/poison.wav: the process that decoded it ended (signal 11)"
    assert [row["error"] for row in rows if "poison" in row["file"]] == [text]
    assert sorted(row["file"] for row in rows if "error" not in row) == sorted({*FOUND} - {"calls/sub/broken.wav"})
    assert f"serkit: error: {text}\n" in result.stderr
    assert result.stderr.endswith("serkit: 2 of 6 recordings failed\n") and "Traceback" not in result.stderr
    # It has its line, and is left alone from now on.
    before = (tmp_path / "out.jsonl").read_bytes()
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (1, "serkit: 2 of 6 recordings failed\n")
    assert (tmp_path / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("out", "begin"),
    [
        ("out.csv", "file,label,sure,"),
        ("out.CSV", "file,label,sure,"),
        ("out.jsonl", '{"file": "calls/b.wav", '),
        ("out.json", '[\n {\n  "file": "calls/b.wav"'),
        ("out.txt", "   "),
        ("out", "   "),
        ("v1.2", "   "),
        ("calls.2026-11", "   "),
    ],
)
def test_the_ending_names_the_format(run, folder, tmp_path, out, begin):
    assert run("calls/b.wav", "--out", out) == 0
    assert (tmp_path / out).read_text().lstrip("\n").startswith(begin)


@pytest.mark.parametrize("out", ["out", "out.txt", "out.csv", "v1.2"])
def test_a_format_goes_into_files_that_do_not_contradict(run, folder, tmp_path, out):
    assert run("calls/b.wav", "--format", "csv", "--out", out) == 0
    assert (tmp_path / out).read_text().startswith("file,label,")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--format", "csv", "--out", "x.parquet"], "x.parquet: --format csv requires .csv, not .parquet"),
        (["--format", "json", "--out", "x.jsonl"], "x.jsonl: --format json requires .json, not .jsonl"),
        (["--format", "table", "--out", "x.csv"], "x.csv: --format table requires .txt, not .csv"),
        (["--out", "x.parquet"], "x.parquet: unknown ending .parquet; use .txt, .json, .jsonl, .csv"),
        (["--out", "x.srt"], "--format srt requires --timeline"),
        (["--timeline", "--format", "csv", "--out", "x.srt"], "x.srt: --format csv requires .csv, not .srt"),
        (["--timeline", "--out", "x.xlsx"], "x.xlsx: unknown ending .xlsx"),
        (["--csv-safe"], "--csv-safe requires --format csv"),
        (["--csv-safe", "--timeline", "--format", "rttm"], "--csv-safe requires --format csv or audformat"),
    ],
)
def test_endings_that_contradict(run, folder, tmp_path, capsys, arguments, text):
    before = sorted(tmp_path.rglob("*"))
    assert run("calls/b.wav", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("serkit: error: ") and text in err and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_two_writers_of_one_file(run, folder, tmp_path, capsys):
    (tmp_path / "out.csv").write_text("begun by another")
    for arguments in ([], ["--resume"], ["--timeline"]):
        with alone(tmp_path / "out.csv"):
            assert run(folder, "--out", "out.csv", *arguments) == 2
    err = capsys.readouterr().err.splitlines()
    assert err == ["serkit: error: out.csv: another process is writing to it; wait for it, or choose another --out"] * 3
    assert (tmp_path / "out.csv").read_text() == "begun by another"
    assert run("calls/b.wav", "--out", "mine.csv") == 0
    assert not list(tmp_path.glob(".serkit*"))


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_resume_knows_a_name_that_is_no_utf8(run, folder, tmp_path, format):
    shutil.copy(b"calls/b.wav", b"calls/\xff.wav")
    shutil.copy(b"calls/sub/broken.wav", b"calls/\xfe.wav")
    arguments = (folder, "--format", format, "--out", "out")
    assert run(*arguments) == 1
    before = (tmp_path / "out").read_bytes()
    assert b"calls/\\udcff.wav" in before
    assert run(*arguments, "--resume") == 1
    assert (tmp_path / "out").read_bytes() == before


def test_csv_for_spreadsheets(run, folder, tmp_path, capsys):
    shutil.copy("calls/b.wav", "=1+1.wav")
    assert run("=1+1.wav", "+gone.wav", "--format", "csv", "--csv-safe", "--out", "safe.csv") == 1
    header, failed, row = csv.reader((tmp_path / "safe.csv").open(newline=""))
    assert (row[0], failed[0], failed[-1]) == ("'=1+1.wav", "'+gone.wav", "'+gone.wav: no such file or folder")
    assert float(row[header.index("confidence")]) > 0
    for safe in ([], ["--csv-safe"]):  # whichever way it goes on, it knows what is done
        before = (tmp_path / "safe.csv").read_bytes()
        assert run("=1+1.wav", "+gone.wav", "--format", "csv", *safe, "--out", "safe.csv", "--resume") == 1
        assert (tmp_path / "safe.csv").read_bytes() == before
    assert run("=1+1.wav", "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("=1+1.wav,")
    assert run("=1+1.wav", "--timeline", "--format", "audformat", "--csv-safe", "--detector", "none") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("'=1+1.wav,")


@pytest.mark.skipif(sys.platform == "win32", reason="such names are refused there")
def test_names_do_not_steer_the_terminal(run, folder, tmp_path, capsys):
    shutil.copy("calls/b.wav", "a\x1b[2Jb.wav")
    assert run("a\x1b[2Jb.wav", "gone\x1b]0;title\x07.wav") == 1
    out, err = capsys.readouterr()
    assert r"a\x1b[2Jb.wav" in out and r"gone\x1b]0;title\x07.wav: no such file" in err
    assert "\x1b" not in out + err and "\x07" not in out + err
    # A file or a pipe holds the name as it is.
    assert run("a\x1b[2Jb.wav", "--format", "csv") == 0
    assert "a\x1b[2Jb.wav" in capsys.readouterr().out


def recorded(monkeypatch):
    """Keep a list of the recordings that are really recognised."""
    seen = []
    predict = Recognizer.predict_file
    monkeypatch.setattr(
        Recognizer, "predict_file", lambda self, path, channel: seen.append(path) or predict(self, path, channel)
    )
    return seen


def interrupt_after(monkeypatch, count):
    """Press Ctrl-C when the recording after `count` others begins."""
    seen = []
    predict = Recognizer.predict_file

    def interrupted(self, path, channel):
        if len(seen) == count:
            raise KeyboardInterrupt
        seen.append(path)
        return predict(self, path, channel)

    monkeypatch.setattr(Recognizer, "predict_file", interrupted)


def test_what_is_passed_over_is_told_once_on_stderr(run, folder, tmp_path, capsys):
    (tmp_path / "calls" / ".Trash").mkdir()
    shutil.copy("calls/b.wav", "calls/.Trash/gone.wav")
    for name in ("x.xyz", "y.xyz", "sub/z.bin"):
        (tmp_path / "calls" / name).write_bytes(b"?")
    (tmp_path / "calls" / "loop").symlink_to(".")
    os.remove("calls/sub/broken.wav")
    expected = (
        "serkit: warning: skipped 4 files in other formats (.xyz 2, .bin 1, .txt 1); "
        "1 hidden or system folder (.Trash); 1 second name of files already found (loop)\n"
    )
    for argument in (folder, "calls/**"):
        assert run(argument, "--format", "jsonl") == 0
        out, err = capsys.readouterr()
        assert names(out) == [name for name in FOUND if "broken" not in name]
        assert err == expected
    # A pattern has chosen already.
    assert run("calls/*.wav", "calls/b.wav", "--format", "jsonl") == 0
    out, err = capsys.readouterr()
    assert names(out) == ["calls/b.wav"] and err == ""


def test_a_name_in_another_unicode_form(run, folder, noise, capsys):
    nfc, nfd = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    noise(Path(nfd) / f"{nfd}.wav", seconds=0.4)
    assert run(f"{nfc}/{nfc}.wav", nfc, f"{nfc}/*", "--format", "jsonl") == 0
    assert [unicodedata.normalize("NFC", name) for name in names(capsys.readouterr().out)] == [f"{nfc}/{nfc}.wav"]
