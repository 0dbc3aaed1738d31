"""Each feature with a graph gives the same numbers as its NumPy code."""

import numpy as np
import onnx_ir as ir
import pytest

from serkit import features
from serkit.graph import GRAPHS

VARIANTS = [
    ("is09", {}),
    ("is09_descriptors", {}),
    ("log_mel", {}),
    ("log_mel", {"level": "ln", "power": 1.0, "center": False, "window": "hamming", "hop": 100, "fft": 400}),
    ("log_mel", {"level": "linear", "norm": "slaney", "scale": "slaney", "window": "rectangular", "length": 512}),
    ("log_mel", {"remove_offset": True, "window": "rectangular", "center": False}),
    ("log_mel_functionals", {}),
    ("logmel_image", {}),
    ("logmel_image", {"resize": "bilinear", "size": (40, 300)}),
    ("logmel_image", {"resize": "nearest", "colour": "inferno_red"}),
    ("mel_square", {}),
    ("mel_square", {"strict_units": True, "size": 30}),
    ("mfcc", {}),
    ("mfcc_square", {}),
    ("mfcc_square", {"strict_units": True, "preemphasis": 0.0}),
    ("mfcc", {"lifter": 22.0, "coefficients": 13, "preemphasis": 0.0, "level": "db"}),
    ("speech_functionals", {}),
    ("speech_functionals", {"coefficients": 13, "groups": 8}),
    ("speech_functionals", {"remove_offset": True}),
    ("speech_log_mel", {}),
    ("speech_log_mel", {"remove_offset": True}),
    ("speech_log_mel", {"trim": 20.0, "margin": 0, "hop": 160}),
    ("stft_magnitude", {}),
    ("stft_magnitude", {"size": (512, 100), "center": False, "spectrum_scale": False, "length": 200}),
]
#: Samples: one, less than a frame, a syllable, some seconds.
LENGTHS = (1, 300, 3200, 50_001)


def test_every_graph_is_tested():
    assert {name for name, _ in VARIANTS} == set(GRAPHS)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_graph_repeats_its_feature(name, options, speech, session_of):
    feature = features.build(name, **options)
    session = session_of(
        lambda op, signal: GRAPHS.find(name)(op, feature, signal), signal=(ir.DataType.FLOAT, ["samples"])
    )
    signals = [speech[4000 : 4000 + length] for length in LENGTHS]
    # Between two sentences a voice 90 dB below them, whose power rounds away when 1 is added.
    faint = np.concatenate([signals[-1], 1e-5 * speech[:32_000], signals[-1]])
    for signal in [*signals, np.zeros(4000, np.float32), 1e-3 * signals[-1], faint]:
        [found] = session.run(None, {"signal": signal})
        wanted = feature(signal)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-3 * max(1.0, float(np.abs(wanted).max()) / 100))
