"""Low-rank adaptation: LoRA of linear layers.

Hu et al. 2022, LoRA: Low-Rank Adaptation of Large Language Models, section 4.1: W becomes W + (alpha/r) B A.
W is not touched. A network in half precision would lose most of so small a summand, so A and B stay in
float32, and the product with x is added to the layer's output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable
from velatura.diffusion.network import Layer


@storable("low-rank")
@dataclass(frozen=True, eq=False)
class LowRank:
    """The change of one layer's output: scale B A x.

    Args:
        A: [r, inputs] float32.
        B: [outputs, r] float32.
        scale: alpha / r.
    """

    A: Tensor
    B: Tensor
    scale: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """The summand [..., outputs] for an input x [..., inputs], of the type of x."""
        return (self.scale * F.linear(F.linear(x.float(), self.A), self.B)).to(x.dtype)


LoRA: TypeAlias = dict[str, LowRank]
"""The changes of a network by the names of its layers: an adapter for `LatentDiffusion.adapted`."""

Added: TypeAlias = Callable[[Tensor], Tensor]
"""The summand of a layer's output, from its input."""

_PROJECTIONS = (".to_q", ".to_k", ".to_v", ".to_out.0")


def attention(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Attention's projections among the layers, which the paper adapts (section 4.2)."""
    return {name: layer for name, layer in layers.items() if name.endswith(_PROJECTIONS)}


def new(layers: Mapping[str, Layer], rank: int, seed: int, device: torch.device | str = "cpu") -> LoRA:
    """A LoRA of scale 1 that changes nothing yet: B is 0. A is drawn evenly from ±1/sqrt(inputs), as by peft.

    Args:
        layers: to change.
        rank: r; at most the layer's inputs and outputs.
        seed: of A, which does not depend on the device.
        device: of A and B.
    """
    generator, made = torch.Generator().manual_seed(seed), LoRA()
    for name, layer in layers.items():
        r = min(rank, *layer)
        A = (2.0 * torch.rand(r, layer.inputs, generator=generator) - 1.0) / math.sqrt(layer.inputs)
        made[name] = LowRank(A.to(device), torch.zeros(layer.outputs, r, device=device))
    return made


def tensors(lora: LoRA) -> list[Tensor]:
    """A and B of every layer, for an optimiser."""
    return [x for part in lora.values() for x in (part.A, part.B)]


def with_tensors(lora: LoRA, values: Sequence[Tensor]) -> LoRA:
    """The LoRA with other A and B, in the order of `tensors`."""
    return {
        name: replace(part, A=values[2 * i], B=values[2 * i + 1])
        for i, (name, part) in enumerate(lora.items())
    }
