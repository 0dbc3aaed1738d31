"""The matrix of all pairs of corpora, on generated speech."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score

from serkit.corpora.corpus import Corpus
from serkit.errors import UserError
from serkit.evaluation.predictions import Predictions
from serkit.reports.cross import draw
from serkit.runs.cross import Matrix, matrix
from serkit.runs.request import Request

SETS = ("stages.main.trainer.epochs=3", "stages.main.trainer.batch_size=8", "protocols.clean.folds=2")


def part(corpus, name, speakers, labels):
    """Some speakers and classes of a corpus, as a corpus of their own."""
    chosen = [
        dataclasses.replace(u, id=f"{name}/{u.id.partition('/')[2]}", speaker=f"{name}/{u.speaker}")
        for u in corpus.utterances
        if u.speaker.endswith(speakers) and u.targets["emotion"] in labels
    ]
    return Corpus(dataclasses.replace(corpus.facts, name=name), corpus.folder, tuple(chosen))


@pytest.fixture(scope="module")
def corpora(synthetic):
    return [
        part(synthetic, "one", ("s01", "s02"), ("anger", "fear", "neutral", "sadness")),
        part(synthetic, "two", ("s03", "s04", "s05"), ("anger", "neutral", "sadness")),
    ]


@pytest.fixture(scope="module")
def asked(corpora):
    return Request("linear-baseline", corpora, sets=SETS, jobs=1, threads=1, command="serkit cross")


@pytest.fixture(scope="module")
def done(asked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross") / "matrix"
    return folder, matrix(asked, folder)


def test_a_cell_is_trained_on_the_row_and_tested_on_the_column(done):
    folder, found = done
    assert json.loads((folder / "cross.json").read_text()) == found.to_dict()
    assert (found.system, found.corpora, found.command) == ("linear-baseline", ["one", "two"], "serkit cross")
    assert [[(cell.train, cell.test) for cell in row] for row in found.rows] == [
        [("one", "one"), ("one", "two")],
        [("two", "one"), ("two", "two")],
    ]
    for cell in found.to_dict()["cells"]:
        across = cell["train"] != cell["test"]
        [split, *more] = json.loads((folder / cell["run"] / "splits.json").read_text())
        assert cell["protocol"] == ("cross-corpus" if across else "clean") and len(more) == (0 if across else 1)
        assert {name.partition("/")[0] for name in split["train"]} == {cell["train"]}
        assert {name.partition("/")[0] for name in split["test"]} == {cell["test"]}
        predictions = Predictions.load(folder / cell["run"] / "predictions.csv")
        assert cell["n"] == len(predictions) and set(predictions.corpora) == {cell["test"]}
        expected = balanced_accuracy_score(predictions.truth, predictions.predicted)
        assert cell["uar"]["estimate"] == pytest.approx(expected)


def test_a_pair_has_the_classes_of_both_and_their_chance(done):
    _, found = done
    four, three = ["anger", "fear", "neutral", "sadness"], ["anger", "neutral", "sadness"]
    assert [cell.classes for cell in found.cells] == [four, three, three, three]
    assert [cell.chance for cell in found.cells] == [1 / 4, 1 / 3, 1 / 3, 1 / 3]
    said = "classes left out, since not every corpus has them: fear (one)"
    assert [said in [flag.text for flag in cell.flags] for cell in found.cells] == [False, True, True, False]


def test_a_matrix_is_taken_up_without_training_again(done, asked, fits):
    folder, found = done
    with pytest.raises(UserError, match="already holds a run"):
        matrix(asked, folder)
    lines = []
    assert matrix(asked, folder, resume=True, report=lines.append) == found
    assert fits == []
    assert [line for line in lines if "->" in line] == ["one -> one", "one -> two", "two -> one", "two -> two"]


def test_one_training_serves_all_corpora_with_the_same_classes(asked, corpora, synthetic, tmp_path, fits):
    again = part(synthetic, "again", ("s02", "s05"), ("anger", "neutral", "sadness"))
    matrix(dataclasses.replace(asked, corpora=[*corpora, again]), tmp_path / "three")
    # Two folds on each diagonal, one training for each corpus that serves both others.
    assert len(fits) == 3 * 2 + 3


def test_the_picture_is_darker_where_more_is_right(done, tmp_path):
    document = done[1].to_dict()
    for cell, value in zip(document["cells"], (1.0, 1 / 3, 0.6, 0.2), strict=True):
        cell["uar"] |= {"estimate": value, "low": 0.0, "high": 1.0}
    draw(Matrix.parse(document, "cross.json"), tmp_path / "cross.png")
    pixels = np.asarray(Image.open(tmp_path / "cross.png").convert("L"), dtype=float)
    height, width = pixels.shape
    # The corners of the cells, where no text is: dark, white, between, white.
    shades = [pixels[int(y * height), int(x * width)] for y in (0.12, 0.82) for x in (0.2, 0.62)]
    assert shades[0] < shades[2] < shades[1] == shades[3]


def test_one_corpus_is_no_matrix(asked, corpora, tmp_path):
    with pytest.raises(UserError, match="requires at least two corpora, got 1"):
        matrix(dataclasses.replace(asked, corpora=corpora[:1]), tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_numbers_make_no_matrix(asked, tmp_path):
    with pytest.raises(UserError, match="a matrix requires classes, but 'linear-regression' learns numbers"):
        matrix(dataclasses.replace(asked, system="linear-regression"), tmp_path / "numbers")
    assert not (tmp_path / "numbers").exists()
