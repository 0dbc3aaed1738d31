import csv
import io

import pytest

from serkit.spreadsheet import Harmless, harmless, harmless_rows


@pytest.mark.parametrize(
    "field",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "\t=1",
        "\rx",
        "\nx",
        " =1",
        "＝1",
        "-",
        "--1",
        "+a",
        "-1-",
    ],
)
def test_formulas_become_text(field):
    assert harmless(field) == f"'{field}"


@pytest.mark.parametrize(
    "field", ["-1", "+1", "-0.5", "-1e-05", "+.5", "-12.", "-inf", "", "anger", "a-b", "'=1", "1.5"]
)
def test_numbers_and_names_stay(field):
    assert harmless(field) == field


def test_rows_keep_their_form():
    rows = [["file", "=x"], ['a,"b"\nc', "-1"], ["", "@"]]
    for end in ("\n", "\r\n"):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=end).writerows(rows)
        found = harmless_rows(text.getvalue())
        assert list(csv.reader(io.StringIO(found, newline=""))) == [["file", "'=x"], ['a,"b"\nc', "-1"], ["", "'@"]]
        assert found.endswith(end) and found.count(end) == text.getvalue().count(end)
    assert harmless_rows("") == ""


def test_a_writer_into_a_harmless_stream():
    text = io.StringIO(newline="")
    csv.writer(Harmless(text), lineterminator="\n").writerow(["=1", "two\nlines", -0.5])
    assert text.getvalue() == '\'=1,"two\nlines",-0.5\n'
