"""Where concepts are in a picture, by joint attention's outputs.

Helbling et al. 2025, ConceptAttention: Diffusion Transformers Learn Highly Interpretable Features
(arXiv:2502.04320). Each concept is one token, which goes through the text's stream beside the prompt: it
attends to the picture and to the other concepts, and nothing attends to it. With the outputs o of joint
attention, before the output projection, a concept's map is

    softmax over concepts of <o_picture, o_concept>,

here as a mean over the blocks that are read, and over several noises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.joint import Blocks, picture, rows
from velatura.attention.places import Place, halved
from velatura.diffusion.condition import POOLED, Condition, cat
from velatura.diffusion.denoiser import denoise
from velatura.diffusion.network import LatentDiffusion


def concept_maps(
    model: LatentDiffusion,
    z0: Tensor,
    caption: str,
    concepts: Sequence[str],
    sigma: float,
    noises: Sequence[Tensor],
    after_noise: Callable[[int], None],
) -> Tensor:
    """The maps [n, h', w'] of n concepts, in [0, 1]; at each place their sum is 1.

    Args:
        model: with joint attention.
        z0: [1, C, h, w], the picture's latents.
        caption: of the picture.
        concepts: words, at least two: a map says where one is rather than the others.
        sigma: the noise level.
        noises: each [1, C, h, w].
        after_noise: called with i after pass i, from 1.
    """
    blocks = model.joint_blocks or Blocks()
    c = cat([model.encode_prompt(caption), *_as_prompt(model, caption, concepts).split(1)])
    n, level = len(concepts), model.attention_levels[0]
    grid = tuple(halved(side, level) for side in (z0.shape[-2], z0.shape[-1]))
    found: list[Tensor] = []

    def look(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind != "joint":
            return F.scaled_dot_product_attention(q, k, v)
        text, _ = rows(place)
        named = slice(text.start, text.start + n)
        out = torch.zeros_like(v)  # no other row of the concepts' pass is looked at
        out[:1] = F.scaled_dot_product_attention(q[:1], k[:1], v[:1])
        keys, values = (torch.cat([x[1:, :, named], picture(place, x)[:1]], 2) for x in (k, v))
        out[1:, :, named] = F.scaled_dot_product_attention(q[1:, :, named], keys, values)
        if blocks.reads(place.name):
            of_picture, of_concepts = picture(place, out)[0].float(), out[1, :, named].float()
            found.append(torch.einsum("hpd,hnd->np", of_picture, of_concepts).softmax(0))
        return out

    for i, noise in enumerate(noises, 1):
        denoise(model, (z0 + sigma * noise).repeat(2, 1, 1, 1), sigma, c, look)
        after_noise(i)
    return torch.stack(found).mean(0).unflatten(-1, grid)


def _as_prompt(model: LatentDiffusion, caption: str, concepts: Sequence[str]) -> Condition:
    """A condition of one row, whose first n tokens are the concepts, and whose pooled vector is 0."""
    c = model.encode_prompt(caption)
    states = torch.cat([_token(model, concept) for concept in concepts], 1)
    states = torch.cat([states, c.states[:, states.shape[1] :]], 1)
    parts = {name: torch.zeros_like(x) if name == POOLED else x for name, x in c.parts.items()}
    return replace(c, states=states, valid=None, parts=parts)


def _token(model: LatentDiffusion, concept: str) -> Tensor:
    """A concept's state as the last text encoder reads it alone, [1, 1, d]: the mean over its tokens, where
    the paper takes the only one of a word."""
    read = model.tokenized(concept)
    indices, before = [0], 0  # of the empty text, the first token
    for part in (read, *read.further):
        indices = [before + i for i in part.content] or indices
        before += len(part.ids)
    return model.encode_prompt(concept).states[:, indices].mean(1, keepdim=True)
