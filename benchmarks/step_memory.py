"""The memory of a training step: what `--dry-run` counts, and what a process takes.

    python benchmarks/step_memory.py SYSTEM ITEMS SECONDS

The items are noise of that length; the stage is the system's last. The process keeps freed memory, as in a training.
What it takes is its peak over three steps with Adam, less what it had before. Linux only; one thread.
"""

from __future__ import annotations

import argparse
import os
import resource
from pathlib import Path

import numpy as np
import torch

from serkit import features, systems
from serkit.networks.network import Batch
from serkit.runs import memory
from serkit.runs.models import assemble, resolve
from serkit.training.memory import keep_freed

STEPS = 3
CLASSES = 7


def resident() -> int:
    """Return the bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("items", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()
    system = systems.load(arguments.system)
    stage = resolve(system, system.stages[-1].name)
    model, _ = assemble(system, stage.name, CLASSES)
    views = {}
    for name in stage.inputs:
        table = system.views[name].feature
        if table is None:
            parser.error(f"stage '{stage.name}' reads another stage's output")
        feature = features.build(table.name, **table.options)
        shape = feature(np.zeros(int(arguments.seconds * feature.rate), np.float32)).shape
        views[name] = torch.randn(arguments.items, *shape)
    optimizer, before = torch.optim.Adam(model.parameters()), resident()
    for _ in range(STEPS):
        output = model.train()(Batch(views))
        torch.stack([found.float().sum() for found in output.predictions.values()]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    seen = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    counted = memory.step(system, stage.name, arguments.items) or 0
    print(f"{stage.name}: counted {counted / 1e9:.2f} GB, seen {seen / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
