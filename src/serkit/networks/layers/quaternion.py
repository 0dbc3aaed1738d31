"""Quaternion layers: their weights are quaternions, with a quarter of the parameters of the equivalent real layers.

A map of 4 n channels holds n quaternions: n real parts, then n times i, j and k. Each layer multiplies its input by its
weights from the left (Hamilton product), computed as one real convolution or matrix product in one of two ways:

* on a real weight, assembled from the four components at each call, or
* on the components as they are, each component of the input with each of the weight: 16 products whose signed sums
  are the four components of the output. This takes the same number of multiplications.

The first needs memory for a weight four times as large, the second for an output four times as large; the layer
chooses the smaller. A linear layer always has fewer items than inputs.

Source: Parcollet et al. 2019, "Quaternion recurrent neural networks", sections 3.1 to 3.3.
"""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serkit.errors import unknown

#: Which component of the weight (1 to 4: r, i, j, k), with which sign, maps a component of the input (column) to one
#: of the output (row).
_PRODUCT = ((1, -2, -3, -4), (2, 1, -4, 3), (3, 4, 1, -2), (4, -3, 2, 1))

_SCHEMES = ("glorot", "he")

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
        size, inputs = self.weight.shape[3], self.weight[0, 0].numel()
        height, width = ((length + 2 * self.padding - size) // self.stride + 1 for length in x.shape[2:])
        if x.shape[0] * height * width >= inputs:
            return F.conv2d(x, assemble(self.weight), self.bias, self.stride, self.padding)
        quaternions = x.unflatten(1, (4, -1)).flatten(0, 1)
        products = F.conv2d(quaternions, self.weight.flatten(0, 1), None, self.stride, self.padding)
        summed = add_up(products.unflatten(0, (-1, 4)).unflatten(2, (4, -1)).flatten(1, 2))
        return summed.flatten(1, 2) + self.bias[:, None, None]

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
