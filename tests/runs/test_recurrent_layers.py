"""The stand-in for recurrent layers, where only shapes and products count."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from serkit import systems
from serkit.runs.export import _products
from serkit.runs.recurrent import Recurrent
from serkit.runs.sizes import sizes

OPTIONS = [
    {},
    {"batch_first": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
    {"num_layers": 3, "dropout": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_the_products_are_those_of_torch_frame_by_frame(kind, options):
    found, shapes = [], []
    with torch.device("meta"):
        layer, x = kind(3, 5, **options).requires_grad_(False), torch.empty(4, 6, 3)
    for stand_in in (False, True):
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            if stand_in:
                with Recurrent(_products):
                    states = layer(x)[0]
            else:
                states = layer(x)[0]
        found.append(counter.get_total_flops())
        shapes.append(states.shape)
    assert found[0] == found[1] > 0 and shapes[0] == shapes[1]


def test_a_projection_is_counted():
    with torch.device("meta"):
        layer, x = torch.nn.LSTM(3, 5, proj_size=2).requires_grad_(False), torch.empty(4, 6, 3)
    with FlopCounterMode(display=False) as counter, Recurrent(_products):
        assert layer(x)[0].shape == (4, 6, 2)
    assert counter.get_total_flops() == 2 * 24 * (20 * 3 + 20 * 2 + 5 * 2)


class Calls(TorchDispatchMode):
    """Counts the operations that torch computes while it is on."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_a_recurrent_network_is_counted_by_hand_and_at_once():
    with Calls() as calls:
        found = sizes(systems.load("egg-student"))["student"]["macs"]
    # Of 300 frames: two directions of four gates in four layers, and a head on both states at the end.
    assert found == 300 * 2 * 1024 * ((1 + 256) + 3 * (512 + 256)) + 512 * 7
    # Frame by frame, it took tens of thousands, and as long as several steps of training.
    assert calls.count < 1000
