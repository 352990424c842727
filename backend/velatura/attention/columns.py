"""Sums of attention probabilities without the probabilities.

Attention is linear in V: SDPA(Q, K, V) = M V with M = softmax(Q K^T / sqrt(d)). So whatever is wanted of M as
a weighted sum over its columns, M w, is one more column of V, and M itself is never built."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ALIGNED = 8  # the fast kernels want head sizes in multiples of this


def attend(q: Tensor, k: Tensor, v: Tensor | None, w: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """M v and M w for M = softmax(q k^T / sqrt(d)), in one pass.

    q: [B, heads, L_q, d]. k: [B, heads, L_k, d]. v: [B, heads, L_k, d] or None. w: [L_k, n] or None.
    Returns [B, heads, L_q, d or 0] and [B, heads, L_q, n or 0], in q's dtype.
    """
    if w is None or w.shape[-1] == 0:
        values = q[..., :0] if v is None else F.scaled_dot_product_attention(q, k, v)
        return values, q[..., :0]
    w = w.to(q).expand(*k.shape[:2], *w.shape)
    both = w if v is None else torch.cat([v, w], -1)
    d, n = q.shape[-1], both.shape[-1]
    width = -(-max(d, n) // _ALIGNED) * _ALIGNED
    # columns of zeros in q and k change no product; equal widths keep the kernels that build no map
    out = F.scaled_dot_product_attention(
        _widened(q, width), _widened(k, width), _widened(both, width), scale=1.0 / math.sqrt(d)
    )
    split = 0 if v is None else d
    return out[..., :split], out[..., split:n]


def _widened(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[-1]))
