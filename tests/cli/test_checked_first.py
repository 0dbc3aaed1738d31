"""What is wrong with a command and shows without a recording is found before recordings are read."""

import pytest

from serkit import cli, corpora, finding

SPACE = "[search]\nstages.main.trainer.batch_size = [8, 16]\n"


@pytest.fixture
def unread(monkeypatch, tmp_path):
    """The current folder is empty but for `space.toml`; reading a corpus fails the test."""

    def read(*arguments):
        raise AssertionError("the corpora were read")

    monkeypatch.setattr(corpora, "load_all", read)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "typo.toml").write_text(SPACE.replace("size", "sise"))
    (tmp_path / "endless.toml").write_text("[search]\nstages.main.trainer.learning_rate = { low = 0.1, high = 0.2 }\n")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("tune linear-baseline --space nothing.toml", "nothing.toml: no such file"),
        ("tune linear-baseline --space typo.toml", "Did you mean 'batch_size'?"),
        ("tune linear-baseline --space endless.toml --sampler grid", "a grid requires values"),
        ("tune linear-baseline --space space.toml --sampler dice", "--sampler dice"),
        ("tune linear-baseline --space space.toml --pruner saw", "--pruner saw"),
        ("tune linear-baseline --space space.toml --metric weight", "unknown metric 'weight'"),
        ("tune linear-baseline --space space.toml --protocol none", "unknown protocol 'none'"),
        ("tune linear-baseline --space space.toml --study=", "--study is empty"),
        ("tune linear-baseline --space space.toml --storage paper", "'paper' is not the URL of a database"),
        (
            "tune linear-baseline --space space.toml --storage sqlite:///no/x.db",
            "no/x.db: cannot be opened (its folder does",
        ),
        ("tune linear-baseline --space space.toml --storage sqlite://", "is a database in memory"),
        ("tune linear-baseline --space space.toml --out space.toml", "space.toml: is a file"),
        ("tune linear-baseline --space space.toml --test --whole", "--whole holds no recordings out"),
        ("tune linear-baseline --space space.toml --minutes 0", "--minutes must be above 0"),
        ("tune linear-baseline --space space.toml --accelerator abacus", "--accelerator abacus"),
        ("train nothing", "unknown system 'nothing'"),
        ("train linear-baseline --set nothing=1", "unknown key 'nothing'"),
        ("train linear-baseline --protocol none", "unknown protocol 'none'"),
        ("train linear-baseline --accelerator abacus", "--accelerator abacus"),
        ("train linear-baseline --devices 9000 --accelerator cpu", "--devices 9000"),
        ("train linear-baseline --shard 3/2", "--shard must be I/N"),
        ("train linear-baseline --engine horse", "--engine must be 'ray'"),
        ("train linear-baseline --out space.toml", "space.toml: is a file"),
        ("cross linear-baseline", "at least two corpora"),
        ("cross linear-baseline --corpus b=b --set nothing=1", "unknown key 'nothing'"),
        ("cross linear-baseline --corpus b=b --accelerator abacus", "--accelerator abacus"),
        ("cross linear-baseline --corpus b=b --shard 3/2", "--shard must be I/N"),
        ("cross linear-baseline --corpus b=b --out space.toml", "space.toml: is a file"),
        ("reproduce kim2024 table9", "unknown artifact of kim2024 'table9'"),
        ("reproduce kim2024 table3 --rows none", "unknown row of table3 'none'"),
        ("reproduce kim2024 table3 --set nothing=1", "unknown key 'nothing'"),
        ("reproduce kim2024 table3 --protocol none", "unknown protocol 'none'"),
        ("reproduce kim2024 table3 --shard 3/2", "--shard must be I/N"),
        ("reproduce kim2024 table3 --out space.toml", "space.toml: is a file"),
        ("features log_mel --out x.doc", "must end in .csv, .parquet or .arff"),
        ("features f0_robust --plot x.jpg", "--plot requires a file that ends in .png"),
    ],
)
def test_no_corpus_is_read(unread, capsys, command, message):
    assert cli.run([*command.split(), "--corpus", "a=a"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert sorted(place.name for place in unread.iterdir()) == ["endless.toml", "space.toml", "typo.toml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--format doc", "unknown format 'doc'"),
        ("--out no/x.csv", "no/x.csv: its folder does not exist"),
        ("--out x.doc", "unknown ending .doc"),
        ("--out space.toml --format csv", "requires .csv, not .toml"),
        ("--csv-safe", "--csv-safe requires"),
        ("--resume", "--resume requires --out"),
        ("--channel left", "--channel must be"),
        ("--timeline --format doc", "unknown format 'doc'"),
        ("--timeline --out no/x.csv", "no/x.csv: its folder does not exist"),
        ("--timeline --out no/x.srt", "no/x.srt: its folder does not exist"),
        ("--timeline --csv-safe", "--csv-safe requires"),
        ("--timeline --resume", "--resume requires --out"),
        ("--timeline --plot no/x.png", "no/x.png: its folder does not exist"),
        ("--timeline --format audformat-db", "requires --out FOLDER"),
        ("--segments a.rttm --out no/x.csv", "no/x.csv: its folder does not exist"),
        ("--segments a.rttm --csv-safe", "--csv-safe requires"),
        ("--shard 3/2 --out parts", "--shard must be I/N"),
        ("--shard 1/2 --out space.toml", "space.toml: is a file"),
    ],
)
def test_no_recording_is_searched(unread, monkeypatch, capsys, options, message):
    def find(paths):
        raise AssertionError("recordings were searched")

    monkeypatch.setattr(finding, "find", find)
    assert cli.run(["predict", "calls", *options.split()]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert sorted(place.name for place in unread.iterdir()) == ["endless.toml", "space.toml", "typo.toml"]
