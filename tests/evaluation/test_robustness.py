import numpy as np
import pytest

from serkit.errors import UserError
from serkit.evaluation import Predictions
from serkit.evaluation.robustness import CURVES, Part, measure, rows

RATE = 8000
LEVELS = {"soft": 0.02, "loud": 0.5}


def hear(id):
    """A second of noise, soft or loud, of its own for each id."""
    generator = np.random.default_rng(int(id.rpartition("-")[2]))
    level = LEVELS[id.partition("/")[2].partition("-")[0]]
    return (level * generator.uniform(-1, 1, RATE)).astype(np.float32), RATE


def by_level(signal, rate):
    """Call a signal loud by its level: right of every recording as it is."""
    loud = np.sqrt(np.mean(signal**2)) > 0.1
    return np.array([0.2, 0.8] if loud else [0.8, 0.2])


def part(speakers=4, first=0):
    ids = [f"x/{label}-{first + number}" for number in range(speakers * 2) for label in LEVELS]
    truth = np.array([number % 2 for number in range(len(ids))])
    return Part(
        Predictions(
            ids=tuple(ids),
            speakers=tuple(f"x/s{first + number // 4}" for number in range(len(ids))),
            truth=truth,
            probabilities=np.full((len(ids), 2), 0.5),
            classes=("soft", "loud"),
            folds=np.full(len(ids), 1 + first),
            seeds=np.zeros(len(ids), dtype=int),
        ),
        hear,
        by_level,
    )


def test_a_recogniser_of_levels_fails_where_levels_change():
    found = measure([part()], ["gain", "noise"]).to_dict()
    assert found["n"] == 16 and found["clean"]["uar"]["estimate"] == 1 and found["clean"]["ece"] == pytest.approx(0.2)
    gain = {point["strength"]: point for point in found["curves"]["gain"]["points"]}
    # RMS of uniform noise is its level over sqrt(3): 0.29 and 0.012. At -10 dB the loud one has 0.091.
    assert [gain[level]["uar"]["estimate"] for level in (-40, -10, 10, 20)] == [0.5, 0.5, 1.0, 0.5]
    assert gain[-10]["change"]["difference"] == -0.5 and gain[-10]["change"]["low"] < -0.5
    assert gain[10]["change"]["difference"] == 0
    assert found["curves"]["gain"]["neutral"] == 0 and found["curves"]["noise"]["neutral"] is None
    # Noise as loud as the soft recording leaves it soft.
    assert [point["uar"]["estimate"] for point in found["curves"]["noise"]["points"]] == [1.0] * 6


def test_parts_are_scored_together_and_threads_change_nothing():
    alone = measure([part(4), part(2, first=100)], ["noise", "babble"], seed=3)
    assert alone.n == 24
    assert measure([part(4), part(2, first=100)], ["noise", "babble"], seed=3, jobs=3) == alone


def test_the_draw_is_the_same_at_every_strength_and_another_for_each_utterance_and_seed():
    heard = {}

    def listen(signal, rate):
        heard.setdefault("all", []).append(signal)
        return np.array([0.5, 0.5])

    one = part(1)
    measure([Part(one.predictions, hear, listen)], ["noise"])
    strengths = 1 + len(CURVES["noise"].points)
    clean, *noisy = heard["all"][:strengths]
    shapes = [(signal - clean) / np.std(signal - clean) for signal in noisy]
    np.testing.assert_allclose(shapes[0], shapes[-1], atol=2e-3)
    other = heard["all"][strengths + 6] - heard["all"][strengths]
    assert abs(np.corrcoef(other, noisy[-1] - clean)[0, 1]) < 0.05
    first = noisy[-1]
    heard.clear()
    measure([Part(one.predictions, hear, listen)], ["noise"], seed=1)
    assert abs(np.corrcoef(heard["all"][6] - clean, first - clean)[0, 1]) < 0.05


def test_rows_have_a_line_for_each_point_and_the_clean_ones_first():
    found = measure([part()], ["gain"])
    lines = list(rows(found))
    assert [(line["curve"], line["strength"]) for line in lines] == [
        ("clean", ""),
        *(("gain", level) for level in (-40, -30, -20, -10, 10, 20)),
    ]
    assert lines[1]["uar"] == 0.5 and lines[1]["change_difference"] == -0.5 and lines[0]["change_difference"] == 0
    assert {"uar_low", "accuracy_high", "macro_f1", "ece"} <= set(lines[0])


def test_every_curve_can_be_computed_and_an_unknown_one_is_refused():
    signal, rate = hear("x/loud-1")
    for curve in CURVES.values():
        for change in curve.points.values():
            changed = change(signal, rate, len(signal), np.random.default_rng(0))
            assert changed.dtype == np.float32 and np.isfinite(changed).all() and len(changed) > 0
    with pytest.raises(UserError, match=r"unknown curve 'nose'\. Did you mean 'noise'"):
        measure([part()], ["nose"])
