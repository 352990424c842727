"""Joint attention: tokens of prompt and picture in one softmax (Esser et al. 2024, arXiv:2403.03206, fig. 2).

Its map has four parts: picture to picture and picture to text, which a UNet has in two attentions, and the
two of the text's own queries. The output is linear in V, so each part can be edited by the rows of V and by
further columns (`columns`)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .columns import attend
from .places import Place


class Blocks(NamedTuple):
    """The joint attentions of a family that edits use, by their names; None: all.

    Args:
        injected: those in which a picture's queries and keys take the place of another's.
        read: those whose maps say where words are.
    """

    injected: frozenset[str] | None = None
    read: frozenset[str] | None = None

    def injects(self, name: str) -> bool:
        """Whether the attention of this name is one of the injected ones."""
        return self.injected is None or name in self.injected

    def reads(self, name: str) -> bool:
        """Whether it is one of those that are read."""
        return self.read is None or name in self.read


def rows(place: Place) -> tuple[slice, slice]:
    """The rows of the prompt's tokens and of the picture. Raises ValueError if the place is not joint."""
    if place.text is None or place.image is None:
        raise ValueError(f"{place.name}: its rows of text and picture are not known")
    return slice(*place.text), slice(*place.image)


def picture(place: Place, x: Tensor) -> Tensor:
    """The picture's rows of x [B, heads, L, d]: a view [B, heads, h w, d]."""
    return x[:, :, rows(place)[1]]


def with_picture(place: Place, x: Tensor, image: Tensor) -> Tensor:
    """x [B, heads, L, d] with other rows of the picture, [B, heads, h w, d]: a copy."""
    start, end = rows(place)[1].start, rows(place)[1].stop
    return torch.cat([x[:, :, :start], image, x[:, :, end:]], 2)


def injected(
    place: Place, q: Tensor, k: Tensor, source: tuple[Tensor, Tensor], d: int
) -> tuple[Tensor, Tensor]:
    """The picture's queries [B, heads, h w, D] and all keys [B, heads, L, D] with the source's q and k in the
    picture's rows.

    Args:
        place: of the attention.
        q, k: all rows, of width D >= d: a mask comes as further columns (`Attend`).
        source: the source's queries and keys of the picture, perhaps of another width.
        d: the size of a head.
    """
    own, scale = picture(place, q), math.sqrt(q.shape[-1] / source[0].shape[-1])
    q_s, k_s = source
    if own.shape[-1] != q_s.shape[-1]:
        q_s = torch.cat([scale * q_s[..., :d], own[..., d:]], -1)
        k_s = torch.cat([k_s[..., :d], picture(place, k)[..., d:]], -1)
    return q_s, with_picture(place, k, k_s)


def without_picture(place: Place, x: Tensor) -> Tensor:
    """All rows of x [B, heads, L, d] but the picture's, [B, heads, L - h w, d]: a copy."""
    _, image = rows(place)
    return torch.cat([x[:, :, : image.start], x[:, :, image.stop :]], 2)


def together(place: Place, others: Tensor, image: Tensor) -> Tensor:
    """[B, heads, L, d] of the rows that `without_picture` and `picture` take apart."""
    start = rows(place)[1].start
    return torch.cat([others[:, :, :start], image, others[:, :, start:]], 2)


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain attention [B, heads, L_q, d], also where q and k are wider than v, by the kernels that build no
    map."""
    return attend(q, k, v)[0]


def apart(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Plain joint attention, the picture's queries in a call of their own. In this form rows whose picture is
    edited and rows whose picture is not are rounded alike."""
    others, image = (attended(part, k, v) for part in (without_picture(place, q), picture(place, q)))
    return together(place, others, image)


def word_columns(place: Place, q: Tensor, k: Tensor, groups: Tensor) -> Tensor:
    """The probabilities of groups of tokens at each place of the picture, [B, heads, h w, n].

    Args:
        place: an attention to the prompt, cross or joint.
        q, k: [B, heads, ·, d].
        groups: [T, n], weights of the first T tokens.
    """
    first = 0
    if place.kind == "joint":
        first, q = rows(place)[0].start, picture(place, q)
    w = groups.new_zeros(k.shape[-2], groups.shape[-1])
    w[first : first + len(groups)] = groups
    return attend(q, k, None, w)[1]
