"""Cross-entropy with a penalty of uncertain answers."""

from __future__ import annotations

from torch import Tensor

from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Output


class Confident(Supervised):
    """Cross-entropy, and the entropy of the answers (Grandvalet and Bengio 2004).

    Args:
        weight: weight of the entropy.
    """

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        terms = super().loss(output, batch)
        for target, logits in output.predictions.items():
            logs = logits.log_softmax(1)
            terms[f"entropy_{target}"] = -self.weight * (logs.exp() * logs).sum(1).mean()
        return terms
