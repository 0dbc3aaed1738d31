"""Training methods: the minimized loss, and the steps before and after training. The trainer owns the loop.

To add one, write its file (a `Method`) and add its line to `METHODS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serkit.registry import Registry

if TYPE_CHECKING:
    from serkit.methods.method import Method

METHODS = Registry(
    "method",
    {
        "anti_transfer": "serkit.methods.anti_transfer:AntiTransfer",
        "discriminant": "serkit.methods.discriminant:Discriminant",
        "feature_distillation": "serkit.methods.feature_distillation:FeatureDistillation",
        "feature_matching": "serkit.methods.feature_matching:FeatureMatching",
        "focal": "serkit.methods.focal:Focal",
        "fixed": "serkit.methods.fixed:Fixed",
        "hard_examples": "serkit.methods.hard_examples:HardExamples",
        "many_corpora": "serkit.methods.many_corpora:ManyCorpora",
        "regression": "serkit.methods.regression:Regression",
        "rh_emo": "serkit.methods.rh_emo:RhEmo",
        "supervised": "serkit.methods.supervised:Supervised",
        "swapped_voices": "serkit.methods.swapped_voices:SwappedVoices",
        "svm": "serkit.methods.svm:Svm",
    },
    "serkit.methods",
)


def method_class(name: str) -> type[Method]:
    """Return the class of a method by its name."""
    kind: type[Method] = METHODS.find(name)
    return kind


def config(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that decides what a method trains: name, version and all options, including defaults."""
    return {"name": name, "version": method_class(name).version, **METHODS.defaults(name), **options}


def earlier(name: str, options: Mapping[str, Any]) -> list[str]:
    """Return the names of the earlier stages in a method's options."""
    found = [options[option] for option in method_class(name).stage_options if options.get(option)]
    return [stage for value in found for stage in ([value] if isinstance(value, str) else value)]


def build(name: str, **options: Any) -> Method:
    """Build a method from its name and options.

    Raises:
        UserError: the name or an option is unknown, or a value is invalid.
    """
    method: Method = METHODS.make(name, options)
    return method
