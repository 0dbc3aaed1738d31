"""Base of methods with a teacher: a finished stage's outputs for the items of each batch."""

from __future__ import annotations

from torch import Tensor

from serkit.errors import UserError
from serkit.methods.method import Context, Method
from serkit.networks.network import Batch, Model


class Taught(Method):
    """Base of methods whose target is the output of a finished stage, the teacher.

    The output is computed once per item. A random change of a batch therefore reaches only the student, whose target is
    the output for the unchanged item. Augmented copies are separate items. The teacher reads its own views of the
    student's items, cut like the student's and then fitted to the length in its own `data.items`.

    Args:
        teacher: name of the finished stage.
        what: output that is the target, `features` or `predictions`.
    """

    #: Name of the method in errors.
    name = ""

    stage_options = ("teacher",)

    def __init__(self, teacher: str, what: str = "features") -> None:
        self.teacher = teacher
        self.what = what
        self.targets: Tensor | None = None

    def prepare(self, model: Model, context: Context) -> None:
        self.targets = context.outputs(self.teacher, self.what)

    def target(self, own: Tensor, batch: Batch) -> Tensor:
        """Return the teacher's output for a batch's items, with device and type of the student's `own`.

        Raises:
            UserError: the sizes of the two differ.
        """
        if self.targets is None or batch.index is None:
            raise TypeError(f"{type(self).__name__} requires prepare(), and batches with the indices of their items")
        target = self.targets[batch.index.to(self.targets.device)]
        if target.shape != own.shape:
            theirs, ours = (" x ".join(map(str, x.shape[1:])) for x in (target, own))
            raise UserError(
                f"method '{self.name}': the {self.what} of teacher '{self.teacher}' have size {theirs}, "
                f"but the student's have {ours}; give both networks the same width"
            )
        return target.to(own)
