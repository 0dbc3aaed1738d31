"""Systems of a few small stages, trained on generated speech."""

import pytest

from preparation import prepare
from serkit import systems
from serkit.data.store import Store
from serkit.protocols.splits import splits
from serkit.runs.stages import Stages
from serkit.training import loop

MEL = {"name": "log_mel", "bands": 8, "hop": 800, "length": 512}
VIEWS = {
    "mel": {"feature": MEL, "normalise": "band"},
    "flat": {"feature": {"name": "log_mel_functionals", "bands": 8}, "normalise": "band"},
}
CNN = {"name": "cnn", "channels": [4], "strides": [[4, 2]], "residual": [1], "attention": 3, "dropout": 0.2}
TRAINER = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}


def parse(stages, views=None, **tables):
    """Make a system; stages without a network are a `cnn` on `mel`, unless they start from one."""
    filled = []
    for stage in stages:
        base = {} if "start_from" in stage else {"network": CNN, **({} if "views" in stage else {"view": "mel"})}
        filled.append({**base, "trainer": TRAINER, **stage})
    table = {"system": {"name": "small"}, "views": {**VIEWS, **(views or {})}, "stages": filled, **tables}
    return systems.parse(table, "test")


class Bench:
    """Trains stages on the first fold of a corpus, all in one folder."""

    def __init__(self, folder, corpus):
        self.folder, self.corpus, self.store = folder, corpus, Store(folder / "store")

    def stages(self, *stages, protocol="clean", fold=0, seed=0, corpora=None, folder=None, definitions=None, **tables):
        system = parse(stages, **tables)
        experiment = prepare(system, corpora or [self.corpus], protocol, self.store, definitions=definitions)
        parts = splits(experiment.protocol, experiment.scored, experiment.target)
        return Stages(experiment, parts[fold], folder or self.folder / "stages", seed)

    def train(self, *stages, **options):
        made = self.stages(*stages, **options)
        made.train()
        return made


@pytest.fixture
def bench(tmp_path, synthetic):
    return Bench(tmp_path, synthetic)


@pytest.fixture
def fits(monkeypatch):
    """Names of the stages' folders, in the order in which they are trained."""
    found, original = [], loop.fit

    def fit(*arguments):
        found.append(arguments[6].name.rpartition("-")[0])
        return original(*arguments)

    monkeypatch.setattr(loop, "fit", fit)
    return found


@pytest.fixture
def computed(monkeypatch):
    """How many items each call computed a stage's outputs for."""
    found, original = [], loop.each_output

    def each_output(model, data, what, accelerator):
        found.append(len(data))
        return original(model, data, what, accelerator)

    monkeypatch.setattr(loop, "each_output", each_output)
    return found
