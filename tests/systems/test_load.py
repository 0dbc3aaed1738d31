import pytest

from serkit import systems
from serkit.errors import UserError
from serkit.protocols import Protocol
from serkit.systems.schema import Data, System, Trainer

PLAIN = """
[system]
name = "plain"
title = "Plain"

[data]
map = { surprise = "drop" }
items = { seconds = 3.0, tail = "keep" }

[views.mel]
feature = { name = "log_mel", bands = 16 }

[[stages]]
name = "first"
view = "mel"
network = { name = "cnn", channels = [4], dropout = 0.1 }
trainer = { epochs = 3, schedule = { name = "step", every = 2 } }

[[stages]]
name = "second"
view = "mel"
network = { name = "cnn" }
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="own.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def plain(write):
    return write(PLAIN)


@pytest.mark.parametrize("name", systems.available())
def test_every_system_of_serkit_is_valid(name):
    system = systems.load(name)
    assert system.system.name == name
    assert system.system.title


def test_what_is_not_said_has_a_default(plain):
    system = systems.load(plain)
    assert [stage.name for stage in system.stages] == ["first", "second"]
    assert system.stages[1].trainer == Trainer()
    assert system.stages[1].method.name == "supervised"
    assert system.data.target == ["emotion"]
    assert system.deployed.name == "second"
    assert system.stages[0].network.options == {"channels": [4], "dropout": 0.1}


def test_a_part_without_options_is_just_its_name(write):
    text = PLAIN.replace('network = { name = "cnn" }', 'network = "cnn"\ntrainer = { schedule = "cosine" }')
    second = systems.load(write(text)).stages[1]
    assert (second.network.name, second.network.options) == ("cnn", {})
    assert second.trainer.schedule.name == "cosine"


# --- extends


def test_an_own_file_extends_a_system_of_serkit(write):
    path = write(
        'extends = "linear-baseline"\n[system]\nname = "mine"\n[[stages]]\nname = "main"\ntrainer = { epochs = 2 }'
    )
    base, system = systems.load("linear-baseline"), systems.load(path)
    assert (system.system.name, system.system.title) == ("mine", base.system.title)
    assert system.views == base.views
    (stage,) = system.stages
    assert stage.trainer.epochs == 2
    assert stage.trainer == base.stages[0].trainer.model_copy(update={"epochs": 2})
    assert stage.network == base.stages[0].network


def test_stages_are_merged_by_name(plain, write):
    variant = write(
        """
        extends = "own.toml"
        [data]
        map = { fear = "drop" }
        [[stages]]
        name = "second"
        network = { dropout = 0.4 }
        [[stages]]
        name = "third"
        start_from = "first"
        """,
        "variant.toml",
    )
    system = systems.load(variant)
    assert [stage.name for stage in system.stages] == ["first", "second", "third"]
    assert system.stages[0] == systems.load(plain).stages[0]
    assert system.stages[1].network.model_dump() == {"name": "cnn", "dropout": 0.4}
    assert system.data.map == {"surprise": "drop", "fear": "drop"}
    assert system.data.items.seconds == 3.0


def test_a_part_of_another_name_replaces_the_old_one_with_its_options(plain, write):
    variant = write(
        """
        extends = "own.toml"
        [views.mel]
        feature = { name = "log_mel_functionals" }
        [[stages]]
        name = "first"
        network = { name = "linear" }
        trainer = { schedule = { name = "cosine", warmup = 1 } }
        """,
        "variant.toml",
    )
    system = systems.load(variant)
    assert system.views["mel"].feature.model_dump() == {"name": "log_mel_functionals"}
    assert system.stages[0].network.model_dump() == {"name": "linear"}
    assert system.stages[0].trainer.schedule.model_dump() == {"name": "cosine", "warmup": 1}
    assert system.stages[0].trainer.epochs == 3


def test_of_several_bases_later_ones_win(plain, write):
    write(
        '[[stages]]\nname = "first"\ntrainer = { epochs = 7, batch_size = 5 }\n[data]\ncopies = ["noise"]', "long.toml"
    )
    write('[[stages]]\nname = "first"\ntrainer = { epochs = 9 }', "longer.toml")
    own = '[system]\nname = "mixed"\n[[stages]]\nname = "first"\ntrainer = { learning_rate = 0.5 }'
    mixed = write(f'extends = ["own.toml", "long.toml", "longer.toml"]\n{own}', "mixed.toml")
    base, system = systems.load(plain), systems.load(mixed)
    changed = {"epochs": 9, "batch_size": 5, "learning_rate": 0.5}
    assert system.stages[0].trainer == base.stages[0].trainer.model_copy(update=changed)
    assert system.stages[1:] == base.stages[1:] and system.data == base.data.model_copy(update={"copies": ["noise"]})
    other = write(f'extends = ["own.toml", "longer.toml", "long.toml"]\n{own}', "other.toml")
    assert systems.load(other).stages[0].trainer.epochs == 7


def test_a_list_of_one_base_or_none(plain, write):
    assert systems.load(write('extends = ["own.toml"]', "one.toml")) == systems.load(plain)
    none = write("extends = []\n" + plain.read_text(), "none.toml")
    assert systems.load(none) == systems.load(plain)


def test_two_bases_may_have_a_base_in_common(plain, write):
    write('extends = "own.toml"\n[[stages]]\nname = "first"\ntrainer = { epochs = 7 }', "left.toml")
    write('extends = "own.toml"\n[[stages]]\nname = "first"\ntrainer = { batch_size = 5 }', "right.toml")
    # Later ones win with all they have, that of their own bases included.
    trainer = systems.load(write('extends = ["left.toml", "right.toml"]', "both.toml")).stages[0].trainer
    assert (trainer.epochs, trainer.batch_size) == (3, 5)


def test_a_chain_of_files(plain, write):
    write('extends = "own.toml"\n[[stages]]\nname = "first"\ntrainer = { epochs = 7 }', "middle.toml")
    last = write('extends = "middle.toml"\n[[stages]]\nname = "first"\ntrainer = { batch_size = 5 }', "last.toml")
    trainer = systems.load(last).stages[0].trainer
    assert (trainer.epochs, trainer.batch_size) == (7, 5)


def test_a_standard_protocol_lists_only_what_differs(write):
    system = systems.load(write(PLAIN + "\n[protocols.clean]\nvalidation = 0.2\n[protocols.own]\nkind = 'kfold'\n"))
    clean = system.protocols["clean"]
    assert (clean.kind, clean.group, clean.validation) == ("group_kfold", "speaker", 0.2)
    assert system.protocols["own"].kind == "kfold"


# --- --set


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("stages.first.trainer.epochs=7", lambda s: s.stages[0].trainer.epochs, 7),
        ("stages.second.trainer.learning_rate = 1e-4", lambda s: s.stages[1].trainer.learning_rate, 1e-4),
        ("stages.*.trainer.epochs=9", lambda s: [stage.trainer.epochs for stage in s.stages], [9, 9]),
        ("stages.first.network.channels=[8, 16]", lambda s: s.stages[0].network.options["channels"], [8, 16]),
        ("stages.first.network=linear", lambda s: s.stages[0].network.model_dump(), {"name": "linear"}),
        (
            'stages.first.network={ name = "cnn", attention = 3 }',
            lambda s: s.stages[0].network.options,
            {"attention": 3},
        ),
        ("stages.second.trainer.schedule=cosine", lambda s: s.stages[1].trainer.schedule.name, "cosine"),
        ("stages.first.trainer.schedule.every=5", lambda s: s.stages[0].trainer.schedule.options, {"every": 5}),
        ("stages.second.trainer.stopping.name=patience", lambda s: s.stages[1].trainer.stopping.name, "patience"),
        ("data.items.seconds=1.5", lambda s: (s.data.items.seconds, s.data.items.tail), (1.5, "keep")),
        ("data.copies=['noise']", lambda s: s.data.copies, ["noise"]),
        (
            "data.copies=['noise', { name = 'noise', low = 0 }]",
            lambda s: System.model_validate(s.model_dump(mode="json")).data.copies,
            ["noise", "noise{ low = 0 }"],
        ),
        (
            "data.replace={ name = { name = 'noise', low = 0 }, share = 0.5 }",
            lambda s: s.data.replace.name,
            "noise{ low = 0 }",
        ),
        ("data.target=word", lambda s: s.data.target, ["word"]),
        ("views.mel.normalise=band", lambda s: s.views["mel"].normalise, "band"),
        ("system.deploy=first", lambda s: s.deployed.name, "first"),
        ("protocols.clean.folds=3", lambda s: s.protocols["clean"].folds, 3),
        ("stages.first.data.classes=['joy']", lambda s: s.stage_data(s.stages[0]).classes, ["joy"]),
    ],
)
def test_overriding_a_key(plain, override, read, value):
    assert read(systems.load(plain, [override])) == value


def test_a_member_of_a_list_is_addressed_by_its_name():
    system = systems.load("compact-cnn", ["stages.main.trainer.perturb.crop.frames=64"])
    crop = next(part for part in system.stages[0].trainer.perturb if part.name == "crop")
    assert crop.options["frames"] == 64


def test_later_overrides_win(plain):
    system = systems.load(plain, ["stages.*.trainer.epochs=9", "stages.first.trainer.epochs=4"])
    assert [stage.trainer.epochs for stage in system.stages] == [4, 9]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("1e-3", 1e-3), ("true", True), ("vit", "vit"), ("'5'", "5"), ("[1, 2]", [1, 2]), (" a b ", "a b")],
)
def test_values_are_read_as_toml(text, value):
    found = systems.parse_value(text)
    assert found == value
    assert type(found) is type(value)


def test_stage_data_overrides_whole_keys(write):
    stage = 'name = "second"\ndata = { items = { seconds = 1.0 }, target = "speaker" }'
    system = systems.load(write(PLAIN.replace('name = "second"', stage)))
    data = system.stage_data(system.stages[1])
    assert (data.items.seconds, data.items.tail, data.target) == (1.0, "pad", ["speaker"])
    assert data.map == {"surprise": "drop"}
    assert system.stage_data(system.stages[0]) == system.data


def test_an_option_of_a_part_that_is_given_by_its_name_alone():
    system = systems.load("real-vgg16", ["stages.emotion.network.init=he"])
    assert (system.stages[-1].network.name, system.stages[-1].network.options) == ("vgg16", {"init": "he"})


# --- what cannot be


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "stages.first.trainer.epoch=3",
            "unknown key 'stages.first.trainer.epoch': key 'epoch'. Did you mean 'epochs'?",
        ),
        (
            "stages.first.trainer.epochs=0",
            "stages.first.trainer.epochs: Input should be greater than or equal to 1 (rec",
        ),
        ("stages.first.trainer.epochs=many", "received 'many'"),
        ("stages.first.trainer.epochs", "--set stages.first.trainer.epochs: write KEY=VALUE"),
        ("stages.frist.trainer.epochs=3", "name 'frist'. Did you mean 'first'? Available: first, second"),
        ("stages.first=3", "--set stages.first: does not lead to a key"),
        ("stages.*=3", "--set stages.*: does not lead to a key"),
        ("stages.first.name.x=3", "--set stages.first.name.x: does not lead to a key"),
        (
            "stages.first.network.channels.0=3",
            "unknown name in --set stages.first.network.channels.0: name '0'. Available: none",
        ),
        ("views.mel.feture=3", "key 'feture'. Did you mean 'feature'?"),
        ("data.items.second=3", "Did you mean 'seconds'?"),
        (
            "data.items.tail=cut",
            "data.items.tail: Input should be 'pad', 'keep', 'drop', 'last' or 'first' (received 'cut')",
        ),
        ("dta.target=word", "Did you mean 'data'?"),
        ("system.deploy=third", "deploy = 'third' names no stage. Stages: first, second"),
        ("stages.second.view=mle", "stage 'second': no view 'mle'. Views: mel"),
        ("stages.second.views=['mel']", "stages.second: give either view (one view) or views (several)"),
        ("stages.second.start_from=second", "stage 'second' starts from 'second', which is no earlier stage"),
        ("stages.first.start_from=second", "stage 'first' starts from 'second', which is no earlier stage"),
        ("stages.second.reset=['head']", "stages.second: reset, refit and keep_optimizer require start_from"),
        ("stages.second.keep_optimizer=true", "reset, refit and keep_optimizer require start_from"),
        ("stages.second.name=first", "names of stages must be unique; 'first' occurs twice"),
        ("stages.second.name=a.b", "stages.a.b.name: the name of a stage must be one word of letters, digits, - and _"),
        ("stages.second.name='*'", "the name of a stage must be one word"),
        ("data.copies=['nosie']", "unknown augmentation 'nosie'. Did you mean 'noise'?"),
        (
            "data.copies=[{ name = 'noise', lwo = 0 }]",
            "unknown option of augmentation 'noise' 'lwo'. Did you mean 'low'?",
        ),
        ("data.copies=[{ name = 'slower', low = 0 }]", "unknown option of augmentation 'slower' 'low'"),
        ("data.target=[]", "data.target: List should have at least 1 item"),
        ("data.corpora=[]", "Input should be 'scored' or 'all' (received [])"),
        ("extends=compact-cnn", "--set extends=compact-cnn: extends, search and rounds belong in a system's file"),
        ("search.x=[1]", "--set search.x=[1]: extends, search and rounds belong in a system's file"),
        ("stages.second.data.clases=['joy']", "stages.second.data: unknown key 'clases'. Did you mean 'classes'?"),
        ("stages.second.data.items.second=3", "stages.second.data: items.second: Extra inputs are not permitted"),
        ("views.mel.stage=first", "views.mel: a view must have either a feature or a stage as its source"),
        ("views.mel={}", "views.mel: a view must have either a feature or a stage as its source"),
        ("views.mel={ stage = 'second' }", "view 'mel' of stage 'first': no earlier stage 'second'"),
        ("views.mel.trainable=true", "views.mel: only the features of a stage can be trained along"),
        (
            "views.mel={ stage = 'first', trainable = true, output = 'predictions' }",
            "views.mel: only the features of a stage can be trained along",
        ),
        (
            "views.mel={ stage = 'first', trainable = true, normalise = 'band' }",
            "views.mel: a view that is trained along changes and cannot be normalized",
        ),
        ("protocols.clean.fold=3", "Did you mean 'folds'?"),
        ("stages=[]", "a system must have at least one stage"),
        ("stages=3", "stages: Input should be a valid list (received 3)"),
        ("data.classes=[anger]", "data.classes: Input should be a valid list (received '[anger]')"),
        ("stages.second.network={}", "stages.second.network.name: Field required"),
    ],
)
def test_every_mistake_is_one_line_with_the_file(plain, override, message):
    with pytest.raises(UserError) as caught:
        systems.load(plain, [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    if not message.startswith("--set") and "--set" not in str(caught.value):
        assert str(caught.value).startswith(f"{plain}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[system]\nname = 'x'\n[[stages]]\nname = 'a'\nnetwork = 'cnn'", "stage 'a' names no view"),
        ("[system]\nname = 'x'\n[[stages]]\nname = 'a'\nview = 'v'", "stage 'a' names no network and starts from none"),
        ("[system]\nname = 'x'", "stages: Field required"),
        ("name = 'x'", "system: Field required"),
        ("a = ", "not TOML ("),
        ("extends = 5", "extends = 5; name a system or a TOML file, or list several"),
        ("extends = ['linear-baseline', 5]", "extends = ['linear-baseline', 5]; name a system or a TOML file"),
        ("extends = ['linear-baseline', 'own.toml']", "own.toml: extends itself"),
        ("extends = ['linear-baseline', 'linear-basline']", "unknown system 'linear-basline'"),
        ("extends = 'own.toml'", "own.toml: extends itself"),
        ("extends = 'there.toml'", "there.toml: no such file"),
        ("extends = 'linear-basline'", "unknown system 'linear-basline'. Did you mean 'linear-baseline'?"),
        ("stages = ['a']\nextends = 'linear-baseline'", "stages.0: Input should be a valid dictionary or instance"),
        ("extends = 'linear-baseline'\n[[stages]]\nname = ['main']", "valid string (received ['main'])"),
        (
            "extends = 'linear-baseline'" + 2 * "\n[[stages]]\nname = 'a'\nview = 'functionals'\nnetwork = 'linear'",
            "names of stages must be unique; 'a' occurs twice",
        ),
    ],
)
def test_every_mistake_in_a_file_is_one_line(write, text, message):
    with pytest.raises(UserError) as caught:
        systems.load(write(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], None),
        (["start_from=elsewhere"], "stage 'second': keep_optimizer requires start_from = an earlier stage"),
        (["trainer.optimizer=sgd"], "cannot keep the optimizer of 'first', which is 'adam' and not 'sgd'"),
    ],
)
def test_an_optimizer_that_can_be_kept(plain, overrides, message):
    sets = [f"stages.second.{key}" for key in ("start_from=first", "keep_optimizer=true", *overrides)]
    if message is None:
        system = systems.load(plain, sets)
        assert system.continued("first") and not system.continued("second")
        return
    with pytest.raises(UserError) as caught:
        systems.load(plain, sets)
    assert message in str(caught.value)


@pytest.mark.parametrize("setting", ["select=loss", "average=0.5"])
def test_an_optimizer_of_other_weights_cannot_be_kept(plain, setting):
    sets = ["stages.second.start_from=first", "stages.second.keep_optimizer=true"]
    with pytest.raises(UserError, match="whose weights are not those of the last step"):
        systems.load(plain, [*sets, f"stages.first.trainer.{setting}"])


def test_an_editor_may_put_a_byte_order_mark_before_a_file(write):
    path = write("extends = 'linear-baseline'\n[system]\nname = 'mine'")
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert systems.load(path).system.name == "mine"


def test_files_that_extend_each_other(write, tmp_path):
    (tmp_path / "sub").mkdir()
    write('extends = "../own.toml"', "sub/other.toml")
    with pytest.raises(UserError, match=r"own\.toml: extends itself"):
        systems.load(write('extends = "sub/other.toml"'))


def test_unknown_system():
    with pytest.raises(UserError, match=r"unknown system 'compct-cnn'\. Did you mean 'compact-cnn'"):
        systems.load("compct-cnn")


def test_a_new_stage_stands_before_the_one_that_follows_it(plain, write):
    own = write(
        """
        extends = "own.toml"
        [[stages]]
        name = "zeroth"
        view = "mel"
        network = "cnn"
        [[stages]]
        name = "half"
        view = "mel"
        network = "cnn"
        [[stages]]
        name = "second"
        network = { dropout = 0.4 }
        [[stages]]
        name = "third"
        view = "mel"
        network = "cnn"
        """,
        "variant.toml",
    )
    system = systems.load(own)
    assert [stage.name for stage in system.stages] == ["first", "zeroth", "half", "second", "third"]
    assert system.stages[3].network.options == {"dropout": 0.4} and system.deployed.name == "third"


def test_labels_and_names_are_cleaned():
    data = Data(
        target="emo\u200btion",
        classes=["anger\u200b", " very\u00a0happy"],
        map={"mu\u0308de": "calm\u200b", "calm\ufeff": "drop"},
        where={"style\u200b": ["im\u00adprovised", 3], "session": 1},
        sample={"emodb\u200b": {"anger ": 3}},
        corpora=["emodb\u200b"],
    )
    assert data.target == ["emotion"] and data.classes == ["anger", "very happy"] and data.corpora == ["emodb"]
    assert data.map == {"müde": "calm", "calm": "drop"} and data.sample == {"emodb": {"anger": 3}}
    assert data.where == {"style": ["improvised", 3], "session": 1}
    system = systems.load("linear-baseline", ['data.classes=["an\u200bger", "mu\u0308de"]'])
    assert system.data.classes == ["anger", "müde"]
    protocol = Protocol(kind="leave_one_group_out", group="spea\u200bker", tested=["table/Zoe\u0308"])
    assert protocol.group == "speaker" and protocol.tested == ["table/Zoë"]
