"""Quaternion layers: their weights are quaternions, with a quarter of the parameters of the equivalent real layers.

A map of 4 n channels holds n quaternions: n real parts, then n times i, j and k. Each layer multiplies its input by its
weights from the left (Hamilton product), computed as one real convolution or matrix product in one of two ways:

* on a real weight, assembled from the four components at each call: 16 products of components, or
* on eight sums of two components each, of the input and of the weight: 8 products, whose signed sums are the four
  components of the output. This takes half the multiplications and half the memory for weights, but reads and writes
  twice as many maps, so that a convolution uses it where multiplications or weights cost more than maps do.

The two differ by rounding only. A linear layer has fewer items than inputs and spends its time reading weights: it
multiplies each component of its input by each of its weight, without assembling them.

Sources: Parcollet et al. 2019, "Quaternion recurrent neural networks", sections 3.1 to 3.3; Howell & Lafon 1975, "The
complexity of the quaternion product", for the eight products.
"""

from __future__ import annotations

import copy
import math
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import unknown

#: Which component of the weight (1 to 4: r, i, j, k), with which sign, maps a component of the input (column) to one
#: of the output (row).
_PRODUCT = ((1, -2, -3, -4), (2, 1, -4, 3), (3, 4, 1, -2), (4, -3, 2, 1))

_SCHEMES = ("glorot", "he")

#: Input channels from which half the multiplications in float32 save more time than the additions take. In bfloat16,
#: which processors multiply many times as fast, they never do.
_MANY = 256

#: Output places for each input of a quaternion kernel below which the weights cost more time than the maps.
_FEW = 4

