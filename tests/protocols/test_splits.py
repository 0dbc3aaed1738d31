import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from serkit.corpora import Utterance
from serkit.errors import UserError
from serkit.protocols import STANDARD, Protocol
from serkit.protocols.splits import splits

EMOTIONS = ["anger", "fear", "neutral"]


def utterance(number, speaker="table/a", emotion="anger", **more):
    name = f"table/{number:03d}"
    return Utterance(name, Path(f"{name}.wav"), speaker=speaker, targets={"emotion": emotion}, **more)


def corpus(sizes, classes=EMOTIONS):
    """One speaker for each size, with classes in turn."""
    speakers = [f"table/s{index}" for index, size in enumerate(sizes) for _ in range(size)]
    return [utterance(n, speaker, classes[n % len(classes)]) for n, speaker in enumerate(speakers)]


def speakers_of(ids, utterances):
    of = {each.id: each.speaker for each in utterances}
    return {of[id] for id in ids}


def emotions_of(ids, utterances):
    of = {each.id: each.targets["emotion"] for each in utterances}
    return Counter(of[id] for id in ids)


sizes = st.lists(st.integers(2, 12), min_size=6, max_size=12)
shares = st.sampled_from([0.0, 0.1, 0.3, 0.9])
seeds = st.integers(0, 2**31)
# Every class has 5 members at least: 6 speakers with 3 utterances or more, classes in turn.
cut = st.builds(
    Protocol,
    kind=st.sampled_from(["random", "kfold", "group_kfold", "leave_one_group_out"]),
    folds=st.integers(2, 4),
    test=st.sampled_from([0.3, 0.5]),
    validation=st.sampled_from([0.0, 0.3, 0.5]),
    repeats=st.integers(1, 2),
)


@given(st.lists(st.integers(3, 12), min_size=6, max_size=9), cut, seeds)
@settings(max_examples=60, deadline=None)
def test_parts_are_disjoint_and_cover_everything(sizes, protocol, seed):
    utterances = corpus(sizes)
    everything = {each.id for each in utterances}
    found = splits(protocol, utterances, "emotion", seed)
    for split in found:
        parts = [split.train, split.validation, split.test]
        assert sum(map(len, parts)) == len(everything) and set().union(*parts) == everything
        assert split.train and split.test and bool(split.validation) == bool(protocol.validation)
        assert all(list(part) == sorted(part) for part in parts)
    assert len({split.name for split in found}) == len(found)
    if protocol.kind != "random":
        for repeat in range(protocol.repeats):
            tested = [id for split in found if split.seed == seed + repeat for id in split.test]
            assert sorted(tested) == sorted(everything)  # each exactly once


@given(sizes, st.sampled_from(["group_kfold", "leave_one_group_out"]), shares, seeds)
@settings(max_examples=60, deadline=None)
def test_no_speaker_is_in_two_parts(sizes, kind, validation, seed):
    utterances = corpus(sizes)
    for split in splits(Protocol(kind=kind, validation=validation), utterances, "emotion", seed):
        train, validated, tested = (
            speakers_of(part, utterances) for part in (split.train, split.validation, split.test)
        )
        assert not train & validated and not train & tested and not validated & tested
        others = len(train | validated)
        assert len(validated) == (min(others - 1, max(1, round(validation * others))) if validation else 0)


