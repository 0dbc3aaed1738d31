"""Export an encoder of transformers to ONNX, for serkit's feature `onnx`.

python examples/export_encoder.py facebook/wav2vec2-base wav2vec2-base.onnx     # a name is downloaded
python examples/export_encoder.py my-checkpoint/ mine.onnx --layer 9
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


class Frames(nn.Module):
    """An encoder that returns the frames of one layer."""

    def __init__(self, model: nn.Module, layer: int = -1) -> None:
        super().__init__()
        self.model, self.layer = model, layer

    def forward(self, samples: Tensor) -> Tensor:
        found = self.model(samples, output_hidden_states=True)
        return found.hidden_states[self.layer]


def export(model: nn.Module, path: Path, layer: int = -1) -> None:
    """Write float32 (batch, samples) -> (batch, frames, size), with the weights inside.

    Args:
        model: wav2vec 2.0, HuBERT, WavLM, data2vec or the like, of transformers.
        path: file to write; ONNX holds at most 2 GiB.
        layer: index of the hidden state; 0 is the input of the first layer.
    """
    frames = Frames(model.eval(), layer).eval()
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=400)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            frames,
            (torch.randn(2, 16000),),
            input_names=["samples"],
            output_names=["frames"],
            dynamic_shapes=({0: batch, 1: samples},),
            external_data=False,
            verbose=False,
        )
    proto = program.model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]  # paths of this machine
    path.write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    from transformers import AutoModel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="folder, or name on the hub")
    parser.add_argument("out", type=Path)
    parser.add_argument("--layer", type=int, default=-1)
    given = parser.parse_args()
    # Attention in plain operations, which every runtime knows.
    export(AutoModel.from_pretrained(given.checkpoint, attn_implementation="eager"), given.out, given.layer)
