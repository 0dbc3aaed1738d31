import logging

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from serkit import networks
from serkit.errors import UserError
from serkit.networks.layers.recurrent import Lstm, turned
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, to_onnx

INPUTS, OUTPUTS = {"f0": (1, None)}, {"emotion": 4}
POOLINGS = ["last", "mean", "max"]


def small(inputs=INPUTS, **options):
    torch.manual_seed(0)
    network = networks.build("bilstm", inputs, OUTPUTS, **{"hidden": 5, "layers": 3} | options).eval()
    for parameter in network.lstm.parameters():
        parameter.data *= 3  # states that differ, in all layers
    return network


def contour(frames, seed=0, rows=1):
    return torch.randn(1, rows, frames, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("layers", "expected"), [(3, 3_687_943), (4, 5_264_903), (5, 6_841_863)])
def test_parameters(layers, expected):
    network = networks.build("bilstm", INPUTS, {"emotion": 7}, layers=layers)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    assert network.head["emotion"].weight.shape == (7, 512)


def states_by_hand(network, x):
    """All states of the last layer, (time, 2 * hidden), cell by cell, of (time, rows)."""

    def sigmoid(values):
        return 1 / (1 + np.exp(-values))

    x, hidden = x.double().numpy(), network.lstm.hidden_size
    for layer in range(network.lstm.num_layers):
        found = []
        for end, order in (("", range(len(x))), ("_reverse", range(len(x) - 1, -1, -1))):
            into, again, *biases = (
                getattr(network.lstm, f"{name}_l{layer}{end}").detach().double().numpy()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            state = cell = np.zeros(hidden)
            states = np.zeros((len(x), hidden))
            for step in order:
                enter, forget, new, out = np.split(into @ x[step] + again @ state + sum(biases), 4)
                cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
                state = states[step] = sigmoid(out) * np.tanh(cell)
            found.append(states)
        x = np.concatenate(found, 1)
    return x


def test_features_by_hand():
    x = contour(7, rows=2)
    states = states_by_hand(small({"f0": (2, None)}), x[0].T)
    expected = {
        "last": np.concatenate([states[-1, :5], states[0, 5:]]),
        "mean": states.mean(0),
        "max": states.max(0),
    }
    for pooling in POOLINGS:
        network = small({"f0": (2, None)}, pooling=pooling)
        output = network(Batch({"f0": x}))
        np.testing.assert_allclose(output.features[0].detach(), expected[pooling], rtol=1e-4, atol=1e-5)
        head = network.head["emotion"]
        torch.testing.assert_close(output.predictions["emotion"], output.features @ head.weight.T + head.bias)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_an_item_alone_and_in_a_padded_batch(pooling):
    network = small(pooling=pooling)
    lengths = torch.tensor([3, 1, 12, 7, 2])
    batch = torch.full((5, 1, 15), 100.0)  # what stands behind an item's end must not matter
    items = [contour(int(length), seed) for seed, length in enumerate(lengths)]
    for row, item in enumerate(items):
        batch[row, :, : item.shape[2]] = item[0]
    with torch.inference_mode():
        together = network(Batch({"f0": batch}, {"f0": lengths}))
        longer = network(Batch({"f0": F.pad(batch, (0, 9))}, {"f0": lengths}))
        torch.testing.assert_close(longer.features, together.features)
        for row, item in enumerate(items):
            alone = network(Batch({"f0": item}))
            torch.testing.assert_close(together.features[row], alone.features[0], rtol=1e-4, atol=1e-5)
    assert together.features.std(0).max() > 1e-2


def test_directions_in_turn_are_packed_sequences():
    torch.manual_seed(0)
    lstm = Lstm(2, 6, 3, bidirectional=True)
    x, lengths = torch.randn(4, 9, 2), torch.tensor([4, 9, 1, 6])
    weight = torch.rand(4, 9, 12) * (torch.arange(9) < lengths[:, None])[..., None]
    gradients = []
    for compute in (lstm._in_turn, lstm._packed):
        lstm.zero_grad()
        states = compute(x, lengths)
        (states * weight).sum().backward()
        gradients.append([states * weight.sign(), *(parameter.grad.clone() for parameter in lstm.parameters())])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_items_are_turned_within_their_length():
    x = torch.arange(1.0, 5).expand(3, 4)[..., None]
    assert turned(x, torch.tensor([4, 2, 1]))[..., 0].tolist() == [[4, 3, 2, 1], [2, 1, 3, 4], [1, 2, 3, 4]]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_weight_learns(pooling):
    network = small(pooling=pooling).train()
    batch = Batch({"f0": torch.randn(3, 1, 9)}, {"f0": torch.tensor([9, 5, 2])})
    network(batch).predictions["emotion"].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("lengths", [{}, {"f0": torch.tensor([20, 11])}])
def test_bfloat16_is_close(lengths):
    network = networks.build("bilstm", INPUTS, OUTPUTS, hidden=32)
    batch = Batch({"f0": torch.randn(2, 1, 20)}, lengths)
    exact = network(batch).features
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(batch).features
    assert (rough - exact).abs().max() < 0.03
    assert rough.dtype == torch.float32


@pytest.mark.parametrize("pooling", ["last", "max"])  # of one process the second export, too
def test_onnx_computes_the_same_for_any_batch_and_time(pooling):
    logging.disable(logging.WARNING)
    network = small(pooling=pooling)
    network.head["emotion"].weight.data *= 5  # far from even probabilities
    deployed = Deployed(Model(network), ["f0"], "emotion", 1.0).eval()
    session = onnxruntime.InferenceSession(to_onnx(deployed, ["f0"], [(1, None)]))
    seen = []
    for items in (1, 3):
        for time in (1, 2, 40, 301):
            x = torch.cat([contour(time, seed) for seed in range(items)])
            with torch.inference_mode():
                expected = deployed(x).numpy()
            np.testing.assert_allclose(session.run(None, {"f0": x.numpy()})[0], expected, atol=1e-4)
            seen.append(expected)
    assert np.concatenate(seen).std(0).max() > 1e-2


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"x": (384,)}, {}, r"network 'bilstm': view 'x' must have shape \(n, None\), got \(384,\)"),
        ({"x": (None, 2)}, {}, r"view 'x' must have shape \(n, None\), got \(None, 2\)"),
        ({"x": (1, None), "y": (1, None)}, {}, "BiLstm takes one view, got 2: x, y"),
        (INPUTS, {"layers": 0}, "layers and hidden must be 1 or more"),
        (INPUTS, {"pooling": "lst"}, "unknown pooling 'lst'. Did you mean 'last'"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("bilstm", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)
