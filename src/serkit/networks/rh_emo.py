"""RH-emo: a spectrogram as quaternions whose axes represent emotion, valence, arousal and dominance."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Self

from torch import nn

from serkit.networks.layers.quaternion import QuaternionBatchNorm2d, QuaternionConvTranspose2d
from serkit.networks.network import Batch, Network, Output, Shape

#: Meaning of the embedding's axes, in order: r (the target of classes), i, j and k.
AXES = ("emotion", "valence", "arousal", "dominance")


class RhEmo(Network):
    """A small real encoder, a quaternion decoder that reconstructs the image, and a classifier on each axis.

    The feature is the embedding, (batch, 4, height / 8, width / 2). Predictions are logits: of the classes on the axis
    r (`emotion`), of "high" on the other axes. The maps are `input`, the normalized image, and `reconstruction`.

    Source: Guizzo et al. 2023 (IEEE/ACM TASLP 31), "Learning speech emotion representations in the quaternion
    domain"; layer sizes are those of its public code.

    Args:
        inputs: one view of fixed shape (1, height, width), values 0 to 1; the height must be a multiple of 8, the
            width of 2.
        outputs: number of classes by target; targets are among `AXES`, and the last three have one output whatever
            their number of classes.
        heads: whether there are classifiers. They hold 134 million parameters, which training on the reconstruction
            alone does not need.
        hidden: size of the classifiers' two layers.
        dropout: in the classifiers.
    """

    map_names = ("input", "reconstruction")

    def __init__(
        self,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, int],
        heads: bool = True,
        hidden: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(inputs, outputs)
        height, width = _image(self.only, self.inputs[self.only])
        for target in outputs:
            if target not in AXES:
                raise TypeError(f"target '{target}' has no axis; targets with an axis: {', '.join(AXES)}")
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 2)),
            nn.BatchNorm2d(2),
            nn.Conv2d(2, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        )
        self.decoder = nn.Sequential(
            QuaternionConvTranspose2d(4, 4, 3, (2, 1), padding=1, output_padding=(1, 0)),
            nn.ReLU(),
            QuaternionBatchNorm2d(4),
            QuaternionConvTranspose2d(4, 4, 3, (2, 1), padding=1, output_padding=(1, 0)),
            nn.ReLU(),
            QuaternionBatchNorm2d(4),
            QuaternionConvTranspose2d(4, 4, 3, (2, 2), padding=1, output_padding=(1, 1)),
            nn.Sigmoid(),
        )
        size = (height // 8) * (width // 2)
        sizes = {target: classes if target == AXES[0] else 1 for target, classes in outputs.items()}
        self.classifiers = nn.ModuleDict(
            {target: _classifier(size, hidden, out, dropout) for target, out in sizes.items()} if heads else {}
        )
        self.apply(_initialise)

    def forward(self, batch: Batch) -> Output:
        image = batch.views[self.only]
        embedding = self.encoder(image)
        predictions = {
            target: classifier(embedding[:, AXES.index(target)]) for target, classifier in self.classifiers.items()
        }
        maps = {}
        if "input" in self.keep:
            maps["input"] = image
        if "reconstruction" in self.keep:
            maps["reconstruction"] = self.decoder(embedding).mean(1, keepdim=True)
        return Output(predictions, embedding, maps)

    def headless(self) -> Self:
        """Return the encoder without decoder and classifiers."""
        encoder = copy.copy(self)
        encoder._modules = {"encoder": self.encoder, "decoder": nn.Sequential(), "classifiers": nn.ModuleDict()}
        encoder.keep = ()
        return encoder


def _classifier(size: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(size, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, out),
    )


def _image(view: str, shape: Shape) -> tuple[int, int]:
    sizes = [length for length in shape if length is not None]
    if len(shape) != 3 or len(sizes) != 3 or sizes[0] != 1 or sizes[1] % 8 or sizes[2] % 2:
        raise TypeError(
            f"view '{view}' must have a fixed shape (1, height, width), got {shape}; "
            "the height must be a multiple of 8, the width of 2"
        )
    return sizes[1], sizes[2]


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
