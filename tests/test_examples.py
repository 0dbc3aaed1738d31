"""The examples in docstrings give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import serkit

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(serkit.__path__, "serkit.") if "__main__" not in module.name
)


def test_there_are_examples():
    assert sum(bool(find(name)) for name in MODULES) > 20


def find(name):
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    runner = doctest.DocTestRunner()
    for test in find(name):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
