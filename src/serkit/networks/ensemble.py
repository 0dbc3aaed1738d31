"""Several finished stages combined into one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from serkit.networks.network import Batch, Network, Output, Shape


class Ensemble(Network):
    """The mean of the log-probabilities of earlier stages: a network with no trainable weights.

    The mean of logarithms (the geometric mean of the members) gives more weight to a member that rules a class out
    than the mean of probabilities does. Source: "product of experts" with equal shares, Hinton 2002.

    Args:
        inputs: views of shape (classes,): the `predictions` of earlier stages with the same classes.
        outputs: number of classes by target; one target.
        shares: weight of each view by its name, above 0; None: equal weights. The weights need not add up to 1.
    """

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        shares: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(inputs, outputs)
        if len(outputs) != 1:
            raise TypeError(f"an ensemble must have one target, got {len(outputs)}: {', '.join(outputs)}")
        [(self.target, classes)] = outputs.items()
        for view, shape in self.inputs.items():
            if shape != (classes,):
                raise TypeError(
                    f"view '{view}' must have shape ({classes},), got {shape}; "
                    f"it must be the predictions of a stage with the same {classes} classes"
                )
        given = dict.fromkeys(self.inputs, 1.0) if shares is None else dict(shares)
        if set(given) != set(self.inputs) or min(given.values()) <= 0:
            raise ValueError(f"shares must have a number above 0 for each of {', '.join(self.inputs)}, got {shares}")
        # Sorted by name, so that the network does not depend on the order in which a stage lists its views.
        values = torch.tensor([given[view] for view in sorted(given)])
        self.shares: Tensor
        self.register_buffer("shares", values / values.sum())

    def forward(self, batch: Batch) -> Output:
        members = [batch.views[view].log_softmax(1) for view in sorted(self.inputs)]
        mean = torch.stack([share * x for share, x in zip(self.shares, members, strict=True)]).sum(0)
        return Output({self.target: mean}, mean)
