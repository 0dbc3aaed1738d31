"""Learning of the distribution of a finished stage's features or logits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from serkit.errors import UserError, unknown
from serkit.methods.method import Context
from serkit.methods.supervised import Supervised
from serkit.methods.taught import Taught
from serkit.networks.network import Batch, Model, Output, output_of

DIRECTIONS = ("teacher_student", "student_teacher")
REDUCTIONS = ("batchmean", "mean", "sum")

#: Sources of distillation, and the output of a stage that holds each.
_OUTPUTS = {"features": "features", "logits": "predictions"}


class FeatureDistillation(Taught):
    """Divergence between student and teacher, plus cross-entropy.

        alpha * tau^2 * KL(softmax(T / tau) || softmax(S / tau)) + (1 - alpha) * cross-entropy

    T and S are the features of teacher and student, which must have the same size, or the logits of each target; the
    divergences of several targets are added. A term with factor 0 is left out.

    Source: Chen et al. 2022, equations 2 to 5. The paper has KL(S || T) with a logarithm of a logarithm. Here, it is
    KL(T || S), the result of the operands in the paper (log-softmax of the student, softmax of the teacher).

    Args:
        teacher: name of the finished stage.
        alpha: share of the divergence, 0 (only cross-entropy) to 1 (no labels: the student's head is not trained, and
            its training accuracy is meaningless).
        tau: temperature, > 0; a larger one makes distributions smoother.
        kl_direction: `teacher_student`: KL(T || S); `student_teacher`: KL(S || T).
        reduction: `batchmean`: sum over the numbers, mean over the items; `mean`: mean over both, i.e. 512 times less
            for 512 features; `sum`: sum over both.
        on: `features` or `logits`; for logits, both stages must have the same classes.
    """

    name = "feature_distillation"

    def __init__(
        self,
        teacher: str,
        alpha: float = 0.6,
        tau: float = 2.0,
        kl_direction: str = "teacher_student",
        reduction: str = "batchmean",
        on: str = "features",
    ) -> None:
        for option, value, allowed in (
            ("kl_direction", kl_direction, DIRECTIONS),
            ("reduction", reduction, REDUCTIONS),
            ("on", on, _OUTPUTS),
        ):
            if value not in allowed:
                raise unknown(option, str(value), allowed)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be from 0 to 1, got {alpha}")
        if not 0 < tau < math.inf:
            raise ValueError(f"tau must be above 0, got {tau}")
        super().__init__(teacher, _OUTPUTS[on])
        self.alpha, self.tau = alpha, tau
        self.kl_direction, self.reduction = kl_direction, reduction
        self.supervised = Supervised()

    def prepare(self, model: Model, context: Context) -> None:
        super().prepare(model, context)
        if self.what == "predictions":
            self._check_classes(context.finished[self.teacher].classes, context.classes)

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        terms = {}
        if self.alpha > 0:
            own = output_of(output, self.what)
            theirs = self.target(own, batch)
            # The logits of all targets are concatenated, and each target has its own distribution.
            sizes = [x.shape[1] for x in output.predictions.values()] if self.what == "predictions" else [own.shape[1]]
            pairs = zip(own.split(sizes, 1), theirs.split(sizes, 1), strict=True)
            total = torch.stack([self.divergence(ours.flatten(1), goal.flatten(1)) for ours, goal in pairs]).sum()
            terms["distillation"] = self.alpha * self.tau**2 * total
        if self.alpha < 1:
            labels = self.supervised.loss(output, batch)
            terms |= {name: (1 - self.alpha) * term for name, term in labels.items()}
        return terms

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the divergence of two batches of vectors, (batch, size) each, reduced over the batch."""
        log_p, log_q = ((x.float() / self.tau).log_softmax(-1) for x in (student, teacher))
        if self.kl_direction == "student_teacher":
            log_p, log_q = log_q, log_p
        divergence = (log_q.exp() * (log_q - log_p)).sum(-1)
        if self.reduction == "sum":
            return divergence.sum()
        return divergence.mean() / (student.shape[-1] if self.reduction == "mean" else 1)

    def _check_classes(self, theirs: Mapping[str, Sequence[str]], ours: Mapping[str, Sequence[str]]) -> None:
        """Raise UserError unless both stages' logits have the same meaning and order."""
        there, here = (
            "; ".join(f"{target}: {', '.join(names)}" for target, names in classes.items())
            for classes in (theirs, ours)
        )
        if there != here:
            raise UserError(
                f"method '{self.name}': the logits of teacher '{self.teacher}' are for {there}; the student's are for "
                f"{here}. Give both stages the same target and classes, or distill features"
            )
