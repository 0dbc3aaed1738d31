import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from fabricated_run import EPOCHS, write_run
from serkit.errors import UserError
from serkit.evaluation import Predictions
from serkit.protocols import Protocol
from serkit.reports.report import describe, write
from serkit.runs.card import Card
from serkit.runs.folder import RunFolder

SECTIONS = [
    "leakage",
    "scores",
    "configurations",
    "classes",
    "speakers",
    "calibration",
    "slices",
    "robustness",
    "learning",
    "folds",
    "repeat",
    "skipped",
]
_VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects what the tests ask for; fails on tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(folder, **options):
    return Page(write(write_run(folder / "run", **options)).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A run with everything in it: two corpora, two seeds, a sweep."""
    folder = tmp_path_factory.mktemp("rich")
    return page_of(
        folder,
        classes=("<b>x</b>", "joy & co", "sadness"),
        corpora=("emodb", "savee"),
        seeds=(0, 1),
        sweep=["stages.main.trainer.epochs=5,6"],
        skipped={"/data/a.wav": "/data/a.wav: <i>empty</i>"},
    )


def test_all_sections_are_there_in_order(rich):
    assert [attributes["id"] for attributes in rich.all("section")] == SECTIONS


def test_nothing_is_asked_of_a_network(rich):
    for _, attributes in rich.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                assert re.match(r"#|data:|folds/[\w-]+\.csv$|run\.json$", value), value
    assert not rich.all("script") and not rich.all("iframe") and not rich.all("img")
    assert [attributes.get("href") for attributes in rich.all("link")] == ["data:,"]
    policy = next(a["content"] for a in rich.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_styles_load_nothing(tmp_path):
    text = write(write_run(tmp_path / "run")).read_text(encoding="utf-8")
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)", text))
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_labels_are_escaped(rich):
    assert not rich.all("i") and "x" not in [word.strip() for word in rich.words]
    assert "<b>x</b>" in rich.text and "joy & co" in rich.text and "<i>empty</i>" in rich.text


def test_it_can_be_read_by_a_screen_reader(rich):
    levels = [int(tag[1]) for tag, _ in rich.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(rich.all("caption")) == len(rich.all("table"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in rich.all("th"))
    charts = rich.all("svg")
    assert len(charts) == 6
    assert all(attributes["role"] == "img" and attributes["aria-labelledby"] for attributes in charts)
    assert ("html", {"lang": "en"}) in rich.tags
    names = [attributes["id"] for _, attributes in rich.tags if "id" in attributes]
    assert len(set(names)) == len(names)


def test_scores_have_a_row_for_all_each_corpus_the_majority_and_the_seeds(rich):
    for name in ("all corpora", "emodb", "savee", "always “<b>x</b>”", "mean of 2 seeds"):
        assert name in rich.text
    assert "Student t with 7 degrees of freedom" in rich.text


def test_numbers_are_those_of_the_scores(tmp_path):
    folder = write_run(tmp_path / "run")
    page = Page(write(folder).read_text(encoding="utf-8"))
    scores = json.loads((folder / "scores.json").read_text())
    uar = scores["uar"]
    assert f"UAR {uar['estimate']:.1%} (95% interval {uar['low']:.1%} to {uar['high']:.1%})" in page.text
    # 3 of 7 are anger: its recall is 1, its precision 3/7, its F1 2 * 3/7 / (1 + 3/7) = 3/5; the others have 0.
    assert "always “anger” 28 33.3% 42.9% 20.0%" in page.text
    assert f"{scores['ece']:.1%}" in page.text and "1.25" in page.text
    assert "603 parameters" in page.text


def test_configurations_are_listed_with_how_they_were_chosen(rich):
    assert "2 ; chosen on: validation part of each fold" in rich.text
    # 16 folds, number k of which has 0.5 + 0.01 row + 0.002 k.
    assert "epochs=5 51.5% 0" in rich.text
    assert "epochs=6 52.5% 16" in rich.text


def test_folds_are_links_to_their_predictions(tmp_path):
    page = page_of(tmp_path)
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == [f"folds/seed-0-fold-{fold}.csv" for fold in (1, 2, 3, 4)]
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())["speakers"]["emodb/s0"]
    assert scores["uar"] != scores["accuracy"]
    values = " ".join(f"{scores[metric]:.1%}" for metric in ("uar", "accuracy", "macro_f1"))
    row = f"seed-0-fold-1 emodb/s0 {values} 21 0 7 {EPOCHS} 2 s"
    assert row in page.text


def test_folds_of_several_seeds_are_told_apart(tmp_path):
    page = page_of(tmp_path, seeds=(0, 1))
    for name in ("seed-0-fold-2", "seed-1-fold-2"):
        part = Predictions.load(tmp_path / "run" / "predictions.csv")
        part = part.select((part.folds == 2) & (part.seeds == int(name[5])))
        assert len(part) == 7
        share = (part.predicted == part.truth).mean()
        assert re.search(rf"{name} emodb/s1 [\d.]+% {share:.1%} ", page.text)


def test_the_command_can_be_pasted(tmp_path):
    page = page_of(tmp_path, folders={"emodb": "/my data/--x"})
    assert "\\ --corpus 'emodb=/my data/--x' \\ --protocol" in page.text


def test_it_says_how_to_repeat_the_run(rich):
    assert "serkit train linear-baseline \\ --corpus emodb=/data/emodb" in rich.text
    assert "--sweep stages.main.trainer.epochs=5,6 \\ --seed 0" in rich.text
    for part in ("torch 2.13.0", "Linux-6", "x86_64", "2 cores", "0123456789abcdef0123456789abcdef"):
        assert part in rich.text


def test_a_system_that_serkit_does_not_have_is_said_to_be_in_run_json(tmp_path):
    folder = write_run(tmp_path / "run")
    description = json.loads((folder / "run.json").read_text())
    description["system"][0]["system"]["name"] = "mine"
    (folder / "run.json").write_text(json.dumps(description))
    page = Page(write(folder).read_text(encoding="utf-8"))
    assert "serkit train mine.toml" in page.text
    assert "run.json" in [attributes["href"] for attributes in page.all("a")]


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        ([], "good", "No leak found"),
        (["sentences shared: all"], "good", "No leak found"),
        (
            ["unknown speaker: 4 utterances in 1 of 1 folds, not compared"],
            "caution",
            "some groups are shared or could not be checked",
        ),
        (["speakers may be in both parts"], "caution", "No leak found, but"),
        (["epoch chosen on the test part"], "caution", "No leak found, but"),
        (["sentences shared: all", "speaker leak: 1 of 1 folds share speakers"], "leak", "Leak found"),
    ],
)
def test_the_verdict_on_leaks_stands_at_the_top(tmp_path, flags, kind, words):
    page = page_of(tmp_path, flags=flags)
    box = next(attributes for attributes in page.all("section"))
    assert box["id"] == "leakage" and box["class"] == f"verdict {kind}"
    assert words in page.text[: page.text.index("Scores")]
    places = [page.text.index(flag) for flag in reversed(flags)]  # the worst is given last, and shown first
    assert places == sorted(places)


def test_the_precision_of_training_is_shown(tmp_path):
    assert "precision 32-true seed" in page_of(tmp_path / "one").text
    mixed = page_of(tmp_path / "two", precision=("32-true", "bf16-mixed")).text
    assert "precision 32-true, bf16-mixed (stages differ) seed" in mixed
    lines = Card.of(tmp_path / "two" / "run").lines()
    assert "precision: 32-true, bf16-mixed" in lines


def test_skipped_recordings_are_listed_or_said_to_be_unknown(tmp_path, rich):
    assert "Unreadable and left out: 1." in rich.text
    assert "has no record of the recordings that it left out" in page_of(tmp_path / "unknown").text
    assert "Skipped recordings None." in page_of(tmp_path / "none", skipped={}).text


def test_a_run_whose_stages_lie_elsewhere_still_has_a_report(tmp_path):
    folder = write_run(tmp_path / "run", final=False)
    (folder / "stages").rename(tmp_path / "stages")
    page = Page(write(folder).read_text(encoding="utf-8"))
    assert "The trained stages are not in the run's folder" in page.text
    assert not list(RunFolder.load(folder).trained("main"))


def test_stages_in_a_shared_folder_are_found_through_the_final_model(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "stages").rename(tmp_path / "stages")
    final = json.loads((folder / "final.json").read_text())
    (folder / "final.json").write_text(json.dumps({**final, "stage": "../stages/main-0"}))
    assert len(list(RunFolder.load(folder).trained("main"))) == 4


def test_a_stage_that_folds_share_was_trained_once(tmp_path):
    folder = write_run(tmp_path / "run")
    assert RunFolder.load(folder).seconds == 4 * 2.0
    first, second = (folder / "folds" / f"seed-0-fold-{number}.json" for number in (1, 2))
    shared = json.loads(first.read_text())["stage"]
    second.write_text(json.dumps({**json.loads(second.read_text()), "stage": shared}))
    assert RunFolder.load(folder).seconds == 3 * 2.0


def test_the_same_run_gives_the_same_bytes_and_leaves_no_temporary_file(tmp_path):
    folder = write_run(tmp_path / "run")
    first = write(folder).read_bytes()
    assert write(folder).read_bytes() == first
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("run.json", "holds no run"),
        ("splits.json", "stopped before its splits"),
        ("scores.json", "unfinished \\(4 of 4 folds are done\\)"),
        ("predictions.csv", "no such file"),
    ],
)
def test_a_folder_without_a_finished_run_is_refused(tmp_path, missing, message):
    folder = write_run(tmp_path / "run")
    (folder / missing).unlink()
    with pytest.raises(UserError, match=message):
        write(folder)
    assert not (folder / "report.html").exists()


def test_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        write(tmp_path / "nothing")
    folder = write_run(tmp_path / "run")
    (folder / "scores.json").write_text("{")
    with pytest.raises(UserError, match=re.escape(str(Path("run") / "scores.json")) + ": not JSON"):
        write(folder)
    (folder / "splits.json").write_text('[{"name": "a"}]')
    with pytest.raises(UserError, match="not a list of splits"):
        write(folder)


def test_protocols_are_put_into_words():
    protocol = Protocol(kind="random", validation=0, repeats=3, unit="item")
    assert describe(protocol) == (
        "20% of the utterances tested, drawn at random; pieces and augmented copies are cut, not utterances; "
        "3 times, each with another seed"
    )
    assert describe(Protocol(kind="group_kfold", folds=5, group="corpus", validation=0)) == ("5 folds of whole corpora")
