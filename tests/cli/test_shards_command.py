"""`--shard`, `--list`, URLs and `serkit gather`."""

import json
import uuid

import pytest

pytest.importorskip("pyarrow", reason="needs the remote extra")

from serkit.cli import run, spread


@pytest.fixture
def clips(toy, tree):
    """Five recordings, the third of which is no sound."""
    folder = tree(*(f"clips/{name}.wav" for name in "abcde"))
    (folder / "clips/c.wav").write_bytes(b"no sound")
    return folder / "clips"


def predict(*options):
    return run(["predict", *map(str, options), "--model", "toy"])


def test_gathered_shards_are_one_run(clips, tmp_path, capsys):
    out = tmp_path / "parts"
    assert [predict(clips, "--shard", f"{i}/3", "--out", out) for i in (1, 3)] == [0, 0]
    assert run(["gather", str(out)]) == 2
    assert capsys.readouterr().err.endswith("1 of 3 shards are missing: 2; run them again, e.g. with --shard 2/3\n")
    assert predict(clips, "--shard", "2/3", "--out", out) == 1
    before = (out / "part-000002-of-000003.parquet").stat().st_mtime_ns
    assert predict(clips, "--shard", "2/3", "--out", out) == 1
    assert (out / "part-000002-of-000003.parquet").stat().st_mtime_ns == before
    for ending in ("json", "jsonl", "csv"):
        assert predict(clips, "--format", ending, "--out", tmp_path / f"one.{ending}") == 1
        assert run(["gather", str(out), "--out", str(tmp_path / f"all.{ending}")]) == 1
        assert (tmp_path / f"all.{ending}").read_bytes() == (tmp_path / f"one.{ending}").read_bytes()
    assert run(["gather", str(out), "--out", str(tmp_path / "all.parquet")]) == 1
    assert (tmp_path / "all.parquet").exists()


def test_parts_of_two_requests_are_not_joined(clips, tmp_path, capsys):
    out = tmp_path / "parts"
    assert predict(clips / "a.wav", clips / "b.wav", "--shard", "1/2", "--out", out) == 0
    assert predict(clips / "a.wav", "--shard", "1/2", "--out", out) == 2
    assert "differs in: recordings, listing" in capsys.readouterr().err
    assert predict(clips / "a.wav", clips / "b.wav", "--shard", "1/3", "--out", out) == 2
    assert "holds parts of 2 shards, not 3" in capsys.readouterr().err
    assert predict(clips, "--shard", "1/2", "--out", out, "--format", "csv") == 2
    assert "--shard cannot be combined with --format csv" in capsys.readouterr().err
    assert predict(clips, "--shard", "1/2") == 2
    assert "--shard requires --out FOLDER" in capsys.readouterr().err
    (out / "part-000002-of-000002.parquet").write_bytes(b"PAR1 broken")
    assert run(["gather", str(out)]) == 2
    assert "is not a part; remove it" in capsys.readouterr().err
    assert run(["gather", str(tmp_path / "none")]) == 2


def test_each_line_of_a_list_is_a_recording(clips, tmp_path, capsys):
    """Whatever it holds: in one run as in shards, for answers as for features."""
    names = ["b.wav", "a.wav", "none.wav", "b.wav", "c.wav", ".", "*.wav", "e.wav"]
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{clips}/{name}\n" for name in names))
    for command, ending in (
        (["predict", "--model", "toy"], "csv"),
        (["predict", "--model", "toy"], "jsonl"),
        (["features", "f0_egg"], "csv"),
    ):
        parts, one = tmp_path / f"{command[0]}-{ending}", tmp_path / f"{command[0]}.{ending}"
        command = [*command, "--list", str(listed)]
        assert [run([*command, "--shard", f"{i}/3", "--out", str(parts)]) for i in (1, 2, 3)] == [0, 1, 1]
        assert run([*command, "--out", str(one)]) == 1
        assert run(["gather", str(parts), "--out", str(tmp_path / f"all.{ending}")]) == 1
        assert (tmp_path / f"all.{ending}").read_bytes() == one.read_bytes(), command
        (tmp_path / f"all.{ending}").unlink()
    listed.write_text("\n")
    assert predict("--list", listed) == 2
    assert capsys.readouterr().err.endswith(f"{listed}: lists no recording\n")


def test_each_channel_of_a_list(toy, tree, tmp_path, capsys):
    tree("two.wav", "three.wav", channels=2)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/two.wav\n{tmp_path}/three.wav\n")
    options = ["--list", tmp_path / "list.txt", "--channel", "each"]
    assert predict(*options, "--format", "parquet", "--out", tmp_path / "parts") == 0
    capsys.readouterr()
    assert run(["gather", str(tmp_path / "parts"), "--format", "jsonl"]) == 0
    gathered = capsys.readouterr().out
    assert [json.loads(line)["channel"] for line in gathered.splitlines()] == [0, 1, 0, 1]
    assert predict(*options, "--format", "jsonl") == 0
    assert capsys.readouterr().out == gathered
    assert predict(tmp_path / "two.wav", *options) == 2


def test_from_url_to_url(clips, tmp_path, capsys):
    fsspec = pytest.importorskip("fsspec")
    bucket = f"memory://{uuid.uuid4().hex}"
    for path in clips.iterdir():
        fsspec.filesystem("memory").put_file(str(path), f"{bucket}/in/{path.name}")
    for index in (1, 2):
        code = predict(f"{bucket}/in/", "--shard", f"{index}/2", "--out", f"{bucket}/out")
        assert code == index - 1
    assert run(["gather", f"{bucket}/out", "--out", f"{bucket}/all.csv"]) == 1
    with fsspec.open(f"{bucket}/all.csv", "rt") as file:
        there = file.read()
    assert predict(clips, "--format", "csv") == 1
    here = capsys.readouterr().out
    # The file system in memory writes three slashes.
    assert there.replace(f"{bucket.replace('//', '///')}/in/", "") == here[here.index("file,") :].replace(
        f"{clips}/", ""
    )
    assert predict(f"{bucket}/in/a.wav", "--out", f"{bucket}/a.csv") == 2
    assert "--out is a URL" in capsys.readouterr().err
    for out in (bucket, f"{bucket}/all/"):
        assert run(["gather", f"{bucket}/out", "--format", "csv", "--out", out]) == 2
        assert "--out names no file; try" in capsys.readouterr().err


def test_features_in_shards(clips, tmp_path, capsys):
    arguments = ["features", "log_mel_functionals", str(clips), "--set", "bands=4"]
    assert [run([*arguments, "--shard", f"{i}/2", "--out", str(tmp_path / "parts")]) for i in (1, 2)] == [0, 1]
    assert run([*arguments, "--out", str(tmp_path / "one.csv")]) == 1
    assert run(["gather", str(tmp_path / "parts"), "--out", str(tmp_path / "all.csv")]) == 1
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert "skipped: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["predict", "--model", "toy"], ["features", "log_mel_functionals", "--set", "bands=4"]]
)
def test_parts_of_an_engine(calls, clips, tmp_path, monkeypatch, command):
    monkeypatch.setattr(spread, "_FILES", 2)
    for _ in range(2):  # the second time, everything is done
        assert run([*command, str(clips), "--engine", "ray", "--out", str(tmp_path / "parts")]) == 1
        assert len(calls.order) == 3
    assert run(["gather", str(tmp_path / "parts"), "--out", str(tmp_path / "all.csv")]) == 1
    assert run([*command, str(clips), "--out", str(tmp_path / "one.csv")]) == 1
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
