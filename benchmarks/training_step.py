"""How long a training step of a stage takes: forward, backward and AdamW, on random input.

    python benchmarks/training_step.py vit-transfer student teacher [--batch 4 16] [--precision 32-true bf16-mixed]

Prints the median and the least of twelve steps after two that do not count, and items per second by the median.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch.nn import functional as F

from serkit import systems
from serkit.networks.network import Batch
from serkit.runs.models import assemble

CLASSES = 7
STEPS, WARM_UP = 12, 2

#: Length of time axes, in frames.
FRAMES = 300


def measure(system: str, stage: str, size: int, precision: str) -> list[float]:
    """Return the seconds of each counted step of a batch of `size` items."""
    torch.manual_seed(0)
    model, inputs = assemble(systems.load(system), stage, CLASSES)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4, fused=True)
    views = {name: torch.randn(size, *(length or FRAMES for length in shape)) for name, shape in inputs.items()}
    labels = torch.randint(CLASSES, (size,))
    seconds = []
    for _ in range(WARM_UP + STEPS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            predictions = model(Batch(views)).predictions
            loss = sum(F.cross_entropy(logits, labels) for logits in predictions.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return seconds[WARM_UP:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("stages", nargs="+")
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--precision", nargs="+", choices=["32-true", "bf16-mixed"], default=["32-true", "bf16-mixed"])
    asked = parser.parse_args()
    print(f"{torch.get_num_threads()} threads")
    for stage in asked.stages:
        for size in asked.batch:
            for precision in asked.precision:
                seconds = measure(asked.system, stage, size, precision)
                median = statistics.median(seconds)
                print(
                    f"{stage:10} batch {size:3} {precision:10} median {1000 * median:7.1f} ms, least "
                    f"{1000 * min(seconds):7.1f} ms, {size / median:6.1f} items/s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
