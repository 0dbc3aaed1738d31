"""`--shard`, `--list`, URLs and `serkit gather`."""

import json
import os
import unicodedata
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
    empty = f"serkit: error: {listed}: lists no recording; write a path or URL per line\n"
    assert capsys.readouterr().err.endswith(empty)
    assert predict("--list", listed, "--shard", "1/2", "--out", tmp_path / "none") == 2
    assert capsys.readouterr().err == empty
    assert not (tmp_path / "none").exists()


def test_a_pipe_gives_no_parts(clips, tmp_path, capsys):
    """Parts read the list twice; the second time, a pipe is empty."""
    for command in (["predict", "--model", "toy"], ["features", "f0_egg"]):
        reader, writer = os.pipe()
        os.write(writer, f"{clips}/a.wav\n".encode())
        os.close(writer)
        options = ["--list", f"/dev/fd/{reader}", "--shard", "1/1", "--out", str(tmp_path / "parts")]
        assert run([*command, *options]) == 2
        os.close(reader)
        assert "is a pipe or device" in capsys.readouterr().err
    assert not (tmp_path / "parts").exists()


def test_a_name_that_is_not_utf_8(clips, tmp_path, capsys):
    """Its row is that of one run, in each format."""
    name = os.fsencode(clips) + b"/h\xfc.wav"
    os.rename(clips / "a.wav", name)
    (tmp_path / "list.txt").write_bytes(name + b"\n" + os.fsencode(clips) + b"/no\xff.wav\n")
    options = ["--list", str(tmp_path / "list.txt")]
    for command, endings in (
        (["predict", "--model", "toy"], ("csv", "jsonl")),
        (["features", "log_mel_functionals", "--set", "bands=4"], ("csv",)),
    ):
        parts = tmp_path / command[0]
        assert run([*command, *options, "--shard", "1/1", "--out", str(parts)]) == 1
        for ending in endings:
            one, all_ = (tmp_path / f"{command[0]}-{which}.{ending}" for which in ("one", "all"))
            assert run([*command, *options, "--out", str(one)]) == 1
            assert run(["gather", str(parts), "--out", str(all_)]) == 1
            assert all_.read_bytes() == one.read_bytes()
            assert rb"/h\udcfc.wav" in one.read_bytes()


def test_parts_that_are_not_joined(clips, tmp_path, capsys):
    """The last part is wrong: nothing is written, not even the rows of the first."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    out, last = tmp_path / "parts", "part-000002-of-000002.parquet"
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{clips}/{name}.wav\n" for name in "abde"))
    for index in (1, 2):
        assert predict("--list", listed, "--shard", f"{index}/2", "--out", out) == 0
    options = ["--set", "bands=4", "--list", str(listed), "--shard", "2/2", "--out", str(tmp_path / "other")]
    assert run(["features", "log_mel_functionals", *options]) == 0
    content = (out / last).read_bytes()
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "foreign")
    # Only the end of a Parquet file says what it holds; the rows are found to be damaged as they are read.
    damaged = bytes(byte ^ 0x5A for byte in content[4:600])
    for wrong, told in {
        content[:1000]: "is damaged, or is not a part; remove it and run shard 2/2 again",
        (tmp_path / "foreign").read_bytes(): "is damaged, or is not a part; remove it and run shard 2/2 again",
        content[:4] + damaged + content[600:]: "is damaged, or is not a part; remove it and run shard 2/2 again",
        (
            tmp_path / "other" / last
        ).read_bytes(): "part-000002-of-000002.parquet is of another request than part-000001",
    }.items():
        (out / last).write_bytes(wrong)
        for ending in ("csv", "jsonl", "json", "parquet"):
            capsys.readouterr()
            assert run(["gather", str(out), "--out", str(tmp_path / f"all.{ending}")]) == 2
            err = capsys.readouterr().err
            assert told in err and err.count("\n") == 1
            assert not (tmp_path / f"all.{ending}").exists()
    assert not list(tmp_path.glob(".serkit-*"))


def test_nothing_of_damaged_parts_is_on_stdout(clips, tmp_path, capsys):
    out = tmp_path / "parts"
    for index in (1, 2, 3):
        predict(clips, "--shard", f"{index}/3", "--out", out)
    for index in (2, 3):
        part = out / f"part-00000{index}-of-000003.parquet"
        content = bytearray(part.read_bytes())
        # One bit of a name: without a checksum, it would be another name.
        place = content.index(b"wav")
        content[place] ^= 1
        part.write_bytes(content)
    capsys.readouterr()
    assert run(["gather", str(out)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "2 parts are damaged: part-000002-of-000003.parquet, part-000003-of-000003.parquet; remove them" in told.err
    (out / "part-000003-of-000003.parquet").unlink()
    predict(clips, "--shard", "3/3", "--out", out)
    capsys.readouterr()
    assert run(["gather", str(out)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "part-000002-of-000003.parquet: is damaged, or is not a part" in told.err
    assert run(["gather", str(out), "--out", str(tmp_path / "all.csv")]) == 2
    assert not (tmp_path / "all.csv").exists()


def test_parts_of_another_serkit_are_refused_in_one_line(clips, tmp_path, capsys):
    import pyarrow.parquet as parquet

    out = tmp_path / "parts"
    predict(clips, "--shard", "1/1", "--out", out)
    part = out / "part-000001-of-000001.parquet"
    table, content = parquet.read_table(part), parquet.ParquetFile(part)
    told = json.loads(content.metadata.metadata[b"serkit"])

    def write(about, rows=table):
        with parquet.ParquetWriter(part, rows.schema) as writer:
            writer.write_table(rows)
            writer.add_key_value_metadata({b"serkit": json.dumps(about).encode()})

    request = told["request"]
    for about, rows in (
        ({**told, "version": "9.9"}, table),
        ({**told, "kind": "another"}, table),
        ({**told, "request": None}, table),
        ({**told, "request": {key: request[key] for key in request if key != "names"}}, table),
        ({**told, "request": {**request, "names": ["other"]}}, table),
        (told, table.drop_columns(["warnings"])),
    ):
        write(about, rows)
        capsys.readouterr()
        assert run(["gather", str(out)]) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        assert "part-000001-of-000001.parquet: was written by another version of serkit" in printed.err
    write({"kind": "predict"}, table)
    assert run(["gather", str(out)]) == 2
    write([1], table)
    assert run(["gather", str(out)]) == 2


def test_a_list_may_have_another_unicode_form_than_the_disk(toy, tree, tmp_path, capsys):
    composed, decomposed = "gr\u00fcn.wav", "scho\u0308n.wav"
    folder = tree(f"calls/{composed}", f"calls/{decomposed}") / "calls"
    names = [str(folder / composed), str(folder / decomposed)]
    listed = tmp_path / "list.txt"
    listed.write_text(
        "\n".join(unicodedata.normalize(form, name) for form, name in zip(("NFD", "NFC"), names, strict=True))
    )
    assert run(["predict", "--list", str(listed), "--model", "toy", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == names
    assert predict("--list", listed, "--shard", "1/1", "--out", tmp_path / "parts") == 0
    features = ["features", "log_mel_functionals", "--list", str(listed)]
    assert run([*features, "--out", str(tmp_path / "one.csv")]) == 0
    assert run([*features, "--shard", "1/1", "--out", str(tmp_path / "some")]) == 0
    assert run(["gather", str(tmp_path / "some"), "--out", str(tmp_path / "all.csv")]) == 0
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


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
    assert run(["gather", f"{bucket}/out", "--out", f"{bucket}/all.csv"]) == 2
    assert "all.csv: already exists" in capsys.readouterr().err
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
