import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serkit.toml import write_key, write_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(TEXTS, VALUES)
def test_what_is_written_is_read_back(key, value):
    assert tomllib.loads(f"{write_key(key)} = {write_value(value)}") == {key: value}


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity(value):
    assert tomllib.loads(f"x = {write_value([value])}") == {"x": [value]}


def test_not_a_number():
    assert math.isnan(tomllib.loads(f"x = {write_value(math.nan)}")["x"])


def test_none_is_left_out_of_a_table():
    assert tomllib.loads(f"x = {write_value({'a': None, 'b': (1, 2)})}") == {"x": {"b": [1, 2]}}


@pytest.mark.parametrize("value", [None, [1, None], {"a": [None]}, {1, 2}, b"x"])
def test_what_toml_cannot_hold(value):
    with pytest.raises(TypeError, match="TOML cannot hold"):
        write_value(value)
