import dataclasses
from pathlib import Path

import pytest
import soundfile

from preparation import prepare
from serkit import systems
from serkit.corpora.corpus import Channel
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.flags import Flag
from serkit.protocols import Protocol
from serkit.protocols.splits import Split, everything, splits
from serkit.windowing import Windowing

ITEMS = {"p": Protocol(kind="random", unit="item")}
VIEWS = {"flat": {"feature": {"name": "log_mel_functionals", "bands": 8}}}


def stage(name, **data):
    return {"name": name, "view": "flat", "network": "linear", "data": data}


def make(corpora, *stages, protocol="clean", definitions=None, views=VIEWS, **data):
    table = {"system": {"name": "test"}, "data": data, "views": views, "stages": list(stages or [stage("main")])}
    system = systems.parse(table, "test")
    return prepare(system, corpora, protocol, Store(), definitions=definitions)


def cut(experiment):
    return splits(experiment.protocol, experiment.scored, experiment.target)


def speakers(utterances):
    return {utterance.speaker for utterance in utterances}


def replaced(corpus, change):
    """A corpus with changed utterances; one for which `change` returns None is left out."""
    changed = tuple(new for utterance in corpus.utterances if (new := change(utterance)) is not None)
    return dataclasses.replace(corpus, utterances=changed)


def test_every_stage_has_its_own_selection(synthetic):
    experiment = make(
        [synthetic],
        stage("all"),
        stage("speaker", target="speaker"),
        stage("two", classes=["anger", "neutral"], map={"fear": "neutral"}),
        map={"sadness": "drop"},
    )
    counts = {name: len(chosen) for name, chosen in experiment.utterances.items()}
    assert counts == {"all": 30, "speaker": 40, "two": 40 - 10}
    assert experiment.classes["all"] == {"emotion": ["anger", "fear", "neutral"]}
    assert experiment.classes["two"] == {"emotion": ["anger", "neutral"]}
    assert list(experiment.classes["speaker"]["speaker"]) == [f"synthetic/s0{number}" for number in range(1, 6)]
    assert (experiment.target, experiment.labels) == ("emotion", ["anger", "neutral"])
    assert experiment.scored == experiment.utterances["two"]
    assert not experiment.skipped


# --- who may learn what


def test_parts_of_the_scored_stage_are_those_of_the_split(synthetic):
    experiment = make(
        [synthetic], definitions={"own": Protocol(kind="group_kfold", folds=5, validation=0.25)}, protocol="own"
    )
    for split in cut(experiment):
        training, validation = experiment.parts(experiment.system.stages[0], split)
        assert tuple(utterance.id for utterance in training) == split.train
        assert tuple(utterance.id for utterance in validation) == split.validation
        assert (len(speakers(training)), len(speakers(validation))) == (3, 1)


def test_no_stage_sees_a_test_speaker(synthetic):
    # The scored stage drops half of the utterances: they are in no part of a split, the test speakers' neither.
    experiment = make(
        [synthetic],
        stage("speaker", target="speaker"),
        stage("all"),
        stage("main", classes=["anger", "neutral"]),
        definitions={"own": Protocol(kind="group_kfold", folds=5, validation=0.25)},
        protocol="own",
    )
    for split in cut(experiment):
        tested = {name.split("_")[0] for name in split.test}
        validated = {name.split("_")[0] for name in split.validation}
        for each in experiment.system.stages:
            training, validation = experiment.parts(each, split)
            assert len(speakers(training)) == 3
            assert speakers(validation) == validated
            assert not (speakers(training) | speakers(validation)) & tested
            scored = 4 if each.name == "main" else 8
            assert (len(training), len(validation)) == (3 * scored, scored)


def test_a_group_of_another_kind_is_kept_out_too(synthetic):
    experiment = make(
        [synthetic], stage("all"), stage("main", classes=["anger", "fear"]), protocol="leave-one-sentence-out"
    )
    for split in cut(experiment):
        training, _ = experiment.parts(experiment.system.stages[0], split)
        tested = {name.split("_")[1] for name in split.test}
        assert {utterance.sentence.split("/")[1] for utterance in training}.isdisjoint(tested)
        assert len(training) == 20


def test_another_corpus_is_learned_from_whole(synthetic):
    other = replaced(synthetic, lambda u: dataclasses.replace(u, id=f"other/{u.id}", speaker=f"other/{u.speaker}"))
    other = dataclasses.replace(other, facts=dataclasses.replace(other.facts, name="other"))
    experiment = make(
        [synthetic, other], stage("first", where={"corpus": "other"}), stage("main", where={"corpus": "synthetic"})
    )
    for split in cut(experiment):
        training, _ = experiment.parts(experiment.system.stages[0], split)
        assert len(training) == 40
        assert {utterance.corpus for utterance in training} == {"other"}


