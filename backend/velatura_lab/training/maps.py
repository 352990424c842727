"""Cross-attention maps: their recording while a network runs, and their supervision with masks.

The map of a word is the probability, averaged over heads, with which each place of the latent attends to it
(Hertz et al. 2022).  After training on little data the maps of small things are arbitrary.  Supervised
with exact masks they show where the thing is, which editing by maps needs.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


class _Recording:
    """Attention with an explicit softmax that appends its head-mean probabilities (B, places, tokens)."""

    def __init__(self, maps: list[torch.Tensor]) -> None:
        self.maps = maps

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if attn.to_k is None or attn.to_v is None or attn.to_out is None:
            raise ValueError("a cross-attention layer has no projection of keys, values or outputs")
        heads = attn.heads
        query, key, value = (
            layer(source).unflatten(-1, (heads, -1)).transpose(1, 2)
            for layer, source in (
                (attn.to_q, hidden_states),
                (attn.to_k, encoder_hidden_states),
                (attn.to_v, encoder_hidden_states),
            )
        )
        probabilities = (query @ key.transpose(-1, -2) * attn.scale).softmax(-1)
        self.maps.append(probabilities.float().mean(1))
        mixed = (probabilities.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](mixed))


@contextmanager
def record_maps(unet: UNet2DConditionModel) -> Generator[list[torch.Tensor], None, None]:
    """A context in which every call of `unet` appends each cross-attention layer's map to the list."""
    maps: list[torch.Tensor] = []
    before = unet.attn_processors
    recording = {name: _Recording(maps) if ".attn2." in name else old for name, old in before.items()}
    unet.set_attn_processor(recording)  # pyright: ignore[reportArgumentType]: diffusers types its own classes
    try:
        yield maps
    finally:
        unet.set_attn_processor(before)


def map_loss(probabilities: torch.Tensor, shares: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """The distance of words' maps from the exact masks of their elements.

    Inside an element's mask it is the mean over its words of -log of their probability, outside it is -log(1
    - their summed probability).  Each side is normalised by its area; all worded elements count equally.

    Args:
        probabilities: Maps (B, places, tokens).
        shares: Masks (B, E, places) in 0..1.
        words: (B, E, tokens), 1 where a token is about an element, else 0.
    """
    words = words.to(probabilities.dtype)
    count = words.sum(-1)
    worded = (count > 0) & (shares.sum(-1) > 1e-3)
    logs = torch.einsum("bpt,bet->bep", (probabilities + 1e-6).log(), words) / count.clamp(min=1.0).unsqueeze(
        -1
    )
    total = torch.einsum("bpt,bet->bep", probabilities, words)
    inside = -(logs * shares).sum(-1) / shares.sum(-1).clamp(min=1e-3)
    rest = 1.0 - shares
    outside = -((1.0 - total).clamp(min=1e-4).log() * rest).sum(-1) / rest.sum(-1).clamp(min=1e-3)
    return ((inside + outside) * worded).sum() / worded.sum().clamp(min=1)


def maps_loss(maps: list[torch.Tensor], shares: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Mean of `map_loss` over layers.  Masks `shares` (B, E, 32, 32) are averaged to each layer's places."""
    pooled: dict[int, torch.Tensor] = {}
    total = shares.new_zeros(())
    for item in maps:
        side = round(item.shape[1] ** 0.5)
        if side not in pooled:
            pooled[side] = F.adaptive_avg_pool2d(shares, side).flatten(2)
        total = total + map_loss(item, pooled[side], words)
    return total / len(maps)
