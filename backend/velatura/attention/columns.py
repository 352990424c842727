"""Sums of attention probabilities without the probabilities.

Attention is linear in V: SDPA(Q, K, V) = M V with M = softmax(Q K^T / sqrt(d)). So any weighted sum over the
columns of M, M w, is one more column of V, and M itself is never built."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ALIGNED = 8  # the fast kernels want head sizes in multiples of this


class Lookup:
    """Keys with their values and weights, prepared once for any number of queries.

    Args:
        k: keys [B, heads, L, d].
        v: values of the same shape, or None.
        w: weights [L, n], the same for every head, or None. Either v or w is given.
    """

    def __init__(self, k: Tensor, v: Tensor | None, w: Tensor | None = None) -> None:
        parts = [] if v is None else [v]
        if w is not None and w.shape[-1]:
            parts.append(w.to(k).expand(*k.shape[:2], *w.shape))
        values = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        self.d, self.split, self.end = k.shape[-1], 0 if v is None else v.shape[-1], values.shape[-1]
        widest = max(self.d, self.end)
        self.width = self.d if widest == self.d else -(-widest // _ALIGNED) * _ALIGNED
        self.k, self.values = self._widened(k), self._widened(values)

    def __call__(self, q: Tensor) -> Tensor:
        """M v and M w side by side for M = softmax(q k^T / sqrt(d)), in one pass.

        q: [B, heads, L_q, d]. Returns [B, heads, L_q, width] in q's dtype, for `parts` to split.
        """
        q = self._widened(q)
        return F.scaled_dot_product_attention(q, self.k, self.values, scale=1.0 / math.sqrt(self.d))

    def parts(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """M v and M w, [B, heads, L_q, d or 0] and [B, heads, L_q, n or 0]: views."""
        return out[..., : self.split], out[..., self.split : self.end]

    def _widened(self, x: Tensor) -> Tensor:
        """x with columns of zeros, which change no product. Equal widths allow the kernels that build no
        map."""
        missing = self.width - x.shape[-1]
        return F.pad(x, (0, missing)) if missing else x


def attend(q: Tensor, k: Tensor, v: Tensor | None, w: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`Lookup` for one set of queries."""
    lookup = Lookup(k, v, w)
    return lookup.parts(lookup(q))
