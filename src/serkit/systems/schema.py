"""The schema of a system file: choices only, no logic. An error about an unknown key lists the known ones."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from serkit import augment
from serkit.errors import UserError, unknown
from serkit.protocols.protocol import Protocol
from serkit.text import clean
from serkit.windowing import Windowing


class Table(BaseModel):
    """A table of a system file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(BaseModel):
    """A part chosen by name with its options: `{ name = "vit", depth = 6 }`; without options just `"vit"`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _as_copy(value: Any) -> Any:
    """Return the text of an augmentation that is chosen with options, once it is sure that it can be made."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        value = augment.describe(value["name"], {key: option for key, option in value.items() if key != "name"})
    if isinstance(value, str):
        try:
            augment.build(value)
        except UserError as error:
            raise ValueError(str(error)) from None
    return value


#: An augmentation by name, with or without options: `"noise"`, `{ name = "noise", low = 0, high = 5 }`.
Copy = Annotated[str, BeforeValidator(_as_copy)]


class Items(Table):
    """How utterances are cut (see `serkit.data.items.Windowing`)."""

    seconds: float | None = None
    hop: float | None = None
    tail: Literal["pad", "keep", "drop", "last", "first"] = "pad"
    minimum: float = 0.0

    @property
    def windowing(self) -> Windowing:
        return Windowing(**self.model_dump())


class Replacement(Table):
    """Augmented copies in place of originals (see `serkit.data.items.replaced`).

    `name` is the augmentation, `corpora` lists the corpora whose utterances it replaces (all if empty), and `share` is
    the share of them. `validation` sets whether utterances of the validation part are replaced too, as in some papers.
    """

    name: Copy
    corpora: list[str] = []
    share: float = Field(1.0, ge=0, le=1)
    validation: bool = False


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _cleaned(value: Any) -> Any:
    """Clean every text in a value."""
    if isinstance(value, str):
        return clean(value)
    return [_cleaned(each) for each in value] if isinstance(value, list) else value


#: A name or label from user input, in the same spelling as names and labels read from files.
Text = Annotated[str, AfterValidator(clean)]


class Data(Table):
    """The targets of learning, and the items to learn from.

    `target` is one or several targets of the utterances. `classes`, `map` and `where` select and rename
    (see `serkit.data.items.select`). `copies` are augmented copies, made of the training part only, and `replace`
    puts some in place of originals. `sample` keeps a number of utterances of a corpus and class
    (`{ cremad = { neutral = 509, "*" = 273 } }`), drawn with `sample_seed`.

    `corpora` sets whose utterances are used: those of the `scored` corpora, of `all` corpora (including those only
    learned from), or of the listed corpora. An utterance must have the `first` target, or `any` of them. `validation`
    is a share of the stage's training utterances, set aside for this stage in place of the protocol's validation part.
    It is for a target whose classes a protocol keeps apart, or for corpora that the protocol does not split.
    """

    target: Annotated[list[Text], Field(min_length=1), BeforeValidator(_as_list)] = ["emotion"]
    corpora: Literal["scored", "all"] | Annotated[list[Text], Field(min_length=1)] = "scored"
    labels: Literal["first", "any"] = "first"
    validation: float | None = Field(None, gt=0, lt=1)
    classes: list[Text] | Literal["all"] = "all"
    map: dict[Text, Text] = {}
    where: dict[Text, Annotated[Any, AfterValidator(_cleaned)]] = {}
    items: Items = Items()
    copies: list[Copy] = []
    replace: Replacement | None = None
    sample: dict[Text, dict[Text, Annotated[int, Field(ge=0)]]] = {}
    sample_seed: int = Field(0, ge=0)


