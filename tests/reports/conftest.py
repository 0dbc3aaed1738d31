"""A small run with trained models and recordings, for what reads both."""

import pytest

from serkit.runs.request import Request
from serkit.runs.runner import run

SYSTEM = """
[system]
name = "small"

[data]
items = { seconds = 1.0, tail = "keep" }

[views.speech]
feature = { name = "speech_log_mel", bands = 16, hop = 400 }
normalise = "band"

[[stages]]
name = "main"
view = "speech"
network = { name = "cnn", channels = [4], strides = [[4, 2]], residual = [0], attention = 3 }
trainer = { epochs = 1, batch_size = 8, learning_rate = 0.01 }

[protocols.clean]
folds = 2
"""


@pytest.fixture(scope="session")
def finished(synthetic, tmp_path_factory):
    """The folder of a run of two folds on generated speech."""
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "small.toml"
    path.write_text(SYSTEM, encoding="utf-8")
    run(Request(path, [synthetic], final=False, jobs=1), folder / "run")
    return folder / "run"
