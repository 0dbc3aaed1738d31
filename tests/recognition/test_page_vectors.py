"""What the page's tests compare with is what Python computes."""

import json

import pytest
from page_vectors import PATH, vectors


def _compare(found, wanted, path=""):
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), path
        for key in wanted:
            _compare(found[key], wanted[key], f"{path}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), path
        for number, one in enumerate(wanted):
            _compare(found[number], one, f"{path}[{number}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, abs=1e-3), path
    elif not path.rpartition(".")[0].endswith(".files"):  # their last digits differ between processors
        assert found == wanted, path


def test_the_vectors_of_the_page_are_those_of_python():
    assert PATH.exists()
    _compare(json.loads(PATH.read_text()), json.loads(json.dumps(vectors())))
