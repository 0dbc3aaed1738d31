"""The memory of a training step, from shapes alone."""

import re

import pytest
import torch

from serkit import papers, systems
from serkit.errors import UserError
from serkit.networks.layers.recurrent import Lstm
from serkit.papers import reproduce
from serkit.runs import memory
from serkit.runs.recurrent import Recurrent


def test_the_tensors_of_a_step_by_hand():
    counted = memory._Peak()
    x = torch.empty(1000, device="meta", requires_grad=True)
    with counted:
        y = x * 2  # 4000 bytes
        z = y.exp()  # keeps its result: 8000 alive
        del y  # nobody needs it: 4000
        w = z * 3  # 8000
        del w
    assert (counted.alive, counted.peak) == (4000, 8000)


def test_a_step_grows_with_its_items_and_takes_nothing():
    system = systems.load("septr")
    one, four = memory.step(system, "teacher", 1), memory.step(system, "teacher", 4)
    # Every pixel is a token: 11 GB are kept for the backward pass of 4 images, and its gradients come on top.
    assert 11e9 < four < 15e9 and 3.5 < four / one < 4.0


def test_a_recurrent_layer_by_hand():
    counted = memory._Peak()
    with torch.device("meta"):
        layer, x = Lstm(3, 5), torch.empty(2, 7, 3, requires_grad=True)  # 2 items of 7 frames: 14 frames
    with counted, Recurrent(memory._kept):
        states = layer(x)
        # 4 bytes a number: input 3, the same frame by frame 3, states 5, what the kernel keeps 9 * 5 + 6 * 5.
        assert states.shape == (2, 7, 5) and counted.alive == 4 * 14 * (3 + 3 + 5 + 75)
        states.sum().backward()
    # On top: sum and its gradient, and the input's gradient.
    assert counted.peak == 4 * 14 * (3 + 3 + 5 + 75) + 2 * 4 + 4 * 14 * 3


@pytest.mark.parametrize(("kind", "kept"), [(torch.nn.LSTM, 75), (torch.nn.GRU, 40), (torch.nn.RNN, 10)])
def test_every_kind_of_recurrent_layer(kind, kept):
    counted = memory._Peak()
    with torch.device("meta"):
        layer, x = kind(3, 5, 2, bidirectional=True, bias=False), torch.empty(7, 2, 3)
        with counted, Recurrent(memory._kept):
            states = layer(x)[0]
    assert states.shape == (7, 2, 10)
    # The second layer reads both directions of the first: 10 numbers instead of 3.
    wider = 6 * (10 - 5) if kind is torch.nn.LSTM else 0
    # Each layer: states of each direction, the two side by side, and what is kept.
    assert counted.alive == 4 * 14 * (2 * (5 + 5 + kept) + 2 * (5 + 5 + kept + wider))


def test_a_recurrent_network_grows_with_its_items():
    system = systems.load("egg-distillation")
    one, four = memory.step(system, "student", 1), memory.step(system, "student", 4)
    # An item of 4 s has 397 frames: 2 * (9 + 6) * 256 numbers each in the first layer, 2 * (9 + 12) * 256 in three.
    kept = 4 * 397 * 2 * 256 * (15 + 3 * 21)
    assert 3 * kept < four - one < 3 * 1.3 * kept


def test_a_row_that_does_not_fit(monkeypatch):
    table = papers.load("kim2024").artefact("table3")
    [label] = [row.label for row in table.rows if row.system == "septr"]
    small = next(row.label for row in table.rows if row.system == "vit-teacher")
    monkeypatch.setattr(memory, "available", lambda: int(10e9))
    told = []
    arguments = (table, [], reproduce.Path(), (), 0, 1, 1, told.append, [label, small], ())
    chosen, _, frame = reproduce._prepare(*arguments, False)
    with pytest.raises(UserError, match=rf"row '{label}'.* takes about 1\d\.\d GB, and 10\.0 GB are free"):
        reproduce._fitting(chosen, frame, leave_out=False)
    assert [row.label for row in reproduce._fitting(chosen, frame, leave_out=True)] == [small]
    assert told[0].startswith(f"{label} is left out: a step of stage 'teacher' (4 items) takes about ")
    assert "batch_size=1" in told[0] and "--rows" in told[0] and "\n" not in told[0]
    monkeypatch.setattr(memory, "available", lambda: None)  # unknown: nothing is refused
    assert len(reproduce._fitting(chosen, frame, leave_out=False)) == 2


def test_the_hint_of_a_misfit_is_a_step_that_the_network_can_compute(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: int(1e9))
    why = memory.misfit(
        systems.load("compact-cnn", ["stages.main.trainer.batch_size=100000"])
    )  # with batch normalization
    assert re.search(r"stage 'main' \(100000 items\) takes about \d{3}\.\d GB, and 1\.0 GB are free; two items", why)
    assert why.endswith("two items take about 0.0 GB (--jobs 1 --set stages.main.trainer.batch_size=2)")
