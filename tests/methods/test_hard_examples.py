import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from serkit import methods
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.methods.hard_examples import (
    BINS,
    ERRORS,
    class_shares,
    error_counts,
    hard_index,
    he_loss,
    threshold,
)
from serkit.networks.network import Batch, Output

# --- the index


def index(wrong, epochs):
    return hard_index(np.array(wrong), np.broadcast_to(np.array(epochs), len(wrong))).tolist()


def test_index_by_hand():
    # log2 of 800/760, 2 and 800: 0.0740, 1 and 9.6439. Never right is 1 and sets no bound.
    expected = [0, math.log2(800 / 760) / math.log2(800), 1 / math.log2(800), 1, 1]
    assert index([0, 40, 400, 799, 800], 800) == pytest.approx(expected)
    assert expected[1] == pytest.approx(0.0077, abs=1e-4)


def test_the_easiest_has_0_even_if_it_was_wrong():
    # -log2 of 3/4, 1/2, 1/4.
    low = math.log2(4 / 3)
    assert index([2, 4, 6], 8) == pytest.approx([0, (1 - low) / (2 - low), 1])


def test_each_item_has_its_own_number_of_epochs():
    assert index([1, 1, 0], [2, 4, 3]) == pytest.approx([1, math.log2(4 / 3), 0])


@pytest.mark.parametrize(
    ("wrong", "epochs", "expected"),
    [
        ([0, 0, 0], 5, [0, 0, 0]),
        ([3, 3, 3], 5, [0, 0, 0]),
        ([5, 5], 5, [1, 1]),
        ([3, 5, 3], 5, [0, 1, 0]),
        ([0, 5], 5, [0, 1]),
        ([2], 5, [0]),
        ([0, 0, 1], [0, 4, 4], [1, 0, 1]),  # the first was never trained on
        ([], 5, []),
    ],
)
def test_edges_of_the_index(wrong, epochs, expected):
    found = index(wrong, epochs)
    assert found == expected
    assert not any(math.copysign(1, value) < 0 for value in found)  # no -0.0


@pytest.mark.parametrize(("wrong", "epochs"), [([6], 5), ([-1], 5)])
def test_counts_that_cannot_be(wrong, epochs):
    with pytest.raises(ValueError, match="the number of errors of an item must be from 0 to its number of epochs"):
        index(wrong, epochs)


def test_threshold_of_a_share():
    values = np.array([0.1, 0.5, 0.0, 1.0, 0.3])
    assert [threshold(values, share) for share in (0.001, 0.2, 0.4, 0.6, 0.8, 1.0)] == [1.0, 1.0, 0.5, 0.3, 0.1, 0.1]
    # The easiest have no weight; where only they are left, nothing else can be said.
    assert threshold(np.array([0.0, 0.0, 0.0, 0.2]), 0.5) == 0.2 and threshold(np.zeros(3), 0.5) == 0.0


# --- the loss


def test_loss_by_hand():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
    found = he_loss(logits, torch.tensor([0, 1]), torch.tensor([0.5, 1.0]), torch.tensor([0.2, 0.8]))
    assert found.tolist() == pytest.approx([-0.5 * 0.8 * math.log(0.25), -1.0 * 0.2 * math.log(0.75)])


def test_hardness_1_and_no_share_is_cross_entropy():
    logits, truth = torch.randn(20, 7), torch.randint(0, 7, (20,))
    found = he_loss(logits, truth, torch.ones(20), torch.zeros(7))
    assert torch.equal(found, F.cross_entropy(logits, truth, reduction="none"))


def test_being_right_for_certain_costs_nothing():
    logits = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    found = he_loss(logits, torch.tensor([0, 0]), torch.ones(2), torch.tensor([0.5, 0.5]))
    assert found.tolist() == pytest.approx([0.0, 50.0])


# --- the method

#: How often each of eight items was wrong in four epochs, and its class.
WRONG = [0, 1, 2, 3, 4, 0, 2, 1]
LABELS = ["a", "a", "b", "b", "b", "a", "a", "a"]
# -log2 of 1, 3/4, 1/2, 1/4, over 2; never right: 1.
H = [0, math.log2(4 / 3) / 2, 0.5, 1, 1, 0, 0.5, math.log2(4 / 3) / 2]


def items(labels=LABELS):
    return [
        Item(Utterance(f"table/{row}", Path("x.wav"), targets={"emotion": name})) for row, name in enumerate(labels)
    ]