class View(Table):
    """A named input: a feature of a channel, or an output of an earlier stage.

    `fallback = "speech"` lets a view of an additional channel read the speech if the corpora do not have that
    channel: for all utterances, so that two kinds of signal are never mixed, and with a flag on the scores.
    """

    feature: Named | None = None
    channel: str | None = None
    fallback: Literal["speech"] | None = None
    stage: str | None = None
    output: Literal["features", "predictions"] = "features"
    trainable: bool = False
    normalise: Literal["band", "global", "maximum"] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> View:
        if (self.feature is None) == (self.stage is None):
            raise ValueError("a view must have either a feature or a stage as its source")
        if self.fallback and self.channel is None:
            raise ValueError("fallback requires channel")
        if self.trainable and (self.stage is None or self.output != "features"):
            raise ValueError("only the features of a stage can be trained along")
        if self.trainable and self.normalise:
            raise ValueError("a view that is trained along changes and cannot be normalized; leave out normalise")
        return self


class Trainer(Table):
    """Settings of the training loop (see `serkit.training.loop`).

    `select` sets which weights are kept: those of the `last` epoch, or of the one with the best value on
    the validation part. `decay` sets what weight decay applies to: all parameters, or matrices and filters
    only (not biases and batch norms). `perturb` lists random changes of each training batch. `average` is the factor
    of an exponential moving average of the weights (0: none). `refit_normalization` estimates the statistics of batch
    normalization again when the weights are final: over all training items, as they are evaluated
    (see `serkit.training.normalization`). `precision` is one of Lightning Fabric's, or `auto`:
    bfloat16 if the machine computes it faster than float32, otherwise float32 (see `serkit.training.precision`).
    `checkpoint_seconds` is the most training time that a kill can cost.
    """

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    decay: Literal["all", "matrices"] = "all"
    schedule: Named = Named(name="constant")
    stopping: Named | None = None
    select: str = "last"
    clip: float | None = Field(None, gt=0)
    perturb: list[Named] = []
    average: float = Field(0.0, ge=0, lt=1)
    refit_normalization: bool = True
    precision: str = "32-true"
    checkpoint_seconds: float = Field(30.0, ge=0)


class Stage(Table):
    """One step of training: data, views, network, method and trainer.

    `start_from` names an earlier stage, or a folder with weights, whose weights the stage starts from; `reset` lists
    layers that do not take part. `keep_optimizer` continues with the earlier stage's optimizer, too: its moments and
    its number of steps. Otherwise the optimizer starts anew, and its first steps may undo what was learned.
    """

    name: str
    view: str | None = None
    views: list[str] = []
    network: Named | None = None
    method: Named = Named(name="supervised")
    trainer: Trainer = Trainer()
    data: dict[str, Any] = {}
    start_from: str | None = None
    freeze: list[str] = []
    reset: list[str] = []
    refit: bool = False
    keep_optimizer: bool = False

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        # The name is a key after --set, a folder, and part of weight names.
        if not re.fullmatch(r"[\w-]+", name):
            raise ValueError(f"the name of a stage must be one word of letters, digits, - and _, got '{name}'")
        return name

    @field_validator("data")
    @classmethod
    def _overrides_data(cls, data: dict[str, Any]) -> dict[str, Any]:
        for key in data:
            if key not in Data.model_fields:
                raise ValueError(str(unknown("key", key, Data.model_fields)))
        try:
            Data.model_validate(data)
        except ValidationError as error:
            problem = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
        return data

    @model_validator(mode="after")
    def _options_agree(self) -> Stage:
        if self.view is not None and self.views:
            raise ValueError("give either view (one view) or views (several)")
        if self.start_from is None and (self.reset or self.refit or self.keep_optimizer):
            raise ValueError("reset, refit and keep_optimizer require start_from")
        return self

    @property
    def inputs(self) -> list[str]:
        """Names of the stage's views."""
        return [self.view] if self.view else list(self.views)


class About(Table):
    """Name and origin of a system, and its deployed stage.

    `chosen` states how settings were found that no paper gives: how many were tried, and on which data. It is
    shown with every score.
    """

    name: str
    title: str = ""
    paper: str | None = None
    chosen: str = ""
    deploy: str | None = None


