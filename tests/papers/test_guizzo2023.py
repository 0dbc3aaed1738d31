"""The paper file of Guizzo et al. 2023: its numbers, and that every row is a system of serkit."""

import numpy as np
import pytest

from serkit import methods, papers, systems
from serkit.papers import Figure
from serkit.papers.figures import drawing
from serkit.protocols import STANDARD

GUIZZO = papers.load("guizzo2023")

# As printed, accuracy in %: random and actor split of IEMOCAP, RAVDESS and TESS.
PRINTED = {
    "Real": [62.87, 58.29, 41.06, 45.0, 97.62, 14.29],
    "Real S": [72.86, 59.27, 49.56, 46.67, 99.64, 13.29],
    "Real W": [70.09, 59.35, 42.89, 41.67, 99.64, 26.43],
    "Real SW": [73.04, 60.41, 45.56, 40.62, 100.0, 21.0],
    "Real WS": [71.07, 59.67, 46.22, 43.75, 100.0, 25.57],
    "Quat": [71.1, 57.8, 49.85, 36.67, 97.62, 13.86],
    "Quat S": [72.23, 58.37, 57.11, 51.67, 97.86, 19.43],
    "Quat W": [73.57, 57.97, 55.11, 48.33, 98.57, 18.29],
    "Quat SW": [71.25, 58.46, 57.78, 55.0, 98.93, 19.0],
    "Quat WS": [72.14, 58.62, 60.44, 46.67, 97.86, 18.29],
}
CORPORA = ["iemocap", "ravdess", "tess"]


def published():
    """By label: corpora along the first axis, random and actor split along the second."""
    tables = [GUIZZO.artefact(f"table1-{split}") for split in ("random", "actor")]
    assert [table.protocols for table in tables] == [["paper"], ["actor"]]
    assert all(list(row.published) == CORPORA for table in tables for row in table.rows)
    by_label = [{row.label: [row.published[name] for name in CORPORA] for row in table.rows} for table in tables]
    return {label: np.array([table[label] for table in by_label]).T for label in by_label[0]}


def test_published_values():
    assert {label: values.ravel().tolist() for label, values in published().items()} == PRINTED


def test_averages_of_the_table():
    """Not those of the paper's text, which belong to other RAVDESS rows."""
    values = published()
    gains = {label: found - values[label.split()[0]] for label, found in values.items() if " " in label}
    every = np.array(list(gains.values()))
    assert every.mean((0, 2)) == pytest.approx([3.01, 6.17, 3.76], abs=0.006)
    assert every.mean((0, 1)) == pytest.approx([4.29, 4.34], abs=0.006)
    for kind, mean in (("Real", 3.82), ("Quat", 4.81)):
        of_kind = [gain for label, gain in gains.items() if label.startswith(kind)]
        assert np.mean(of_kind) == pytest.approx(mean, abs=0.006)


ROWS = [(artefact, row) for artefact in GUIZZO.artefacts for row in artefact.rows]


@pytest.mark.parametrize(("artefact", "row"), ROWS, ids=[f"{artefact.name}-{row.place}" for artefact, row in ROWS])
def test_every_row_is_a_system_of_the_paper(artefact, row):
    system = systems.load(row.system, row.set)
    assert system.system.paper == "guizzo2023"
    protocols = [artefact.protocol] if isinstance(artefact, Figure) else artefact.protocols
    assert set(protocols) <= {*STANDARD, *system.protocols}
    for stage in system.stages:
        methods.build(stage.method.name, **stage.method.options)


@pytest.mark.parametrize(("label", "tasks"), [("Real SW", ["speaker", "word"]), ("Quat WS", ["word", "speaker"])])
def test_the_order_of_the_tasks(label, tasks):
    for split in ("random", "actor"):
        [row] = [row for row in GUIZZO.artefact(f"table1-{split}").rows if row.label == label]
        system = systems.load(row.system)
        found = [stage.method.options["extractor"] for stage in system.stages if stage.method.name == "anti_transfer"]
        assert found == tasks and system.system.name.startswith({"Real": "real", "Quat": "quaternion"}[label[:4]])


@pytest.mark.parametrize("kind", ["quaternion", "real"])
@pytest.mark.parametrize("task", ["speaker", "word"])
def test_figure_2_goes_through_all_layers(kind, task):
    figure = GUIZZO.artefact(f"fig2-{kind}-{task}")
    assert drawing(figure.kind, figure.options) and figure.options["metric"] == "accuracy"
    layers = []
    for row in figure.rows:
        assert row.system == f"{kind}-at-{task}"
        [emotion] = [stage for stage in systems.load(row.system, row.set).stages if stage.name == "emotion"]
        assert emotion.method.options["extractor"] == task
        layers.append((row.at, emotion.method.options["layers"]))
    assert layers == [(number, [f"conv{number}"]) for number in range(1, 14)]


def test_splits_have_the_papers_shares():
    for name in ("quaternion-vgg16", "real-vgg16"):
        protocols = systems.load(name).protocols
        assert protocols["paper"].kind == "random" and protocols["actor"].kind == "group_random"
        for protocol in (protocols["paper"], protocols["actor"]):
            shares = [(1 - protocol.test) * (1 - protocol.validation), (1 - protocol.test) * protocol.validation]
            assert shares == pytest.approx([0.7, 0.2], abs=1e-4)
