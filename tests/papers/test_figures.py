"""Each kind of figure on small runs: what is drawn is what a hand computes from the run's folder."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score, silhouette_score

from serkit import networks, papers
from serkit.errors import UserError
from serkit.evaluation.scores import Scores
from serkit.features.log_mel_functionals import LogMelFunctionals
from serkit.networks.network import Network, Output
from serkit.papers.figures import FIGURES, Ran, drawing
from serkit.papers.figures.attention import Seen, Version, measure, versions
from serkit.papers.reproduce import reproduce
from serkit.runs.folder import RunFolder
from serkit.training import loop

PAPER = """
[paper]
name = "toy2026"
title = "A toy"
citation = "Nobody 2026."

[[figures]]
name = "errors"
title = "What is taken for what"
kind = "confusion"
protocol = "held"

[[figures.rows]]
label = "short"
system = "linear-baseline"
set = ["stages.main.trainer.epochs=2", "protocols.held={ kind = 'kfold', folds = 2, validation = 0.25 }"]
at = 2.0

[[figures.rows]]
label = "long"
system = "linear-baseline"
set = [
    "stages.main.trainer.epochs=5",
    "stages.main.trainer.select=uar",
    "protocols.held={ kind = 'kfold', folds = 2, validation = 0.25 }",
]
at = 5.0

[[figures.rows]]
label = "lost"
not_run = "nobody has it"
"""


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    path = tmp_path_factory.mktemp("paper") / "toy2026.toml"
    path.write_text(PAPER, encoding="utf-8")
    return papers.load(path)


@pytest.fixture(scope="module")
def made(paper, synthetic, tmp_path_factory):
    """Folder and result of the paper's figure."""
    folder = tmp_path_factory.mktemp("figures")
    return folder, reproduce(paper, paper.artefact("errors"), [synthetic], folder, jobs=1, threads=1).to_dict()


@pytest.fixture
def ran(made):
    def one(label, at):
        folder = made[0] / "runs" / f"errors-{label}-synthetic-held"
        return Ran(label, "synthetic", folder, Scores.load(folder / "scores.json"), at)

    return [one("short", 2.0), one("long", 5.0)]


def is_picture(path):
    with Image.open(path) as image:
        return image.format == "PNG" and min(image.size) > 300 and len(image.convert("L").getcolors()) > 20


def histories(one, stage="main"):
    return [history for _, _, history in RunFolder.load(one.folder).trained(stage)]


def test_a_figure_is_run_and_drawn(made, paper, synthetic):
    folder, result = made
    assert result == json.loads((folder / "errors.json").read_text())
    assert result["pictures"] == {"synthetic": "errors-synthetic.png"} and is_picture(folder / "errors-synthetic.png")
    assert [row["label"] for row in result["rows"]] == ["short", "long"] and result["not_run"] == {
        "lost": "nobody has it"
    }
    for row in result["rows"]:
        assert row["command"].startswith("serkit train linear-baseline --corpus synthetic=")
        assert "--protocol held" in row["command"] and "protocols.held" in row["command"]
    text = (folder / "errors.md").read_text(encoding="utf-8")
    assert "![What is taken for what, synthetic](errors-synthetic.png)" in text and "- lost: not run: nobody" in text
    assert "`held`: speakers may be in both parts" in text and result["rows"][0]["command"] in text


def test_a_second_time_a_figure_is_only_drawn(made, paper, synthetic, monkeypatch):
    folder, result = made
    picture = (folder / "errors-synthetic.png").read_bytes()
    monkeypatch.setattr(loop, "fit", lambda *_: pytest.fail("trained again"))
    arguments = (paper, paper.artefact("errors"), [synthetic], folder)
    assert reproduce(*arguments, jobs=1, threads=1).to_dict() == result
    assert (folder / "errors-synthetic.png").read_bytes() == picture
    some = reproduce(*arguments, jobs=1, threads=1, rows=["long"]).to_dict()
    assert [row["label"] for row in some["rows"]] == list(some["numbers"]["synthetic"]["rows"]) == ["long"]


