"""How long a training step takes with and without what makes it fast, on one core: processor time, side by side.

    python benchmarks/training_speed.py [--steps 4] [--cases squirtle ...] [--json docs/results/training-speed.json]

Each measurement runs in a process of its own: the baseline lets glibc return freed memory and computes quaternion
convolutions on assembled weights. Ratios are what to compare; times depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# One core for every measurement; must be set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"

#: Network, options, shape of its view, shape of the input, batch.
CASES: dict[str, tuple[str, dict[str, Any], tuple[int | None, ...], tuple[int, ...], int]] = {
    "vit teacher": ("vit", {"stem": True, "coordinates": True}, (1, 128, 128), (1, 128, 128), 4),
    "resnet18": ("resnet18", {}, (80, None), (80, 298), 16),
    "quaternion vgg16": ("vgg16", {"quaternion": True}, (4, 64, 64), (4, 64, 64), 20),
    "acln": ("acln", {"frames": 250}, (39, None), (39, 250), 128),
    "squirtle": ("squirtle", {}, (1, 60, 60), (1, 60, 60), 32),
}
PRECISIONS = ("32-true", "bf16-mixed")


def measure(case: str, precision: str, fast: bool, steps: int) -> float:
    """Return the least processor time of a step in s."""
    import torch
    import torch.nn.functional as F

    from serkit import networks
    from serkit.networks.layers.quaternion import QuaternionConv2d, assemble
    from serkit.networks.network import Batch
    from serkit.training import memory

    torch.set_num_threads(1)
    torch.manual_seed(0)
    name, options, view, size, batch = CASES[case]
    network = networks.build(name, {"x": view}, {"emotion": 7}, **options)
    if fast:
        memory.keep_freed()
    else:
        for layer in network.modules():
            if isinstance(layer, QuaternionConv2d):
                layer.forward = lambda x, own=layer: F.conv2d(x, assemble(own.weight), own.bias, 1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5, fused=True)
    images, truth = Batch({"x": torch.rand(batch, *size)}), torch.arange(batch) % 7
    found = []
    for _ in range(steps + 1):
        began = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            logits = network(images).predictions["emotion"]
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), truth).backward()
        optimizer.step()
        found.append(time.process_time() - began)
    # The first step makes room.
    return min(found[1:])


def measured(case: str, precision: str, fast: str, steps: int) -> float:
    """Return what `measure` finds in a process of its own."""
    command = [sys.executable, __file__, "--cases", case, "--one", precision, fast, "--steps", str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--one", nargs=2, metavar=("PRECISION", "FAST"), help="measure one case in this process")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.one:
        print(measure(asked.cases[0], asked.one[0], asked.one[1] == "1", asked.steps))
        return
    rows = []
    for case in asked.cases:
        for precision in PRECISIONS:
            before, after = (measured(case, precision, fast, asked.steps) for fast in "01")
            row = {"case": case, "precision": precision, "before": before, "after": after, "ratio": after / before}
            rows.append(row)
            text = f"{case:18} {precision:10} before {before:6.3f} s, after {after:6.3f} s"
            print(f"{text}, ratio {after / before:.2f}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"steps": asked.steps, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
