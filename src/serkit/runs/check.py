"""Build every part of a system once before training, so that a mistake in its last stage is found at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from serkit import methods
from serkit.errors import UserError, unknown
from serkit.evaluation.metrics import CLASSES, METRICS, NUMBERS, Metric
from serkit.networks.layers.recurrent import Lstm
from serkit.networks.network import layer_of
from serkit.protocols.splits import Split
from serkit.runs.models import assemble, resolve
from serkit.systems.schema import Stage, System
from serkit.training import perturb, precision, schedules, stopping


def check(system: System, splits: Sequence[Split], classes: int, accelerator: str = "auto") -> None:
    """Check all stages before the first one is trained.

    Args:
        system: system to be trained.
        splits: splits of the run.
        classes: number of classes of every target.
        accelerator: accelerator for training.

    Raises:
        UserError: a method, network, schedule or rule cannot be built; an earlier stage or a layer does not exist;
            `trainer.select` or a stopping rule requires a validation part that the protocol does not have; or the
            machine does not support the precision.
    """
    for place, named in enumerate(system.stages):
        stage = resolve(system, named.name)
        earlier = [before.name for before in system.stages[:place]]
        methods.build(stage.method.name, **stage.method.options)
        for name in methods.earlier(stage.method.name, stage.method.options):
            if name not in earlier:
                raise UserError(f"stage '{stage.name}': {unknown('earlier stage', name, earlier)}")
        numbers = methods.method_class(stage.method.name).numbers
        _check_select(stage, NUMBERS if numbers else CLASSES)
        has_own = system.stage_data(stage).validation is not None
        _check_trainer(stage, has_own or all(split.validation for split in splits))
        # On torch's meta device, nothing is drawn or computed, whatever the size.
        with torch.device("meta"):
            model, _ = assemble(system, stage.name, classes)
        for layer in [*stage.freeze, *stage.reset]:
            layer_of(model.network, layer)
        recurrent = any(isinstance(module, Lstm) for module in model.modules())
        try:
            precision.check(stage.trainer.precision, accelerator, recurrent)
        except UserError as error:
            raise UserError(f"stage '{stage.name}': {error}") from None


def _check_select(stage: Stage, metrics: Mapping[str, Metric]) -> None:
    """Raise UserError if the epoch is chosen by a metric that does not fit the stage's targets."""
    select, choices = stage.trainer.select, ["last", "loss", *metrics]
    if select not in (*choices, *METRICS):
        raise UserError(f"stage '{stage.name}': trainer.select: {unknown('choice', select, choices)}")
    if select not in choices:
        raise UserError(
            f"stage '{stage.name}': trainer.select = '{select}', but method '{stage.method.name}' "
            f"learns {'numbers' if metrics is NUMBERS else 'classes'}; choose 'loss', or '{next(iter(metrics))}'"
        )


def _check_trainer(stage: Stage, validated: bool) -> None:
    trainer = stage.trainer
    schedules.build(trainer.schedule.name, **trainer.schedule.options)
    if trainer.stopping:
        rule = stopping.build(trainer.stopping.name, **trainer.stopping.options)
        blind = [key for key in rule.watched if key.startswith("validation_") and not validated]
        if blind:
            raise UserError(
                f"stage '{stage.name}': trainer.stopping watches '{blind[0]}', which requires a validation part; set "
                "the protocol's validation share"
            )
    for change in trainer.perturb:
        perturb.build(change.name, **change.options)
    if trainer.select != "last" and not validated:
        raise UserError(
            f"stage '{stage.name}': trainer.select = '{trainer.select}' requires a validation part; set the protocol's "
            "validation share"
        )
