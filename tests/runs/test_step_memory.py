"""The memory of a training step, from shapes alone."""

import pytest
import torch

from serkit import papers, systems
from serkit.errors import UserError
from serkit.papers import reproduce
from serkit.runs import memory


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


def test_a_recurrent_network_is_not_foretold():
    assert memory.step(systems.load("egg-distillation"), "student", 4) is None


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
