"""Where in a network an attention lies, and what can be done there in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor


class Place(NamedTuple):
    """One attention of a network.

    Args:
        name: the network's own name for it, the same in every call.
        kind: what it attends to, the prompt ('cross') or the picture itself ('self').
        level: how often the latent has been halved there; it has `halved` h times `halved` w queries.
    """

    name: str
    kind: Literal["cross", "self"]
    level: int


Attend = Callable[[Place, Tensor, Tensor, Tensor], Tensor]
"""attend(place, q, k, v) -> the values attended to. q: [B, heads, L_q, d]; k, v: [B, heads, L_k, d]; result
[B, heads, L_q, d]. Plain attention is `attend = lambda place, q, k, v: scaled_dot_product_attention(q, k,
v)`.

It is an argument of one call of a network and no state of it: nothing is counted, and nothing can be
forgotten between two calls."""


def halved(side: int, times: int) -> int:
    """A side after so many downsamplings, which round up."""
    return -(-side // 2**times)
