"""Where in a network an attention lies, and what can be done there in its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

from torch import Tensor


class Place(NamedTuple):
    """One attention of a network. name: the network's own name for it, the same in every call. kind: what it
    attends to, the prompt ('cross') or the picture itself ('self')."""

    name: str
    kind: Literal["cross", "self"]


Attend = Callable[[Place, Tensor, Tensor, Tensor], Tensor]
"""attend(place, q, k, v) -> the values attended to. q: [B, heads, L_q, d]; k, v: [B, heads, L_k, d]; result
[B, heads, L_q, d]. Plain attention is `attend = lambda place, q, k, v: scaled_dot_product_attention(q, k,
v)`.

It is an argument of one call of a network and no state of it: nothing is counted, and nothing can be
forgotten between two calls."""


def halved(side: int, times: int) -> int:
    """A side after so many downsamplings, which round up."""
    return -(-side // 2**times)


@cache
def level(latent: tuple[int, int], tokens: int) -> int:
    """How often a network that sees latents (h, w) has halved them where a place has this many queries.

    A UNet halves both sides from level to level, so that their product tells the level. Raises ValueError for
    a number that no level has.
    """
    for times in range(max(latent).bit_length() + 1):
        if halved(latent[0], times) * halved(latent[1], times) == tokens:
            return times
    raise ValueError(f"no level of a latent of {latent[0]} x {latent[1]} has {tokens} places")
