import json
import re

import pytest

from serkit import documents, systems
from serkit.cli import run
from serkit.errors import UserError

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "JSON that serkit does not accept (lists and tables are nested more than 64 deep)"),
        ('{"a":' * 100_000, "more than 64 deep"),
        ("[" * 66 + "]" * 66, "more than 64 deep"),
        ("9" * 5000, "JSON that serkit does not accept (a whole number of more than 64 bits)"),
        ("-" + "9" * 5000, "more than 64 bits"),
        (str(2**64), "a whole number of 65 bits; at most 64 are allowed"),
        (f'[{{"a": {{"b": [1, {10**30}]}}}}]', "a whole number of 100 bits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' appears twice"),
        ('{"a": 1,}', "not JSON ("),
        (b'{"a": "\xff"}', "not JSON ('utf-8'"),
        ("", "not JSON ("),
    ],
)
def test_json_that_is_refused(text, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        documents.parse_json(text, "a.json, line 3")
    assert str(caught.value).startswith("a.json, line 3: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a = {DEEP}", "TOML that serkit does not accept (lists and tables are nested more than 64 deep)"),
        ("a = " + "{b = " * 100_000, "more than 64 deep"),
        (".".join(["a"] * 2000) + " = 1", "more than 64 deep"),
        ("[" + ".".join(["a"] * 2000) + "]", "more than 64 deep"),
        ("a = " + "9" * 5000, "TOML that serkit does not accept (a whole number of more than 64 bits)"),
        (f"a = {2**64}", "a whole number of 65 bits"),
        ("a = 0x" + "f" * 5000, "a whole number of 20000 bits"),
        ("a = 1\na = 2", "not TOML ("),
        (b"a = '\xff'", "not TOML ('utf-8'"),
    ],
)
def test_toml_that_is_refused(text, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        documents.parse_toml(text, "a.toml")
    assert str(caught.value).startswith("a.toml: ") and "\n" not in str(caught.value)


def test_what_may_be(tmp_path):
    deep = "[" * documents.DEEPEST + "]" * documents.DEEPEST
    assert documents.parse_json(deep, "x") == json.loads(deep)
    assert documents.parse_json(str(2**64 - 1), "x") == 2**64 - 1
    assert documents.parse_json("[1e400, NaN]", "x")[0] == float("inf")  # runs hold losses that are no numbers
    (tmp_path / "a").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert documents.read_json(tmp_path / "a") == {"a": 1}
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa = 1")
    assert documents.read_toml(tmp_path / "a") == {"a": 1}
    (tmp_path / "a").write_bytes(b'{"a": "\xe2\x80\xa8"}\r\n[2]\n')
    assert documents.read_json_lines(tmp_path / "a") == [{"a": "\u2028"}, [2]]
    with pytest.raises(UserError, match="a, line 2: not JSON"):
        (tmp_path / "a").write_text("1\nx\n")
        documents.read_json_lines(tmp_path / "a")


def test_only_what_is_no_toml_is_a_bare_word():
    assert systems.parse_value("vit") == "vit"
    for text in (DEEP, "9" * 5000):
        with pytest.raises(UserError, match="TOML that serkit does not accept"):
            systems.parse_value(text)


HOSTILE = {"deep": "[" * 100_000, "digits": "9" * 5000, "bytes": "\udcff\udcfe", "twice": '{"a": 1, "a": 2}'}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize(
    "arguments",
    [
        "systems mine.toml",
        "train linear-baseline --corpus table=none.csv --set stages.main.trainer.epochs={text}",
        "tune linear-baseline --corpus table=table.csv --space mine.toml --out search",
        "reproduce mine.toml --corpus table=table.csv",
        "evaluate card.json --corpus table=table.csv",
        "audit run",
        "compare run run",
        "export run --out bundle",
        "tune --out search",
        "corpora stats synthetic corpus",
    ],
)
def test_wherever_a_user_writes_them(arguments, kind, tmp_path, monkeypatch, capsys):
    text = HOSTILE[kind]
    if kind == "twice" and "{text}" in arguments:
        pytest.skip("a bare word")
    monkeypatch.chdir(tmp_path)
    toml = "a = 1\na = 2" if kind == "twice" else f"a = {text}"
    files = {"mine.toml": toml, "card.json": text, "run/run.json": text, "run/splits.json": text}
    files |= {
        "run/final.json": text,
        "run/scores.json": text,
        "search/search.json": text,
        "corpus/synthetic.json": text,
    }
    for name, content in files.items():
        if name.startswith("search") and "--space" in arguments:
            continue
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
    (tmp_path / "table.csv").write_text("path,emotion,speaker\n")
    assert run([word.replace("{text}", text) for word in arguments.split()]) == 2
    # Other libraries may warn of something first.
    [error] = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("serkit: warning: ")]
    assert error.startswith("serkit: error: ") and len(error) < 500


@pytest.mark.parametrize("text", [*HOSTILE.values(), "null", "[]", '{"file": {}}'])
def test_lines_to_go_on_with(toy, tmp_path, noise, capsys, text):
    noise(tmp_path / "a.wav", seconds=0.5)
    (tmp_path / "out.jsonl").write_bytes(text.encode(errors="surrogateescape") + b"\n")
    command = ["predict", "--model", "toy", str(tmp_path / "a.wav"), "--format", "jsonl", "--resume", "--out"]
    assert run([*command, str(tmp_path / "out.jsonl")]) == 2
    error = capsys.readouterr().err
    assert "line 1 was not written by" in error and error.count("\n") == 1