def test_a_figure_has_one_protocol_and_rows_that_run(made, paper, synthetic):
    arguments = (paper, paper.artefact("errors"), [synthetic], made[0])
    with pytest.raises(UserError, match="a figure requires exactly one protocol, got clean, random"):
        reproduce(*arguments, protocols=["clean", "random"])
    with pytest.raises(UserError, match="row 'lost' of errors cannot be run: nobody has it"):
        reproduce(*arguments, rows=["lost"])


def test_unknown_kinds_and_options_are_refused_before_anything_is_trained(tmp_path, monkeypatch, synthetic):
    monkeypatch.setattr(loop, "fit", lambda *_: pytest.fail("trained"))
    path = tmp_path / "toy.toml"
    path.write_text(PAPER.replace('"confusion"', '"confusions"'), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"unknown kind of figure 'confusions'. Did you mean 'confusion'\? Available: att"
    ):
        papers.load(path)
    path.write_text(PAPER.replace('protocol = "held"', "options = { order = 1 }"), encoding="utf-8")
    loaded = papers.load(path)
    with pytest.raises(UserError, match=r"unknown option of figure 'confusion' 'order'. Available: classes"):
        reproduce(loaded, loaded.artefact("errors"), [synthetic], tmp_path)
    for kind in FIGURES:
        with pytest.raises(UserError, match=f"unknown option of figure '{kind}' 'ran'"):
            drawing(kind, {"ran": 1})


def test_confusion_has_rows_of_shares_in_the_order_asked_for(ran, tmp_path):
    order = ["sadness", "anger", "neutral", "fear"]
    numbers = drawing("confusion", {"classes": order})(ran, tmp_path / "x.png")
    assert numbers["classes"] == order
    for one in ran:
        found = RunFolder.load(one.folder).predictions
        truth, predicted = (np.array(found.classes)[index] for index in (found.truth, found.predicted))
        by_hand = [[np.mean(predicted[truth == row] == column) for column in order] for row in order]
        np.testing.assert_allclose(numbers["rows"][one.label]["shares"], by_hand)
        assert numbers["rows"][one.label]["recalls"]["anger"] == pytest.approx(by_hand[1][1])
        assert np.sum(numbers["rows"][one.label]["counts"]) == len(found)
    assert is_picture(tmp_path / "x.png")
    with pytest.raises(UserError, match="unknown class of row 'short' 'joy'"):
        drawing("confusion", {"classes": ["joy"]})(ran, tmp_path / "x.png")
    with pytest.raises(UserError, match="missing from row 'short': neutral, sadness"):
        drawing("confusion", {"classes": ["anger", "fear"]})(ran, tmp_path / "x.png")


def test_learning_curves_are_means_over_the_folds(ran, tmp_path):
    numbers = drawing("learning_curves", {"metric": "accuracy"})(ran, tmp_path / "x.png")
    assert list(numbers) == ["main"] and is_picture(tmp_path / "x.png")
    for one, epochs in zip(ran, (2, 5), strict=True):
        for part in ("training", "validation"):
            curve = numbers["main"][one.label][part]
            table = np.array([[record[f"{part}_accuracy"] for record in fold] for fold in histories(one)])
            assert table.shape == (2, epochs) and curve["folds"] == 2
            np.testing.assert_allclose(curve["mean"], table.mean(0))
            # Of two values the deviation is their distance by the root of 2.
            np.testing.assert_allclose(curve["sd"], abs(table[0] - table[1]) / np.sqrt(2))
    loss = drawing("learning_curves", {"stages": ["main"]})(ran, tmp_path / "x.png")["main"]["short"]["training"]
    assert loss["mean"][0] == pytest.approx(np.mean([fold[0]["training_loss"] for fold in histories(ran[0])]))
    with pytest.raises(UserError, match=r"unknown stage 'teacher'. Available: main"):
        drawing("learning_curves", {"stages": ["teacher"]})(ran, tmp_path / "x.png")
    with pytest.raises(UserError, match="unknown metric 'f1'"):
        drawing("learning_curves", {"metric": "f1"})(ran, tmp_path / "x.png")


