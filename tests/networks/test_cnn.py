import pytest
import torch

from serkit import networks
from serkit.errors import UserError
from serkit.networks.cnn import Cnn
from serkit.networks.network import Batch

INPUTS, OUTPUTS = {"mel": (64, None)}, {"emotion": 7}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def spoil_statistics(network):
    """Give every batch norm statistics under which padding of 0 is not neutral."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network.eval()


def test_parameters():
    convolutions = 5 * 5 * 32 + 3 * 3 * 32 * 64 + 3 * 3 * 64 * 96 + 3 * 3 * 96 * 96
    norms = 2 * (32 + 64 + 96 + 96)
    width = 96 * 64 // (4 * 2 * 2)
    pooling = (width * 64 + 64) + (64 * width + width)
    head = 2 * (2 * width) + (2 * width * 7 + 7)
    assert count(Cnn(INPUTS, OUTPUTS)) == convolutions + norms + pooling + head == 214567


def test_parameters_of_an_odd_number_of_bands():
    network = Cnn({"mel": (37, None)}, {"emotion": 3}, [4, 5], [[4, 2], [2, 1]], [1, 0], attention=6)
    width = 5 * 5  # bands: 37 -> 10 -> 5
    block = (25 * 4 + 8) + (9 * 4 * 4 + 8)
    expected = block + (9 * 4 * 5 + 10) + (width * 6 + 6 + 6 * width + width) + 4 * width + (2 * width * 3 + 3)
    assert count(network) == expected


@pytest.mark.parametrize("strides", [[[4, 2], [2, 2], [2, 2]], [[1, 1], [2, 3], [3, 1]], [[2, 4], [1, 2], [2, 2]]])
@pytest.mark.parametrize("bands", [40, 37])
def test_an_item_alone_and_in_a_padded_batch(strides, bands):
    torch.manual_seed(0)
    network = spoil_statistics(Cnn({"mel": (bands, None)}, OUTPUTS, [6, 7, 8], strides, [1, 0, 2], attention=5))
    lengths = torch.tensor([1, 2, 3, 7, 20, 51, 64])
    batch = torch.zeros(len(lengths), bands, 64)
    for row, length in enumerate(lengths):
        batch[row, :, :length] = torch.randn(bands, int(length))
    with torch.inference_mode():
        together = network(Batch({"mel": batch}, {"mel": lengths}))
        for row, length in enumerate(lengths):
            alone = network(Batch({"mel": batch[row : row + 1, :, :length]}))
            torch.testing.assert_close(together.features[row], alone.features[0], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(
                together.predictions["emotion"][row], alone.predictions["emotion"][0], rtol=1e-5, atol=1e-5
            )


def test_features_are_what_the_head_reads():
    network = Cnn(INPUTS, OUTPUTS, [4], [[4, 2]], [0], attention=3, dropout=0.5).eval()
    output = network(Batch({"mel": torch.randn(2, 64, 20)}))
    torch.testing.assert_close(network.head["emotion"](output.features), output.predictions["emotion"])
    assert output.features.shape == (2, 2 * 4 * 16)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            {"mel": (64, None)},
            {"channels": [4, 4]},
            "channels, strides and residual must have one entry for each block",
        ),
        ({"mel": (64,)}, {}, r"view 'mel' must have shape \(bands, None\), got \(64,\)"),
        ({"mel": (None, 64)}, {}, r"view 'mel' must have shape \(bands, None\), got \(None, 64\)"),
        ({"mel": (64, None), "egg": (64, None)}, {}, "Cnn takes one view, got 2: mel, egg"),
        ({"mel": (64, None)}, {"chanels": [4]}, "unknown option of network 'cnn' 'chanels'. Did you mean 'channels'"),
        ({"mel": (64, None)}, {"dropout": 1.5}, "network 'cnn': dropout probability"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("cnn", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)


def test_attention_is_the_pooling_s_and_kept_only_when_asked_for():
    network = Cnn(INPUTS, OUTPUTS, [4, 4], [[4, 2], [4, 2]], [0, 0], attention=3).eval()
    batch = Batch({"mel": torch.randn(2, 64, 40)}, {"mel": torch.tensor([40, 20])})
    with torch.inference_mode():
        plain = network(batch)
        network.keep = ("attention",)
        asked = network(batch)
    assert plain.maps == {} and list(asked.maps) == ["attention"]
    attention = asked.maps["attention"]
    assert attention.shape == (2, 1, 10)
    torch.testing.assert_close(attention.sum(2), torch.ones(2, 1))
    assert not attention[1, :, 5:].any()
    torch.testing.assert_close(asked.predictions, plain.predictions)
