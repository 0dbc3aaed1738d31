import numpy as np
import pytest

from serkit.features import butterworth

RATE = 16000


@pytest.mark.parametrize(("corner", "order"), [(45, 4), (40, 2), (100, 1)])
def test_it_is_scipys_filter_applied_forwards_and_backwards(corner, order):
    signal = pytest.importorskip("scipy.signal")
    generator = np.random.default_rng(0)
    samples = (generator.standard_normal(2 * RATE) + np.sin(np.arange(2 * RATE) / 500)).astype(np.float32)
    sections = signal.butter(order, corner, "highpass", fs=RATE, output="sos")
    expected = signal.sosfiltfilt(sections, samples.astype(float), padlen=RATE)
    found = butterworth.high_pass(samples, RATE, corner, order)
    # The bilinear transform bends the frequency axis a little.
    np.testing.assert_allclose(found, expected, atol=1e-3 if order > 1 else 5e-3)


def test_blocks_join_without_a_seam(monkeypatch):
    samples = np.random.default_rng(1).standard_normal(200_000).astype(np.float32)
    samples += 5 * np.sin(2 * np.pi * np.arange(200_000) / RATE).astype(np.float32)
    monkeypatch.setattr(butterworth, "LONGEST", 1 << 20)
    whole = butterworth.high_pass(samples, RATE, 45, 4)
    monkeypatch.setattr(butterworth, "LONGEST", 1 << 16)
    np.testing.assert_allclose(butterworth.high_pass(samples, RATE, 45, 4), whole, atol=2e-5)


@pytest.mark.parametrize("samples", [1, 2, 3, 500])
def test_short_signals_and_constants(samples):
    found = butterworth.high_pass(np.full(samples, 0.5, dtype=np.float32), RATE, 45, 4)
    assert found.dtype == np.float32 and found.shape == (samples,)
    np.testing.assert_allclose(found, 0, atol=1e-6)
