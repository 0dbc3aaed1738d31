import numpy as np
import pytest

from serkit.auditing.normalization import check, read
from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.protocols.splits import Split

TRAIN, HELD, TEST = (tuple(f"t/{part}{number:02d}" for number in range(40)) for part in ("a", "v", "x"))
SPLIT = Split("fold", TRAIN, HELD, TEST)
NAMES = [f"f{number}" for number in range(20)]


def features():
    """40 utterances in each part, 20 columns of different level and width; the test part lies a little higher."""
    chance = np.random.default_rng(0)
    raw = chance.normal(5, 3, 20) + chance.gamma(2, chance.uniform(0.1, 9, 20), (120, 20))
    raw[80:] += 0.3
    return raw


def standardised(raw, rows, ddof=0):
    return (raw - raw[rows].mean(axis=0)) / raw[rows].std(axis=0, ddof=ddof)


def ranged(raw, rows):
    low, high = raw[rows].min(axis=0), raw[rows].max(axis=0)
    return (raw - low) / (high - low)


def found(values, rest=0):
    """Check the table whose last rows are of none of the parts."""
    rows = {id: row[None] for id, row in zip(TRAIN + HELD + TEST, values, strict=False)}
    return check(SPLIT, NAMES, rows, values[len(values) - rest :], "f.csv")


ALL, TRAINING, LEARNED, TESTED = slice(None), slice(0, 40), slice(0, 80), slice(80, 120)


@pytest.mark.parametrize("ddof", [0, 1])
def test_scaled_by_all_parts_together(ddof):
    finding = found(standardised(features(), ALL, ddof))
    assert (finding.kind, finding.severity, finding.parts) == ("normalisation", "leak", ("train", "test"))
    assert finding.ids == TEST and finding.shared == ("f.csv",) and finding.total == 40
    assert finding.message == (
        "20 of 20 columns of f.csv have mean 0 and deviation 1 over all parts together, not over train: "
        "the test part was used to scale them"
    )


def test_scaled_by_training_and_test_part_without_the_validation_part():
    raw = features()
    finding = found(standardised(raw, np.r_[TRAINING, TESTED]))
    assert "20 of 20 columns of f.csv have mean 0 and deviation 1 over training and test part" in finding.message


def test_scaled_by_the_whole_table_with_rows_of_none_of_the_parts():
    raw = np.concatenate([features(), features()[:30] + 1])
    finding = found(standardised(raw, ALL), rest=30)
    assert "20 of 20 columns of f.csv have mean 0 and deviation 1 over the whole table" in finding.message
    # Without the test part it is fair: who fits to further recordings of his own may do so.
    fair = np.r_[LEARNED, slice(120, 150)]
    assert found(standardised(raw, fair), rest=30) is None
    assert found(ranged(raw, fair), rest=30) is None


def test_parts_or_speakers_scaled_by_themselves_cannot_be_told():
    raw = features()
    parts = (TRAINING, slice(40, 80), TESTED)
    assert found(np.concatenate([standardised(raw, part)[part] for part in parts])) is None


def test_the_range_of_all_parts_together():
    raw = features()
    # Where both ends lie in what was learned from, its range is that of all parts, whatever was fitted to which.
    told = int(((raw.argmin(axis=0) >= 80) | (raw.argmax(axis=0) >= 80)).sum())
    assert told == 8
    for scaled in (ranged(raw, ALL), 2 * ranged(raw, ALL) - 1):
        finding = found(scaled)
        assert (finding.kind, finding.severity, finding.ids) == ("normalisation", "leak", TEST)
        assert (
            f"{told} of 20 columns of f.csv have a range of 0 to 1 or -1 to 1 over all parts together"
            in finding.message
        )


def test_what_is_fitted_on_what_was_learned_from_is_clean():
    raw = features()
    for rows in (TRAINING, LEARNED):
        assert found(standardised(raw, rows)) is None
        assert found(ranged(raw, rows)) is None
    assert found(raw) is None


def test_one_column_between_0_and_1_by_nature_is_no_finding():
    raw = features()
    raw[:, 0] = 0.5
    raw[100, 0], raw[101, 0] = 0, 1
    assert found(raw) is None


def test_utterances_without_features_are_passed_over():
    values = {id: np.zeros((1, 20)) for id in TRAIN}
    assert check(SPLIT, NAMES, values, np.zeros((0, 20)), "f.csv") is None


def test_rows_are_found_by_id_path_and_name(tmp_path):
    utterances = [Utterance(f"t/{name}", tmp_path / "wav" / f"{name}.wav") for name in "abc"]
    path = tmp_path / "f.csv"
    lines = ["file,time,f0,text,energy", f"{utterances[0].path},0,1,x,2", "b.flac,0,3,y,4", "b.flac,0.1,5,y,6"]
    path.write_text("\n".join([*lines, "t/c,0,7,z,8", "other.wav,0,9,z,9"]) + "\n")
    names, values, rest = read(path, utterances)
    assert names == ["f0", "energy"] and rest.tolist() == [[9, 9]]
    assert {id: rows.tolist() for id, rows in values.items()} == {
        "t/a": [[1, 2]],
        "t/b": [[3, 4], [5, 6]],
        "t/c": [[7, 8]],
    }


def test_a_name_that_several_files_have_is_that_of_none(tmp_path):
    utterances = [Utterance(f"t/{name}", tmp_path / f"{name}.wav") for name in ("anger/1", "sad/1", "sad/2")]
    path = tmp_path / "f.csv"
    path.write_text("file,f0\nanger/1.wav,1\nt/sad/1,2\nfear/1.wav,3\n2,4\n")
    _, values, rest = read(path, utterances)
    assert {id: rows.tolist() for id, rows in values.items()} == {
        "t/anger/1": [[1]],
        "t/sad/1": [[2]],
        "t/sad/2": [[4]],
    }
    assert rest.tolist() == [[3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no column that identifies the utterances"),
        ("file,f0\nz.wav,1\n", "none of its 1 rows belongs to one of the 1 utterances"),
        ("file,f0\na.wav,high\n", "no column of numbers"),
    ],
)
def test_mistakes(tmp_path, text, message):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read(path, [Utterance("t/a", tmp_path / "a.wav")])
