import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from serkit.errors import UserError
from serkit.networks.layers import quaternion
from serkit.networks.layers.quaternion import (
    QuaternionBatchNorm2d,
    QuaternionConv2d,
    QuaternionConvTranspose2d,
    QuaternionLinear,
    add_up,
    assemble,
    folded,
    quaternion_init,
)


def hamilton(p, q):
    """p times q, each r, i, j, k, from i^2 = j^2 = k^2 = ijk = -1."""
    (a, b, c, d), (e, f, g, h) = p, q
    return np.array(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ]
    )


def doubled(layer):
    """The layer in double precision, with a bias that can be seen."""
    torch.manual_seed(1)
    layer = layer.double()
    nn.init.normal_(layer.bias)
    return layer


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_units_multiply_as_hamilton_wrote_them():
    """i j = k, j k = i, k i = j, and the other way round negative: the weight stands on the left."""
    one, i, j, k = np.eye(4)
    for left, right, product in [(i, j, k), (j, k, i), (k, i, j), (j, i, -k), (k, j, -i), (i, k, -j), (i, i, -one)]:
        weight = torch.tensor(left)[:, None, None]
        assert (assemble(weight) @ torch.tensor(right)).tolist() == product.tolist()
        assert (hamilton(left, right) == product).all()


# --- layers against the product, written out


def test_linear():
    layer, x = doubled(QuaternionLinear(12, 8)), numbers(5, 12)
    weight = layer.weight.detach().numpy()
    expected = np.zeros((5, 4, 2))
    for item, out, source in itertools.product(range(5), range(2), range(3)):
        expected[item, :, out] += hamilton(weight[:, out, source], x[item].numpy().reshape(4, 3)[:, source])
    found = layer(x) - layer.bias
    np.testing.assert_allclose(found.detach().numpy().reshape(5, 4, 2), expected, atol=1e-12)


def convolved(weight, x, stride, padding):
    """By the sum over each place: (4, out, in, kernel, kernel) on (items, 4, in, height, width)."""
    kernel = weight.shape[-1]
    x = np.pad(x, [(0, 0)] * 3 + [(padding, padding)] * 2)
    sizes = [(length - kernel) // stride + 1 for length in x.shape[3:]]
    found = np.zeros((len(x), 4, weight.shape[1], *sizes))
    for item, out, source, row, column, down, right in itertools.product(
        *map(range, (len(x), weight.shape[1], weight.shape[2], *sizes, kernel, kernel))
    ):
        value = x[item, :, source, row * stride + down, column * stride + right]
        found[item, :, out, row, column] += hamilton(weight[:, out, source, down, right], value)
    return found


@pytest.mark.parametrize(
    ("items", "height", "channels", "stride", "padding", "whole"),
    # The real way needs 72 places for 8 channels, 36 for 4.
    [
        (1, 4, 8, 1, 1, False),
        (4, 4, 8, 1, 1, False),
        (2, 4, 8, 2, 0, False),
        (5, 4, 8, 1, 1, True),
        (5, 7, 4, 2, 1, True),
    ],
)
def test_convolution(items, height, channels, stride, padding, whole, monkeypatch):
    """Both ways of computing it; `whole` means that the weight is assembled."""
    asked = []
    monkeypatch.setattr(quaternion, "assemble", lambda weight: asked.append(0) or assemble(weight))
    layer = doubled(QuaternionConv2d(channels, 12, 3, stride, padding))
    x = numbers(items, channels, height, 4)
    found = layer(x)
    expected = convolved(
        layer.weight.detach().numpy(), x.numpy().reshape(len(x), 4, -1, height, 4), stride, padding
    ).reshape(found.shape)
    np.testing.assert_allclose((found - layer.bias[:, None, None]).detach().numpy(), expected, atol=1e-12)
    assert bool(asked) == whole
    torch.testing.assert_close(layer.fold()(x), found)


@pytest.mark.parametrize("items", [4, 5])
def test_gradients_of_a_convolution(items):
    """By both ways: the eight products, and the assembled weight."""
    layer = doubled(QuaternionConv2d(8, 4, 3, padding=1))
    x = numbers(items, 8, 4, 4).requires_grad_()
    assert layer._sums_are_faster(x) == (items == 4)
    layer(x).sin().sum().backward()
    found = [x.grad, layer.weight.grad, layer.bias.grad]
    again = x.detach().clone().requires_grad_()
    weight, bias = (parameter.detach().clone().requires_grad_() for parameter in (layer.weight, layer.bias))
    torch.nn.functional.conv2d(again, assemble(weight), bias, padding=1).sin().sum().backward()
    torch.testing.assert_close(found, [again.grad, weight.grad, bias.grad])


def test_many_channels_are_multiplied_half_as_often(monkeypatch):
    """In float32; in bfloat16, multiplications are cheap."""
    layer, x = QuaternionConv2d(256, 4, 1), torch.randn(1, 256, 32, 32)
    expected = layer.fold()(x)
    monkeypatch.setattr(quaternion, "assemble", None)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    monkeypatch.undo()
    monkeypatch.setattr(quaternion, "weight_sums", None)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x).float(), expected, rtol=0.05, atol=0.05)


