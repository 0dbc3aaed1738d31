import csv
import os

import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation import Predictions


@pytest.fixture
def predictions():
    return Predictions(
        ids=("emodb/03a01Fa", "emodb/03a01Nc", "table/odd, \"name\" ü"),
        speakers=("emodb/03", "emodb/03", None),
        truth=np.array([1, 0, 1]),
        probabilities=np.array([[1 / 3, 2 / 3], [0.1 + 0.2, 0.7], [0.5, 0.5]]),
        classes=("anger", "neutral"),
        folds=np.array([1, 2, 2]),
        seeds=np.array([0, 0, 7]),
    )  # fmt: skip


def test_the_likeliest_class_is_predicted_and_the_first_of_equals(predictions):
    assert predictions.predicted.tolist() == [1, 1, 0]
    assert predictions.corpora == ("emodb", "emodb", "table")
    assert len(predictions) == 3


def test_a_file_gives_back_every_digit(predictions, tmp_path):
    predictions.save(tmp_path / "predictions.csv")
    found = Predictions.load(tmp_path / "predictions.csv")
    assert (found.ids, found.speakers, found.classes) == (
        predictions.ids,
        predictions.speakers,
        predictions.classes,
    )
    for name in ("truth", "probabilities", "folds", "seeds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(predictions, name))
    assert found.probabilities.dtype == np.float64


def test_the_columns_of_the_file(predictions, tmp_path):
    predictions.save(tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "id": "emodb/03a01Nc",
        "speaker": "emodb/03",
        "corpus": "emodb",
        "fold": "2",
        "seed": "0",
        "truth": "anger",
        "predicted": "neutral",
        "p_anger": "0.30000000000000004",
        "p_neutral": "0.7",
    }
    assert rows[2]["speaker"] == ""


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(predictions, tmp_path, monkeypatch):
    predictions.save(tmp_path / "predictions.csv")
    before = (tmp_path / "predictions.csv").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        predictions.select(np.array([0])).save(tmp_path / "predictions.csv")
    assert (tmp_path / "predictions.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


HEADER = "id,speaker,corpus,fold,seed,truth,predicted,p_a,p_b\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a table of predictions"),
        ("id,truth\n", "not a table of predictions; its columns are 'id, truth'"),
        ("id,speaker,corpus,fold,seed,truth,predicted\n", "then one p_<class> for each class"),
        (HEADER, "has no predictions, only a header"),
        (HEADER + "x/1,s,x,1,0,a,a,0.9,0.1\nx/2,s,x,1,0,a,a,0.9\n", "line 3: 8 values instead of 9"),
        (HEADER + "x/1,s,x,1,0,c,a,0.9,0.1\n", "line 2: class 'c' has no column p_c"),
        (HEADER + "x/1,s,x,1,0,a,a,0.9,much\n", "line 2: not a number"),
        (HEADER + "x/1,s,x,one,0,a,a,0.9,0.1\n", "line 2: not a number"),
        (HEADER + "x/1,s,x,1,0,a,b,0.9,0.1\n", "line 2: predicted is 'b', but another class is more probable"),
        (HEADER + "x/1,s,x,1,0,a,a,0.9,0.2\n", "probabilities of 'x/1' are [0.9, 0.2]; they must be >= 0"),
        (HEADER + "x/1,s,x,1,0,a,a,nan,0.2\n", "they must be >= 0 and sum to 1"),
        (HEADER + "x/1,s,x,1,0,a,a,1.5,-0.5\n", "they must be >= 0 and sum to 1"),
    ],
)
def test_broken_files_are_refused(tmp_path, text, message):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        Predictions.load(path)
    assert message in str(error.value) and str(error.value).startswith(str(path))


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Predictions.load(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a table of predictions"):
        Predictions.load(tmp_path / "binary.csv")


def test_what_does_not_fit_together_is_refused(make):
    with pytest.raises(ValueError, match="no predictions"):
        make([], [])
    with pytest.raises(ValueError, match="class indices from 0 to 4; there are 4 classes"):
        make([0, 4], [0, 1])
    with pytest.raises(ValueError, match="one value for each of the 2 ids"):
        make([0, 1], [0, 1], speakers=["x"])
    with pytest.raises(ValueError, match="but there are 3 ids and 4 classes"):
        make([0, 1], [0, 1], ids=["x/1", "x/2", "x/3"])


def test_folds_are_joined_in_order(make):
    first, second = make([0, 1], [0, 0], ["x/s", "x/t"]), make([2], [3], ["x/u"], ids=["x/9"], seeds=[5])
    joined = Predictions.concatenate([first, second])
    assert joined.ids == ("table/0000", "table/0001", "x/9")
    assert joined.speakers == ("x/s", "x/t", "x/u")
    assert (joined.truth.tolist(), joined.predicted.tolist()) == ([0, 1, 2], [0, 0, 3])
    assert joined.seeds.tolist() == [0, 0, 5]
    with pytest.raises(UserError, match="different classes cannot be joined: a, b, c, d and a, b, c"):
        Predictions.concatenate([first, make([0], [0], classes="abc")])


def test_selecting_by_mask_and_by_position(make):
    predictions = make([0, 1, 2], [0, 1, 3], ["x/s", None, "x/t"])
    assert predictions.select(np.array([True, False, True])).ids == ("table/0000", "table/0002")
    turned = predictions.select(np.array([2, 0]))
    assert turned.predicted.tolist() == [3, 0] and turned.speakers == ("x/t", "x/s")
