"""Corpora that a run's models have not met, from the run to the bundle and its card."""

import csv

import numpy as np
import pytest
from scipy import stats

from serkit import corpora
from serkit.errors import UserError
from serkit.evaluation import unsure
from serkit.recognition.bundle import Adaptation
from serkit.recognition.recognizer import Recognizer
from serkit.runs.durations import Calibrated
from serkit.runs.export import allowed, export
from serkit.runs.folder import RunFolder
from serkit.runs.request import Request
from serkit.runs.runner import run
from serkit.runs.strangers import unseen

SETS = ("data.copies=[]", "data.items.seconds=1.0")


@pytest.fixture(scope="module")
def finished(synthetic, tmp_path_factory):
    """A discriminant that learned from each of two corpora with unlike labels; one is a table of half the speakers."""
    place = tmp_path_factory.mktemp("strangers")
    speakers = sorted({utterance.speaker for utterance in synthetic.utterances})
    with (place / "calls.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "emotion", "speaker", "sex"])
        for utterance in synthetic.utterances:
            if utterance.speaker in speakers[::2] and utterance.targets["emotion"] != "fear":
                row = [str(utterance.path), utterance.targets["emotion"], utterance.speaker, utterance.sex]
                table.writerow(row)
    found = [synthetic, corpora.load("table", place / "calls.csv")]
    request = Request("speech-discriminant", found, "leave-one-corpus-out", sets=SETS, jobs=1, threads=1)
    run(request, place / "run")
    return place / "run"


def plain(run):
    """The answers of a run with a temperature of 1."""
    return Calibrated(run.predictions, 1.0, None, None, np.ones(len(run.predictions)))


def test_the_bundle_says_what_answers_are_worth_on_each_corpus(finished, tmp_path):
    bundle = export(finished, tmp_path / "mine", recordings=2)
    predictions = RunFolder.load(finished).predictions
    names = np.array(predictions.corpora)
    _, sure = unsure.judged(predictions.probabilities, predictions.truth, predictions.folds, names)
    rows = {(row.kind, row.name): row for row in bundle.unseen}
    assert [name for kind, name in rows if kind == "corpus"] == ["synthetic", "table"]
    assert {name for kind, name in rows if kind == "sex"} == {"female", "male"}
    right = predictions.predicted == predictions.truth
    for name in ("synthetic", "table"):
        of, row = names == name, rows["corpus", name]
        recalls = [right[of & (predictions.truth == label)].mean() for label in np.unique(predictions.truth[of])]
        assert row.n == of.sum() and row.uar == pytest.approx(np.mean(recalls))
        assert row.sure == pytest.approx(sure[of].mean())
        assert row.adapted is None
    assert rows["all", "all"].sure == bundle.unsure.coverage
    card = (tmp_path / "mine" / "CARD.md").read_text()
    assert "## Corpora that it had not met" in card and "| corpus | table |" in card


def test_without_strength_adapted_answers_are_the_same(finished):
    """The bundle itself does not adapt, because its answers in one emotion spread as much as all."""
    run, means = RunFolder.load(finished), {"functionals": [0.0] * 476}
    still = Adaptation(means=means, narrow=1e3, wide=1e4, strength=1e-6)
    rows = unseen(run, plain(run), still, 0.0)
    assert all(row.adapted == pytest.approx(row.uar) for row in rows)
    assert [(row.sure_adapted, row.right_adapted) for row in rows] == [(row.sure, row.right) for row in rows]


def test_speech_without_an_emotion_raises_the_threshold(finished, synthetic, tmp_path):
    everyday = [utterance.path for utterance in synthetic.utterances if utterance.targets["emotion"] != "neutral"]
    bundle = export(finished, tmp_path / "mine", recordings=2, everyday=everyday)
    recognizer = Recognizer(bundle)
    answers = [recognizer(path) for path in everyday]
    wrong = np.mean([answer.sure and answer.label != "neutral" for answer in answers])
    assert bundle.everyday.n == len(everyday) and bundle.everyday.wrong == pytest.approx(wrong) and wrong <= 0.05
    assert "speech without an emotion" in (tmp_path / "mine" / "CARD.md").read_text()


@pytest.mark.parametrize(("answers", "most"), [(1, 0), (58, 0), (92, 0), (93, 1), (680, 24), (10_000, 463)])
def test_how_many_may_be_sure_and_wrong(answers, most):
    assert allowed(answers) == most
    # 5 % would show as few as that, or fewer, in at most one of twenty samples; one more would not do.
    if most:
        assert stats.binom.cdf(most, answers, 0.05) <= 0.05 < stats.binom.cdf(most + 1, answers, 0.05)


def test_a_folder_without_recordings_is_refused(finished, tmp_path):
    with pytest.raises(UserError, match="none of 1 recordings without an emotion can be used"):
        export(finished, tmp_path / "mine", recordings=2, everyday=[tmp_path / "no.wav"])
    assert not (tmp_path / "mine").exists()


def test_other_protocols_leave_no_corpus_out(synthetic, tmp_path):
    sets = (*SETS, "protocols.clean.folds=2")
    run(Request("speech-discriminant", [synthetic], sets=sets, jobs=1, threads=1, final=False), tmp_path / "run")
    other = RunFolder.load(tmp_path / "run")
    assert unseen(other, plain(other), None, 0.0) == []