def test_fold_scores_are_those_of_each_fold(ran, tmp_path):
    numbers = drawing("fold_scores", {})(ran, tmp_path / "x.png")
    assert is_picture(tmp_path / "x.png")
    for one in ran:
        found = RunFolder.load(one.folder).predictions
        assert list(numbers[one.label]) == ["seed-0-fold-1", "seed-0-fold-2"]
        for fold, values in enumerate(numbers[one.label].values(), start=1):
            truth, predicted = (part[found.folds == fold] for part in (found.truth, found.predicted))
            assert values["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
            assert values["uar"] == pytest.approx(balanced_accuracy_score(truth, predicted))
            assert values["n"] == len(truth)


def test_a_sweep_of_test_scores_has_their_intervals(ran, tmp_path):
    numbers = drawing("sweep", {"setting": "epochs", "logarithmic": True})(ran, tmp_path / "x.png")
    assert is_picture(tmp_path / "x.png") and numbers["part"] == "test"
    for one in ran:
        uar = one.scores.to_dict()["uar"]
        assert numbers["points"][one.label] == {"at": one.at, **{key: uar[key] for key in ("estimate", "low", "high")}}
    with pytest.raises(UserError, match="row 'lost' has no place on the axis; give it `at"):
        drawing("sweep", {})([Ran("lost", "synthetic", ran[0].folder, ran[0].scores)], tmp_path / "x.png")
    with pytest.raises(UserError, match="unknown part 'train'"):
        drawing("sweep", {"part": "train"})(ran, tmp_path / "x.png")


def test_a_sweep_of_validation_scores_takes_the_epoch_that_was_kept(ran, made, tmp_path):
    # The best epoch by validation UAR is made the first.
    shutil.copytree(made[0], tmp_path / "copy")
    ran = [dataclasses.replace(one, folder=tmp_path / "copy/runs" / one.folder.name) for one in ran]
    for history in (tmp_path / "copy/stages").glob("*/history.jsonl"):
        first, *rest = history.read_text().splitlines()
        history.write_text("\n".join([json.dumps(json.loads(first) | {"validation_uar": 1.0}), *rest]))
    options = {"metric": "accuracy", "part": "validation"}
    points = drawing("sweep", options)(ran, tmp_path / "x.png")["points"]
    last = [fold[-1]["validation_accuracy"] for fold in histories(ran[0])]
    best = [max(fold, key=lambda record: record["validation_uar"])["validation_accuracy"] for fold in histories(ran[1])]
    for label, values in (("short", last), ("long", best)):
        wanted = {"estimate": pytest.approx(np.mean(values)), "low": min(values), "high": max(values)}
        assert {key: points[label][key] for key in wanted} == wanted


def test_a_sweep_over_a_single_fold_speaks_of_no_bar(ran, made, tmp_path):
    shutil.copytree(made[0], tmp_path / "copy")
    ran = [dataclasses.replace(one, folder=tmp_path / "copy/runs" / one.folder.name) for one in ran]
    draw = drawing("sweep", {"metric": "accuracy", "part": "validation"})
    assert draw(ran, tmp_path / "x.png")["bar"] == "worst to best fold"
    for one in ran:
        for note in one.folder.glob("folds/*fold-2.json"):
            note.unlink()
    numbers = draw(ran, tmp_path / "y.png")
    assert numbers["bar"] is None and is_picture(tmp_path / "y.png")
    for one in ran:
        point, (first,) = numbers["points"][one.label], histories(one)
        assert point["low"] == point["high"] == point["estimate"]
        assert point["estimate"] in [record["validation_accuracy"] for record in first]


def test_an_embedding_shows_the_test_items_of_the_first_fold(ran, tmp_path):
    chosen = ["anger", "sadness"]
    draw = drawing("embedding", {"classes": chosen, "seed": 3})
    numbers = draw(ran, tmp_path / "x.png")
    assert is_picture(tmp_path / "x.png")
    for one in ran:
        run, found = RunFolder.load(one.folder), numbers[one.label]
        tested = [name for name in run.splits[0].test if any(word in name for word in chosen)]
        assert [point["id"] for point in found["points"]] == tested and found["n"] == len(tested)
        assert all(point["class"] in point["id"] for point in found["points"])
        assert -1 <= found["silhouette"] <= 1
        labels = [point["class"] for point in found["points"]]
        assert found["silhouette"] == pytest.approx(silhouette_score(_normalised(one, tested), labels), abs=1e-4)
    assert draw(ran, tmp_path / "y.png") == numbers
    assert (tmp_path / "y.png").read_bytes() == (tmp_path / "x.png").read_bytes()
    recalls = ran[0].scores.recalls
    least = sorted(sorted(recalls, key=recalls.get)[:2])
    assert recalls[least[0]] < max(recalls.values())
    hardest = drawing("embedding", {"hardest": 2, "seed": 3})(ran, tmp_path / "z.png")
    assert hardest == drawing("embedding", {"classes": least, "seed": 3})(ran, tmp_path / "z.png")
    with pytest.raises(UserError, match="unknown class 'joy'"):
        drawing("embedding", {"classes": ["joy"]})(ran, tmp_path / "x.png")
    with pytest.raises(UserError, match="a silhouette requires two classes"):
        drawing("embedding", {"classes": ["anger"]})(ran, tmp_path / "x.png")


def _normalised(one, ids):
    """The features of a linear network: its input, less the mean and divided by the deviation of the training part."""
    from safetensors.numpy import load_file

    from serkit import audio

    run = RunFolder.load(one.folder)
    weights = load_file(run.stages / run.notes[run.splits[0].name].stage / "weights.safetensors")
    mean, deviation = (weights[f"normalisations.functionals.{part}"].ravel() for part in ("mean", "deviation"))
    folder = run.description.folders["synthetic"]
    feature = LogMelFunctionals()
    rows = [feature(audio.read(f"{folder}/{name.partition('/')[2]}.wav", feature.rate, 0)[0]) for name in ids]
    return (np.array(rows) - mean) / deviation


# --- attention ---


class Gazer(Network):
    """Looks at each column of an image: by its brightness, or by a place that never changes."""

    has_attention = True

    def __init__(self, inputs, outputs, follows="sound"):
        super().__init__(inputs, outputs)
        _, height, self.width = inputs[self.only]
        self.follows, self.patch = follows, (height, 1)
        self.head = self.heads(1)

    def forward(self, batch):
        image = batch.views[self.only]
        brightness = image.mean((1, 2))
        place = torch.arange(1.0, self.width + 1).expand_as(brightness)
        # As of a class token: what it pays to itself is missing, so it does not add up to 1.
        attention = 0.3 * (brightness**4 if self.follows == "sound" else place)
        features = image.mean((1, 2, 3))[:, None]
        maps = {"attention": attention[:, None]} if "attention" in self.keep else {}
        return Output({target: head(features) for target, head in self.head.items()}, features, maps)


GAZE = """
[system]
name = "gaze"

[data]
items = { seconds = 4.0, tail = "first" }
copies = ["noise"]

[views.image]
feature = { name = "logmel_image", size = [8, 128], bands = 24, fft = 512, hop = 256 }

[[stages]]
name = "main"
view = "image"
network = { name = "gazer" }
trainer = { epochs = 1, batch_size = 8 }
"""

ATTENTION = """
[paper]
name = "gaze2026"
title = "A gaze"
citation = "Nobody 2026."

[[figures]]
name = "gaze"
title = "Where it looks"
kind = "attention"
options = { emotion = "sadness", over = 3, smoothing = 1.0 }

[[figures.rows]]
label = "by sound"
system = "SYSTEM"

[[figures.rows]]
label = "by place"
system = "SYSTEM"
set = ["stages.main.network.follows=place"]
"""


@pytest.mark.parametrize("protocol", ["random", "pooled"])
def test_attention_follows_the_sound_or_the_place(synthetic, tmp_path, monkeypatch, protocol):
    monkeypatch.setitem(networks.NETWORKS, "gazer", f"{__name__}:Gazer")
    system = tmp_path / "gaze.toml"
    system.write_text(GAZE + '\n[protocols.pooled]\nkind = "random"\nunit = "item"\n', encoding="utf-8")
    path = tmp_path / "gaze2026.toml"
    path.write_text(ATTENTION.replace("SYSTEM", system.as_posix()), encoding="utf-8")
    paper = papers.load(path)
    arguments = (paper, paper.artefact("gaze"), [synthetic], tmp_path / "out")
    result = reproduce(*arguments, protocols=[protocol], jobs=1, threads=1).to_dict()
    assert is_picture(tmp_path / "out/gaze-synthetic.png")
    numbers = result["numbers"]["synthetic"]
    assert "_sadness_" in numbers["utterance"] and numbers["class"] == "sadness" and numbers["seconds"] == 4.0
    assert numbers["strengths"] == {"noise": 15.0, "shift": 0.5, "speed": 1.1}
    sound, place = (numbers["rows"][label] for label in ("by sound", "by place"))
    assert sound["in_test_part"] and sound["n"] == 3
    for found in (sound["versions"], sound["mean"]):
        assert found["original"]["content"] == found["original"]["place"] == pytest.approx(1)
        assert found["shift"]["content"] > 0.95 > 0.8 > found["shift"]["place"]
        assert found["speed"]["content"] > found["speed"]["place"]
        assert found["original"]["in_speech"] > 0.95 and found["original"]["speech_share"] < 0.9
    for found in (place["versions"], place["mean"]):
        # A ramp moved along is still a ramp: correlation cannot tell, but it is on the same columns.
        assert found["shift"]["place"] == pytest.approx(1) and found["noise"]["place"] == pytest.approx(1)
    ramp = np.arange(1, 129) / np.arange(1, 129).sum()
    np.testing.assert_allclose(place["versions"]["shift"]["patches"], ramp[None], atol=1e-6)
    assert {0.0} == {
        round(sum(sound["versions"][name]["patches"][0]) - 1, 4) for name in ("original", "noise", "speed")
    }


def test_a_network_without_attention_is_refused(ran, tmp_path):
    with pytest.raises(UserError, match="row 'short': network 'linear' does not keep the attention to patches"):
        drawing("attention", {})(ran, tmp_path / "x.png")


def test_where_the_columns_of_a_version_come_from():
    rate, columns = 1600, 64
    signal = np.zeros(4 * rate, dtype=np.float32)
    signal[1000:1010] = 1.0  # a click in column 10: 100 samples each
    original, noise, later, faster = versions(signal, rate, 3200, columns, 15.0, 0.5, 1.25, 0)
    assert (original.source == np.arange(64)).all() and (noise.source == np.arange(64)).all()
    assert np.isnan(later.source[:8]).all() and (later.source[8:] == np.arange(56)).all()
    assert faster.source[0] == pytest.approx(0.125) and faster.source[40] == pytest.approx(50.125)
    assert np.isnan(faster.source[51:]).all() and not np.isnan(faster.source[:51]).any()
    for version in (later, faster):
        assert len(version.signal) == len(signal)
        loudest = np.argmax([np.sum(part**2) for part in np.split(version.signal, columns)])
        assert version.source[loudest] == pytest.approx(10, abs=0.7)
    power = np.mean(signal[:3200] ** 2) / np.mean((noise.signal - signal) ** 2)
    assert 10 * np.log10(power) == pytest.approx(15, abs=0.3)
    with pytest.raises(UserError, match="shift must be 0 to 4 s and speed above 0, got 4 s"):
        versions(signal, rate, 3200, columns, 15.0, 4.0, 1.25, 0)


def seen(name, source, patches, height=2):
    columns = len(source)
    signal = np.zeros(10 * columns, dtype=np.float32)
    signal[: 10 * (columns // 2) : 2] = 1.0  # the first half is speech
    signal += 50.0 + np.linspace(0, 1, len(signal), dtype=np.float32)  # and all of it has a drift
    patches = np.array(patches, dtype=float)
    version = Version(name, name, signal, np.array(source, dtype=float))
    return Seen(version, np.zeros((height, columns)), patches / patches.sum(), np.ones(1))


def test_the_numbers_of_attention_by_hand():
    nowhere = np.nan
    # Eight columns, attention to columns 1 and 5; moved by two.
    original = seen("original", range(8), [[0, 3, 0, 0, 0, 1, 0, 0]])
    moved = seen("shift", [nowhere, nowhere, 0, 1, 2, 3, 4, 5], [[0, 0, 0, 3, 0, 0, 0, 1]])
    stays = seen("noise", [nowhere, nowhere, 0, 1, 2, 3, 4, 5], [[0, 3, 0, 0, 0, 1, 0, 0]])
    found = measure([original, moved, stays], smoothing=1e-6)
    assert found["original"]["in_speech"] == pytest.approx(0.75) and found["original"]["speech_share"] == 0.5
    assert found["original"]["content"] == found["original"]["place"] == pytest.approx(1)
    # Of the moved one columns 2 to 5 are speech: 3 of 4 parts of the attention, 4 of 8 columns.
    assert found["shift"]["in_speech"] == pytest.approx(0.75) and found["shift"]["speech_share"] == 0.5
    assert found["shift"]["content"] == pytest.approx(1)
    here, there = [0, 3, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0]  # columns 2 to 7 of the copy, and of the original
    assert found["shift"]["place"] == pytest.approx(np.corrcoef(here, there)[0, 1])
    assert found["noise"]["place"] == pytest.approx(1)
    assert found["noise"]["content"] == pytest.approx(np.corrcoef(there, here)[0, 1])
    assert found["noise"]["in_speech"] == pytest.approx(0.25)


def test_patches_are_laid_over_the_image():
    squares = seen("original", range(4), [[1, 0], [0, 3]], height=4)
    np.testing.assert_allclose(squares.spread * 16, [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
    flat = measure([seen("original", range(4), [[1, 1, 1, 1]])], smoothing=3.0)["original"]
    assert flat["content"] is None and flat["in_speech"] == pytest.approx(0.5)
    smooth = seen("original", range(64), [[0.0] * 32 + [1.0] + [0.0] * 31]).mask(3.0)
    # A Gaussian of 3 columns falls to exp(-1/2) after 3 columns.
    assert smooth[0, 35] / smooth[0, 32] == pytest.approx(np.exp(-0.5), rel=1e-3)


# --- maps, and corpora together


GRID = """
[paper]
name = "toy2026"
title = "A toy"
citation = "Nobody 2026."

[[figures]]
name = "maps"
title = "Two settings"
kind = "grid"
together = true
options = { settings = ["rate", "size"], metric = "uar" }

[[figures.rows]]
label = "plain"
system = "linear-baseline"
set = ["stages.main.trainer.epochs=1"]
grid = { "stages.main.trainer.learning_rate" = [0.1, 0.001], "stages.main.trainer.batch_size" = [8, 4] }

[[figures.rows]]
label = "heavy, one"
system = "linear-baseline"
set = ["stages.main.trainer.epochs=1", "stages.main.trainer.weight_decay=1"]
at = [0.1, 8]
"""


def test_a_grid_is_a_map_with_a_cell_for_each_pair_of_values(synthetic, tmp_path):
    path = tmp_path / "toy2026.toml"
    path.write_text(GRID, encoding="utf-8")
    paper = papers.load(path)
    rows = paper.artefact("maps").rows
    assert [(row.label, row.at) for row in rows] == [
        ("plain, 0.1, 8", [0.1, 8]),
        ("plain, 0.1, 4", [0.1, 4]),
        ("plain, 0.001, 8", [0.001, 8]),
        ("plain, 0.001, 4", [0.001, 4]),
        ("heavy, one", [0.1, 8]),
    ]
    assert rows[1].set[1:] == ["stages.main.trainer.learning_rate=0.1", "stages.main.trainer.batch_size=4"]
    other = dataclasses.replace(synthetic, facts=dataclasses.replace(synthetic.facts, name="second"))
    half = len(synthetic) // 2
    own = dataclasses.replace(synthetic, utterances=synthetic.utterances[:half])
    more = tuple(
        dataclasses.replace(each, id=f"second/{each.id[10:]}", speaker=f"second/{each.speaker}")
        for each in synthetic.utterances[half:]
    )
    both = [dataclasses.replace(other, utterances=more), own]
    result = reproduce(paper, paper.artefact("maps"), both, tmp_path, jobs=1, threads=1).to_dict()
    assert list(result["pictures"]) == ["second+synthetic"]
    assert is_picture(tmp_path / "maps-second+synthetic.png")
    found = result["numbers"]["second+synthetic"]["maps"]
    assert list(found) == ["plain", "heavy"]
    assert (found["plain"]["first"], found["plain"]["second"]) == ([0.001, 0.1], [4, 8])

    def score(place):
        scores = json.loads((tmp_path / "runs" / f"maps-{place}-second+synthetic-clean/scores.json").read_text())
        assert scores["n"] == len(synthetic)  # both corpora are scored as one
        return scores["uar"]["estimate"]

    cells = [[score("plain-0-001-4"), score("plain-0-001-8")], [score("plain-0-1-4"), score("plain-0-1-8")]]
    assert found["plain"]["estimates"] == cells
    assert found["plain"]["mean"] == pytest.approx(np.mean(cells))
    assert found["heavy"]["estimates"] == [[None, None], [None, score("heavy-one")]]
    assert found["heavy"]["mean"] == score("heavy-one")


@pytest.mark.parametrize("grid", ["{ a = [1] }", "{ a = [1], b = 2 }", "3"])
def test_a_grid_has_two_lists(tmp_path, grid):
    path = tmp_path / "toy2026.toml"
    path.write_text(GRID.partition("grid = ")[0] + f"grid = {grid}\n", encoding="utf-8")
    with pytest.raises(UserError, match="grid must be a table of two overrides, each with a list of values"):
        papers.load(path)


def test_a_map_wants_two_places_and_a_sweep_one(ran, tmp_path):
    with pytest.raises(UserError, match="row 'short' has no place in the map"):
        drawing("grid", {})(ran, tmp_path / "x.png")
    with pytest.raises(UserError, match="unknown metric 'f1'"):
        drawing("grid", {"metric": "f1"})(ran, tmp_path / "x.png")
    both = [dataclasses.replace(one, at=[1.0, 2.0]) for one in ran]
    with pytest.raises(UserError, match="row 'short' has no place on the axis"):
        drawing("sweep", {})(both, tmp_path / "x.png")


def test_printed_values_are_drawn_into_the_learning_curves(ran, tmp_path):
    plain, dotted = tmp_path / "plain.png", tmp_path / "dotted.png"
    curves = drawing("learning_curves", {"metric": "macro_f1"})(ran, plain)
    options = {"metric": "macro_f1", "published": {"main": [[0, 0.2], [3, 0.9]], "elsewhere": [[0, 1.0]]}}
    assert drawing("learning_curves", options)(ran, dotted) == curves
    assert plain.read_bytes() != dotted.read_bytes()
    recorded = [[record["validation_macro_f1"] for record in fold] for fold in histories(ran[0])]
    assert curves["main"]["short"]["validation"]["mean"] == pytest.approx(np.mean(recorded, axis=0))
