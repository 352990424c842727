"""Finding the things that a person names, for the methods that need them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Context

MOST = 16
"""Phrases at once."""


def phrases(text: str) -> list[str]:
    """The phrases of a text, between commas and new lines, each once, as typed."""
    named = (" ".join(part.split()) for part in re.split(r"[,\n]", text))
    return list(dict.fromkeys(phrase for phrase in named if phrase))


def check_phrases(text: str, where: str, wish: str) -> list[str]:
    """The phrases of a text. Raises `empty-prompt` if there are none, `bad-request` if there are too many.

    Args:
        text: as typed.
        where: its name for the person, which begins a sentence.
        wish: says what to name: "say what to select".
    """
    named = phrases(text)
    if not named:
        raise VelaturaError("empty-prompt", f"{where} names nothing; {wish}.")
    if len(named) > MOST:
        raise VelaturaError("bad-request", f"{where} names {len(named)} things; name {MOST} at most at once.")
    return named


def find(context: Context, image: Tensor, named: list[str]) -> Tensor:
    """Soft maps [N, h, w] in [0, 1] of N named things, by the segmenter.

    Args:
        context: of the run.
        image: [1, 3, h, w] in [-1, 1].
        named: N phrases.

    Raises `prompt-too-long` for a phrase that the segmenter does not read whole.
    """
    segmenter = context.segmenter
    for phrase in named:
        if not segmenter.reads(phrase):
            raise VelaturaError(
                "prompt-too-long", f"{phrase[:40]!r} … is too long for the segmenter; name it shorter."
            )
    return segmenter.find(((image[0] + 1.0) / 2.0).clamp(0.0, 1.0), named)


def grown(m: Tensor, share: float) -> Tensor:
    """A mask [1, 1, h, w] grown by a share of the picture's shorter side, with rounded corners.

    The square of a dilation shows its corners; a mean over half its width hides them. Nothing that was
    selected is less selected than before.
    """
    import torch
    import torch.nn.functional as F

    from velatura.diffusion.blending import dilate

    reach = round(share * min(m.shape[-2:]))
    if not reach:
        return m
    soft = reach // 2
    wide = F.pad(dilate(m, 2 * (reach - soft) + 1), (soft,) * 4, mode="replicate")
    return torch.maximum(m, F.avg_pool2d(wide, 2 * soft + 1, 1))