def test_what_a_random_protocol_does_not_score_is_learned_from(synthetic):
    experiment = make([synthetic], stage("all"), stage("main", classes=["anger", "neutral"]), protocol="random")
    (split,) = cut(experiment)
    training, _ = experiment.parts(experiment.system.stages[0], split)
    ids = {utterance.id for utterance in training}
    assert not ids & set(split.test)
    assert ids == {utterance.id for utterance in synthetic.utterances} - set(split.test)


def test_lists_of_parts_hold_for_every_stage(synthetic, tmp_path):
    part = {"s01": "train", "s02": "train", "s03": "validation", "s04": "test", "s05": "unused"}
    rows = [f"{u.id},{part[u.speaker.split('/')[1]]}" for u in synthetic.utterances]
    (tmp_path / "lists.csv").write_text("\n".join(["id,part", *rows]))
    experiment = make(
        [synthetic],
        stage("all"),
        stage("main", classes=["anger", "neutral"]),
        definitions={"own": Protocol(kind="fixed", lists=tmp_path / "lists.csv")},
        protocol="own",
    )
    (split,) = cut(experiment)
    for each, count in zip(experiment.system.stages, (8, 4), strict=True):
        training, validation = experiment.parts(each, split)
        assert speakers(training) == {"synthetic/s01", "synthetic/s02"}
        assert speakers(validation) == {"synthetic/s03"}
        assert (len(training), len(validation)) == (2 * count, count)


def test_a_final_training_sees_everything(synthetic):
    experiment = make([synthetic], stage("all"), stage("main", classes=["anger", "neutral"]))
    split = everything(experiment.protocol, experiment.scored, experiment.target)
    training, validation = experiment.parts(experiment.system.stages[0], split)
    assert (len(training), len(validation)) == (40, 0)


def test_an_utterance_of_no_known_group_is_learned_from_only_by_other_stages(synthetic):
    corpus = replaced(synthetic, lambda u: dataclasses.replace(u, speaker=None) if u.id.endswith("fear_1") else u)
    experiment = make([corpus], stage("all"), stage("main", classes=["anger", "neutral"]))
    split = Split("s", ("synthetic/s01_t1_anger_1",), (), ("synthetic/s02_t1_anger_1",))
    training, _ = experiment.parts(experiment.system.stages[0], split)
    assert {u.id for u in training if u.speaker is None} == {u.id for u in corpus.utterances if u.speaker is None}


# --- hashes


def test_content_is_what_is_scored_and_not_where_it_lies(synthetic, tmp_path):
    def moved(utterance):
        path = tmp_path / utterance.path.name
        path.write_bytes(utterance.path.read_bytes())
        return dataclasses.replace(utterance, path=path)

    def renamed(utterance):
        return (
            dataclasses.replace(utterance, targets={"emotion": "fear"})
            if utterance.id.endswith("t1_anger_1")
            else utterance
        )

    def other_speaker(utterance):
        return dataclasses.replace(utterance, speaker="synthetic/s01")

    original = make([synthetic])
    same, relabelled, unlike = (make([replaced(synthetic, change)]) for change in (moved, renamed, other_speaker))
    selected = make([synthetic], stage("main", classes=["anger", "fear"]))
    assert same.content(synthetic) == original.content(synthetic)
    assert same.material == original.material
    for experiment in (relabelled, selected):
        assert experiment.content(synthetic) != original.content(synthetic)
        assert experiment.material != original.material
    # The speaker is not what is scored, but decides who learns from whom.
    assert unlike.content(synthetic) == original.content(synthetic)
    assert unlike.material != original.material
    # What only an earlier stage learns from.
    first, second = (
        make([synthetic], stage("first", classes=names), stage("main")) for names in ("all", ["anger", "fear"])
    )
    assert first.content(synthetic) == second.content(synthetic)
    assert first.material != second.material


# --- recordings that cannot be read


