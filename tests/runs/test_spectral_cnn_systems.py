"""The systems of Skoulidis et al. 2023: sizes, transfer with frozen layers, draws, replacements, the paper's splits."""

import dataclasses
import re

import pytest
import torch
from safetensors.torch import load_file

from preparation import prepare
from serkit import papers, systems
from serkit.data.store import Store
from serkit.protocols import Protocol, flags
from serkit.protocols.splits import everything, splits
from serkit.runs.stages import Stages

SQUIRTLE = {"name": "squirtle", "channels": [4, 3, 5], "pools": [2, 2, 2], "hidden": [7, 6], "dropout": 0.3}
VIEWS = {"picture": {"feature": {"name": "mel_square", "size": 16}}}
TRAINER = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}
ENGLISH = {"name": "english", "view": "picture", "network": SQUIRTLE, "trainer": TRAINER}
#: The paper's table of frozen layers.
VARIANTS = {
    "a": ["conv1", "norm", "conv2", "conv3", "fc1", "fc2", "dropout"],
    "b": ["conv1", "norm", "conv2", "conv3", "fc1", "fc2"],
    "c": ["conv1", "norm", "conv2", "conv3"],
    "d": ["conv1", "norm", "conv2"],
    "e": ["conv1", "norm"],
    "f": ["conv1"],
    "g": [],
}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("spectral-cnn", 55_483_737),
        ("spectral-cnn-000", 24_037_151),
        ("spectral-cnn-001", 57_526_653),
        ("spectral-cnn-010", 36_743_135),
        ("spectral-cnn-011", 60_974_495),
        ("spectral-cnn-100", 57_121_649),
        ("spectral-cnn-101", 62_190_809),
        ("spectral-cnn-111", 61_305_423),
    ],
)
def test_the_eight_of_table_2(name, parameters):
    system = systems.load(name)
    with torch.device("meta"):
        network = _network(system, 7)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    trainer = system.stages[0].trainer
    expected = {"spectral-cnn-000": (16, 2e-5), "spectral-cnn-010": (48, 8e-5)}.get(name, (32, 6e-5))
    assert (trainer.batch_size, trainer.learning_rate, trainer.optimizer) == (*expected, "adam")
    assert system.stages[0].method.options == {"loss_input": "softmax"}


def _network(system, classes):
    from serkit import networks

    stage = system.stages[0]
    side = system.views["picture"].feature.options["size"]
    return networks.build(
        stage.network.name, {"picture": (1, side, side)}, {"emotion": classes}, **stage.network.options
    )


def test_the_untrained_network_is_the_english_one():
    assert systems.load("spectral-cnn-untrained").stages[0].network == systems.load("spectral-cnn").stages[0].network


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_frozen_stays_and_all_else_is_trained(bench, variant):
    frozen = VARIANTS[variant]
    greek = {"name": "greek", "start_from": "english", "reset": ["head"], "freeze": frozen, "trainer": TRAINER}
    made = bench.train(ENGLISH, greek, views=VIEWS).finished
    before, after = (load_file(made[name].folder / "weights.safetensors") for name in ("english", "greek"))
    for layer in ("conv1", "norm", "conv2", "conv3", "fc1", "fc2", "head"):
        same = [torch.equal(before[name], after[name]) for name in before if name.startswith(f"network.{layer}.")]
        assert same and all(same) == (layer in frozen), layer
    if "norm" in frozen:
        # Running statistics too: they are no parameters.
        torch.testing.assert_close(after["network.norm.running_mean"], before["network.norm.running_mean"])
    model = made["greek"].model.train()
    assert model.network.norm.training == ("norm" not in frozen)
    assert model.network.dropout.training == ("dropout" not in frozen)


def test_corpora_of_two_stages_and_a_new_head(bench, synthetic):
    other = dataclasses.replace(
        synthetic,
        facts=dataclasses.replace(synthetic.facts, name="other"),
        utterances=tuple(
            dataclasses.replace(each, id=f"other/{number}", speaker=f"other/{each.speaker}")
            for number, each in enumerate(synthetic.utterances)
        ),
    )
    first = ENGLISH | {"data": {"corpora": ["synthetic"]}}
    second = {"name": "greek", "start_from": "english", "reset": ["head"], "trainer": TRAINER}
    second["data"] = {"classes": ["anger", "fear"]}
    system = systems.parse({"system": {"name": "t"}, "views": VIEWS, "stages": [first, second]}, "t")
    experiment = prepare(system, [other], "clean", bench.store, also=[synthetic])
    split = splits(experiment.protocol, experiment.scored, experiment.target)[0]
    made = Stages(experiment, split, bench.folder / "stages", 0)
    made.train()
    assert {utterance.corpus for utterance in made.experiment.scored} == {"other"}
    assert len(made.experiment.parts(made.finished["english"].stage, made.split)[0]) == len(synthetic)
    shapes = {name: finished.model.network.head["emotion"].out_features for name, finished in made.finished.items()}
    assert shapes == {"english": 4, "greek": 2}


