"""Training step of VGG16, quaternion and real, with and without anti-transfer: time and peak memory.

    python benchmarks/quaternion.py [--batch 4] [--steps 5] [--json FILE]

Each case runs in a process of its own, for its memory. Time is what one core computes (CPU time of one thread), so
that what else the machine does matters little; ratios are what to compare. `naive` is the same network whose weights
are put together by concatenation at each call, linear ones too, as public implementations do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# One core for every measurement; must be set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"

EMBEDDING, IMAGE = (4, 64, 64), (1, 512, 128)
CASES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "quaternion 64x64": {"shape": EMBEDDING, "quaternion": True},
    "naive 64x64": {"shape": EMBEDDING, "quaternion": True, "naive": True},
    "real 64x64": {"shape": EMBEDDING},
    "quaternion 64x64, anti-transfer": {"shape": EMBEDDING, "quaternion": True, "anti_transfer": True},
    "quaternion 512x128": {"shape": IMAGE, "quaternion": True},
    "naive 512x128": {"shape": IMAGE, "quaternion": True, "naive": True},
    "real 512x128": {"shape": IMAGE},
    "real 512x128, anti-transfer": {"shape": IMAGE, "anti_transfer": True},
}


def measure(
    batch: int,
    steps: int,
    shape: tuple[int, ...] | None = None,
    quaternion: bool = False,
    naive: bool = False,
    anti_transfer: bool = False,
) -> dict[str, float]:
    """Train for some steps; CPU seconds of one (median) and of the extractor's part of it, peak memory in MB."""
    import torch

    from serkit import methods, networks
    from serkit.networks.network import Batch, Model

    torch.set_num_threads(1)
    if shape is None:
        return {"memory": peak()}

    def make() -> Model:
        network = networks.build("vgg16", {"x": shape}, {"emotion": 4}, quaternion=quaternion)
        return Model(unshared(network) if naive else network)

    model = make().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, fused=True)
    images, truth = torch.rand(batch, *shape), torch.arange(batch) % 4
    data = Batch({"x": images}, targets={"emotion": truth})
    found: dict[str, list[float]] = {"step": [], "extractor": []}
    method = methods.build("supervised")
    if anti_transfer:
        extractor = make().eval()
        # Only the convolutions are used: the rest is not to count as memory.
        extractor.network.hidden = extractor.network.head = None
        method = methods.build("anti_transfer", extractor="other", layers=["conv2"], cache=0)
        stages = SimpleNamespace(finished={"other": SimpleNamespace(model=extractor)}, stage=None, items=[0] * batch)
        method.prepare(model, stages)  # type: ignore[arg-type]
    for _ in range(steps + 1):
        began = time.thread_time()
        terms = method.loss(method.forward(model, data), data)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        found["step"].append(time.thread_time() - began)
        if anti_transfer:
            began = time.thread_time()
            with torch.no_grad():
                extractor.network.maps(data, {"conv2"})
            found["extractor"].append(time.thread_time() - began)
    # The first step makes room.
    medians = {name: statistics.median(values[1:]) for name, values in found.items() if values}
    return {**medians, "memory": peak()}


def unshared(network: Any) -> Any:
    """Compute quaternion layers as public code does: the real weight by concatenation, at each call."""
    import torch
    import torch.nn.functional as F

    from serkit.networks.layers.quaternion import QuaternionConv2d, QuaternionLinear

    def whole(weight: torch.Tensor) -> torch.Tensor:
        r, i, j, k = weight
        rows = [[r, -i, -j, -k], [i, r, -k, j], [j, k, r, -i], [k, -j, i, r]]
        return torch.cat([torch.cat(row, 1) for row in rows])

    for layer in network.modules():
        if isinstance(layer, QuaternionConv2d):
            layer.forward = lambda x, own=layer: F.conv2d(x, whole(own.weight), own.bias, padding=1)
        elif isinstance(layer, QuaternionLinear):
            layer.forward = lambda x, own=layer: F.linear(x, whole(own.weight), own.bias)
    return network


def peak() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def compare(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return ratios of time, and of memory beyond what torch itself takes."""
    floor = found["nothing"]["memory"]

    def ratio(what: str, first: str, second: str) -> float:
        base = floor if what == "memory" else 0.0
        return (found[first][what] - base) / (found[second][what] - base)

    ratios = {}
    for size in ("64x64", "512x128"):
        for other in ("naive", "real"):
            for what in ("step", "memory"):
                ratios[f"{what}: quaternion / {other}, {size}"] = ratio(what, f"quaternion {size}", f"{other} {size}")
    for what in ("step", "memory"):
        ratios[f"{what}: quaternion 64x64 / real 512x128"] = ratio(what, "quaternion 64x64", "real 512x128")
    for case in ("quaternion 64x64", "real 512x128"):
        with_it = found[f"{case}, anti-transfer"]
        added = with_it["step"] - found[case]["step"]
        ratios[f"step: anti-transfer adds beyond the extractor / without, {case}"] = (
            added - with_it["extractor"]
        ) / found[case]["step"]
        ratios[f"step: with / without anti-transfer, {case}"] = with_it["step"] / found[case]["step"]
        ratios[f"memory: with / without anti-transfer, {case}"] = ratio("memory", f"{case}, anti-transfer", case)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--case", choices=CASES, help="measure one case in this process")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.case is not None:
        print(json.dumps(measure(arguments.batch, arguments.steps, **CASES[arguments.case])))
        return
    found = {}
    for case in CASES:
        command = [sys.executable, __file__, "--case", case]
        command += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
        found[case] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{case:34}", "  ".join(f"{name} {value:9.3f}" for name, value in found[case].items()), flush=True)
    ratios = compare(found)
    print(*(f"{value:6.2f}  {name}" for name, value in ratios.items()), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": found, "ratios": ratios}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
