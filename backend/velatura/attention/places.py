"""The place of an attention in a network, and the function that can replace it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from torch import Tensor


class Place(NamedTuple):
    """One attention of a network.

    Args:
        name: the network's own name for it, the same in every call.
        kind: 'cross' if it attends to the prompt, 'self' if it attends to the picture itself, 'joint' if the
            tokens of prompt and picture attend to each other in one softmax.
        level: how often the latent has been halved there. The picture has `halved` h times `halved` w tokens.
        text: of a joint attention, the rows [start, end) of q, k and v that are the prompt's tokens, of which
            row j is row j of the condition's states. None for other kinds.
        image: likewise the rows of the picture that is denoised, row by row. Other rows are those of
            reference pictures.
    """

    name: str
    kind: Literal["cross", "self", "joint"]
    level: int
    text: tuple[int, int] | None = None
    image: tuple[int, int] | None = None


Attend = Callable[[Place, Tensor, Tensor, Tensor], Tensor]
"""attend(place, q, k, v) -> the values attended to. q: [B, heads, L_q, d]; k, v: [B, heads, L_k, d], after
normalisation and position; result [B, heads, L_q, d]. Plain attention is `attend = lambda place, q, k, v:
scaled_dot_product_attention(q, k, v)`. Where some keys do not count, q and k may have further columns, by
which softmax(q k^T / sqrt(D)), for the width D that they then have, is 0 there.

It is an argument of one call of a network, not state of the network, so nothing has to be counted or reset
between two calls."""


def halved(side: int, times: int) -> int:
    """The side after this many downsamplings, each of which rounds up."""
    return -(-side // 2**times)


def map_level(trained: int, levels: Sequence[int]) -> int:
    """The level at which maps of words are gathered: the one with cross-attention whose side is nearest to 16
    for latents of the trained size. The published maps of 512-pixel models are from there.

    trained: the side of those latents. levels: see `LatentDiffusion.attention_levels`."""
    return min(levels, key=lambda level: abs(halved(trained, level) - 16))