class Adapt(Table):
    """Adaptation of the exported recognizer to a voice (see `serkit.recognition.adaptation`).

    `views` are the adapted ones; all that are normalized by band if empty. `strength` is the largest share of a voice's
    deviation that is removed: less than 1 for a system whose stages learned from voices as they are.
    """

    views: list[Text] = []
    strength: float = Field(1.0, gt=0, le=1)


def _named(stages: list[Stage], name: str) -> Stage:
    return next(stage for stage in stages if stage.name == name)


class System(Table):
    """An ordered list of stages, which of them is deployed, and its protocols."""

    system: About
    data: Data = Data()
    views: dict[str, View] = {}
    adapt: Adapt = Adapt()
    stages: list[Stage]
    protocols: dict[str, Protocol] = {}

    @model_validator(mode="after")
    def _names_fit(self) -> System:
        seen: list[str] = []
        if not self.stages:
            raise ValueError("a system must have at least one stage")
        names = [stage.name for stage in self.stages]
        for stage in self.stages:
            if stage.name in seen:
                raise ValueError(f"names of stages must be unique; '{stage.name}' occurs twice")
            if stage.start_from in names and stage.start_from not in seen:
                raise ValueError(f"stage '{stage.name}' starts from '{stage.start_from}', which is no earlier stage")
            if not stage.inputs and stage.start_from not in seen:
                raise ValueError(f"stage '{stage.name}' names no view")
            if stage.network is None and stage.start_from is None:
                raise ValueError(f"stage '{stage.name}' names no network and starts from none")
            if stage.keep_optimizer:
                self._check_optimizer(stage)
            data = self.stage_data(stage)
            for view in stage.inputs:
                if view not in self.views:
                    raise ValueError(f"stage '{stage.name}': no view '{view}'. Views: {', '.join(self.views)}")
                source = self.views[view].stage
                if source is not None and source not in seen:
                    raise ValueError(f"view '{view}' of stage '{stage.name}': no earlier stage '{source}'")
                # A view is computed from its reader's items, so a stage trained on other lengths would not match them.
                if source is not None and self.stage_data(_named(self.stages, source)).items != data.items:
                    raise ValueError(f"stage '{stage.name}' reads stage '{source}'; both must have the same data.items")
            seen.append(stage.name)
        if absent := [view for view in self.adapt.views if view not in self.views]:
            raise ValueError(f"adapt.views: no view '{absent[0]}'. Views: {', '.join(self.views)}")
        if self.system.deploy is not None and self.system.deploy not in seen:
            raise ValueError(f"deploy = '{self.system.deploy}' names no stage. Stages: {', '.join(seen)}")
        return self

    def _check_optimizer(self, stage: Stage) -> None:
        """Raise ValueError if a stage cannot continue with the optimizer of the stage it starts from."""
        if stage.start_from not in [other.name for other in self.stages]:
            raise ValueError(f"stage '{stage.name}': keep_optimizer requires start_from = an earlier stage")
        before, own = _named(self.stages, stage.start_from).trainer, stage.trainer
        if before.optimizer != own.optimizer:
            raise ValueError(
                f"stage '{stage.name}' cannot keep the optimizer of '{stage.start_from}', which is "
                f"'{before.optimizer}' and not '{own.optimizer}'"
            )
        if before.select != "last" or before.average:
            raise ValueError(
                f"stage '{stage.name}' cannot keep the optimizer of '{stage.start_from}', whose weights are not those "
                "of the last step; it requires select = 'last' and average = 0"
            )

    def continued(self, name: str) -> bool:
        """Return whether a later stage continues with the optimizer of the named stage."""
        return any(stage.start_from == name and stage.keep_optimizer for stage in self.stages)

    @property
    def deployed(self) -> Stage:
        """The stage that is scored and exported: the named one, or the last."""
        return next((stage for stage in self.stages if stage.name == self.system.deploy), self.stages[-1])

    def stage_data(self, stage: Stage) -> Data:
        """Return a stage's data table: the system's, with the keys the stage overrides."""
        return Data.model_validate({**self.data.model_dump(), **stage.data})
