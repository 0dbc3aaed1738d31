"""A corpus says nothing about classes that it lacks, and corpora and their classes count the same."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from serkit import methods
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.networks.network import Batch, Output

NAMES = ["anger", "joy", "neutral"]


def items_of(*labels):
    """Items of corpora `a`, `b`, ...: the labels of each as indices."""
    return [
        Item(Utterance(f"{corpus}/{row}", Path("x.wav"), targets={"emotion": NAMES[label]}))
        for corpus, rows in zip("abc", labels, strict=False)
        for row, label in enumerate(rows)
    ]


def losses_of(items, logits, classes=("emotion",), **options):
    method = methods.build("many_corpora", **options)
    method.prepare(None, SimpleNamespace(items=items, training=items, classes=dict.fromkeys(classes, NAMES)))
    truth = torch.tensor([NAMES.index(item.utterance.targets["emotion"]) for item in items])
    batch = Batch({}, targets={"emotion": truth}, index=torch.arange(len(items)))
    return method.losses("emotion", logits, batch), method.loss(Output({"emotion": logits}, logits), batch)


def test_one_corpus_gives_balanced_cross_entropy():
    items, logits = items_of([0, 0, 0, 1, 2]), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    losses, _ = losses_of(items, logits, label_smoothing=0.1)
    truth = torch.tensor([0, 0, 0, 1, 2])
    expected = F.cross_entropy(logits, truth, reduction="none", label_smoothing=0.1)
    assert torch.allclose(losses, expected * torch.tensor([5 / 9, 5 / 9, 5 / 9, 5 / 3, 5 / 3]))


def test_a_class_that_a_corpus_lacks_neither_costs_nor_learns():
    items = items_of([0, 1], [0, 1, 2])
    logits = torch.zeros(5, 3, requires_grad=True)
    losses, _ = losses_of(items, logits, label_smoothing=0.2)
    # Corpus a has two classes, and half of all items' weight: ln 2 each, times 5 / (2 * 2).
    assert losses[:2].tolist() == pytest.approx([0.6931 * 1.25] * 2, abs=1e-3)
    assert losses[2:].tolist() == pytest.approx([1.0986 * 5 / 6] * 3, abs=1e-3)
    losses.sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[:2, 2].tolist() == [0.0, 0.0]
    assert (logits.grad[2:, 2] != 0).all()


def test_corpora_count_the_same():
    items = items_of([0, 1] * 10, [0, 1])
    losses, _ = losses_of(items, torch.zeros(22, 3))
    assert float(losses[:20].sum()) == pytest.approx(float(losses[20:].sum()))


def test_an_unknown_validation_label_of_a_corpus_has_no_loss():
    items = items_of([0, 1, 2])
    method = methods.build("many_corpora")
    method.prepare(None, SimpleNamespace(items=items, training=items[:2], classes={"emotion": NAMES}))
    batch = Batch({}, targets={"emotion": torch.tensor([2])}, index=torch.tensor([2]))
    assert float(method.losses("emotion", torch.zeros(1, 3), batch)) == 0


def test_it_takes_one_target():
    with pytest.raises(UserError, match="requires one target, got emotion, other"):
        losses_of(items_of([0, 1]), torch.zeros(2, 3), classes=("emotion", "other"))
