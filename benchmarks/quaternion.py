"""What VGG16 takes, quaternion and real, with and without anti-transfer: time, peak memory, parameters, multiply-adds.

    python benchmarks/quaternion.py [--batch 4] [--steps 5] [--layers 2,13] [--items 1008] [--json FILE]

Each case runs in a process of its own, for its memory. Time is what one core computes (CPU time of one thread), so
that what else the machine does matters little; ratios are what to compare. `naive` is the same network whose weights
are put together by concatenation at each call, linear ones too, as public implementations do. An epoch is a pass
through so many items. `--layers` are those of anti-transfer, of the extractor's inputs nothing kept.

Multiply-adds are those of one item's forward pass (rule: `serkit.runs.export.count_macs`); anti-transfer adds the
extractor's layers and a Gram matrix of either network. Parameters are what is trained; the extractor's are not.
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
    "quaternion 512x128": {"shape": IMAGE, "quaternion": True},
    "naive 512x128": {"shape": IMAGE, "quaternion": True, "naive": True},
    "real 512x128": {"shape": IMAGE},
}
#: Those to measure with anti-transfer too, at each layer asked for.
PUSHED = ("quaternion 64x64", "real 512x128")
CONVOLUTIONS = 13


def measure(
    batch: int,
    steps: int,
    shape: tuple[int, ...] | None = None,
    quaternion: bool = False,
    naive: bool = False,
    layer: int = 0,
) -> dict[str, float]:
    """Train for some steps with anti-transfer at a layer (0: without).

    Returns:
        CPU seconds of a `step` and of the `extractor`'s part of it (medians), peak `memory` in MB, `parameters` and
        `macs`.
    """
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
    wanted = {f"conv{layer}"}
    if layer:
        extractor = make().eval()
        # Only the convolutions are used: the rest is not to count as memory.
        extractor.network.hidden = extractor.network.head = None
        method = methods.build("anti_transfer", extractor="other", layers=list(wanted), cache=0)
        stage = SimpleNamespace(trainer=SimpleNamespace(perturb=[]))
        finished = {"other": SimpleNamespace(model=extractor)}
        context = SimpleNamespace(finished=finished, stage=stage, items=[0] * batch)
        method.prepare(model, context)  # type: ignore[arg-type]
    for _ in range(steps + 1):
        began = time.thread_time()
        terms = method.loss(method.forward(model, data), data)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        found["step"].append(time.thread_time() - began)
        if layer:
            began = time.thread_time()
            with torch.no_grad():
                extractor.network.maps(data, wanted)
            found["extractor"].append(time.thread_time() - began)
    # The first step makes room.
    medians = {name: statistics.median(values[1:]) for name, values in found.items() if values}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {**medians, "memory": peak(), "parameters": parameters, "macs": macs(shape, quaternion, layer)}


def macs(shape: tuple[int, ...], quaternion: bool, layer: int) -> int:
    """Count the multiply-adds of one item's forward pass, the extractor's and the Gram matrices' included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from serkit import networks
    from serkit.methods.anti_transfer import gram
    from serkit.networks.network import Batch

    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.inference_mode():
        network = networks.build("vgg16", {"x": shape}, {"emotion": 4}, quaternion=quaternion).eval()
        data = Batch({"x": torch.rand(1, *shape)})
        network(data)
        if layer:
            [maps] = network.maps(data, {f"conv{layer}"}).values()
            gram(maps), gram(maps)
    return counter.get_total_flops() // 2


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
    for what in ("step", "memory", "parameters", "macs"):
        # What the paper compares, in two parts.
        ratios[f"{what}: real 64x64 / real 512x128 (the embedding's size)"] = ratio(what, "real 64x64", "real 512x128")
        ratios[f"{what}: quaternion 64x64 / real 512x128 (both)"] = ratio(what, "quaternion 64x64", "real 512x128")
        ratios[f"{what}: quaternion / real, 64x64 (the algebra)"] = ratio(what, "quaternion 64x64", "real 64x64")
    for name in found:
        case, _, layer = name.partition(", layer ")
        if not layer:
            continue
        beyond = found[name]["step"] - found[case]["step"] - found[name]["extractor"]
        ratios[f"step: anti-transfer adds beyond the extractor / without, {name}"] = beyond / found[case]["step"]
        for what in ("step", "memory", "macs"):
            ratios[f"{what}: with / without anti-transfer, {name}"] = ratio(what, name, case)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--layers", default="2", help="of anti-transfer: 2,13; all for 1 to 13")
    parser.add_argument("--items", type=int, default=1008, help="of an epoch; 70 %% of RAVDESS are 1008")
    parser.add_argument("--case", choices=CASES, help="measure one case in this process")
    parser.add_argument("--layer", type=int, default=0, help="of that case's anti-transfer")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.case is not None:
        options = {**CASES[arguments.case], "layer": arguments.layer} if arguments.layer else CASES[arguments.case]
        print(json.dumps(measure(arguments.batch, arguments.steps, **options)))
        return
    layers = range(1, CONVOLUTIONS + 1) if arguments.layers == "all" else map(int, arguments.layers.split(","))
    pushed = [(case, layer) for layer in layers for case in PUSHED]
    found = {}
    for case, layer in [*((case, 0) for case in CASES), *pushed]:
        name = f"{case}, layer {layer}" if layer else case
        command = [sys.executable, __file__, "--case", case, "--layer", str(layer)]
        command += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
        found[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        if "step" in found[name]:
            found[name]["epoch"] = found[name]["step"] * arguments.items / arguments.batch
        print(f"{name:28}", "  ".join(f"{key} {value:,.3f}" for key, value in found[name].items()), flush=True)
    ratios = compare(found)
    print(*(f"{value:6.2f}  {name}" for name, value in ratios.items()), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": found, "ratios": ratios}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