def test_maps_of_one_item_do_not_depend_on_the_way():
    layer, map_ = QuaternionConv2d(8, 4, 3, padding=1), torch.randn(1, 8, 4, 4)
    one, many = layer(map_), layer(map_.repeat(5, 1, 1, 1))  # 16 places < 4 * 18 inputs <= 80 places
    torch.testing.assert_close(many[4], one[0])


@pytest.mark.parametrize("conjugate", [False, True])
def test_transposed_convolution(conjugate):
    layer = doubled(QuaternionConvTranspose2d(8, 4, 3, (2, 1), padding=1, output_padding=(1, 0), conjugate=conjugate))
    x = numbers(2, 8, 3, 2)
    weight, sign = layer.weight.detach().numpy(), np.array([1, -1, -1, -1]) if conjugate else np.ones(4)
    full = np.zeros((2, 4, 1, 8, 4))
    for item, source, row, column, down, right in itertools.product(*map(range, (2, 2, 3, 2, 3, 3))):
        value = x[item].numpy().reshape(4, 2, 3, 2)[:, source, row, column]
        full[item, :, 0, 2 * row + down, column + right] += hamilton(sign * weight[:, source, 0, down, right], value)
    found = layer(x)
    assert found.shape == (2, 4, 6, 2)
    expected = full[:, :, 0, 1:7, 1:3]
    np.testing.assert_allclose((found - layer.bias[:, None, None]).detach().numpy(), expected, atol=1e-12)
    torch.testing.assert_close(layer.fold()(x), found)


def test_batch_norm():
    torch.manual_seed(0)
    layer, x = QuaternionBatchNorm2d(8), 3 + 2 * torch.randn(6, 8, 5, 4)
    layer.weight.data, layer.bias.data = torch.tensor([2.0, 0.5]), torch.arange(8.0)
    parts = x.numpy().astype(np.float64).reshape(6, 4, 2, 5, 4)
    mean = parts.mean((0, 3, 4), keepdims=True)
    variance = ((parts - mean) ** 2).sum(1, keepdims=True).mean((0, 3, 4), keepdims=True)

    def expected(mean, variance):
        gamma, beta = np.array([2.0, 0.5]).reshape(1, 1, 2, 1, 1), np.arange(8.0).reshape(1, 4, 2, 1, 1)
        return ((parts - mean) / np.sqrt(variance + 1e-5) * gamma + beta).reshape(x.shape)

    np.testing.assert_allclose(layer(x).detach().numpy(), expected(mean, variance), atol=1e-5)
    running = 0.1 * mean, 0.9 + 0.1 * variance
    np.testing.assert_allclose(layer.eval()(x).detach().numpy(), expected(*running), atol=1e-5)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 2 + 8


def test_batch_norm_keeps_its_statistics_in_float32():
    torch.manual_seed(0)
    layer, exact, x = QuaternionBatchNorm2d(8), QuaternionBatchNorm2d(8), 3 + torch.randn(6, 8, 20, 20)
    rounded, expected = layer(x.bfloat16()), exact(x.bfloat16().float())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), expected, atol=0.02, rtol=0.02)
    torch.testing.assert_close(layer.mean, exact.mean)
    torch.testing.assert_close(layer.variance, exact.variance)


@pytest.mark.parametrize("shape", [(1, 8, 4, 4), (2, 8, 4, 4)])
def test_gradients(shape):
    x = numbers(*shape).requires_grad_()
    for layer in [
        doubled(QuaternionConv2d(8, 4, 3, padding=1)),
        doubled(QuaternionConvTranspose2d(8, 4, 3, (2, 1))),
        doubled(QuaternionBatchNorm2d(8)),
        nn.Sequential(nn.Flatten(), doubled(QuaternionLinear(128, 4))),
    ]:
        parameters = tuple(layer.parameters())
        assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *parameters), fast_mode=True)  # noqa: B023