def test_unreadable_recordings_are_left_out(synthetic, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    gone = tmp_path / "gone.wav"

    def spoil(utterance):
        name = utterance.id.partition("/")[2]
        path = {"s01_t1_anger_1": broken, "s02_t2_fear_1": gone}.get(name, utterance.path)
        return dataclasses.replace(utterance, path=path)

    experiment = make([replaced(synthetic, spoil)])
    assert set(experiment.skipped) == {str(broken), str(gone)}
    assert "not audio" in experiment.skipped[str(broken)]
    left = {utterance.id for utterance in experiment.scored}
    assert len(left) == 38
    assert not left & {"synthetic/s01_t1_anger_1", "synthetic/s02_t2_fear_1"}


def test_a_channel_that_a_view_reads_must_be_readable(synthetic, tmp_path):
    broken = tmp_path / "egg.wav"
    broken.write_bytes(b"no sound")

    def spoil(utterance):
        return dataclasses.replace(utterance, channels={"egg": Channel(broken)}) if "s01" in utterance.id else utterance

    corpus = replaced(synthetic, spoil)
    assert len(make([corpus]).scored) == 40
    egg = {"flat": {**VIEWS["flat"], "channel": "egg"}}
    experiment = make([corpus], views=egg)
    assert len(experiment.scored) == 32
    assert set(experiment.skipped) == {str(broken)}


def test_a_row_that_is_not_in_its_file_is_left_out(synthetic):
    names = [utterance.id for utterance in synthetic.utterances[:5]]
    changes = {
        names[0]: {"end": 99.0},
        names[1]: {"start": 50.0, "end": 51.0},
        names[2]: {"index": 7},
        names[3]: {"start": 0.1, "end": 0.1},
        names[4]: {"start": 0.0, "end": 0.2, "index": 0},  # is there
    }
    corpus = replaced(synthetic, lambda u: dataclasses.replace(u, **changes.get(u.id, {})))
    experiment = make([corpus])
    assert len(experiment.scored) == 36
    assert set(experiment.skipped) == set(names[:4])
    for name, reason in zip(names, ["no interval 0 to 99 s", "no interval 50 to 51 s", "no channel 7"], strict=False):
        assert experiment.skipped[name].startswith(f"{name}: ")
        assert reason in experiment.skipped[name]
    # What is left can be read.
    for utterance in experiment.scored:
        assert len(Item(utterance).signal(16000, Windowing()))


def test_a_further_channel_that_is_not_in_its_file(synthetic):
    first = synthetic.utterances[0]

    def spoil(utterance):
        channels = {"egg": Channel(utterance.path, 5 if utterance.id == first.id else 0)}
        return dataclasses.replace(utterance, channels=channels)

    corpus = replaced(synthetic, spoil)
    assert not make([corpus]).skipped
    egg = {"flat": {**VIEWS["flat"], "channel": "egg"}}
    assert list(make([corpus], views=egg).skipped) == [first.id]


def test_none_is_readable(synthetic, tmp_path):
    corpus = replaced(synthetic, lambda u: dataclasses.replace(u, path=tmp_path / "gone.wav"))
    with pytest.raises(UserError, match=r"none of 40 recordings can be read; the first: .*gone.wav: no such file"):
        make([corpus])


# --- several corpora


def renamed(corpus, name, change=lambda utterance: utterance):
    """The corpus under another name, with changed utterances."""

    def other(utterance):
        new = change(utterance)
        return new and dataclasses.replace(new, id=f"{name}/{new.id}", speaker=f"{name}/{new.speaker}")

    facts = dataclasses.replace(corpus.facts, name=name)
    return dataclasses.replace(replaced(corpus, other), facts=facts)


def labelled(old, new):
    def change(utterance):
        fits = utterance.targets["emotion"] == old
        return dataclasses.replace(utterance, targets={"emotion": new}) if fits else utterance

    return change


def test_across_corpora_classes_are_those_that_all_have(synthetic):
    other = renamed(synthetic, "other", labelled("fear", "calm"))
    experiment = make([synthetic, other], stage("first"), stage("who", target="speaker"), stage("main"))
    assert experiment.labels == ["anger", "calm", "fear", "neutral", "sadness"]
    # The two corpora hold the same recordings.
    assert [flag.text.partition(":")[0] for flag in experiment.flags] == ["contradicting labels for 10 recordings"]
    experiment = make(
        [synthetic, other], stage("first"), stage("who", target="speaker"), stage("main"), protocol="cross-corpus"
    )
    assert experiment.labels == experiment.classes["first"]["emotion"] == ["anger", "neutral", "sadness"]
    assert {utterance.targets["emotion"] for utterance in experiment.scored} == set(experiment.labels)
    assert len(experiment.scored) == 60 and len(experiment.utterances["who"]) == 80
    assert [flag.text for flag in experiment.flags] == [
        "classes left out, since not every corpus has them: calm (other), fear (synthetic)"
    ]
    # Nobody learns from the tested corpus, not even from what is left out of it.
    for split in cut(experiment):
        for each in experiment.system.stages:
            learned, _ = experiment.parts(each, split)
            assert {u.corpus for u in learned} == {"other", "synthetic"} - {split.test[0].partition("/")[0]}


def test_leaving_a_corpus_out_keeps_the_classes_that_two_corpora_have(synthetic):
    second = renamed(synthetic, "second", labelled("fear", "calm"))
    third = renamed(synthetic, "third", labelled("sadness", "boredom"))
    experiment = make([synthetic, second, third], stage("main"), protocol="leave-one-corpus-out")
    # Fear is unknown to the second corpus, sadness to the third; calm and boredom have one corpus each.
    assert experiment.labels == ["anger", "fear", "neutral", "sadness"]
    assert "classes left out, since fewer than 2 corpora have them: boredom (third), calm (second)" in [
        flag.text for flag in experiment.flags
    ]
    folds = cut(experiment)
    assert [{name.partition("/")[0] for name in fold.test} for fold in folds] == [{"second"}, {"synthetic"}, {"third"}]
    labels = {u.id: u.targets["emotion"] for u in experiment.scored}
    for fold in folds:
        assert {labels[name] for name in fold.train} == set(experiment.labels)
        assert not {name.partition("/")[0] for name in fold.train} & {name.partition("/")[0] for name in fold.test}


def test_two_corpora_must_have_two_classes_in_common_to_leave_one_out(synthetic):
    other = renamed(
        synthetic, "other", lambda u: labelled("anger", "joy")(u) if u.targets["emotion"] == "anger" else None
    )
    with pytest.raises(UserError, match=r"classes of 'emotion' that every corpus has: none; two are required"):
        make([synthetic, other], protocol="leave-one-corpus-out")


def test_corpora_without_two_common_classes_are_refused(synthetic):
    def one(utterance):
        return utterance if utterance.targets["emotion"] == "fear" else labelled("anger", "joy")(utterance)

    other = renamed(synthetic, "other", lambda u: one(u) if u.targets["emotion"] in ("anger", "fear") else None)
    with pytest.raises(UserError, match=r"every corpus has: fear; two are required.*other: fear, joy\)"):
        make([synthetic, other], protocol="cross-corpus")


# --- what cannot be


def one_class(corpus):
    return replaced(corpus, lambda u: u if u.targets["emotion"] == "fear" else None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: make([c], protocol="claen"), "unknown protocol 'claen'. Did you mean 'clean'?"),
        (lambda c: make([one_class(c)]), r"stage 'main': only one class of 'emotion' is left \(fear\)"),
        (lambda c: make([c], stage("first", classes=["fear"]), stage("main")), "stage 'first': only one class"),
        (lambda c: make([c], target="word"), "target 'word'.*Targets: emotion"),
        (lambda c: make([c, c]), "a corpus is given twice: synthetic, synthetic"),
        (
            lambda c: make([c], stage("one", copies=["noise"]), stage("two"), protocol="p", definitions=ITEMS),
            "protocol 'p' splits items: every stage requires the same data.items and data.copies",
        ),
        (lambda c: cut(make([replaced(c, lambda u: u if "s01" in u.id else None)])), "has only one, 'synthetic/s01'"),
    ],
)
def test_what_cannot_be(synthetic, call, message):
    with pytest.raises(UserError, match=message) as caught:
        call(synthetic)
    assert "\n" not in str(caught.value)


