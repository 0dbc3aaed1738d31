"""Quick runs: few epochs, folds and recordings, to see in minutes whether everything runs. Their scores are flagged."""

from __future__ import annotations

from serkit.systems.schema import System

#: Most epochs of each stage.
EPOCHS = 2


def overrides(system: System, protocol: str) -> list[str]:
    """Return the overrides that make runs of a system under a protocol quick."""
    long = [stage.name for stage in system.stages if stage.trainer.epochs > EPOCHS]
    return [*(f"stages.{name}.trainer.epochs={EPOCHS}" for name in long), f"protocols.{protocol}.quick=true"]