_Pair = tuple[int, int]
_Layer = TypeVar("_Layer", nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def assemble(weight: Tensor, transposed: bool = False) -> Tensor:
    """Return the real weight of a Hamilton product: (4, out, in, ...) to (4 out, 4 in, ...).

    Args:
        weight: its components r, i, j, k.
        transposed: whether rows belong to the input and columns to the output.
    """
    negative = -weight
    part = [[(weight if place > 0 else negative)[abs(place) - 1] for place in row] for row in _PRODUCT]
    rows = zip(*part, strict=True) if transposed else part
    return torch.cat([torch.cat(list(row), 1) for row in rows])


def add_up(products: Tensor) -> Tensor:
    """Sum the products of all components: (batch, 16, ...), input component slowest, to (batch, 4, ...)."""
    signs = products.new_zeros(4, 4, 4)
    for output, row in enumerate(_PRODUCT):
        for source, place in enumerate(row):
            signs[output, source, abs(place) - 1] = math.copysign(1, place)
    result: Tensor = (signs.flatten(1) @ products.flatten(2)).unflatten(2, products.shape[2:])
    return result


def weight_sums(weight: Tensor) -> Tensor:
    """Return the eight sums of a weight's components: (4, ...) to (8, ...)."""
    r, i, j, k = weight
    return torch.stack([r + i, k - j, i - r, j + k, (i + k) / 2, (i - k) / 2, (r + j) / 2, (r - j) / 2])


class _InputSums(torch.autograd.Function):
    """The eight sums of an input's components that belong to `weight_sums`: (batch, 4, ...) to (batch, 8, ...)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        r, i, j, k = x.unbind(1)
        sums = x.new_empty(x.shape[0], 8, *x.shape[2:])
        out = sums.unbind(1)
        for first, second, plus in ((r, i, 0), (j, k, 2), (i, j, 4), (r, k, 7)):
            torch.add(first, second, out=out[plus])
        for first, second, minus in ((j, k, 1), (i, r, 3), (i, j, 5), (r, k, 6)):
            torch.sub(first, second, out=out[minus])
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        g = gradient.unbind(1)
        result = gradient.new_empty(gradient.shape[0], 4, *gradient.shape[2:])
        r, i, j, k = result.unbind(1)
        torch.sub(g[0], g[3], out=r).add_(g[6]).add_(g[7])
        torch.add(g[0], g[3], out=i).add_(g[4]).add_(g[5])
        torch.add(g[1], g[2], out=j).add_(g[4]).sub_(g[5])
        torch.sub(g[2], g[1], out=k).sub_(g[6]).add_(g[7])
        return result


class _Components(torch.autograd.Function):
    """The components of a Hamilton product from the eight products: (batch, 8, ...) to (batch, 4, ...)."""

    @staticmethod
    def forward(ctx: Any, products: Tensor) -> Tensor:
        p = products.unbind(1)
        result = products.new_empty(products.shape[0], 4, *products.shape[2:])
        r, i, j, k = result.unbind(1)
        plus, minus, sums, differences = p[4] + p[5], p[4] - p[5], p[6] + p[7], p[6] - p[7]
        torch.sub(sums, plus, out=r).add_(p[1])
        torch.sub(p[0], plus, out=i).sub_(sums)
        torch.add(minus, differences, out=j).sub_(p[2])
        torch.sub(minus, differences, out=k).sub_(p[3])
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        r, i, j, k = gradient.unbind(1)
        result = gradient.new_empty(gradient.shape[0], 8, *gradient.shape[2:])
        out = result.unbind(1)
        out[0].copy_(i)
        out[1].copy_(r)
        torch.neg(j, out=out[2])
        torch.neg(k, out=out[3])
        first, second = (r + i, r - i)
        third, fourth = (j + k, j - k)
        torch.sub(third, first, out=out[4])
        torch.add(third, first, out=out[5]).neg_()
        torch.add(second, fourth, out=out[6])
        torch.sub(second, fourth, out=out[7])
        return result


def quaternion_init(weight: Tensor, fan_in: int, fan_out: int, scheme: str = "glorot") -> None:
    """Draw quaternion weights (4, ...): random direction and phase, modulus with four degrees of freedom.

    The modulus is chi-distributed and scaled by s = 1 / sqrt(2 (fan_in + fan_out)) (`glorot`) or
    1 / sqrt(2 fan_in) (`he`), so that its mean square is 4 s^2.

    Args:
        weight: filled in place.
        fan_in: number of input quaternions that contribute to one output quaternion.
        fan_out: number of output quaternions that one input quaternion contributes to.
        scheme: `glorot` or `he`.
    """
    if scheme not in _SCHEMES:
        raise unknown("quaternion init", scheme, _SCHEMES)
    scale = 1 / math.sqrt(2 * (fan_in + fan_out if scheme == "glorot" else fan_in))
    with torch.no_grad():
        modulus = scale * torch.randn_like(weight).square().sum(0).sqrt()
        axis = F.normalize(torch.empty_like(weight[1:]).uniform_(-1, 1), dim=0)
        phase = torch.empty_like(weight[0]).uniform_(-math.pi, math.pi)
        weight[0] = modulus * phase.cos()
        weight[1:] = modulus * phase.sin() * axis


class QuaternionConv2d(nn.Module):
    """A 2-D convolution with quaternion weights and a real bias.

    Args:
        channels: of the input, a multiple of 4.
        out: channels of the output, a multiple of 4.
        kernel: height and width.
        stride: along both axes.
        padding: with zeros.
        scheme: of `quaternion_init`.
    """

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, padding: int = 0, scheme: str = "glorot"
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(4, _quarter(out), _quarter(channels), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out))
        quaternion_init(self.weight, channels // 4 * kernel**2, out // 4 * kernel**2, scheme)

    def forward(self, x: Tensor) -> Tensor:
        if self._sums_are_faster(x):
            sums = _InputSums.apply(x.unflatten(1, (4, -1))).flatten(1, 2)  # type: ignore[no-untyped-call]
            weight = weight_sums(self.weight).flatten(0, 1)
            products = F.conv2d(sums, weight, None, self.stride, self.padding, groups=8)
            components: Tensor = _Components.apply(products.unflatten(1, (8, -1)))  # type: ignore[no-untyped-call]
            return components.flatten(1, 2) + self.bias[:, None, None]
        # Channels last in memory, which the output then keeps: less time for large maps.
        weight = assemble(self.weight).contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    def _sums_are_faster(self, x: Tensor) -> bool:
        """Return whether eight products of sums take less time than a real convolution."""
        if x.is_meta:  # only sizes are computed: those of a real convolution
            return False
        size, inputs = self.weight.shape[3], self.weight[0, 0].numel()
        height, width = ((length + 2 * self.padding - size) // self.stride + 1 for length in x.shape[2:])
        rounded = x.dtype is torch.bfloat16 or torch.is_autocast_enabled(x.device.type)
        return x.shape[0] * height * width < _FEW * inputs or (x.shape[1] >= _MANY and not rounded)

    def fold(self) -> nn.Conv2d:
        """Return the equivalent real layer."""
        weight = assemble(self.weight.detach())
        out, channels, kernel, _ = weight.shape
        return _real(nn.Conv2d(channels, out, kernel, self.stride, self.padding, device="meta"), weight, self.bias)


class QuaternionConvTranspose2d(nn.Module):
    """A transposed 2-D convolution with quaternion weights and a real bias.

    Args:
        channels: of the input, a multiple of 4.
        out: channels of the output, a multiple of 4.
        kernel: height and width.
        stride: along height and width.
        padding: removed from the output's edges.
        output_padding: added at the end of the output's height and width.
        conjugate: whether to multiply by the conjugate weights (r, -i, -j, -k), as the public code does; its
            published weights require it. It makes no difference when training from scratch.
        scheme: of `quaternion_init`.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int,
        stride: _Pair = (1, 1),
        padding: int = 0,
        output_padding: _Pair = (0, 0),
        conjugate: bool = False,
        scheme: str = "he",
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.output_padding, self.conjugate = stride, padding, output_padding, conjugate
        self.weight = nn.Parameter(torch.empty(4, _quarter(channels), _quarter(out), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out))
        quaternion_init(self.weight, channels // 4 * kernel**2, out // 4 * kernel**2, scheme)

    @property
    def _assembled(self) -> Tensor:
        # The matrix of the conjugate quaternion is the transpose.
        return assemble(self.weight, transposed=not self.conjugate)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self._assembled, self.bias, self.stride, self.padding, self.output_padding)

    def fold(self) -> nn.ConvTranspose2d:
        """Return the equivalent real layer."""
        weight = self._assembled.detach()
        channels, out, *kernel = weight.shape
        real = nn.ConvTranspose2d(
            channels, out, (kernel[0], kernel[1]), self.stride, self.padding, self.output_padding, device="meta"
        )
        return _real(real, weight, self.bias)


class QuaternionLinear(nn.Module):
    """A linear layer with quaternion weights and a real bias: (batch, size) to (batch, out).

    Args:
        size: of the input, a multiple of 4.
        out: size of the output, a multiple of 4.
        scheme: of `quaternion_init`.
    """

    def __init__(self, size: int, out: int, scheme: str = "he") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, _quarter(out), _quarter(size)))
        self.bias = nn.Parameter(torch.zeros(out))
        quaternion_init(self.weight, size // 4, out // 4, scheme)

    def forward(self, x: Tensor) -> Tensor:
        products = x.unflatten(1, (4, -1)) @ self.weight.flatten(0, 1).T
        return add_up(products.unflatten(2, (4, -1)).flatten(1, 2)).flatten(1) + self.bias

    def fold(self) -> nn.Linear:
        """Return the equivalent real layer, which has four times as many parameters."""
        weight = assemble(self.weight.detach())
        return _real(nn.Linear(weight.shape[1], weight.shape[0], device="meta"), weight, self.bias)


class QuaternionBatchNorm2d(nn.Module):
    """Batch norm of quaternions: a mean for each component, one variance for all four.

    The variance of a quaternion is the mean of its squared distance to the mean quaternion. Each quaternion channel has
    its own statistics (the public code pools them over channels; it uses the layer on a single channel).

    Args:
        channels: of the input, a multiple of 4.
        momentum: weight of a batch in the running statistics.
        eps: added to the variance.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(_quarter(channels)))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels // 4))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        if self.training:
            # Sums of many values: at least float32, whatever the precision of the input.
            mean = x.mean((0, 2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
            variance = (x - mean[:, None, None]).square().mean((0, 2, 3)).unflatten(0, (4, -1)).sum(0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance, self.momentum)
        scale = (self.weight * (variance + self.eps).rsqrt()).repeat(4)
        return (x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]).to(x.dtype)


def folded(model: nn.Module) -> nn.Module:
    """Return a copy of a model for inference, with real convolutions in place of the quaternion ones.

    Real convolutions avoid the assembly of weights at each call. Linear layers stay: they spend their time reading
    weights, and the real ones have four times as many.
    """
    if not any(isinstance(layer, _FOLDED) for layer in model.modules()):
        return model
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, _FOLDED):
                setattr(parent, name, layer.fold())
    return model


_FOLDED = (QuaternionConv2d, QuaternionConvTranspose2d)


def _quarter(size: int) -> int:
    if size < 4 or size % 4:
        raise TypeError(f"quaternions have 4 components; the size must be a multiple of 4, got {size}")
    return size // 4


def _real(layer: _Layer, weight: Tensor, bias: Tensor) -> _Layer:
    """Allocate a layer that was created without memory and assign its weights, which are not trained."""
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return layer
