import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from onnx_parity import check_parity
from serkit import networks
from serkit.errors import UserError
from serkit.networks.network import Batch, Model
from serkit.networks.vit import Vit
from serkit.runs.export import Deployed, count_macs

SHAPE = (1, 128, 128)
OUTPUTS = {"emotion": 7}
TEACHER = {"stem": True, "coordinates": True}
TINY = {"depth": 2, "heads": 3, "head_size": 2, "hidden": 5, "width": 6}


def make(shape=SHAPE, **options):
    torch.manual_seed(0)
    return networks.build("vit", {"image": shape}, OUTPUTS, **options).eval()


def run(network, image):
    with torch.no_grad():
        return network(Batch({"image": image}))


def seen_by(layer, network, image):
    """What a layer receives when the network is run."""
    found = []
    hook = layer.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
    run(network, image)
    hook.remove()
    return found[0]


# --- sizes


@pytest.mark.parametrize(
    ("options", "parameters", "published"),
    [
        ({"depth": 3}, 2_205_959, 2.206),
        (TEACHER, 4_488_136, 4.488),
        ({"depth": 12, "heads": 12, **TEACHER}, 14_332_360, 14.33),
        ({"depth": 3, "hidden": 832}, 2_304_455, 2.304),
        ({"hidden": 832, **TEACHER}, 4_685_128, 4.685),
    ],
)
def test_parameters(options, parameters, published):
    network = make(**options)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    digits = len(str(published).partition(".")[2])
    assert round(parameters / 1e6, digits) == published
    assert network.embedding[0].normalized_shape == ((384,) if "stem" in options else (128,))


def multiply_adds(depth, heads, hidden, teacher):
    """Of one image, by hand: convolutions, patches, layers, head."""
    stem = 128 * 128 * 9 * (1 * 16 + 16 * 32 + 32 * 64 + 64 * 32 + 32 * 16 + 16 * 1) if teacher else 0
    inner = heads * 64
    layer = 129 * (256 * 3 * inner + inner * 256 + 2 * 256 * hidden) + 2 * 129 * 129 * inner
    return stem + 128 * 128 * (3 if teacher else 1) * 256 + depth * layer + 256 * 7


@pytest.mark.parametrize(
    ("depth", "heads", "hidden", "teacher", "published"),
    [
        (3, 5, 768, False, 0.3165),
        (6, 5, 768, True, 1.4073),
        (12, 12, 768, True, 2.920),
        (3, 5, 832, False, 0.3292),
        (6, 5, 832, True, 1.4326),
        (12, 12, 1600, True, 3.5796),
    ],
)
def test_multiply_adds(depth, heads, hidden, teacher, published):
    """The published rule counts norms as well (of the stem 10.5 M), which serkit's leaves out: under 1 %."""
    network = make(depth=depth, heads=heads, hidden=hidden, stem=teacher, coordinates=teacher)
    found = count_macs(Deployed(Model(network), ["image"], "emotion", 1.0).eval(), [SHAPE])
    assert found == multiply_adds(depth, heads, hidden, teacher)
    assert found / 1e9 == pytest.approx(published, rel=0.01)
    assert found / 1e9 < published


# --- patches and places


def test_coordinates_stand_behind_the_image():
    network = make((1, 4, 8), patch=[4, 1], coordinates=True, **TINY)
    image = torch.randn(2, 1, 4, 8)
    patches = seen_by(network.embedding, network, image).reshape(2, 8, 4, 3)
    torch.testing.assert_close(patches[..., 0], image[:, 0].transpose(1, 2))
    for column in range(8):
        assert patches[0, column, :, 1].tolist() == pytest.approx([-1, -1 / 3, 1 / 3, 1])
        assert patches[1, column, :, 2].tolist() == pytest.approx([-1 + 2 * column / 7] * 4)


def test_the_stem_norms_each_channel_of_each_image():
    network = make((1, 8, 8), patch=[8, 1], stem=True, **TINY)
    image = torch.randn(2, 1, 8, 8) * torch.tensor([1.0, 30.0])[:, None, None, None] + 4
    channels = [1]
    for convolution, norm, activation in network.stem:
        assert convolution.kernel_size == (3, 3) and not list(norm.parameters())
        channels.append(convolution.out_channels)
        values = seen_by(activation, network, image)
        assert values.shape[2:] == (8, 8)
        torch.testing.assert_close(values.mean((2, 3)), torch.zeros(values.shape[:2]), atol=1e-5, rtol=0)
    assert channels == [1, 16, 32, 64, 32, 16, 1]
    # Behind the last norm comes GELU, whose lowest value is -0.17.
    assert -0.17 <= seen_by(network.embedding, network, image).min() < 0


