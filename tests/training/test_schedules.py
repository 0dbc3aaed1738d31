import math

import pytest

from serkit.errors import UserError
from serkit.training.schedules import SCHEDULES, build


@pytest.mark.parametrize(
    ("name", "options", "epoch", "factor"),
    [
        ("constant", {}, 0.0, 1.0),
        ("constant", {}, 99.5, 1.0),
        ("step", {"every": 10, "factor": 0.5}, 9.99, 1.0),
        ("step", {"every": 10, "factor": 0.5}, 10.0, 0.5),
        ("step", {"every": 10, "factor": 0.5}, 29.5, 0.25),
        ("step", {"every": 3, "factor": 0.1}, 6.0, 0.01),
        ("cosine", {}, 0.0, 1.0),
        ("cosine", {}, 25.0, (1 + math.sqrt(0.5)) / 2),
        ("cosine", {}, 50.0, 0.5),
        ("cosine", {}, 100.0, 0.0),
        ("cosine", {"end": 0.2}, 50.0, 0.6),
        ("cosine", {"warmup": 20.0}, 5.0, 0.25),
        ("cosine", {"warmup": 20.0}, 20.0, 1.0),
        ("cosine", {"warmup": 20.0}, 60.0, 0.5),
        ("one_cycle", {}, 0.0, 0.04),
        ("one_cycle", {}, 15.0, 0.52),
        ("one_cycle", {}, 30.0, 1.0),
        ("one_cycle", {}, 65.0, (1 + 4e-6) / 2),
        ("one_cycle", {}, 100.0, 4e-6),
        ("one_cycle", {"peak": 0.5, "start": 0.2, "end": 0.1}, 25.0, 0.6),
        ("one_cycle", {"peak": 0.0, "end": 0.1}, 0.0, 1.0),
        ("one_cycle", {"peak": 1.0}, 100.0, 1.0),
    ],
)
def test_by_hand_over_100_epochs(name, options, epoch, factor):
    assert build(name, **options)(epoch, 100) == pytest.approx(factor, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_behind_the_last_epoch_nothing_rises(name):
    schedule = build(name)
    assert schedule(101.0, 100) <= schedule(100.0, 100)


def test_one_cycle_is_torchs():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch puts the turn at pct_start * total_steps - 1, and the end at the last step.
    other = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=101, pct_start=31 / 101)
    schedule = build("one_cycle", peak=0.3)
    for epoch in range(100):
        assert schedule(epoch, 100) == pytest.approx(other.get_last_lr()[0])
        optimizer.step()
        other.step()
    assert schedule(100, 100) == pytest.approx(other.get_last_lr()[0])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "cosin",
            {},
            r"unknown schedule 'cosin'. Did you mean 'cosine'\? Available: constant, cosine, one_cycle, step",
        ),
        ("step", {"evry": 3}, "unknown option of schedule 'step' 'evry'. Did you mean 'every'"),
        ("step", {"every": 0}, "schedule 'step': every must be 1 or more, got 0"),
        ("step", {"every": -5}, "schedule 'step': every must be 1 or more, got -5"),
        ("step", {"factor": -0.5}, "schedule 'step': with .*-0.5.* the learning rate falls below 0"),
        ("cosine", {"end": -1.0}, "schedule 'cosine': with .*-1.0.* the learning rate falls below 0"),
    ],
)
def test_what_cannot_be_is_told_at_once(name, options, message):
    with pytest.raises(UserError, match=message):
        build(name, **options)
