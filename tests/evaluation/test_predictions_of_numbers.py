import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation.predictions import NumberPredictions


def make(**changes):
    fields = {
        "ids": ("one/a", "one/b", "two/c"),
        "speakers": ("one/s", None, "two/t"),
        "truth": np.array([[0.1, 1.0], [np.nan, 2.0], [-0.3, 3.0]]),
        "values": np.array([[1 / 3, 1.5], [0.2, 2.5], [-0.1, 1e-17]]),
        "targets": ("valence", "age"),
        "folds": np.array([1, 2, 1]),
        "seeds": np.array([0, 0, 7]),
    }
    return NumberPredictions(**{**fields, **changes})


def same(a, b):
    arrays = all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in ("truth", "values"))
    return arrays and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("ids", "speakers", "folds", "seeds"))


def test_what_is_saved_is_what_is_loaded(tmp_path):
    predictions = make()
    predictions.save(tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "id,speaker,corpus,fold,seed,truth_valence,truth_age,predicted_valence,predicted_age"
    assert lines[2] == "one/b,,one,2,0,,2.0,0.2,2.5"
    found = NumberPredictions.load(tmp_path / "p.csv")
    assert same(found, predictions) and found.targets == predictions.targets
    assert found.corpora == ("one", "one", "two")


def test_parts_are_chosen_and_joined():
    predictions = make()
    parts = [predictions.select(np.array([0])), predictions.select(np.array([False, True, True]))]
    assert [part.ids for part in parts] == [("one/a",), ("one/b", "two/c")]
    assert same(NumberPredictions.concatenate(parts), predictions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": (), "speakers": ()}, "no predictions"),
        ({"values": np.zeros((3, 1))}, "2 targets"),
        ({"seeds": np.zeros(2)}, "one value for each of the 3 ids"),
        ({"values": np.array([[0.0, 0.0], [0.0, np.inf], [0.0, 0.0]])}, "prediction of 'one/b' must be finite, got "),
    ],
)
def test_what_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("truth_age", "age"), "not a table of predicted numbers"),
        (lambda text: text.splitlines()[0], "only a header"),
        (lambda text: text.replace("2.5\n", "2.5,1\n"), "line 3: 10 values instead of 9"),
        (lambda text: text.replace("0.2,2.5", "0.2,high"), "line 3: not a number"),
        (lambda text: text.replace("0.2,2.5", "0.2,"), "prediction of 'one/b'"),
    ],
)
def test_broken_files_are_refused(tmp_path, change, message):
    path = tmp_path / "p.csv"
    make().save(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        NumberPredictions.load(path)
    with pytest.raises(UserError, match="no such file"):
        NumberPredictions.load(tmp_path / "none.csv")
