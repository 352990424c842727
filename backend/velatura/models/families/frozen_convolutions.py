"""Convolutions whose weights do not change, fast on processors.

Two facts are used, and the mathematics stays the same:

- A processor's library computes 3 x 3 convolutions up to three times as fast where the channels lie beside
  each other in memory (torch's `channels_last`).
- The gradient of a convolution to its input is a convolution with the weights transposed and turned. The
  library's forward pass is faster than its backward pass, so the gradient runs as a forward pass.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAID = torch.channels_last
_CAPABILITIES: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions do not tell
FAST_BFLOAT16 = any(_CAPABILITIES.get(name) for name in ("avx512_bf16", "amx_bf16"))
"""Whether this processor multiplies in bfloat16 itself; others emulate it slowly."""


class Frozen:
    """The weights of one convolution, with what follows from them.

    Args:
        weight: [O, I, k, k], k odd. Their numbers are used as they are now.
        up: whether the convolution doubles the size (`doubled`), instead of keeping it (`same`).
    """

    @torch.inference_mode(False)  # numbers made in inference mode can take part in no gradient
    def __init__(self, weight: Tensor, *, up: bool = False) -> None:
        weight = weight.detach()
        if up:  # the layout that a transposed convolution reads
            self.weight = weight.transpose(0, 1).contiguous(memory_format=LAID).transpose(0, 1)
        else:
            self.weight = weight.contiguous(memory_format=LAID)

    @cached_property
    @torch.inference_mode(False)
    def squares(self) -> Tensor:
        """The sums of squares over a kernel, [O, I]."""
        return self.weight.square().sum((2, 3))

    @cached_property
    @torch.inference_mode(False)
    def adjoint(self) -> Tensor:
        """Weights [I, O, k, k] of the gradient to the input of `same`."""
        return self.weight.transpose(0, 1).flip(2, 3).contiguous(memory_format=LAID)

    def same(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x [N, I, h, w] convolved: [N, O, h, w], differentiable to x alone."""
        y = _Same.apply(x.contiguous(memory_format=LAID), self, bias)
        assert isinstance(y, Tensor)
        return y

    def doubled(self, x: Tensor) -> Tensor:
        """The transposed convolution of x [N, I, h, w] with stride 2, [N, O, 2 h + k - 2, 2 w + k - 2]."""
        y = _Doubled.apply(x.contiguous(memory_format=LAID), self)
        assert isinstance(y, Tensor)
        return y


class _Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, frozen: Frozen, bias: Tensor | None) -> Tensor:
        ctx.frozen = frozen
        return F.conv2d(x, frozen.weight, bias, padding=frozen.weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        weight = ctx.frozen.adjoint
        gradient = gradients[0].contiguous(memory_format=LAID)
        return F.conv2d(gradient, weight, padding=weight.shape[-1] // 2), None, None


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, frozen: Frozen) -> Tensor:
        ctx.frozen = frozen
        return F.conv_transpose2d(x, frozen.weight.transpose(0, 1), stride=2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous(memory_format=LAID)
        return F.conv2d(gradient, ctx.frozen.weight.transpose(0, 1), stride=2), None


class FrozenConv2d(nn.Module):
    """A convolution that keeps the size, with the weights that another has now."""

    def __init__(self, of: nn.Conv2d) -> None:
        super().__init__()
        self._frozen = Frozen(of.weight)
        self._bias = None if of.bias is None else of.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        return self._frozen.same(x, self._bias)


def frozen(network: nn.Module) -> nn.Module:
    """A copy of a network whose plain convolutions that keep the size are frozen."""
    copy = deepcopy(network)
    _freeze(copy)
    return copy


def _freeze(network: nn.Module) -> None:
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d) and _plain(child):
            network.add_module(name, FrozenConv2d(child))
        else:
            _freeze(child)


def _plain(layer: nn.Conv2d) -> bool:
    k = layer.kernel_size[0]
    return (
        layer.kernel_size == (k, k)
        and k % 2 == 1
        and layer.padding == (k // 2, k // 2)
        and layer.padding_mode == "zeros"
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
    )
