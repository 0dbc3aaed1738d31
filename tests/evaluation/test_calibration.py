import numpy as np
import pytest

from serkit.evaluation.calibration import ece, exponent, sharpened, temperature


def test_the_temperature_by_which_logits_were_sharpened_is_found():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20_000, 5))
    gumbel = generator.gumbel(size=logits.shape)
    truth = (logits + gumbel).argmax(axis=1)  # a draw from softmax(logits)
    assert temperature(logits, truth) == pytest.approx(1, abs=0.03)
    assert temperature(logits * 3, truth) == pytest.approx(3, abs=0.1)
    assert temperature(logits / 4, truth) == pytest.approx(0.25, abs=0.01)


def test_the_exponent_by_which_short_recordings_were_sharpened_is_found():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20_000, 5))
    truth = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    durations = generator.uniform(0.2, 3, len(truth))
    for power in (0, 0.4, 0.8):
        # The temperature that is missing is 1.7 * duration ** -power.
        confident = sharpened(np.exp(logits), (durations[:, None] ** power) / 1.7)
        assert exponent(confident, truth, durations) == pytest.approx(power, abs=0.03)
        # The unit of the durations does not matter.
        assert exponent(confident, truth, 62.5 * durations) == pytest.approx(power, abs=0.03)


def test_log_probabilities_will_do_and_zeros_among_them():
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (500, 3))
    truth = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert temperature(logs, truth) == pytest.approx(temperature(logits, truth), rel=1e-4)
    # A right class of probability 0 in float32 is as bad as one of 1e-40, not infinitely bad.
    logs[0, truth[0]] = -np.inf
    finite = np.where(np.isinf(logs), np.log(1e-40), logs)
    assert temperature(logs, truth) == pytest.approx(temperature(finite, truth), rel=0.05)


def test_two_classes_by_hand():
    # All logits differ by 2, 3 of 4 are right: the best probability is 3/4, so 2 / T = ln 3.
    logits = np.array([[2.0, 0.0]] * 4)
    assert temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(2 / np.log(3), rel=1e-4)


def test_calibration_error_by_hand():
    # Bins of a tenth: (0.7, 0.8] holds three, 2 right, 0.75 sure; (0.9, 1] holds one, wrong, 0.95 sure.
    probabilities = np.array([[0.72, 0.28], [0.25, 0.75], [0.78, 0.22], [0.95, 0.05]])
    truth = np.array([0, 1, 1, 1])
    assert ece(probabilities, truth, bins=10) == pytest.approx(3 / 4 * abs(2 / 3 - 0.75) + 1 / 4 * 0.95)


def test_bins_hold_their_upper_edge():
    # 0.5 belongs to (0.25, 0.5] and 0.6 to (0.5, 0.75]: errors of opposite sign do not cancel out.
    probabilities = np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2]])
    assert ece(probabilities, np.array([0, 1]), bins=4) == pytest.approx((0.5 + 0.6) / 2)
    assert ece(np.array([[1.0, 0.0]]), np.array([0])) == 0
    assert ece(np.array([[1.0, 0.0]]), np.array([1])) == 1
