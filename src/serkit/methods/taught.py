"""What methods with a teacher have in common: a finished stage's outputs for the items of each batch."""

from __future__ import annotations

from torch import Tensor

from serkit.errors import UserError
from serkit.methods.method import Context, Method
from serkit.networks.network import Batch, Model


class Taught(Method):
    """Base of methods whose target is what a finished stage, the teacher, puts out.

    It is computed once per item, so a random change of the batch reaches the student only: it learns to answer it
    with the output for the unchanged item. Augmented copies are items of their own. The teacher reads its own views
    of the student's items, cut as the student's are and then brought to the length its own `data.items` give.

    Args:
        teacher: name of the finished stage.
        what: which of its outputs is the target, `features` or `predictions`.
    """

    #: What the method is called in errors.
    name = ""

    stage_options = ("teacher",)

    def __init__(self, teacher: str, what: str = "features") -> None:
        self.teacher = teacher
        self.what = what
        self.targets: Tensor | None = None

    def prepare(self, model: Model, context: Context) -> None:
        self.targets = context.outputs(self.teacher, self.what)

    def target(self, own: Tensor, batch: Batch) -> Tensor:
        """Return the teacher's output for a batch's items, where and as the student's `own` is.

        Raises:
            UserError: the two are of different size.
        """
        if self.targets is None or batch.index is None:
            raise TypeError(f"{type(self).__name__} needs prepare() first, and batches that say which items they hold")
        target = self.targets[batch.index.to(self.targets.device)]
        if target.shape != own.shape:
            theirs, ours = (" x ".join(map(str, x.shape[1:])) for x in (target, own))
            raise UserError(
                f"method '{self.name}': the {self.what} of teacher '{self.teacher}' have size {theirs}, "
                f"the student's {ours}; give both networks the same width"
            )
        return target.to(own)
