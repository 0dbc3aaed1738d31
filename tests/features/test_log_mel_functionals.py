import librosa
import numpy as np
import pytest

from serkit.errors import UserError
from serkit.features.log_mel_functionals import FUNCTIONALS, LogMelFunctionals


def expected(signal, rate, bands, fft, window, hop):
    mel = librosa.feature.melspectrogram(
        y=signal,
        sr=rate,
        n_fft=fft,
        win_length=window,
        hop_length=hop,
        n_mels=bands,
        htk=True,
        norm=None,
        pad_mode="constant",
    )
    levels = librosa.power_to_db(mel, amin=1e-10, top_db=None).astype(np.float64)
    change = levels[:, 1:] - levels[:, :-1] if levels.shape[1] > 1 else np.zeros_like(levels)
    return {
        "mean": np.mean(levels, axis=1),
        "std": np.sqrt(np.mean((levels - np.mean(levels, axis=1, keepdims=True)) ** 2, axis=1)),
        "low": np.quantile(levels, 0.1, axis=1),
        "high": np.quantile(levels, 0.9, axis=1),
        "delta_std": np.sqrt(np.mean(change**2, axis=1) - np.mean(change, axis=1) ** 2),
    }


@pytest.mark.parametrize("samples", [50, 200, 4000, 20000])
@pytest.mark.parametrize(
    ("rate", "bands", "fft", "window", "hop"), [(16000, 40, 512, 400, 160), (8000, 20, 256, 200, 80)]
)
@pytest.mark.filterwarnings("ignore:n_fft=:UserWarning")
def test_every_functional_of_every_band(rate, bands, fft, window, hop, samples):
    generator = np.random.default_rng(0)
    signal = (generator.standard_normal(samples) * np.linspace(0.01, 0.3, samples)).astype(np.float32)
    feature = LogMelFunctionals(rate=rate, bands=bands)
    found = feature(signal)
    assert feature.shape == found.shape == (5 * bands,)
    assert found.dtype == np.float32
    values = expected(signal, rate, bands, fft, window, hop)
    np.testing.assert_allclose(found, np.concatenate([values[name] for name in FUNCTIONALS]), rtol=1e-4, atol=2e-3)


def test_silence_is_at_the_floor_and_does_not_move():
    found = LogMelFunctionals(bands=3)(np.zeros(5000, np.float32)).reshape(5, 3)
    np.testing.assert_allclose(found, np.array([-100, 0, -100, -100, 0])[:, None] * np.ones(3), atol=1e-4)


@pytest.mark.parametrize("options", [{"bands": 0}, {"rate": 0}])
def test_what_cannot_be(options):
    with pytest.raises(UserError, match="log_mel: "):
        LogMelFunctionals(**options)
