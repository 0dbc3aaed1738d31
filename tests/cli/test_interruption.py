"""Ctrl-C during a training: what is kept is said, and the run goes on from there."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_says_what_is_kept(synthetic, tmp_path, jobs):
    command = [sys.executable, "-m", "serkit", "train", "linear-baseline", "--jobs", jobs, "--threads", "1"]
    command += ["--corpus", f"synthetic={synthetic.folder}", "--out", str(tmp_path / "run")]
    command += ["--set", "stages.main.trainer.epochs=100000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / "run").glob("stages/*/")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    seen = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    last = seen.strip().splitlines()[-1]
    assert "keeps 0 of 5 folds" in last and "--resume" in last
    assert "Traceback" not in seen