def test_a_run_of_its_own_can_be_started_from(bench):
    place = bench.train(ENGLISH, views=VIEWS).finished["english"].folder
    more = ENGLISH | {"start_from": str(place), "reset": ["head"], "freeze": VARIANTS["c"]}
    after = load_file(bench.train(more, views=VIEWS).finished["english"].folder / "weights.safetensors")
    before = load_file(place / "weights.safetensors")
    assert torch.equal(before["network.conv3.weight"], after["network.conv3.weight"])
    assert not torch.equal(before["network.fc1.weight"], after["network.fc1.weight"])


def test_a_draw_is_what_is_learned_and_scored(synthetic):
    table = {"system": {"name": "t"}, "views": VIEWS, "stages": [ENGLISH]}
    table["data"] = {"sample": {"synthetic": {"fear": 4, "*": 7}}}
    scored = prepare(systems.parse(table, "t"), [synthetic], "clean", Store()).scored
    labels = [utterance.targets["emotion"] for utterance in scored]
    assert {name: labels.count(name) for name in set(labels)} == {"anger": 7, "fear": 4, "neutral": 7, "sadness": 7}


@pytest.mark.parametrize("validation", [False, True])
def test_copies_take_the_place_of_originals_in_training_and_never_in_the_test(bench, validation):
    replace = {"name": "noise", "corpora": ["synthetic"], "validation": validation}
    held = {"held": Protocol(kind="kfold", folds=2, validation=0.25)}
    made = bench.train(
        ENGLISH, views=VIEWS, data={"replace": replace}, protocol="held", definitions=held
    )  # fmt: skip
    context = made.begin("english")[1]
    assert {item.copy for item in context.training} == {"noise"}
    assert len(context.training) == len(made.split.train)
    assert {item.copy for item in context.items[len(context.training) :]} == {"noise" if validation else None}
    plain = bench.train(ENGLISH, views=VIEWS, protocol="held", definitions=held)
    assert plain.finished["english"].key != made.finished["english"].key


def test_the_test_part_as_validation_part(synthetic, bench):
    protocol = Protocol(kind="random", test=0.3, validate_on_test=True)
    (split,) = splits(protocol, synthetic.utterances, "emotion")
    assert split.validation == split.test
    assert not {*split.train} & {*split.test}
    assert any("the test part is the validation part" in flag.text for flag in flags(protocol))
    assert not any("validation" in flag.text for flag in flags(Protocol(kind="random")))
    last = everything(protocol, synthetic.utterances, "emotion")
    assert len(last.validation) == pytest.approx(0.3 * len(synthetic), abs=1) and not last.test
    chosen = ENGLISH | {"trainer": TRAINER | {"select": "loss"}}
    made = bench.train(chosen, views=VIEWS, protocol="paper", definitions={"paper": protocol})
    context = made.begin("english")[1]
    assert [item.utterance.id for item in context.items[len(context.training) :]] == list(made.split.test)
    with pytest.raises(ValueError, match="remove validation"):
        Protocol(kind="random", validation=0.1, validate_on_test=True)


def test_learning_rates_of_the_maps():
    """Six of eight points in equal ratios from 1e-6 to 1e-4; the winner is one of them."""
    points = [1e-6 * 100 ** (step / 7) for step in range(8)]
    assert points[5] == pytest.approx(2.68e-5, rel=2e-3)
    paper = papers.load("skoulidis2023")
    for name, expected in (("figure9", points), ("figure10", points[1:-1])):
        rows = paper.artefact(name).rows
        rates = sorted({row.at[0] for row in rows})
        assert rates == pytest.approx(expected, rel=5e-3) and 2.68e-5 in rates
        assert {row.at[1] for row in rows} == {16, 32, 48, 64}
        assert len(rows) == 4 * len(expected) * (1 if name == "figure9" else 5)


ENGLISH_SYSTEMS = {name for name in systems.available() if re.fullmatch("spectral-cnn(-[01]{3}|-logits)?", name)}


def test_every_row_of_the_paper_is_a_system():
    paper = papers.load("skoulidis2023")
    assert {artefact.name for artefact in paper.artefacts} >= {
        "table2", "table3", "table5", "table6", "figure4", "figure5", "figure6", "figure7", "figure8", "figure12",
    }  # fmt: skip
    for artefact in paper.artefacts:
        assert artefact.together == all(row.system in ENGLISH_SYSTEMS for row in artefact.rows)
        for row in artefact.rows[:: max(1, len(artefact.rows) // 8)]:
            system = systems.load(row.system, row.set)
            if row.at:
                trainer = system.deployed.trainer
                assert (trainer.learning_rate, trainer.batch_size) == tuple(row.at)
    frozen = {
        row.label[0]: systems.load(row.system, row.set).deployed.freeze for row in paper.artefact("transfer").rows
    }
    assert {name: frozen[name] for name in VARIANTS} == VARIANTS
