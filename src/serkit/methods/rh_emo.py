"""Pre-training of RH-emo: reconstruction of the image, and recognition of emotion from the embedding's axes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from serkit.errors import UserError
from serkit.methods.method import Context, Method
from serkit.methods.supervised import Supervised
from serkit.networks.network import Batch, Model, Output
from serkit.networks.rh_emo import AXES


class RhEmo(Method):
    """alpha BCE(reconstruction) + beta (beta_class CE(emotion) + beta_vad (BCE(valence) + ... + BCE(dominance))).

    BCE and CE are binary and plain cross-entropy. Valence, arousal and dominance count as high above a threshold. An
    item counts only in the terms for which it has a label. The image's values are clipped to 0 to 1, because other
    recordings may exceed the training part's maximum.

    Source: Guizzo et al. 2023 (IEEE/ACM TASLP 31), "Learning speech emotion representations in the quaternion domain";
    the numbers are those of its public code, whose first step has `beta = 0`.

    Args:
        alpha: factor of the reconstruction, >= 0.
        beta: factor of the other terms, >= 0; with 0, the network requires no heads.
        beta_class: factor of the term for classes.
        beta_vad: factor of the terms for valence, arousal and dominance.
        threshold: threshold of high values: 2.5 on IEMOCAP's scale of 1 to 5 (as in the public code), 0 on a scale of
            -1 to 1.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.01,
        beta_class: float = 1.0,
        beta_vad: float = 100.0,
        threshold: float = 2.5,
    ) -> None:
        for name, value in {"alpha": alpha, "beta": beta, "beta_class": beta_class, "beta_vad": beta_vad}.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0, got {value}")
        if not alpha and not beta:
            raise ValueError("alpha = 0 and beta = 0 leave nothing to minimize")
        self.alpha, self.beta, self.beta_class, self.beta_vad = alpha, beta, beta_class, beta_vad
        self.threshold = threshold
        self.supervised = Supervised()
        self.high: dict[str, Tensor] = {}

    def prepare(self, model: Model, context: Context) -> None:
        if "reconstruction" not in model.network.map_names:
            raise UserError(f"method 'rh_emo' requires network 'rh_emo', got {type(model.network).__name__}")
        if self.beta and not len(list(model.network.get_submodule("classifiers").children())):
            raise UserError("method 'rh_emo': the network has no heads; set heads = true, or beta = 0")
        for target, names in context.classes.items():
            if target in AXES[1:]:
                self.high[target] = torch.tensor([_number(target, name) > self.threshold for name in names]).float()
        model.network.keep = ("input", "reconstruction")

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        image = output.maps["input"].float().clamp(0, 1)
        terms = {"reconstruction": self.alpha * F.binary_cross_entropy(output.maps["reconstruction"].float(), image)}
        if not self.beta:
            return terms
        for target, logits in output.predictions.items():
            if target in self.high:
                high = self.high[target].to(logits.device)[batch.targets[target]]
                losses = F.binary_cross_entropy_with_logits(logits[:, 0].float(), high, reduction="none")
                factor = self.beta_vad
            else:
                losses, factor = self.supervised.losses(target, logits, batch), self.beta_class
            known = batch.masks.get(target, torch.ones_like(losses, dtype=torch.bool))
            terms[target] = self.beta * factor * (losses * known).sum() / known.sum().clamp_min(1)
        return terms

    def finish(self, model: Model, batches: Iterable[Batch], held: Iterable[Batch] = ()) -> Model:
        model.network.keep = ()
        return model


def _number(target: str, name: str) -> float:
    try:
        return float(name)
    except ValueError:
        raise UserError(f"method 'rh_emo': target '{target}' must be a number, got '{name}'") from None
