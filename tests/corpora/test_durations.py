import datetime

import pytest

from serkit.corpora.durations import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", 1.5),
        ("0", 0.0),
        ("-0.4", -0.4),
        ("1e-3", 0.001),
        ("0 days 00:00:01.500000", 1.5),
        ("0 days 00:00:01.5", 1.5),
        ("0 days", 0.0),
        ("1 days 00:00:00", 86400.0),
        ("1 day, 0:00:01.500000", 86401.5),
        ("-1 days +23:59:58.500000", -1.5),
        ("00:00:01.5", 1.5),
        ("00:00:01,500", 1.5),
        ("1:02.25", 62.25),
        ("1:02:03", 3723.0),
        ("-00:00:01.5", -1.5),
        ("1.5s", 1.5),
        ("1.5 s", 1.5),
        ("1500ms", 1.5),
        ("2 min", 120.0),
        ("250000us", 0.25),
        ("PT1.5S", 1.5),
        ("P0DT0H1M1.5S", 61.5),
        ("-PT1.5S", -1.5),
    ],
)
def test_times_in_s(text, expected):
    assert seconds(text) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "text",
    ["soon", "nan", "inf", "1_2", "P", "PT", "1 days soon", "2020-01-01 00:00:01", ":", "1:", "1,5", "1.5 x", "--1"],
)
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match=r"."):
        seconds(text)


@pytest.mark.parametrize("value", [0, 0.001, 1.5, 59.999999, 3661.25, 90061.5, -1.5, -90000.25])
def test_what_libraries_write(value):
    assert seconds(str(datetime.timedelta(seconds=value))) == pytest.approx(value, abs=1e-6)
    pandas = pytest.importorskip("pandas")
    delta = pandas.Timedelta(seconds=value)
    assert seconds(str(delta)) == seconds(delta.isoformat()) == pytest.approx(value, abs=1e-6)
