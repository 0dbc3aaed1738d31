import numpy as np
import pytest
from scipy import stats

from serkit.errors import UserError
from serkit.evaluation import Predictions, metrics
from serkit.evaluation.intervals import interval, jackknife, mean_interval

CLASSES = 4
SHARES = np.array([0.5, 0.25, 0.15, 0.1])
#: What is answered instead of each class when it is not recognised.
CONFUSED = np.array([[0, 0.6, 0.2, 0.2], [0.2, 0, 0.6, 0.2], [0.2, 0.2, 0, 0.6], [0.6, 0.2, 0.2, 0]])
EASE = np.array([1.4, 0.8, 0.4, 0.0])  # log odds of a class for the average speaker
SPREAD = 0.7  # standard deviation of the speakers' log odds
UTTERANCES = 40  # of a speaker


def logistic(value):
    return 1 / (1 + np.exp(-value))


def population_scores():
    """Return the metrics over all speakers there could be."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    recalls = logistic(EASE[:, None] + SPREAD * nodes) @ weights / weights.sum()
    shares = SHARES[:, None] * (CONFUSED * (1 - recalls)[:, None] + np.diag(recalls))
    return {metric: float(metrics.score(metric, shares)) for metric in metrics.CLASSES}


def sample(generator, speakers):
    """Draw speakers, their utterances, and what a recogniser says about them."""
    of = np.repeat(np.arange(speakers), UTTERANCES)
    truth = generator.choice(CLASSES, len(of), p=SHARES)
    right = generator.random(len(of)) < logistic(EASE[truth] + generator.normal(0, SPREAD, speakers)[of])
    wrong = (generator.random(len(of))[:, None] > CONFUSED.cumsum(axis=1)[truth]).sum(axis=1)
    answers = np.where(right, truth, np.minimum(wrong, CLASSES - 1))
    return Predictions(
        ids=tuple(f"x/{number}" for number in range(len(of))),
        speakers=tuple(f"x/{number}" for number in of),
        truth=truth,
        probabilities=np.eye(CLASSES)[answers],
        classes=tuple("abcd"),
        folds=np.ones(len(of), dtype=int),
        seeds=np.zeros(len(of), dtype=int),
    )


def test_the_interval_of_a_mean_over_corpora_holds_the_truth_in_about_95_percent():
    generator = np.random.default_rng(7)
    expected, repetitions = population_scores(), 400
    held = dict.fromkeys(expected, 0)
    for _ in range(repetitions):
        # As many speakers as savee, emodb and ravdess have.
        parts = [sample(generator, speakers) for speakers in (4, 10, 24)]
        for metric, value in expected.items():
            found = mean_interval(parts, metric)
            held[metric] += found.low <= value <= found.high
    for metric, count in held.items():
        assert 0.92 <= count / repetitions <= 0.985, (metric, count / repetitions)


def test_the_mean_of_one_corpus_has_the_corpus_s_interval():
    part = sample(np.random.default_rng(3), 8)
    one, mean = interval(part, "uar"), mean_interval([part], "uar")
    assert (mean.estimate, mean.low, mean.high) == pytest.approx((one.estimate, one.low, one.high))


@pytest.mark.parametrize("speakers", [4, 10, 24])
def test_95_percent_intervals_hold_the_truth_in_about_95_percent(speakers):
    generator = np.random.default_rng(2024)
    expected = population_scores()
    held = dict.fromkeys(expected, 0)
    repetitions = 400
    for _ in range(repetitions):
        predictions = sample(generator, speakers)
        for metric, value in expected.items():
            found = interval(predictions, metric)
            held[metric] += found.low <= value <= found.high
    for metric, count in held.items():
        assert 0.92 <= count / repetitions <= 0.985, (metric, count / repetitions)


def test_accuracy_of_three_speakers_computed_by_hand(make):
    # 10 utterances of each speaker; 9, 7 and 5 are right.
    right = [1] * 9 + [0] * 1 + [1] * 7 + [0] * 3 + [1] * 5 + [0] * 5
    found = interval(
        make([0] * 30, [0 if each else 1 for each in right], list("s" * 10 + "t" * 10 + "u" * 10)), "accuracy"
    )
    # Leaving one out: 12, 14 and 16 of 20. Their mean is 0.7; (3 - 1) / 3 * (0.1^2 + 0 + 0.1^2) = 0.01333.
    variance = 2 / 3 * 0.02
    ratio = stats.t.ppf(0.975, 2) ** 2 * variance / (0.7 * 0.3)
    # The ends of Wilson's interval solve (p - 0.7)^2 = ratio * p * (1 - p).
    low, high = sorted(np.roots([1 + ratio, -(1.4 + ratio), 0.49]))
    assert (found.estimate, found.clusters) == (pytest.approx(0.7), 3)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.method == "leave-one-speaker-out jackknife, Student t with 2 degrees of freedom"


def test_the_jackknife_of_a_mean_is_its_squared_standard_error():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    counts = np.stack([values, np.ones(5)], axis=1)
    found = jackknife(lambda left: left[:, 0] / left[:, 1], counts)
    assert found == pytest.approx(values.var(ddof=1) / 5)


def test_never_narrower_than_for_independent_utterances(make):
    # Every speaker has exactly 8 of 10 right: their scores do not vary at all.
    speakers = [name for name in "stuv" for _ in range(10)]
    found = interval(make([0] * 40, ([0] * 8 + [1] * 2) * 4, speakers), "accuracy")
    expected = stats.binomtest(32, 40).proportion_ci(method="wilson")
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


@pytest.mark.parametrize("metric", ["accuracy", "uar", "macro_f1"])
def test_a_perfect_score_has_an_interval_too(make, metric):
    found = interval(make([0, 1] * 20, [0, 1] * 20, [name for name in "stuv" for _ in range(10)]), metric)
    expected = stats.binomtest(40, 40).proportion_ci(method="wilson")
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(expected.low)


def test_unknown_speakers_make_utterances_the_unit_and_say_so(make):
    speakers = ["s"] * 10 + ["t"] * 9 + [None]
    found = interval(make([0, 1] * 10, [0] * 20, speakers), "uar")
    assert found.clusters == 20
    assert found.method == (
        "leave-one-utterance-out jackknife, Student t with 19 degrees of freedom "
        "(speaker unknown for 1 of 20: utterances taken for independent)"
    )
    assert "only one speaker" in interval(make([0, 1], [0, 0], ["s", "s"]), "uar").method


def test_utterances_of_one_accuracy_give_about_the_binomial_interval(make):
    found = interval(make([0] * 100, [0] * 70 + [1] * 30), "accuracy")
    expected = stats.binomtest(70, 100).proportion_ci(method="wilson")
    assert (found.low, found.high) == (
        pytest.approx(expected.low, abs=0.01),
        pytest.approx(expected.high, abs=0.01),
    )


def test_more_seeds_of_the_same_utterances_are_not_more_evidence(make):
    truth, answers, speakers = [0, 1] * 20, [0, 0, 1, 1] * 10, [name for name in "stuv" for _ in range(10)]
    ids = [f"x/{number}" for number in range(40)]
    for known in (speakers, [None] * 40):
        once = interval(make(truth, answers, known, ids=ids), "accuracy")
        thrice = interval(
            make(truth * 3, answers * 3, known * 3, ids=ids * 3, seeds=[0] * 40 + [1] * 40 + [2] * 40),
            "accuracy",
        )
        assert (thrice.clusters, thrice.low, thrice.high) == (
            once.clusters,
            pytest.approx(once.low),
            pytest.approx(once.high),
        )


def test_a_class_of_a_single_speaker_is_no_obstacle(make):
    speakers = [name for name in "stuv" for _ in range(10)]
    truth = [0, 1] * 15 + [2] * 10
    found = interval(make(truth, [0, 1] * 14 + [1, 0] + [2] * 5 + [0] * 5, speakers), "uar")
    assert 0 <= found.low < found.estimate < found.high <= 1


def test_a_higher_level_is_wider_and_a_single_utterance_says_nothing(make):
    predictions = make([0] * 20, [0] * 15 + [1] * 5, ["s"] * 10 + ["t"] * 5 + ["u"] * 5)
    narrow, wide = interval(predictions, "uar", 0.8), interval(predictions, "uar", 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert interval(make([0], [0]), "uar").low == 0.0


def test_an_unknown_metric_is_refused(make):
    with pytest.raises(UserError, match="unknown metric 'wa'"):
        interval(make([0, 1], [0, 1]), "wa")
