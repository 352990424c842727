"""Prompt-to-Prompt's edits of joint attention, on Q, K and V alone.

The rows of a joint attention are text, picture and perhaps reference pictures; x' is a row of the target with
the source's in the place of the picture's, where self-attention is injected (Shin et al. 2025,
arXiv:2508.07519: the picture's queries and keys, not the text's). With M' = softmax(q' k'^T / sqrt(d)) the
map of the picture's queries is, for token j of the prompt and place p of the picture,

    M*_j = alpha_ij (M_s A)_j + (1 - alpha_ij) M'_j,     M*_p = g M_s,p + (1 - g) M'_p,

as in `control`, where g = 1 if a step injects both kinds of attention, else 0: then M* is the source's map
whole, and its rows still sum to 1. Text and reference pictures attend with their own queries to k'.
"""

from __future__ import annotations

import torch
from torch import Tensor

from velatura.attention import joint as parts
from velatura.attention.columns import attend
from velatura.attention.places import Place

from .control import Branch, Control, Mix, needed, renormalised


def source_branch(place: Place, q: Tensor, k: Tensor, v: Tensor | None) -> Branch:
    """The part of the source's joint attention that edits need: q and v of the picture, all of k."""
    return Branch(parts.picture(place, q), k, None if v is None else parts.picture(place, v))


def joint(
    place: Place, control: Control, i: int, mix: Mix | None, source: Branch | None, target: Branch
) -> tuple[Tensor, Tensor | None]:
    """Joint attention of the target's conditional rows at step i.

    Args:
        place: of the attention.
        control: says whether the step injects queries and keys, and values.
        i: the step.
        mix: the edit of the text's columns; None: they stay.
        source: as `source_branch` gives it; None if nothing is taken from the source, also not by `control`.
        target: all rows [B, heads, L, d].

    Returns:
        The output [B, heads, L, d], and the sums of `control.Cross`; None without a mix.
    """
    q, k, v = parts.picture(place, target.q), target.k, needed(target.v)
    injected = source is not None and control.takes_self(i)
    if source is not None and control.takes_values(i):
        mixed = torch.lerp(parts.picture(place, v), needed(source.v), control.value_share)
        v = parts.with_picture(place, v, mixed)
    if source is not None and injected:
        pair = source.q, parts.picture(place, source.k)
        q, k = parts.injected(place, target.q, k, pair, v.shape[-1])
    others, _ = attend(parts.without_picture(place, target.q), k, v)
    if mix is None:
        return parts.together(place, others, attend(q, k, v)[0]), None
    out, sums = _picture(place, mix, source, Branch(q, k, v), injected and mix.takes_source)
    return parts.together(place, others, out), sums


def _picture(
    place: Place, mix: Mix, source: Branch | None, target: Branch, whole: bool
) -> tuple[Tensor, Tensor]:
    """M* V of the picture's queries, and the sums of the gathered maps. whole: g."""
    v, g = needed(target.v), float(whole)
    text, _ = parts.rows(place)
    T_s, T_t = mix.S.shape
    of_source = slice(text.start, text.start + T_s)
    of_target = slice(text.start, text.start + T_t)
    words = v[:, :, of_target]
    sums = out = v.new_zeros(())
    if mix.uses_source:
        branch = needed(source)
        values = g * v
        values[:, :, of_source] = mix.S @ words
        w = _columns(mix, mix.w_s, of_source, v.shape[-2], g)
        out, sums = attend(branch.q, branch.k, values, w)
    if mix.uses_target or not whole:
        values = (1.0 - g) * v
        values[:, :, of_target] = mix.t * words
        w = _columns(mix, mix.w_t, of_target, v.shape[-2], 1.0 - g)
        own, sums_own = attend(target.q, target.k, values, w)
        out, sums = out + own, sums + sums_own
    return renormalised(mix, out, sums)


def _columns(mix: Mix, w: Tensor, tokens: slice, length: int, rest: float) -> Tensor:
    """The columns w of the prompt's tokens over all `length` keys, [L, n]. All other keys count only in the
    sums for renormalisation, by `rest`."""
    columns = w.new_zeros(length, w.shape[-1])
    if mix.renormalises:
        columns[:, :2] = rest
    columns[tokens] = w
    return columns
