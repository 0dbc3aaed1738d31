import pytest
from PIL import Image

from fabricated_run import write_run
from serkit.errors import UserError
from serkit.reports.comparison import table
from serkit.reports.forest import draw


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = (("first", 0.5), ("better", 0.9), ("[$x$] alike", 0.52))
    return table([write_run(folder / name, right=right, seeds=(0, 1)) for name, right in runs])


def test_a_row_for_each_compared_run_and_equal_bytes_again(rows, tmp_path):
    draw(rows, tmp_path / "a.png")
    draw(rows, tmp_path / "b.png")
    draw(rows[:2], tmp_path / "one.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as two, Image.open(tmp_path / "one.png") as one:
        assert two.width == one.width and two.height == one.height + 110
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "one.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.gif", "--plot requires a file that ends in .png"), ("nowhere/a.png", "nowhere: no such folder")],
)
def test_places_that_cannot_be(rows, tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        draw(rows, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
