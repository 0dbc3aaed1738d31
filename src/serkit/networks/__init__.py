"""Networks: one torch module per file.

To add one, write its file (a `Network`) and add a line to `NETWORKS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serkit.registry import Registry

if TYPE_CHECKING:
    from serkit.networks.network import Network

NETWORKS = Registry(
    "network",
    {
        "acln": "serkit.networks.acln:Acln",
        "ast": "serkit.networks.ast:Ast",
        "bilstm": "serkit.networks.bilstm:BiLstm",
        "bulba": "serkit.networks.spectral_cnn:Bulba",
        "charma": "serkit.networks.spectral_cnn:Charma",
        "cnn": "serkit.networks.cnn:Cnn",
        "crnn": "serkit.networks.crnn:Crnn",
        "ensemble": "serkit.networks.ensemble:Ensemble",
        "fcn": "serkit.networks.fcn:Fcn",
        "fused": "serkit.networks.fused:Fused",
        "layer_weights": "serkit.networks.layer_weights:LayerWeights",
        "linear": "serkit.networks.linear:Linear",
        "mlp": "serkit.networks.mlp:Mlp",
        "resnet18": "serkit.networks.resnet18:Resnet18",
        "septr": "serkit.networks.septr:Septr",
        "rh_emo": "serkit.networks.rh_emo:RhEmo",
        "squirtle": "serkit.networks.spectral_cnn:Squirtle",
        "transformers": "serkit.networks.transformers:Transformers",
        "vgg16": "serkit.networks.vgg16:Vgg16",
        "vit": "serkit.networks.vit:Vit",
    },
    "serkit.networks",
)


def network_class(name: str) -> type[Network]:
    """Return the class of a network by name."""
    kind: type[Network] = NETWORKS.find(name)
    return kind


def config(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything about a network that decides its weights: name, version and all options with their defaults."""
    kind = network_class(name)
    return {"name": name, "version": kind.version, **NETWORKS.defaults(name), **options, **kind.content(**options)}


def build(
    name: str, inputs: Mapping[str, tuple[int | None, ...]], outputs: Mapping[str, int], **options: Any
) -> Network:
    """Make a network with new weights.

    Args:
        name: a key of `NETWORKS`.
        inputs: shape of each view without the batch axis; None stands for time.
        outputs: number of outputs by target.
        options: keyword arguments of that network.

    Raises:
        UserError: unknown name or option, or an input or a value the network does not support.
    """
    network: Network = NETWORKS.make(name, options, dict(inputs), dict(outputs))
    return network
