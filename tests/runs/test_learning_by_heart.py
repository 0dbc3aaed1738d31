"""Systems of the papers learn a few real recordings by heart, at full size and with their own optimizer."""

import numpy as np
import pytest

from serkit import corpora, systems
from serkit.data.store import Store
from serkit.protocols.splits import everything
from serkit.runs.request import Request
from serkit.runs.stages import Stages

#: System, stage, corpus, target, items of each class, epochs.
CASES = [
    ("independent-channels", "fcn", "emodb", "emotion", 9, 10),
    ("independent-channels", "acln", "emodb", "emotion", 4, 15),
    ("resnet18-log-mel", "teacher", "tava", "quadrant", 4, 12),
]


@pytest.mark.corpora
@pytest.mark.parametrize(("name", "stage", "corpus", "target", "each", "epochs"), CASES)
def test_real_recordings_are_learned_by_heart(recordings, tmp_path, name, stage, corpus, target, each, epochs):
    sets = [f"data.target={target}", f"system.deploy={stage}", f'data.sample={{ {corpus} = {{ "*" = {each} }} }}']
    sets += [f"stages.{stage}.trainer.epochs={epochs}", f"stages.{stage}.trainer.refit_normalization=true"]
    system = systems.load(name, sets)
    system = system.model_copy(update={"stages": [one for one in system.stages if one.name == stage]})
    request = Request([system], [corpora.load(corpus, recordings / corpus)], store=Store(tmp_path / "store"))
    experiment = request.prepare(system)
    split = everything(experiment.protocol, experiment.scored, target)
    made = Stages(experiment, split, tmp_path / "stages", seed=0)
    finished = made.train()
    chosen = sorted(experiment.scored, key=lambda utterance: utterance.id)
    labels = [finished.classes[target].index(utterance.targets[target]) for utterance in chosen]
    right = made.probabilities(finished, chosen, target).argmax(1) == np.array(labels)
    assert len(chosen) == each * len(finished.classes[target]) and right.mean() > 0.96