def test_only_coordinates_tell_the_order():
    """Exact of the student; the stem's convolutions tell the order as well."""
    image = torch.rand(2, *SHAPE)
    shuffled = image[..., torch.randperm(128, generator=torch.Generator().manual_seed(1))]

    def difference(**options):
        network = make(**options)
        here, there = run(network, image), run(network, shuffled)
        return (here.predictions["emotion"] - there.predictions["emotion"]).abs().max()

    assert difference(depth=3) < 1e-5
    assert difference(depth=3, coordinates=True) > 1e-4
    assert difference(depth=6, **TEACHER) > 1e-4


# --- attention


def test_maps_only_when_asked():
    network = make((1, 8, 12), patch=[4, 4], **TINY)
    image = 5 * torch.randn(3, 1, 8, 12)
    plain = run(network, image)
    assert plain.maps == {}
    network.keep = ("attention",)
    asked = run(network, image)
    assert list(asked.maps) == ["attention"] and asked.maps["attention"].shape == (3, 2, 3)
    torch.testing.assert_close(asked.predictions, plain.predictions)
    last = network.blocks[-1]
    expected = last.attention.of_class_token(last.norm(seen_by(last, network, image)))
    torch.testing.assert_close(asked.maps["attention"].flatten(1), expected)


# --- features


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_features_are_what_the_head_reads(pool):
    network = make((1, 8, 12), patch=[8, 1], pool=pool, **TINY)
    image = torch.randn(3, 1, 8, 12)
    output = run(network, image)
    torch.testing.assert_close(network.head["emotion"](output.features), output.predictions["emotion"])
    tokens = network.norm(seen_by(network.norm, network, image))
    assert tokens.shape == (3, 13, 6)
    torch.testing.assert_close(output.features, tokens[:, 0] if pool == "class" else tokens.mean(1))


def test_dropout_only_in_training():
    network = make((1, 8, 12), patch=[8, 1], dropout=0.5, **TINY)
    image = torch.randn(2, 1, 8, 12)
    torch.testing.assert_close(run(network, image).features, run(network, image).features)
    network.train()
    assert (run(network, image).features - run(network, image).features).abs().max() > 1e-3


def test_every_weight_learns():
    network = make((1, 8, 12), patch=[8, 1], **TEACHER, **TINY).train()
    network(Batch({"image": torch.randn(4, 1, 8, 12)})).predictions["emotion"].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("options", [{"patch": [32, 1]}, {"patch": [16, 16], "pool": "mean", **TEACHER}])
def test_onnx_computes_the_same_for_any_batch(options):
    network = make((1, 32, 48), **{**TINY, **options})
    network.norm.weight.data *= 20  # far from even probabilities
    check_parity(network, (1, 32, 48))


def test_fused_attention_and_its_two_products_agree():
    network = make((1, 8, 12), patch=[8, 1], **TINY)
    image = torch.randn(2, 1, 8, 12)
    with sdpa_kernel(SDPBackend.MATH):
        expected = run(network, image).features
    torch.testing.assert_close(run(network, image).features, expected)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            {"image": (1, 128, None)},
            {},
            r"view 'image' must have a fixed shape \(1, height, width\), got \(1, 128, None\)",
        ),
        ({"image": (128, 128)}, {}, r"view 'image' must have a fixed shape \(1, height, width\), got \(128, 128\)"),
        (
            {"image": (3, 128, 128)},
            {},
            r"view 'image' must have a fixed shape \(1, height, width\), got \(3, 128, 128\)",
        ),
        ({"image": SHAPE, "egg": SHAPE}, {}, "Vit takes one view, got 2: image, egg"),
        ({"image": SHAPE}, {"patch": [128, 3]}, r"patch = \[128, 3\] does not divide the image, 128 x 128; try"),
        ({"image": (1, 64, 128)}, {}, r"patch = \[128, 1\] does not divide the image, 64 x 128; try \[64, 1\]"),
        ({"image": SHAPE}, {"patch": [16]}, r"patch must be height and width, e.g. .*, got \[16\]"),
        ({"image": SHAPE}, {"patch": [16, 0]}, r"patch must be height and width, .*, got \[16, 0\]"),
        ({"image": SHAPE}, {"depth": 0}, "depth, heads, head_size, hidden and width must be 1 or more"),
        ({"image": SHAPE}, {"pool": "max"}, "unknown pool 'max'"),
        ({"image": SHAPE}, {"dropout": 2.0}, "network 'vit': dropout probability"),
        ({"image": SHAPE}, {"head": 2}, "unknown option of network 'vit' 'head'. Did you mean 'heads'"),
    ],
)
def test_what_cannot_be(inputs, options, message):
    with pytest.raises(UserError, match=message) as caught:
        networks.build("vit", inputs, OUTPUTS, **options)
    assert "\n" not in str(caught.value)


def test_a_patch_that_does_not_divide_is_a_type_error():
    with pytest.raises(TypeError, match="does not divide"):
        Vit({"image": SHAPE}, OUTPUTS, patch=[100, 1])