def record(wrong=WRONG, epochs=4):
    return {f"table/{row}": np.arange(epochs) >= count for row, count in enumerate(wrong)}


def stages(found=None, start_from="first", batch_size=2, held=0, name="first"):
    finished = {name: SimpleNamespace(record=lambda: record() if found is None else found)}
    stage = SimpleNamespace(start_from=start_from, trainer=SimpleNamespace(batch_size=batch_size))
    return SimpleNamespace(finished=finished, stage=stage, classes={"emotion": ["a", "b"]}, held=held, items=())


def mine(context=None, **options):
    """Select from the eight items and prepare; return method and rows that were chosen."""
    method, context = methods.build("hard_examples", **options), context or stages()
    chosen = method.select(items(), context)
    context.training, context.items = chosen, [*chosen, *items()[: context.held]]
    method.prepare(None, context)
    return method, [int(item.id.rpartition("/")[2]) for item in chosen]


def loss(method, rows, truth, masks=None):
    logits = torch.tensor([[0.0, math.log(3)]]).repeat(len(rows), 1)
    batch = Batch({}, targets={"emotion": torch.tensor(truth)}, masks=masks or {}, index=torch.tensor(rows))
    return method.loss(Output({"emotion": logits}, torch.empty(0)), batch)


@pytest.mark.parametrize(
    ("options", "chosen", "beta"),
    [
        ({"beta": 0.0}, [0, 1, 2, 3, 4, 5, 6, 7], 0.0),
        ({"beta": 0.3}, [2, 3, 4, 6], 0.3),
        ({"beta": 0.5}, [2, 3, 4, 6], 0.5),  # reaching it is enough
        ({"beta": 0.51}, [3, 4], 0.51),
        ({}, [2, 3, 4, 6], 0.5),
        ({"hard_fraction": 0.25}, [3, 4], 1.0),
        ({"hard_fraction": 0.375}, [2, 3, 4, 6], 0.5),  # the third and the fourth are alike
        ({"hard_fraction": 0.6}, [1, 2, 3, 4, 6, 7], H[1]),
        ({"hard_fraction": 1.0}, [1, 2, 3, 4, 6, 7], H[1]),  # the others were never wrong
    ],
)
def test_what_is_hard(options, chosen, beta):
    method, rows = mine(**options)
    assert rows == chosen
    report = method.report()
    assert report["beta"] == pytest.approx(beta)
    assert (report["items"], report["hard"], report["hard_fraction"]) == (8, len(chosen), len(chosen) / 8)


def test_what_is_reported():
    report = mine(beta=0.3)[0].report()
    assert report["record"] == "first" and report["never_right"] == 1
    assert report["shares_before"] == {"emotion": {"a": 5 / 8, "b": 3 / 8}}
    assert report["shares_after"] == {"emotion": {"a": 1 / 4, "b": 3 / 4}}
    counts = dict(zip(itertools.pairwise(BINS), report["histogram"]["counts"], strict=True))
    assert counts[0.0, 0.001] == 2 and counts[0.2, 0.5] == 2 and counts[0.5, 1.0] == 4
    assert sum(counts.values()) == 8 and report["histogram"]["edges"] == list(BINS)


def test_errors_are_counted_by_item_and_by_time():
    passes = [np.ones(20, dtype=bool) for _ in range(4)]
    passes[1][0] = False  # in the first tenth: epochs 0 and 1
    passes[2][[1, 2]] = False
    passes[3][:12] = False
    found = error_counts(passes)
    counts = dict(zip(found["errors"]["edges"], found["errors"]["counts"], strict=True))
    assert {edge: count for edge, count in counts.items() if count} == {0: 1, 1: 1, 2: 1, 10: 1}
    assert found["median_errors"] == 1.5
    assert found["early_errors"] == (0 + 1 + 1 + 2) / 15
    # Nothing was ever wrong; more errors than the last edge; a single epoch.
    assert error_counts(passes[:1]) == {
        "errors": {"edges": list(ERRORS), "counts": [1] + [0] * 11},
        "median_errors": 0.0,
        "early_errors": 0.0,
    }
    assert error_counts([np.zeros(900, dtype=bool)])["errors"]["counts"][-1] == 1
    assert error_counts([np.zeros(1, dtype=bool)])["early_errors"] == 1.0


