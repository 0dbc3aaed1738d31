import io
import multiprocessing
import sys

import pytest

from serkit.progress import bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_what_is_done(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with bar("reading", 7) as advance:
        advance(3)
        advance(4)
    assert "reading" in screen.getvalue()
    assert "7/7" in screen.getvalue()


def test_a_worker_process_draws_nothing(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    with bar("reading", 7) as advance:
        advance(7)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(("screen", "total"), [(io.StringIO(), 7), (Terminal(), 0)])
def test_nothing_is_drawn_without_a_terminal_or_without_work(monkeypatch, screen, total):
    monkeypatch.setattr(sys, "stderr", screen)
    with bar("reading", total) as advance:
        advance(1)
    assert screen.getvalue() == ""
