import json

import pytest
import typer
from typer.testing import CliRunner

from serkit.cli.audit import audit
from serkit.errors import UserError

app = typer.Typer()
app.command()(audit)


@pytest.fixture
def tables(tmp_path, monkeypatch, noise):
    """The function that writes two tables: number of speakers of each, and whether they are the same."""
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))

    def write(shared, count=1):
        for part, first in (("train", 0), ("test", 0 if shared else count)):
            lines = ["path,emotion,speaker,sentence"]
            for number in range(count):
                name = f"{part}-{number}.wav"
                noise(tmp_path / name, seconds=0.05, seed=[number, len(part)])
                lines.append(f"{name},anger,{first + number},{part}")
            (tmp_path / f"{part}.csv").write_text("\n".join(lines) + "\n")
        return ["--train", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv")]

    return write


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})


def test_clean_tables(tables):
    result = run(*tables(shared=False))
    assert result.exit_code == 0
    assert result.stdout == "No leak found (1 split).\n"


def test_a_leak_is_told_and_is_the_exit_code(tables):
    result = run(*tables(shared=True))
    assert result.exit_code == 1
    assert "speaker leak: 1 of 1 folds share speakers" in result.stdout
    assert "train.csv and test.csv: 1 of 1 speakers in test are also in train: table/0" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Leak found")


def test_one_table_with_parts_and_features(tables, tmp_path):
    tables(shared=False, count=2)
    rows = [(f"{part}-{number}.wav", part) for part in ("train", "test") for number in range(2)]
    lines = ["path,speaker,sentence,part", *(f"{name},{name},{name},{part}" for name, part in rows)]
    (tmp_path / "parts.csv").write_text("\n".join(lines) + "\n")
    assert run(str(tmp_path / "parts.csv")).exit_code == 0
    # Mean 0 and deviation 1 over all four.
    lines = ["file,f0", *(f"{name},{value}" for (name, _), value in zip(rows, (1, 1, -1, -1), strict=True))]
    (tmp_path / "features.csv").write_text("\n".join(lines) + "\n")
    result = run(str(tmp_path / "parts.csv"), "--features", str(tmp_path / "features.csv"))
    assert result.exit_code == 1
    assert "normalisation leak: the test part was used in 1 of 1 folds: features.csv" in result.stdout
    assert "1 of 1 columns of features.csv have mean 0 and deviation 1 over all parts together" in result.stdout


def test_lists_of_a_corpus(synthetic, tmp_path, monkeypatch):
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    for part, speaker in (("train", "s01"), ("test", "s02")):
        rows = [json.dumps({"key": u.id, "wav": f"downloads/{u.path.name}"}) for u in synthetic.utterances]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(row for row in rows if speaker in row) + "\n")
    tables = ["--train", str(tmp_path / "train.jsonl"), "--test", str(tmp_path / "test.jsonl")]
    result = run(*tables, "--corpus", f"synthetic={synthetic.folder}")
    assert result.exit_code == 0
    assert "sentences shared: all" in result.stdout and "unknown" not in result.stdout


def test_lists_of_a_corpus_that_is_not_named(tmp_path):
    for part, name in (("train", "03a01Fa"), ("test", "03a01Wa")):
        row = {"key": f"EMODB-{name}", "dataset": "emodb", "wav": f"downloads/emodb/{name}.wav", "emo": "happy"}
        (tmp_path / f"{part}.jsonl").write_text(json.dumps(row) + "\n")
    result = run("--train", str(tmp_path / "train.jsonl"), "--test", str(tmp_path / "test.jsonl"))
    assert isinstance(result.exception, UserError)
    message = str(result.exception)
    assert "its file does not exist: " in message
    assert message.endswith("; if the rows name recordings of a corpus, add --corpus emodb=FOLDER")


def test_json_names_the_files_of_copies(tmp_path, monkeypatch, noise):
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    lines = ["path,emotion,speaker,part"]
    for name, part, seed in (("a", "train", 1), ("b", "train", 2), ("c", "test", 2), ("d", "test", 2)):
        noise(tmp_path / f"{name}.wav", seconds=0.5, seed=seed)
        lines.append(f"{name}.wav,anger,{name},{part}")
    (tmp_path / "parts.csv").write_text("\n".join(lines) + "\n")
    document = json.loads(run(str(tmp_path / "parts.csv"), "--format", "json").stdout)
    [finding] = [finding for finding in document["findings"] if finding["kind"] == "recording"]
    b, c, d = (str(tmp_path / f"{name}.wav") for name in "bcd")
    assert finding["pairs"] == [[c, b], [d, b]]


def test_json(tables):
    result = run(*tables(shared=True), "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["leak"] is True
    (finding,) = document["findings"]
    assert finding["kind"] == "speaker" and finding["severity"] == "leak" and finding["parts"] == ["train", "test"]


def test_a_run_of_many_folds_shows_some_leaks_and_counts_the_rest(tables, tmp_path):
    tables(shared=True, count=2)
    folder = tmp_path / "run"
    folder.mkdir()
    protocol = {"name": "random", "kind": "random"}
    described = {"protocol": protocol, "folders": {"table": str(tmp_path / "train.csv")}}
    (folder / "run.json").write_text(json.dumps(described))
    split = {"train": ["table/train-0"], "validation": [], "test": ["table/train-0"]}
    splits = [{**split, "name": f"fold-{number}", "fold": number, "seed": 0} for number in range(4)]
    (folder / "splits.json").write_text(json.dumps(splits))
    result = run(str(folder))
    assert result.exit_code == 1
    # Utterance, recording and speaker in each of 4 folds; the same sentence is only noted.
    lines = result.stdout.splitlines()
    assert sum(line.startswith("fold-") for line in lines) == 10
    assert "... and 2 more (--format json shows all)" in lines
    assert "caution" in result.stdout and "(4 splits)" in lines[-1]


@pytest.mark.parametrize("arguments", [[], ["run", "--train", "a.csv"], ["--train", "a.csv"], ["--test", "a.csv"]])
def test_a_run_or_two_tables_are_needed(arguments):
    error = run(*arguments).exception
    assert isinstance(error, UserError) and "give either the folder of a run, a table with" in str(error)


def test_mistakes(tables, tmp_path):
    for arguments, words in [
        (["nowhere"], "nowhere: no such folder"),
        (["--train", str(tmp_path / "no.csv"), "--test", str(tmp_path / "test.csv")], "no such file or folder"),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, UserError) and words in str(error)


def test_cautions_about_speakers_and_labels(tmp_path, monkeypatch, noise):
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
        noise(tmp_path / f"{name}.wav", seconds=0.3, seed=seed)
    rows = ["a.wav,happy,Anna,x,train", "b.wav,sad,bob,y,train", "c.wav,joy,anna,z,test", "d.wav,sad,1,w,test"]
    (tmp_path / "parts.csv").write_text("\n".join(["path,emotion,speaker,sentence,part", *rows]) + "\n")
    result = run(str(tmp_path / "parts.csv"))
    assert result.exit_code == 0
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines() if line.split()[:1] == ["caution"]]
    assert [text.strip() for _, text in lines] == [
        "speakers that differ only in spelling: table/Anna ~ table/anna",
        "contradicting labels for 1 recording: table/a (happiness) = table/b (sadness)",
    ]
    findings = json.loads(run(str(tmp_path / "parts.csv"), "--format", "json").stdout)["findings"]
    assert [(each["kind"], each["severity"]) for each in findings] == [
        ("spelling", "caution"),
        ("contradiction", "caution"),
    ]
