"""Memory that a training has freed stays with the process."""

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
from serkit.training import memory
{keep}

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    before = pages()
    b"x" * (64 << 20)
    print(pages() - before)
"""


def faults(keep):
    """Return the pages that the system clears for each of three arrays, each freed before the next."""
    code = _FAULTS.format(keep="memory.keep_freed()" if keep else "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_the_next_array_takes_the_place_of_the_last():
    kept, returned = faults(True), faults(False)
    assert kept[0] > 1000  # the first one needs new pages
    assert max(kept[1:]) < kept[0] / 100
    assert min(returned) > 20 * max(kept[1:])


def test_other_systems_do_nothing(monkeypatch):
    from serkit.training import memory

    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    memory.keep_freed.__wrapped__()
