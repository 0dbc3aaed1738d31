import json

import pytest

from serkit import papers, systems
from serkit.errors import UserError
from serkit.papers.figures import Ran, drawing
from serkit.papers.reproduce import reproduce

# Small networks for both channels, and few epochs.
CNN = '{ name = "cnn", channels = [4], strides = [[4, 2]], residual = [1], attention = 3 }'
SMALL = [
    'views.mfcc.feature={ name = "log_mel", bands = 8, hop = 800, length = 512 }',
    'views.is09.feature={ name = "log_mel", bands = 6, hop = 500, length = 400 }',
    "stages.*.trainer.batch_size=8",
    "stages.*.trainer.epochs=3",
    f"stages.acln.network={CNN}",
    f"stages.fcn.network={CNN}",
]


@pytest.fixture
def paper():
    return papers.load("zhong2020")


def test_every_row_has_a_system_or_says_why_not(paper):
    names = [artefact.name for artefact in paper.artefacts]
    assert names == [
        "table3",
        "table5",
        "table5-fcn",
        "table6",
        "table7",
        "figure2",
        "figures3-4",
        "figure5",
        "figure6",
    ]
    for artefact in paper.artefacts:
        for row in artefact.rows:
            assert row.not_run or systems.load(row.system, row.set).system.paper == "zhong2020"


def test_published_values(paper):
    table3, table5, table6 = (paper.artefact(name) for name in ("table3", "table5", "table6"))
    assert [table3.published(row, "emodb") for row in table3.rows] == [
        {"accuracy": 80.93, "uar": 77.48},
        {"accuracy": 83.33, "uar": 82.81},
    ]
    assert [tuple(table5.published(row, "emodb").values()) for row in table5.rows] == [
        (83.33, 82.88),
        (83.51, 83.56),
        (85.76, 86.12),
    ]
    for row in table6.rows:  # what the table calls UA is the mean of its classes
        values = dict(table6.published(row, "iemocap"))
        uar = values.pop("uar")
        assert sum(values.values()) / 4 == pytest.approx(uar, abs=0.006)


def test_mining_is_drawn(paper, synthetic, tmp_path):
    settings = {"protocols": ["random"], "sets": SMALL, "jobs": 1, "threads": 1}
    result = reproduce(paper, paper.artefact("figure5"), [synthetic], tmp_path, **settings).to_dict()
    numbers = result["numbers"]["synthetic"]
    assert list(numbers) == ["acln-hard", "fcn-hard"] and (tmp_path / "figure5-synthetic.png").stat().st_size > 5000
    [described] = [json.loads(path.read_text()) for path in tmp_path.glob("stages/acln-hard-*/stage.json")]
    said, found = described["method"], numbers["acln-hard"]
    assert (found["items"], found["hard"], found["folds"]) == (said["items"], said["hard"], 1)
    assert found["hard_fraction"] == said["hard"] / said["items"] and sum(found["histogram"]["counts"]) == said["items"]
    assert found["errors"] == said["errors"] and sum(said["errors"]["counts"]) == said["items"]
    assert (found["median_errors"], found["early_errors"]) == (said["median_errors"], said["early_errors"])
    classes = found["classes"].values()
    assert sum(entry["hard"] for entry in classes) == pytest.approx(said["hard"])
    assert sum(entry["easy"] + entry["hard"] for entry in classes) == pytest.approx(said["items"])
    assert sum(entry["after"] for entry in classes) == pytest.approx(100) == sum(entry["before"] for entry in classes)
    place = next((tmp_path / "runs").iterdir())
    ran = Ran("with mining", "synthetic", place, {})
    with pytest.raises(UserError, match=r"unknown stage that mined 'acln'\. Did you mean 'acln-hard'\?"):
        drawing("mining", {"stages": ["acln"]})([ran], tmp_path / "x.png")
    with pytest.raises(UserError, match="mining requires exactly one row, got a, b"):
        drawing("mining", {})([Ran("a", "x", place, {}), Ran("b", "x", place, {})], tmp_path / "x.png")
