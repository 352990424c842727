"""Cross-attention maps: recording them while a network runs, and teaching words where they belong.

The map of a word is the probability, averaged over heads, with which each place of the latent picture
attends to it (Hertz et al. 2022).  Trained from scratch on little data, words of small things attend
anywhere; supervised with exact masks they point, which is what editing by maps needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention


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
def record_maps(unet: UNet2DConditionModel) -> Iterator[list[torch.Tensor]]:
    """Within the block every call of `unet` appends the map of each cross-attention layer to the list."""
    maps: list[torch.Tensor] = []
    before = unet.attn_processors
    unet.set_attn_processor(
        {name: _Recording(maps) if ".attn2." in name else old for name, old in before.items()}
    )
    try:
        yield maps
    finally:
        unet.set_attn_processor(before)


def map_loss(probabilities: torch.Tensor, shares: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """How far the maps of the words are from the exact masks of what they are about.

    Inside an element's mask, -log of the probability of each of its words, shared equally over the words;
    outside, -log(1 - their summed probability); each side is normalised by its area and the elements that
    are worded count equally.

    probabilities (B, places, tokens), shares (B, E, places) in 0..1, words (B, E, tokens) of 0 and 1.
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
    """Mean of `map_loss` over the layers; `shares` (B, E, 32, 32) are averaged to each layer's places."""
    pooled: dict[int, torch.Tensor] = {}
    for item in maps:
        side = round(item.shape[1] ** 0.5)
        if side not in pooled:
            pooled[side] = F.adaptive_avg_pool2d(shares, side).flatten(2)
    return sum(map_loss(item, pooled[round(item.shape[1] ** 0.5)], words) for item in maps) / len(maps)
