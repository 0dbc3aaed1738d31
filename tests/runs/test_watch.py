"""What people see of a training in progress."""

import io
import sys
import time

import pytest

from serkit.progress import EpochDone, fold, listening, tell
from serkit.runs.watch import Watch, teller

NEWS = EpochDone("main", 3, 10, 0.53125, "UAR 61.2%", 2.0)


def test_news_are_a_line():
    heard = []
    with listening(heard.append), fold("seed-0-fold-3"):
        tell(NEWS)
    tell(NEWS)
    assert [str(one) for one in heard] == [
        "seed-0-fold-3, main: epoch 3 of 10, loss 0.531, validation UAR 61.2%",
    ]


def test_the_time_left_counts_the_epochs_of_every_fold_and_stage():
    watch = Watch(["a", "b"], {"main": 10, "next": 5}, 2, lambda line: None)
    assert watch.seconds_left is None
    watch.hear(EpochDone("main", 1, 10, 0.5, "", 2.0, fold="a"))
    # 9 + 10 epochs of main, and 5 + 5 of the unknown stage, at 2 s, two folds at the same time
    assert watch.seconds_left == pytest.approx(29)
    watch.hear(EpochDone("main", 2, 10, 0.5, "", 2.0, fold="a", stopped=True))
    assert watch.seconds_left == pytest.approx(20)
    watch.finish("a")
    watch.finish("b")
    assert watch.seconds_left == 0


@pytest.mark.parametrize(("every", "lines"), [(0.0, 3), (1000.0, 0)])
def test_without_a_terminal_there_is_a_line_from_time_to_time(every, lines):
    found = []
    watch = Watch(["a"], {"main": 3}, 1, found.append, every)
    with watch.shown():
        for epoch in (1, 2, 3):
            with fold("a"):
                tell(EpochDone("main", epoch, 3, 0.5, "", 60.0, stopped=epoch == 3))
    assert len(found) == lines
    if lines:
        assert found[0] == "a, main: epoch 1 of 3, loss 0.5; about 2 min left" and found[-1].endswith("almost done")


def test_a_terminal_shows_one_line(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    watch = Watch(["a"], {"main": 3}, 1, lambda line: None)
    with watch.shown(), fold("a"):
        tell(EpochDone("main", 1, 3, 0.5, "UAR 50.0%", 60.0))
    assert "epoch 1 of 3" in screen.getvalue() and "left" in screen.getvalue()


def test_other_processes_are_heard():
    found = []
    watch = Watch(["a"], {"main": 3}, 1, found.append, 0.0)
    with watch.elsewhere() as folder:
        teller(folder)(EpochDone("main", 1, 3, 0.5, "", 1.0, fold="a"))
        with (folder / "0.jsonl").open("w") as file:
            file.write('{"stage": "main", "ep')  # a killed process
        deadline = time.monotonic() + 20
        while not found and time.monotonic() < deadline:
            time.sleep(0.02)
    assert found == ["a, main: epoch 1 of 3, loss 0.5; about 2 s left"]
