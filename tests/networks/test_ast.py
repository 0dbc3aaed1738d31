import pytest
import torch
import torch.nn.functional as F

from onnx_parity import check_parity
from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, count_macs

SHAPE = (1, 128, 128)
OUTPUTS = {"emotion": 7}
SMALL = {"width": 384, "heads": 6}
TINY = {"depth": 2, "heads": 3, "width": 6, "hidden": 5, "patch": [3, 4], "stride": [2, 3]}
#: (11 - 3) // 2 + 1 = 5 rows and (12 - 4) // 3 + 1 = 3 columns of patches; the last 2 pixels of a row are not read.
TINY_SHAPE = (1, 11, 12)


def make(shape=SHAPE, **options):
    torch.manual_seed(0)
    return networks.build("ast", {"image": shape}, OUTPUTS, **options).eval()


def tiny(shape=TINY_SHAPE, **options):
    """A network all of whose parts matter: new places, tokens and biases are near zero, norms at one."""
    network = make(shape, **{**TINY, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return network


def run(network, image):
    with torch.no_grad():
        return network(Batch({"image": image}))


def parameters(width):
    """By hand, of 12 layers on 12 x 12 patches, for 7 classes."""
    layer = 2 * 2 * width  # norms
    layer += 3 * width * width + 3 * width + width * width + width  # attention
    layer += 2 * 4 * width * width + 4 * width + width  # perceptron
    embedding = 16 * 16 * width + width + 2 * width + (144 + 2) * width
    return embedding + 12 * layer + 2 * width + 2 * width + 7 * width + 7


@pytest.mark.parametrize(("options", "expected"), [({}, 85_373_959), (SMALL, 21_453_319)])
def test_parameters(options, expected):
    network = make(**options)
    assert network.places.shape[0] == 146
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == expected == parameters(options.get("width", 768))


@pytest.mark.parametrize(("width", "published"), [(384, 3.3177), (768, 12.84)])
def test_multiply_adds(width, published):
    """The published rule counts norms as well, 5 for each value, which serkit's leaves out: 0.2 %."""
    layer = 146 * 12 * width * width + 2 * 146 * 146 * width
    by_hand = 144 * 256 * width + 12 * layer + 7 * width
    found = count_macs(Deployed(Model(make(width=width, heads=width // 64)), ["image"], "emotion", 1.0), [SHAPE])
    assert found == by_hand
    norms = 5 * (25 * 146 + 1) * width
    digits = len(str(published).partition(".")[2])
    assert round((found + norms) / 1e9, digits) == published


def test_the_whole_by_torchs_own_layers():
    """Patches by unfold, layers by torch's pre-norm encoder, in the order class, distillation, rows of patches."""
    network = tiny()
    image = torch.randn(3, *TINY_SHAPE)
    patches = F.unfold(image, (3, 4), stride=(2, 3)).transpose(1, 2)
    patches = patches @ network.embedding.weight.flatten(1).T + network.embedding.bias
    assert patches.shape == (3, 15, 6)
    x = torch.cat([network.special_tokens.expand(3, 2, 6), patches], 1) + network.places
    for block in network.blocks:
        layer = torch.nn.TransformerEncoderLayer(6, 3, 5, 0.0, "gelu", batch_first=True, norm_first=True)
        layer.self_attn.in_proj_weight.data = block.attention.qkv.weight.data
        layer.self_attn.in_proj_bias.data = block.attention.qkv.bias.data
        layer.self_attn.out_proj = block.attention.projection
        layer.norm1, layer.norm2 = block.norm, block.perceptron[0]
        layer.linear1, layer.linear2 = block.perceptron[1], block.perceptron[4]
        x = layer.train()(x)  # evaluated, torch would take its fused layer
    x = F.layer_norm(x, (6,), network.norm.weight, network.norm.bias)
    features = (x[:, 0] + x[:, 1]) / 2
    output = run(network, image)
    torch.testing.assert_close(output.features, features)
    norm, linear = network.head["emotion"]
    expected = linear(F.layer_norm(features, (6,), norm.weight, norm.bias))
    torch.testing.assert_close(output.predictions["emotion"], expected)


def test_a_patch_has_its_place():
    """Exchanged patches are told apart by the places alone, and exchanged along with them are not."""
    network = tiny((1, 6, 8), stride=[3, 4])
    image = torch.randn(1, 1, 6, 8)
    exchanged = torch.cat([image[:, :, :3], image[:, :, 3:].roll(4, 3)], 2)
    plain = run(network, image).features
    assert (run(network, exchanged).features - plain).abs().max() > 1e-3
    # Tokens: 2 special, 2 of the upper row, 2 of the lower.
    network.places.data = network.places.data[[0, 1, 2, 3, 5, 4]]
    torch.testing.assert_close(run(network, exchanged).features, plain)


def test_new_weights():
    network = make(**SMALL, depth=1)
    for weight in (network.places, network.blocks[0].attention.qkv.weight, network.blocks[0].perceptron[1].weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert network.special_tokens.std().item() == pytest.approx(0.02, rel=0.1)
    assert not network.blocks[0].attention.qkv.bias.any()


def test_dropout_only_in_training():
    network = make(TINY_SHAPE, **TINY, dropout=0.5)
    image = torch.randn(2, *TINY_SHAPE)
    torch.testing.assert_close(run(network, image).features, run(network, image).features)
    network.train()
    assert (run(network, image).features - run(network, image).features).abs().max() > 1e-3


def test_every_weight_learns():
    network = make(TINY_SHAPE, **TINY).train()
    network(Batch({"image": torch.randn(4, *TINY_SHAPE)})).predictions["emotion"].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_onnx_computes_the_same_for_any_batch():
    check_parity(tiny(), TINY_SHAPE)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"image": (1, 128, None)}, {}, r"must have a fixed shape \(1, height, width\), got "),
        ({"image": SHAPE, "egg": SHAPE}, {}, "Ast takes one view, got 2: image, egg"),
        ({"image": (1, 128, 12)}, {}, r"patch = \[16, 16\] is larger than the image, 128 x 12"),
        ({"image": SHAPE}, {"patch": [16]}, r"patch must be height and width, e.g. \[16, 16\], got \[16\]"),
        ({"image": SHAPE}, {"stride": [10, 0]}, r"stride must be height and width, .*, got \[10, 0\]"),
        ({"image": SHAPE}, {"depth": 0}, "depth, heads, width and hidden must be 1 or more"),
        ({"image": SHAPE}, {"hidden": 0}, "depth, heads, width and hidden must be 1 or more"),
        ({"image": SHAPE}, {"heads": 5}, r"width must be a multiple of heads \(5\), got 768"),
        ({"image": SHAPE}, {"head": 2}, "unknown option of network 'ast' 'head'. Did you mean 'heads'"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message):
        networks.build("ast", inputs, OUTPUTS, **options)
