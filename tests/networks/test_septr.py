import pytest
import torch
import torch.nn.functional as F

from onnx_parity import check_parity
from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.runs.export import Deployed, count_macs

SHAPE = (1, 128, 128)
#: CREMA-D's six emotions: the number of outputs that gives the published number of parameters.
OUTPUTS = {"emotion": 6}
TINY = {"depth": 2, "heads": 3, "head_size": 2, "width": 6, "hidden": 5, "patch": [2, 3]}
#: 4 rows and 3 columns of patches.
TINY_SHAPE = (1, 8, 9)


def make(shape=SHAPE, **options):
    torch.manual_seed(0)
    return networks.build("septr", {"image": shape}, OUTPUTS, **options).eval()


def run(network, image):
    with torch.no_grad():
        return network(Batch({"image": image}))


@pytest.mark.parametrize(
    ("patch", "head_size", "expected"), [([1, 1], 256, 8_861_958), ([4, 4], 64, 2_820_102), ([4, 8], 64, 2_811_910)]
)
def test_parameters(patch, head_size, expected):
    inner = 5 * head_size
    layer = 2 * 2 * 256 + 3 * 256 * inner + (inner + 1) * 256 + 2 * (256 + 1) * 256
    places = (1 + 128 // patch[0] + 1 + 128 // patch[1]) * 256
    by_hand = (patch[0] * patch[1] + 1) * 256 + 256 + 3 * (2 * layer + places) + (256 + 1) * 6
    found = sum(parameter.numel() for parameter in make(patch=patch, head_size=head_size).parameters())
    assert found == by_hand == expected


def multiply_adds(tokens, head_size):
    """By hand, of `tokens` x `tokens` patches, and values that pass a norm."""
    inner, seen = 5 * head_size, tokens * (tokens + 1)
    layer = seen * (4 * 256 * inner + 2 * 256 * 256) + 2 * tokens * (tokens + 1) ** 2 * inner
    return 128 * 128 * 256 + 6 * layer + 256 * 6, 6 * 2 * seen * 256


@pytest.mark.parametrize(("patch", "head_size", "published"), [([1, 1], 256, 175.8166), ([4, 4], 64, None)])
def test_multiply_adds(patch, head_size, published):
    """The published rule counts norms as well, 5 for each value, which serkit's leaves out: 0.14 %."""
    network = make(patch=patch, head_size=head_size)
    found = count_macs(Deployed(Model(network), ["image"], "emotion", 1.0), [SHAPE])
    by_hand, normed = multiply_adds(128 // patch[0], head_size)
    assert found == by_hand
    if published:
        assert found / 1e9 == pytest.approx(175.563, abs=5e-4)
        assert round((found + 5 * normed) / 1e9, 4) == published


def reference_layer(block):
    """Torch's own pre-norm layer with the same weights; it needs heads * head_size = width."""
    layer = torch.nn.TransformerEncoderLayer(6, 3, 5, 0.0, "gelu", batch_first=True, norm_first=True)
    layer.self_attn.in_proj_weight.data = block.attention.qkv.weight.data
    layer.self_attn.in_proj_bias.data.zero_()
    layer.self_attn.out_proj = block.attention.projection
    layer.norm1, layer.norm2 = block.norm, block.perceptron[0]
    layer.linear1, layer.linear2 = block.perceptron[1], block.perceptron[4]
    return layer.train()  # evaluated, torch would take its fused layer


def test_the_whole_by_loops():
    """One image, column by column and row by row, with torch's own layers."""
    network = make(TINY_SHAPE, **TINY)
    images = torch.randn(2, *TINY_SHAPE)
    output = run(network, images)
    for item, image in enumerate(images):
        grid = {}
        for row in range(4):
            for column in range(3):
                pixels = image[0, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3].flatten()
                grid[row, column] = F.linear(pixels, network.embedding.weight, network.embedding.bias)
        token = network.class_token
        for vertical, horizontal in zip(network.vertical, network.horizontal, strict=True):
            columns = [[(row, column) for row in range(4)] for column in range(3)]
            rows = [[(row, column) for column in range(3)] for row in range(4)]
            for part, lines in ((vertical, columns), (horizontal, rows)):
                layer, left = reference_layer(part.layer), []
                for line in lines:
                    tokens = torch.stack([token, *(grid[place] for place in line)]) + part.places
                    seen = layer(tokens[None])[0]
                    left.append(seen[0])
                    grid |= dict(zip(line, seen[1:], strict=True))
                token = torch.stack(left).mean(0)
        torch.testing.assert_close(output.features[item], token)
        expected = F.linear(token, network.head["emotion"].weight, network.head["emotion"].bias)
        torch.testing.assert_close(output.predictions["emotion"][item], expected)


def test_every_patch_tells():
    """Through columns and rows each pixel reaches the class token."""
    network = make(TINY_SHAPE, **TINY)
    image = torch.randn(1, *TINY_SHAPE, requires_grad=True)
    network(Batch({"image": image})).features.square().sum().backward()
    assert (image.grad != 0).all()


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
    check_parity(make(TINY_SHAPE, **TINY), TINY_SHAPE)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ({"image": (1, 128, None)}, {}, r"must have a fixed shape \(1, height, width\), got "),
        ({"image": SHAPE, "egg": SHAPE}, {}, "Septr takes one view, got 2: image, egg"),
        ({"image": SHAPE}, {"patch": [3, 4]}, r"patch = \[3, 4\] does not divide the image, 128 x 128"),
        ({"image": SHAPE}, {"patch": 4}, "patch must be height and width, .*, got 4"),
        ({"image": SHAPE}, {"width": 0}, "depth, heads, head_size, hidden and width must be 1 or more"),
        ({"image": SHAPE}, {"stem": True}, "unknown option of network 'septr' 'stem'"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message):
        networks.build("septr", inputs, OUTPUTS, **options)