@given(st.lists(st.integers(3, 12), min_size=6, max_size=9), cut, seeds, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_utterances_does_not_matter(sizes, protocol, seed, shuffler):
    utterances = corpus(sizes)
    expected = splits(protocol, utterances, "emotion", seed)
    assert splits(protocol, utterances, "emotion", seed) == expected
    shuffler.shuffle(utterances)
    assert splits(protocol, utterances, "emotion", seed) == expected


@given(sizes, st.integers(2, 6), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_group_kfold_is_that_of_scikit_learn(sizes, folds, shuffler):
    utterances = corpus(sizes)
    shuffler.shuffle(utterances)
    groups = [each.speaker for each in utterances]
    expected = [{utterances[row].id for row in test} for _, test in GroupKFold(folds).split(groups, groups=groups)]
    found = splits(Protocol(kind="group_kfold", folds=folds), utterances, "emotion", 3)
    assert [set(split.test) for split in found] == expected


def test_largest_speakers_come_first_into_the_smallest_fold():
    # 9 | 7 -> folds of 9 and 7; 5 joins the 7 (12), 4 joins the 9 (13), 2 joins the 12 (14).
    utterances = corpus([2, 9, 4, 7, 5])
    tested = [
        speakers_of(split.test, utterances)
        for split in splits(Protocol(kind="group_kfold", folds=2), utterances, "emotion", 0)
    ]
    assert tested == [{"table/s1", "table/s2"}, {"table/s3", "table/s4", "table/s0"}]


def test_leave_one_speaker_out_tests_each_speaker_alone():
    utterances = corpus([4, 3, 5])
    found = splits(STANDARD["leave-one-speaker-out"], utterances, "emotion", 0)
    assert [speakers_of(split.test, utterances) for split in found] == [
        {"table/s0"},
        {"table/s1"},
        {"table/s2"},
    ]
    assert [(split.name, split.fold, split.seed) for split in found] == [
        ("seed-0-fold-1", 1, 0),
        ("seed-0-fold-2", 2, 0),
        ("seed-0-fold-3", 3, 0),
    ]


def test_one_speaker_at_least_is_left_to_train_on():
    utterances = corpus([4, 4, 4])
    for split in splits(Protocol(kind="leave_one_group_out", validation=0.9), utterances, "emotion", 0):
        assert len(speakers_of(split.train, utterances)) == len(speakers_of(split.validation, utterances)) == 1


def test_validation_speakers_change_from_fold_to_fold():
    utterances = corpus([4] * 10)
    protocol = STANDARD["leave-one-speaker-out"].model_copy(update={"validation": 0.1})
    found = splits(protocol, utterances, "emotion", 0)
    assert len({split.validation for split in found}) >= 5


def test_random_parts_keep_the_shares_of_the_classes():
    utterances = [utterance(n, emotion="anger" if n < 60 else "neutral") for n in range(100)]
    protocol = Protocol(kind="random", test=0.2, validation=0.25)
    (split,) = splits(protocol, utterances, "emotion", 1)
    assert emotions_of(split.test, utterances) == {"anger": 12, "neutral": 8}
    assert emotions_of(split.validation, utterances) == {"anger": 12, "neutral": 8}
    assert emotions_of(split.train, utterances) == {"anger": 36, "neutral": 24}


def test_folds_keep_the_shares_of_the_classes():
    utterances = [utterance(n, emotion="anger" if n < 60 else "neutral") for n in range(100)]
    found = splits(Protocol(kind="kfold", folds=5), utterances, "emotion", 1)
    assert [emotions_of(split.test, utterances) for split in found] == [{"anger": 12, "neutral": 8}] * 5


def test_without_stratification_shares_vary_and_small_classes_and_numbers_are_allowed():
    utterances = [utterance(n, emotion="anger" if n < 60 else "neutral") for n in range(100)]
    found = splits(Protocol(kind="kfold", stratify=False), utterances, "emotion", 1)
    assert len({emotions_of(split.test, utterances)["anger"] for split in found}) > 1
    one_of_its_kind = [*utterances, utterance(100, emotion="fear")]
    assert len(splits(Protocol(kind="kfold", stratify=False), one_of_its_kind, "emotion", 1)) == 5
    (split,) = splits(Protocol(kind="random", stratify=False, validation=0.5), number_corpus(), "valence", 1)
    assert (len(split.train), len(split.validation), len(split.test)) == (8, 8, 4)


def number_corpus():
    return [
        Utterance(f"table/{n:02d}", Path(f"{n}.wav"), speaker=f"table/{n % 4}", targets={"valence": n / 20})
        for n in range(20)
    ]


def test_grouped_protocols_take_numbers_as_they_are():
    assert len(splits(STANDARD["leave-one-speaker-out"], number_corpus(), "valence", 0)) == 4


def test_each_repeat_has_the_next_seed_and_draws_anew():
    utterances = corpus([8] * 6)
    found = splits(Protocol(kind="random", repeats=3), utterances, "emotion", 7)
    assert [split.seed for split in found] == [7, 8, 9]
    assert [split.name for split in found] == ["seed-7-fold-1", "seed-8-fold-1", "seed-9-fold-1"]
    assert len({split.test for split in found}) == 3
    assert found[1].test == splits(Protocol(kind="random"), utterances, "emotion", 8)[0].test


def test_repeats_of_a_grouped_protocol_differ_in_validation_only():
    utterances = corpus([8] * 10)
    protocol = Protocol(kind="group_kfold", validation=0.3, repeats=2)
    found = splits(protocol, utterances, "emotion", 0)
    assert [split.test for split in found[:5]] == [split.test for split in found[5:]]
    assert [split.validation for split in found[:5]] != [split.validation for split in found[5:]]


def test_attributes_group_within_their_corpus():
    utterances = [
        Utterance(
            f"{name}/{n}",
            Path(f"{n}.wav"),
            targets={"emotion": EMOTIONS[n % 3]},
            attributes={"session": n % 2 + 1},
        )
        for name in ("one", "two")
        for n in range(6)
    ]
    found = splits(STANDARD["leave-one-session-out"], utterances, "emotion", 0)
    # Session 1 of one corpus has nothing to do with session 1 of the other.
    assert [split.test for split in found] == [
        tuple(f"{name}/{n}" for n in range(start, 6, 2)) for name in ("one", "two") for start in (0, 1)
    ]


def three_corpora():
    """Corpora `one`, `two` and `six` of 3 speakers with 2 utterances each."""
    return [
        Utterance(f"{name}/{n}", Path(f"{n}.wav"), speaker=f"{name}/s{n // 2}", targets={"emotion": EMOTIONS[n % 3]})
        for name in ("one", "two", "six")
        for n in range(6)
    ]


def corpora_of(ids):
    return {name.partition("/")[0] for name in ids}


def test_each_corpus_is_tested_by_the_others():
    utterances = three_corpora()
    found = splits(STANDARD["cross-corpus"], utterances, "emotion")
    assert [corpora_of(split.test) for split in found] == [{"one"}, {"six"}, {"two"}]
    for split in found:
        assert corpora_of(split.train) == {"one", "six", "two"} - corpora_of(split.test)
        assert len(split.test) == 6 and len(split.train) == 12 and not split.validation


def test_one_group_alone_is_tested_if_it_is_named():
    protocol = STANDARD["cross-corpus"].model_copy(update={"tested": ["two"]})
    [split] = splits(protocol, three_corpora(), "emotion")
    assert corpora_of(split.test) == {"two"} and len(split.train) == 12
    protocol = protocol.model_copy(update={"tested": ["tow"]})
    assert refusal(protocol, three_corpora(), "cross-corpus") == (
        "protocol 'cross-corpus': unknown corpus to test 'tow'. Did you mean 'two'? Available: one, six, two"
    )


def test_validation_speakers_come_from_the_corpora_that_are_learned_from():
    utterances = three_corpora()
    for split in splits(STANDARD["cross-corpus"].model_copy(update={"validation": 0.34}), utterances, "emotion"):
        held = speakers_of(split.validation, utterances)
        assert len(held) == 2 and len(split.validation) == 4
        assert not held & speakers_of(split.train, utterances)
        assert not corpora_of(split.validation) & corpora_of(split.test)


def refusal(protocol, utterances, name=None, target="emotion"):
    with pytest.raises(UserError) as error:
        splits(protocol, utterances, target, 0, name)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_unknown_speakers_are_refused_with_their_number():
    utterances = corpus([10] * 20)
    for index in range(0, 24, 2):
        utterances[index] = utterance(index, None, "anger")
    assert refusal(STANDARD["clean"], utterances, "clean") == (
        "protocol 'clean' keeps speakers apart, but table has no speaker for 12 of 200 utterances "
        "(first: 'table/000'); give one, or choose --protocol random (flagged)"
    )


def test_too_few_speakers_are_refused():
    five = Protocol(kind="group_kfold", folds=5)
    assert refusal(five, corpus([10, 10, 10, 10]), "clean") == (
        "protocol 'clean' keeps speakers apart, but table has 4 for 5 folds; set folds = 4, "
        "or choose --protocol leave-one-speaker-out"
    )
    one = refusal(STANDARD["leave-one-speaker-out"], corpus([10]))
    assert "has only one, 'table/s0'" in one and "--protocol random" in one
    two = refusal(Protocol(kind="leave_one_group_out", validation=0.1), corpus([10, 10]))
    assert "sets a speaker aside for validation, but a training part has only 'table/s1'" in two
    assert "validation = 0" in two


@pytest.mark.parametrize(("speakers", "folds"), [(2, 2), (4, 4), (5, 5), (9, 5)])
def test_there_are_five_folds_or_as_many_as_speakers(speakers, folds):
    found = splits(STANDARD["clean"], corpus([6] * speakers), "emotion")
    assert len(found) == folds
    assert sorted(name for split in found for name in split.test) == sorted(u.id for u in corpus([6] * speakers))


def test_labels_that_cannot_be_cut_are_refused():
    same = refusal(STANDARD["random"], corpus([10, 10], ["anger"]))
    assert "all of 20 utterances have the same emotion, 'anger'" in same
    without = refusal(STANDARD["random"], corpus([4]), target="word")
    assert "4 of 4 utterances have no target 'word'" in without and "Available targets: emotion" in without
    numbers = refusal(STANDARD["kfold"], number_corpus(), target="valence")
    assert "is a number; set stratify = false" in numbers
    assert "no utterances" in refusal(STANDARD["kfold"], [])
    assert "more than once (first: 'table/000')" in refusal(STANDARD["kfold"], corpus([4]) + corpus([4]))


def test_classes_too_small_to_stratify_are_refused():
    rare = [*corpus([30], ["anger", "neutral"]), *(utterance(n, emotion="fear") for n in range(40, 44))]
    assert refusal(STANDARD["kfold"], rare, "kfold") == (
        "protocol 'kfold' puts every class into each of its 5 folds, but emotion 'fear' has only "
        "4 utterances; leave that class out, set fewer folds, or stratify = false"
    )
    single = refusal(STANDARD["random"], rare[:31])
    assert "draws test = 0.2 of 31 utterances" in single and "'fear' has only 1 utterance there" in single
    # Two each of three classes: a test part of 2 cannot hold all of them.
    tiny = refusal(STANDARD["random"], corpus([6]))
    assert "one side would hold 2 utterances for 3 classes" in tiny
    few = refusal(Protocol(kind="kfold", folds=9, stratify=False), corpus([4]))
    assert "9 folds, but there are only 4 utterances" in few
    rest = refusal(Protocol(kind="random", test=0.9, stratify=False), corpus([4]))
    assert "leaves none to train on" in rest


def test_a_validation_part_that_cannot_be_stratified_is_refused():
    # 3 of fear: 1 goes to test, of the other 2 one each stays and goes; with 2 nothing is left to share.
    utterances = [*corpus([40], ["anger", "neutral"]), *(utterance(n, emotion="fear") for n in range(50, 52))]
    protocol = Protocol(kind="random", test=0.5, validation=0.5)
    assert "draws validation = 0.5 of 21 utterances" in refusal(protocol, utterances)


@pytest.mark.parametrize("kind", ["random", "kfold"])
def test_seeds_matter(kind):
    utterances = corpus([8] * 6)
    parts = {splits(Protocol(kind=kind), utterances, "emotion", seed)[0].test for seed in range(10)}
    assert len(parts) == 10


def test_group_assignment_follows_the_ids_not_the_place():
    utterances = corpus([3, 9, 4, 7, 5])
    random.Random(1).shuffle(utterances)
    (first, *_) = splits(Protocol(kind="group_kfold", folds=5), utterances, "emotion", 0)
    assert speakers_of(first.test, utterances) == {"table/s1"}
    assert np.all(np.diff([int(id[-3:]) for id in first.test]) == 1)


@given(st.lists(st.integers(2, 9), min_size=3, max_size=24), st.sampled_from([0.05, 0.1, 0.4]), seeds)
@settings(max_examples=40, deadline=None)
def test_a_random_draw_of_groups_keeps_them_whole(sizes, share, seed):
    utterances = corpus(sizes)
    protocol = Protocol(kind="group_random", test=share, validation=0.3)
    (split,) = splits(protocol, utterances, "emotion", seed)
    parts = [speakers_of(part, utterances) for part in (split.train, split.validation, split.test)]
    assert sum(len(part) for part in parts) == len(sizes) == len(set().union(*parts))
    assert sum(len(part) for part in (split.train, split.validation, split.test)) == len(utterances)
    assert splits(protocol, utterances[::-1], "emotion", seed) == [split]


def test_a_random_draw_of_24_actors():
    utterances = corpus([6] * 24)
    protocol = Protocol(kind="group_random", test=0.1, validation=0.2222, repeats=3)
    found = splits(protocol, utterances, "emotion")
    for split in found:
        parts = [speakers_of(part, utterances) for part in (split.train, split.validation, split.test)]
        assert [len(part) for part in parts] == [17, 5, 2]
    assert len({split.test for split in found}) == 3
    assert [split.name for split in found] == ["seed-0-fold-1", "seed-1-fold-1", "seed-2-fold-1"]


def with_parts(*parts):
    named = [{} if part is None else {"part": part} for part in parts]
    return [utterance(n, emotion=EMOTIONS[n % 3], attributes=one) for n, one in enumerate(named)]


def test_given_parts_are_taken_as_they_are():
    parts = ("train", "train", "test", "validation", "unused", "train")
    (split,) = splits(STANDARD["given"], with_parts(*parts), "emotion")
    assert (split.train, split.validation, split.test) == (
        ("table/000", "table/001", "table/005"),
        ("table/003",),
        ("table/002",),
    )


def test_a_validation_part_may_be_taken_from_the_given_training_part():
    protocol = STANDARD["given"].model_copy(update={"validation": 0.5})
    (split,) = splits(protocol, with_parts(*["train"] * 12, "test", "test"), "emotion")
    assert len(split.train) == len(split.validation) == 6 and len(split.test) == 2


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            ("train", None, "test"),
            "names none for 1 of 3 utterances (first: 'table/001'); add a column 'part' or folders",
        ),
        (("train", "train", "validation"), "table has no test part, only train, validation; choose another protocol"),
        (("test", "test", "validation"), "table has no train part, only test, validation"),
    ],
)
def test_given_parts_that_do_not_serve_are_refused(parts, message):
    text = refusal(STANDARD["given"], with_parts(*parts), "given")
    assert text.startswith("protocol 'given' takes the parts that the data name, but ") and message in text


def test_a_second_validation_part_is_refused():
    protocol = STANDARD["given"].model_copy(update={"validation": 0.5})
    assert "have a validation part already; set validation = 0" in refusal(
        protocol, with_parts("train", "test", "validation")
    )


def test_given_parts_are_suggested_where_speakers_are_missing():
    utterances = [utterance(n, None, EMOTIONS[n % 3], attributes={"part": "train"}) for n in range(6)]
    assert "choose --protocol given (the parts that the data name) or random (flagged)" in refusal(
        STANDARD["clean"], utterances
    )