def test_the_loss_of_a_batch_is_a_plain_mean():
    method, rows = mine(beta=0.3)
    assert rows == [2, 3, 4, 6]
    # Shares among the hard: a 1/4, b 3/4. Probability of b 3/4, of a 1/4. Items 2 (h 1/2, b), 3 (h 1, b), 6 (h 1/2, a).
    expected = [-0.5 * 0.25 * math.log(0.75), -1 * 0.25 * math.log(0.75), -0.5 * 0.75 * math.log(0.25)]
    found = loss(method, [0, 1, 3], [1, 1, 0])
    assert list(found) == ["hard_examples"]
    assert found["hard_examples"].item() == pytest.approx(sum(expected) / 3)
    found = loss(method, [3, 0], [0, 1], {"emotion": torch.tensor([True, False])})
    assert found["hard_examples"].item() == pytest.approx(expected[2])


def test_shares_of_the_whole_training_part():
    method, _ = mine(beta=0.3, alpha="all")
    expected = [-0.5 * (1 - 3 / 8) * math.log(0.75), -0.5 * (1 - 5 / 8) * math.log(0.25)]
    assert loss(method, [0, 3], [1, 0])["hard_examples"].item() == pytest.approx(sum(expected) / 2)


def test_validation_items_are_of_hardness_1():
    method, rows = mine(stages(held=2), beta=0.3)
    assert loss(method, [len(rows) + 1], [0])["hard_examples"].item() == pytest.approx(-0.75 * math.log(0.25))


def test_only_what_is_trained_on_counts_as_an_epoch():
    # Item 7 was trained on twice, and wrong once: as hard as two of four.
    found = record() | {"table/7": np.array([False, True])}
    assert mine(stages(found), beta=0.5)[1] == [2, 3, 4, 6, 7]


def test_the_record_of_another_stage():
    assert mine(stages(name="other"), record="other")[0].report()["record"] == "other"
    with pytest.raises(UserError, match=r"unknown earlier stage 'othr'. Did you mean 'other'"):
        mine(stages(name="other"), record="othr")
    with pytest.raises(UserError, match=r"starts from no earlier stage; name a stage: record = "):
        mine(stages(start_from=None))
    with pytest.raises(UserError, match="starts from no earlier stage"):
        mine(stages(start_from="runs/of/mine"))


def test_items_without_a_record():
    found = {name: passes for name, passes in record().items() if name not in ("table/3", "table/5")}
    with pytest.raises(
        UserError, match=r"2 of 8 items are not in the training record of stage 'first' \(first: 'table/3'\)"
    ):
        mine(stages(found))


def test_too_few_left():
    found = record([0, 0, 0, 0, 0, 0, 1, 2])
    with pytest.raises(
        UserError, match=r"1 of 8 items are hard by the record of stage 'first' \(h >= 0.9\), but 2 are required"
    ):
        mine(stages(found), beta=0.9)


def test_nothing_to_tell_items_apart():
    with pytest.raises(UserError, match="stage 'first' got each of 8 items wrong equally often"):
        mine(stages(record([1] * 8)))


def test_less_than_a_batch(recwarn):
    mine(stages(batch_size=4), beta=0.3)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="4 hard items are fewer than a batch of 5: one step per epoch"):
        mine(stages(batch_size=5), beta=0.3)


def test_class_shares_count_known_labels_only():
    assert class_shares(items(["a", "b", "b", "other"]), "emotion", ["a", "b", "c"]).tolist() == pytest.approx(
        [1 / 3, 2 / 3, 0]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.1, "hard_fraction": 0.5}, "give either beta or hard_fraction, got 0.1 and 0.5"),
        ({"beta": 1.0}, "beta must be from 0 to below 1, got 1.0"),
        ({"beta": -0.1}, "beta must be from 0 to below 1, got -0.1"),
        ({"hard_fraction": 0.0}, "hard_fraction must be above 0 and at most 1, got 0.0"),
        ({"hard_fraction": 1.5}, "hard_fraction must be above 0 and at most 1, got 1.5"),
        ({"alpha": "everything"}, "unknown alpha 'everything'"),
        ({"betta": 0.1}, "unknown option of method 'hard_examples' 'betta'. Did you mean 'beta'"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(UserError, match=message) as caught:
        methods.build("hard_examples", **options)
    assert "\n" not in str(caught.value)
