import json
import sys

import pytest
import torch
from torch import nn

import older_processor
from serkit import systems
from serkit.errors import UserError
from serkit.networks.layers import recurrent
from serkit.networks.layers.recurrent import Lstm
from serkit.protocols.splits import Split
from serkit.runs.check import check
from serkit.training import precision
from serkit.training.checkpoint import precision_of

OLDER = """
import json, torch
from serkit.training import precision
from serkit.networks.layers.recurrent import Lstm, lstm_in_bfloat16
torch.manual_seed(0)
layer, x = Lstm(8, 8, 2, bidirectional=True), torch.randn(2, 5, 8)
lengths = torch.tensor([5, 3])
exact = layer(x, lengths)
with torch.autocast("cpu", torch.bfloat16):
    rounded = layer(x, lengths), layer(x), Lstm(8, 8)(x)
precision.check("bf16-mixed", "cpu", recurrent=True)
print(json.dumps({
    "choice": vars(precision.automatic("cpu")),
    "lstm": lstm_in_bfloat16(),
    "equal": bool((rounded[0] == exact).all()),
    "types": [str(states.dtype) for states in rounded],
}))
"""


@pytest.fixture(autouse=True)
def fresh():
    precision.automatic.cache_clear()
    yield
    precision.automatic.cache_clear()


@pytest.mark.parametrize(("ratio", "chosen"), [(0.4, "bf16-mixed"), (1.0, "32-true"), (57.0, "32-true")])
def test_the_faster_one_is_chosen(monkeypatch, ratio, chosen):
    monkeypatch.setattr(precision, "_seconds", lambda kind: ratio if kind is torch.bfloat16 else 1.0)
    assert precision.resolve("auto", "cpu") == chosen
    assert f"{ratio:.2g} times" in precision.automatic("cpu").reason


def test_float32_where_there_is_no_bfloat16(monkeypatch):
    def missing(kind):
        raise RuntimeError("could not create a primitive descriptor for the convolution forward propagation primitive")

    monkeypatch.setattr(precision, "_seconds", missing)
    assert precision.automatic("cpu") == precision.Choice("32-true", "this processor does not support bfloat16")


def test_a_stated_precision_is_kept(monkeypatch):
    monkeypatch.setattr(precision, "_seconds", lambda kind: 1.0)
    assert precision.resolve("bf16-mixed", "cpu") == "bf16-mixed"


def test_the_probe_draws_nothing():
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    precision.automatic("cpu")
    precision.check("bf16-mixed", "cpu", recurrent=True)
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="the switches are those of x86")
def test_on_an_older_processor():
    """Without AVX-512, oneDNN has no LSTM in bfloat16 and emulates the rest, slowly."""
    found = json.loads(older_processor.run("-c", OLDER))
    assert found["choice"]["precision"] == "32-true"
    assert not found["lstm"]
    assert found["equal"] and found["types"] == ["torch.float32"] * 3


def test_lstm_in_float32_where_there_is_none_in_bfloat16(monkeypatch):
    monkeypatch.setattr(recurrent, "lstm_in_bfloat16", lambda: False)
    layer, x = Lstm(4, 6), torch.randn(2, 5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        states = layer(nn.Identity()(x).bfloat16())
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, layer(x.bfloat16().float()))
    states.sum().backward()
    assert all(weight.grad.dtype == torch.float32 for weight in layer.parameters())


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ("16-mixed", "device 'cpu' does not support '16-mixed'"),
        ("8-true", "Precision '8-true' is invalid"),
        ("bf16", "device 'cpu' does not support 'bf16'"),
        ("", "Precision '' is invalid"),
    ],
)
def test_a_precision_that_does_not_work_is_refused_before_training(stated, reason):
    split = Split("seed-0-fold-1", train=("a",), validation=("c",), test=("b",), fold=1, seed=0)
    system = systems.load("linear-baseline")
    stage = system.stages[0]
    stage = stage.model_copy(update={"trainer": stage.trainer.model_copy(update={"precision": stated})})
    with pytest.raises(UserError) as caught:
        check(system.model_copy(update={"stages": [stage]}), [split], 3, "cpu")
    text = f"stage '{stage.name}': trainer.precision = '{stated}' does not work here ({reason}); use 'auto',"
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


def test_no_checkpoint_has_no_precision(tmp_path):
    assert precision_of(tmp_path) is None
