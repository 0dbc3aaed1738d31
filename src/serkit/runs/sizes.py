"""Numbers of parameters and multiply-adds of a system's stages, without data."""

from __future__ import annotations

from serkit.runs.export import Deployed, count_macs
from serkit.runs.models import assemble, resolve
from serkit.systems.schema import System


def sizes(system: System, classes: int = 7) -> dict[str, dict[str, int]]:
    """Count each stage's own parameters, and the multiply-adds from its features to its outputs.

    Args:
        system: system to be counted.
        classes: number of classes of every target.

    Returns:
        `parameters` and `macs` (rule: `serkit.runs.export.count_macs`) by stage name.
    """
    return {stage.name: size(system, stage.name, classes) for stage in system.stages}


def size(system: System, name: str, classes: int = 7, whole: bool = False) -> dict[str, int]:
    """Count one stage's `parameters` and `macs`, by the rules of `sizes`.

    With `whole`, the parameters include those of the networks that the stage reads, as the multiply-adds always do.
    This is the shipped size.
    """
    model, inputs = assemble(system, name, classes)
    target = system.stage_data(resolve(system, name)).target[0]
    parameters = sum(parameter.numel() for parameter in (model if whole else model.network).parameters())
    macs = count_macs(Deployed(model, list(inputs), target, 1.0).eval(), list(inputs.values()))
    return {"parameters": parameters, "macs": macs}