def test_a_system_may_define_its_protocols(synthetic):
    table = {
        "system": {"name": "test"},
        "views": VIEWS,
        "stages": [stage("main")],
        "protocols": {"clean": {"kind": "group_kfold", "folds": 2}},
    }
    experiment = prepare(systems.parse(table, "test"), [synthetic], "clean", Store())
    assert len(cut(experiment)) == 2


def test_hashes_are_those_of_the_files(synthetic):
    from serkit.audio import content_hash

    experiment = make([synthetic])
    utterance = experiment.scored[3]
    assert experiment.hash_of(utterance) == content_hash(utterance.path)
    assert soundfile.info(utterance.path).channels == 2
    assert isinstance(utterance.path, Path)


def test_bit_identical_recordings_with_contradicting_classes_are_flagged(synthetic):
    first, second = synthetic.utterances[:2]
    twin = dataclasses.replace(second, path=first.path, targets={"emotion": "neutral"})
    corpus = dataclasses.replace(synthetic, utterances=(first, twin, *synthetic.utterances[2:]))
    flag = f"contradicting labels for 1 recording: {first.id} (anger) = {twin.id} (neutral)"
    assert make([corpus]).flags == [Flag("contradiction", "caution", flag)]
    # What is merged or left out does not contradict.
    assert not make([corpus], map={"neutral": "anger"}).flags
    assert not make([corpus], map={"neutral": "drop"}).flags
    assert not make([corpus], target="speaker").flags


def test_a_class_called_drop_is_learned(synthetic):
    corpus = replaced(synthetic, labelled("fear", "drop"))
    assert make([corpus]).labels == ["anger", "drop", "neutral", "sadness"]
    assert make([corpus], map={"anger": "drop"}).labels == ["drop", "neutral", "sadness"]
    assert make([corpus], map={"anger": "drop", "drop": "drop"}).labels == ["drop", "neutral", "sadness"]
    assert make([corpus], classes=["drop", "anger"]).labels == ["anger", "drop"]
