"""Protocols, those that every system can use by name, and the leaks that each allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from serkit.flags import Flag
from serkit.text import clean

Kind = Literal["random", "group_random", "kfold", "group_kfold", "leave_one_group_out", "fixed", "given"]
#: Default number of folds.
DEFAULT_FOLDS = 5

GROUPED = frozenset({"group_random", "group_kfold", "leave_one_group_out"})


class Protocol(BaseModel):
    """Rules for cutting utterances into training, validation and test parts.

    Args:
        kind: `random` (one test part of share `test`), `group_random` (the same with whole groups), `kfold`,
            `group_kfold` (as scikit-learn's GroupKFold), `leave_one_group_out`, `fixed` (parts listed in a file), or
            `given` (parts that the user's own data name, such as folders `train` and `test`).
        group: property that grouped kinds keep apart: `speaker`, `sentence`, `corpus`, `language`, `sex`, or an
            attribute of the utterances such as `session`.
        folds: number of folds of `kfold` and `group_kfold`; None: 5, or the number of groups if that is
            smaller.
        quick: whether only the first folds of the first repetition are run, with some of the utterances of each part
            (see `splits.QUICK_FOLDS`): to see in little time whether everything runs. Scores are flagged.
        tested: groups that `leave_one_group_out` tests; None: each in turn.
        test: share of the test part of `random`, or of the groups of `group_random` (at least one).
        stratify: whether `random`, `kfold` and their validation part keep the shares of the classes.
        validation: share of the training part set aside for validation by the same rule: whole groups (at
            least one) for the grouped kinds, otherwise at random.
        validation_group: property that defines the groups of the validation part, if it is not `group`: e.g. speakers
            of the training corpora if whole corpora are tested.
        validate_on_test: whether the test part is also the validation part, as in papers that keep the epoch with
            the best test score. Scores are flagged.
        repeats: number of repetitions, each with the next seed. The folds of `group_kfold` and
            `leave_one_group_out` do not depend on the seed; only their validation parts and the training do.
        unit: unit to cut. `item` (pieces and augmented copies) is for reproducing papers that did so.
        classes: `all` that occur; those of every scored corpus (`shared`); or those of at least two scored corpora
            (`several`), so that whichever corpus is left out, the others teach each of its classes.
        lists: for `fixed`: CSV or JSON lines file with the columns `id` or `path`, `part` and
            optionally `fold` (see `lists.read`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    group: Annotated[str, AfterValidator(clean)] = "speaker"
    folds: int | None = Field(default=None, ge=2)
    quick: bool = False
    tested: list[Annotated[str, AfterValidator(clean)]] | None = Field(default=None, min_length=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    stratify: bool = True
    validation: float = Field(default=0.0, ge=0, lt=1)
    validation_group: Annotated[str, AfterValidator(clean)] | None = None
    validate_on_test: bool = False
    repeats: int = Field(default=1, ge=1)
    unit: Literal["utterance", "item"] = "utterance"
    classes: Literal["all", "shared", "several"] = "all"
    lists: Path | None = None

    @model_validator(mode="after")
    def _lists_belong_to_fixed(self) -> Protocol:
        if (self.kind == "fixed") != (self.lists is not None):
            raise ValueError("kind 'fixed' requires 'lists', a CSV or JSON lines file; other kinds do not take it")
        return self

    @model_validator(mode="after")
    def _one_validation_part(self) -> Protocol:
        if self.validate_on_test and self.validation:
            raise ValueError("validate_on_test makes the test part the validation part; remove validation")
        return self

    @model_validator(mode="after")
    def _what_is_of_some_kinds_only(self) -> Protocol:
        if self.tested is not None and self.kind != "leave_one_group_out":
            raise ValueError(f"tested requires kind 'leave_one_group_out', got '{self.kind}'")
        if self.validation_group is not None and not self.grouped:
            raise ValueError(f"validation_group requires a kind that keeps groups apart, got '{self.kind}'")
        return self

    @property
    def grouped(self) -> bool:
        """Whether the protocol keeps whole groups apart."""
        return self.kind in GROUPED


#: Protocols that every system can use by name. `clean` is the default.
STANDARD = {
    "clean": Protocol(kind="group_kfold"),
    "leave-one-speaker-out": Protocol(kind="leave_one_group_out"),
    # A fifth of the training speakers of each fold serves to choose epochs, rows of a sweep and temperatures.
    "nested-leave-one-speaker-out": Protocol(kind="leave_one_group_out", validation=0.2),
    "random": Protocol(kind="random"),
    "kfold": Protocol(kind="kfold"),
    "leave-one-session-out": Protocol(kind="leave_one_group_out", group="session"),
    "leave-one-sentence-out": Protocol(kind="leave_one_group_out", group="sentence"),
    "given": Protocol(kind="given"),
    "cross-corpus": Protocol(kind="leave_one_group_out", group="corpus", validation_group="speaker", classes="shared"),
    # What a recognizer is worth on a corpus it has never met: it keeps the classes that a tested corpus lacks.
    "leave-one-corpus-out": Protocol(
        kind="leave_one_group_out", group="corpus", validation_group="speaker", classes="several"
    ),
}


def flags(protocol: Protocol) -> list[Flag]:
    """Return flags for what a protocol does not keep apart, independent of the corpus; `audit` finds actual leaks.

    >>> flags(STANDARD["clean"]), [flag.text for flag in flags(STANDARD["random"])]
    ([], ['speakers may be in both parts'])
    """
    found = []
    if protocol.kind in ("fixed", "given"):
        pass  # They may divide in any way; the audit reports shared or unknown speakers.
    elif not protocol.grouped or protocol.group == "sentence":
        found.append("speakers may be in both parts")
    elif protocol.group not in ("speaker", "corpus"):  # a speaker's name starts with the corpus
        found.append(f"speakers are kept apart only where each belongs to one {protocol.group}")
    if protocol.validate_on_test:
        found.append("the test part is the validation part: what is chosen by it is chosen on the test part")
    if protocol.unit == "item":
        found.append("pieces and augmented copies of one utterance may be in both parts")
    texts = [Flag("protocol", "caution", text) for text in found]
    if protocol.quick:
        texts.append(Flag("quick", "caution", "a quick run: few folds and recordings; its scores mean nothing"))
    return texts