# --- sizes, weights at the start, folding


def test_a_quarter_of_the_weights():
    def count(layer):
        return layer.weight.numel(), layer.bias.numel()

    for ours, real in [
        (QuaternionConv2d(8, 16, 3), nn.Conv2d(8, 16, 3)),
        (QuaternionConvTranspose2d(8, 16, 3), nn.ConvTranspose2d(8, 16, 3)),
        (QuaternionLinear(8, 16), nn.Linear(8, 16)),
    ]:
        assert count(ours) == (count(real)[0] // 4, 16)
        assert [parameter.shape for parameter in ours.fold().parameters()] == [p.shape for p in real.parameters()]


def test_what_no_quaternions_are():
    with pytest.raises(TypeError, match="4 components; the size must be a multiple of 4, got 6"):
        QuaternionConv2d(6, 8, 3)
    with pytest.raises(TypeError, match="must be a multiple of 4, got 10"):
        QuaternionLinear(8, 10)


@pytest.mark.parametrize(("scheme", "square"), [("glorot", 1 / (2 * (30 + 50))), ("he", 1 / (2 * 30))])
def test_init(scheme, square):
    torch.manual_seed(0)
    weight = torch.empty(4, 400, 500, dtype=torch.float64)
    quaternion_init(weight, 30, 50, scheme)
    modulus = weight.square().sum(0)
    # Chi-square with four degrees of freedom, times s^2: mean 4 s^2, variance 8 s^4.
    assert modulus.mean().item() == pytest.approx(4 * square, rel=0.01)
    assert modulus.var().item() == pytest.approx(8 * square**2, rel=0.02)
    # Half of it is real, and each of the other three takes a third of the rest, on both sides of 0.
    shares = weight.square().mean((1, 2)) / (4 * square)
    assert shares.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], rel=0.02)
    assert weight.mean((1, 2)).abs().max() < 0.01 * math.sqrt(square)
    # Axes point everywhere: i, j and k have no sign in common.
    assert (weight[1] * weight[2]).mean().abs() < 0.02 * square
    phase = torch.atan2(weight[1:].square().sum(0).sqrt(), weight[0])
    assert phase.mean().item() == pytest.approx(math.pi / 2, rel=0.01)
    assert phase.var().item() == pytest.approx(math.pi**2 / 12, rel=0.02)


def test_layers_count_quaternions_in_their_init():
    torch.manual_seed(0)
    for layer, square in [
        (QuaternionConv2d(256, 256, 3), 1 / (2 * (64 + 64) * 9)),
        (QuaternionConvTranspose2d(256, 128, 3), 1 / (2 * 64 * 9)),
        (QuaternionLinear(1024, 512), 1 / (2 * 256)),
    ]:
        assert layer.weight.square().sum(0).mean().item() == pytest.approx(4 * square, rel=0.02)
        assert not layer.bias.any()


def test_an_unknown_scheme():
    with pytest.raises(UserError, match=r"unknown quaternion init 'hee'\. Did you mean 'he'"):
        QuaternionConv2d(4, 4, 3, scheme="hee")


def test_folding_replaces_convolutions_in_a_copy():
    torch.manual_seed(0)
    model = nn.Sequential(QuaternionConv2d(4, 8, 3), nn.Sequential(QuaternionConvTranspose2d(8, 4, 3), nn.Flatten()))
    model.append(QuaternionLinear(4 * 36, 4))
    before, x = dict(model.state_dict()), torch.randn(2, 4, 6, 6)
    real = folded(model)
    assert [type(layer) for layer in real.modules() if not list(layer.children())] == [
        nn.Conv2d,
        nn.ConvTranspose2d,
        nn.Flatten,
        QuaternionLinear,
    ]
    torch.testing.assert_close(real(x), model(x))
    assert list(model.state_dict()) == list(before) and isinstance(model[0], QuaternionConv2d)
    plain = nn.Linear(2, 2)
    assert folded(plain) is plain


def test_sums_of_products_are_those_of_the_whole_weight():
    weight, x = numbers(4, 3, 2), numbers(5, 8)
    products = torch.einsum("wos,ncs->ncwo", weight, x.reshape(5, 4, 2)).flatten(1, 2)
    torch.testing.assert_close(add_up(products).flatten(1), F.linear(x, assemble(weight)))
